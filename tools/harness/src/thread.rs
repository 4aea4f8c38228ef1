//! A server on a thread of this process; stopped when dropped.

use crate::wait::within;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::Pin;
use tokio::sync::oneshot;

/// Completes when the server has to stop.
pub type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running server; stopped when dropped.
#[derive(Debug)]
pub struct ServerThread {
    /// The address that it listens on.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl ServerThread {
    /// Starts a server on a free port.
    ///
    /// - `ip`: the address that it listens on.
    /// - `serve`: returns once [`Shutdown`] is complete and everything has ended.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn start(
        ip: IpAddr,
        serve: impl FnOnce(TcpListener, Shutdown) -> io::Result<()> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).expect("a free port");
        let address = listener.local_addr().expect("the port");
        let (stop, stopped) = oneshot::channel::<()>();
        let (end, ended) = oneshot::channel();
        std::thread::spawn(move || {
            let shutdown: Shutdown = Box::pin(async move {
                let _dropped_means_stop = stopped.await;
            });
            let _receiver_dropped = end.send(serve(listener, shutdown));
        });
        Self {
            address,
            stop: Some(stop),
            ended: Some(ended),
        }
    }

    /// Requests the server to stop, without waiting.
    pub fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has returned after a stop.
    ///
    /// # Panics
    /// If it does not return in time, returns an error, or was waited for before.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn stopped(&mut self) {
        let ended = self.ended.take().expect("the first call");
        within("the server to return after a stop", ended)
            .await
            .expect("the server did not panic")
            .expect("the server served");
    }
}
