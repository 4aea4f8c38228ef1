//! A server on a thread of this process, for as long as it is held.

use crate::wait::within;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::pin::Pin;
use tokio::sync::oneshot;

/// Done when the server shall stop.
pub type Shutdown = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A running server; told to stop when dropped.
#[derive(Debug)]
pub struct ServerThread {
    /// Where it listens.
    pub address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    ended: Option<oneshot::Receiver<io::Result<()>>>,
}

impl ServerThread {
    /// Serves a free port.
    ///
    /// - `ip`: the address that it listens on.
    /// - `serve`: returns when [`Shutdown`] is done and everything has ended.
    ///
    /// # Panics
    /// When there is no free port.
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
            let _nobody_waits = end.send(serve(listener, shutdown));
        });
        Self {
            address,
            stop: Some(stop),
            ended: Some(ended),
        }
    }

    /// Tells the server to stop, without waiting.
    pub fn tell_to_stop(&mut self) {
        drop(self.stop.take());
    }

    /// Waits until the server has returned from a stop.
    ///
    /// # Panics
    /// When it does not return in time, or with an error, or was waited for before.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn stopped(&mut self) {
        let ended = self.ended.take().expect("it was not waited for");
        within("the server to return after a stop", ended)
            .await
            .expect("the server did not panic")
            .expect("the server served");
    }
}
