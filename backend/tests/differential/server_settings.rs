//! The settings of both servers, and their difference.

use super::in_process::serve;
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tailwater_harness::ServerThread;

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(3_600);

/// The longest body, in bytes.
pub(crate) const BODY_MAX: usize = 2_000;

/// Sets whether connections may be taken over, which is the difference between the two servers.
pub(crate) fn set_takeover(config: &mut Config, may: bool) {
    config.takeover = may;
}

/// A server with a memory store, with one worker, so that the order of its actions is defined, and
/// without timers.
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
