//! What serves the connections of a listener: actix's dispatcher, and what goes on with the readers that leave it.

use super::connection::{Commons, Returned, attend};
use super::group::Groups;
use super::io::Io;
use super::slot::Slot;
use crate::http::{Connection, Gate};
use crate::techniques::Terms;
use crate::techniques::websocket::Explain;
use actix_service::{Service, ServiceFactory};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What readers are served with after they left their dispatcher.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What their logs are followed with.
    pub terms: Terms,
    /// Idle time after which a connection that has come back is closed.
    pub keep_alive: Duration,
    /// Silence after which a client that does not read is given up.
    pub write_silence_max: Duration,
    /// The largest message on a WebSocket in bytes.
    pub message_max: usize,
    /// The document for a refused message.
    pub explain: Explain,
    /// Counts connections.
    pub gate: Arc<Gate>,
}

/// Serves connections by `http`, which is made once per worker, until their readers leave it.
#[derive(Debug)]
pub struct Handing<H> {
    http: H,
    settings: Settings,
}

/// The same on one worker.
pub struct Worker<S> {
    http: Rc<S>,
    settings: Settings,
    commons: Rc<Commons>,
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl<H> Handing<H> {
    /// - `http`: a service of actix-http whose requests find what [`Io::introduce`] puts there.
    pub fn new(http: H, settings: Settings) -> Self {
        Self { http, settings }
    }
}

impl<H> ServiceFactory<TcpStream> for Handing<H>
where
    H: ServiceFactory<(Io, Option<SocketAddr>), Config = (), Response = ()>,
    H::Service: 'static,
    H::Future: 'static,
    H::Error: fmt::Debug,
{
    type Response = ();
    type Error = H::Error;
    type Config = ();
    type Service = Worker<H::Service>;
    type InitError = H::InitError;
    type Future = LocalBoxFuture<'static, Result<Self::Service, Self::InitError>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let (http, settings) = (self.http.new_service(()), self.settings.clone());
        Box::pin(async move {
            let groups = Groups::new(settings.terms.clone());
            let commons = Commons::new(groups, settings.write_silence_max, settings.message_max, settings.explain);
            Ok(Worker { http: Rc::new(http.await?), settings, commons: Rc::new(commons) })
        })
    }
}

impl<S> Service<TcpStream> for Worker<S>
where
    S: Service<(Io, Option<SocketAddr>), Response = ()> + 'static,
    S::Error: fmt::Debug,
{
    type Response = ();
    type Error = S::Error;
    type Future = LocalBoxFuture<'static, Result<(), S::Error>>;

    fn poll_ready(&self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.http.poll_ready(context)
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        let (http, commons) = (Rc::clone(&self.http), Rc::clone(&self.commons));
        let (gate, keep_alive) = (Arc::clone(&self.settings.gate), self.settings.keep_alive);
        Box::pin(async move {
            let counted = Rc::new(gate.connect());
            let peer = stream.peer_addr().ok();
            // Small pieces are the rule here, and each must leave at once. A connection that refuses this has ended already.
            let _refused = stream.set_nodelay(true);
            let mut next = Some((stream, Bytes::new()));
            while let Some((stream, before)) = next.take() {
                next = serve(&*http, &commons, stream, before, peer, &counted).await;
                if let Some((stream, before)) = &next
                    && before.is_empty()
                    && !has_more(stream, keep_alive, &commons).await
                {
                    return Ok(());
                }
            }
            Ok(())
        })
    }
}

/// Serves requests until a reader has left its dispatcher and its answer has ended; returns the connection if it goes on.
async fn serve<S>(
    http: &S,
    commons: &Commons,
    stream: TcpStream,
    before: Bytes,
    peer: Option<SocketAddr>,
    counted: &Rc<Connection>,
) -> Option<Returned>
where
    S: Service<(Io, Option<SocketAddr>), Response = ()>,
    S::Error: fmt::Debug,
{
    let slot = Rc::<Slot>::default();
    let io = Io::new(stream, before, Rc::clone(&slot), Rc::clone(counted));
    // On the heap and not a part of this task, which lives on without it.
    if let Err(error) = Box::pin(http.call((io, peer))).await {
        tracing::trace!("a dispatcher ended: {error:?}");
    }
    attend(commons, slot.take()?).await
}

/// Whether the client sends another request in time.
async fn has_more(stream: &TcpStream, keep_alive: Duration, commons: &Commons) -> bool {
    let mut stop = commons.groups.terms().stop.clone();
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => false,
        readable = timeout(keep_alive, stream.readable()) => matches!(readable, Ok(Ok(()))),
    }
}
