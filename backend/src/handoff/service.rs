//! What serves the connections of a listener: actix's dispatcher, and what goes on with the readers that leave it.

use super::connection::{self, Commons, Connected, Returned};
use super::io::Io;
use super::requests;
use super::slot::{Left, Seat, Slot};
use crate::http::{App, Connection, Gate};
use actix_service::{Service, ServiceFactory};
use bytes::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Serves connections by `http`, which is made once per worker, until their readers leave it.
#[derive(Debug)]
pub struct Handing<H> {
    http: H,
    app: Arc<App>,
    gate: Arc<Gate>,
}

/// The same on one worker.
pub struct Worker<S> {
    http: Rc<S>,
    gate: Arc<Gate>,
    commons: Rc<Commons>,
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").field("commons", &self.commons).finish_non_exhaustive()
    }
}

impl<H> Handing<H> {
    /// - `http`: a service of actix-http whose requests find what [`Io::introduce`] puts there.
    /// - `gate`: counts the connections.
    pub fn new(http: H, app: Arc<App>, gate: Arc<Gate>) -> Self {
        Self { http, app, gate }
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
        let (http, app, gate) = (self.http.new_service(()), Arc::clone(&self.app), Arc::clone(&self.gate));
        Box::pin(async move { Ok(Worker { http: Rc::new(http.await?), gate, commons: Rc::new(Commons::new(app)) }) })
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
        let counted = Rc::new(self.gate.connect());
        // Small pieces are the rule here, and each must leave at once. A connection that refuses this has ended already.
        let _refused = stream.set_nodelay(true);
        let mut connected = Box::new(Connected { stream, before: Bytes::new() });
        // What is held here is held for every connection, whatever it does.
        Box::pin(async move {
            loop {
                let slot = Rc::new(Slot::new(!connected.before.is_empty()));
                dispatch(&*http, connected, &slot, &counted).await;
                let Some(going_on) = go_on(&commons, &slot) else { break };
                drop(slot);
                let Some(returned) = going_on.await else { break };
                if returned.before.is_empty() && !Box::pin(has_more(&returned.stream, &commons)).await {
                    break;
                }
                connected = returned;
            }
            Ok(())
        })
    }
}

/// Serves requests until a reader leaves the dispatcher, or the connection ends. On the heap, and only as long as it lasts.
#[expect(clippy::boxed_local, reason = "a box emptied by the caller would last as long as the connection")]
fn dispatch<'h, S>(
    http: &'h S,
    connected: Returned,
    slot: &Rc<Slot>,
    counted: &Rc<Connection>,
) -> LocalBoxFuture<'h, ()>
where
    S: Service<(Io, Option<SocketAddr>), Response = ()>,
    S::Future: 'h,
    S::Error: fmt::Debug,
{
    let Connected { stream, before } = *connected;
    let peer = stream.peer_addr().ok();
    let io = Io::new(stream, before, Rc::clone(slot), Rc::clone(counted));
    let trace = |ended: Result<(), S::Error>| {
        if let Err(error) = ended {
            tracing::trace!("a dispatcher ended: {error:?}");
        }
    };
    http.call((io, peer)).map(trace).boxed_local()
}

/// What goes on with a connection whose dispatcher has ended.
fn go_on(commons: &Rc<Commons>, slot: &Slot) -> Option<LocalBoxFuture<'static, Option<Returned>>> {
    let Left { stream, seat, beyond } = slot.take()?;
    let commons = Rc::clone(commons);
    Some(match seat {
        Seat::Live { live, keep_alive } => connection::attend(commons, stream, live, keep_alive, &beyond),
        Seat::Requests { pattern, mut unanswered } => {
            unanswered.extend_from_slice(&beyond);
            requests::attend(commons, stream, pattern, unanswered)
        }
    })
}

/// Whether the client sends another request in time.
async fn has_more(stream: &TcpStream, commons: &Commons) -> bool {
    let mut stop = commons.app.stop.clone();
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => false,
        readable = timeout(commons.keep_alive, stream.readable()) => matches!(readable, Ok(Ok(()))),
    }
}
