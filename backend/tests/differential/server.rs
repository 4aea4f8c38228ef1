//! A server in this process for as long as it is held.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tokio::sync::oneshot;

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(3_600);

/// The longest body, in bytes.
pub(crate) const BODY_MAX: usize = 2_000;

/// A running server; told to stop when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    _stop: oneshot::Sender<()>,
}

/// Whether connections may leave their dispatcher: what the two servers differ in.
pub(crate) fn let_leave(config: &mut Config, may: bool) {
    config.hand_off = may;
}

impl Server {
    /// In memory, on a free port, with one worker, so that the order of what it does is known, and nothing by the clock.
    pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Self {
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the port");
        let (stop, stopped) = oneshot::channel::<()>();
        std::thread::spawn(move || {
            let shutdown = async move {
                let _dropped_means_stop = stopped.await;
            };
            actix_web::rt::System::new()
                .block_on(tailwater::server::run(listener, config, shutdown))
        });
        Self {
            address,
            _stop: stop,
        }
    }
}
