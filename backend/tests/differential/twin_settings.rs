//! What both servers are started with, and what they differ in.

use super::in_process::serve;
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tailwater_harness::ServerThread;

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(3_600);

/// The longest body, in bytes.
pub(crate) const BODY_MAX: usize = 2_000;

/// Whether connections may leave their dispatcher: what the two servers differ in.
pub(crate) fn let_leave(config: &mut Config, may: bool) {
    config.hand_off = may;
}

/// A server in memory, with one worker, so that the order of what it does is known, and nothing by the clock.
pub(crate) fn start(change: impl FnOnce(&mut Config)) -> ServerThread {
    let mut config = Config {
        workers: Some(1),
        store: StoreKind::Memory,
        heartbeat: NEVER,
        recycle: NEVER,
        sweep: NEVER,
        body_max: BODY_MAX as u64,
        ..Config::default()
    };
    change(&mut config);
    serve(config)
}
