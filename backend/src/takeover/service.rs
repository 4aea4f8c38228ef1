//! What serves the connections of a listener: actix's dispatcher, and what goes on with those that leave it.

use super::connection::{self, Connected, Shared};
use super::io::{Io, Patience};
use super::slot::Slot;
use crate::api::App;
use crate::api::gate::{Connection, Gate};
use crate::live::Groups;
use actix_service::{Service, ServiceFactory};
use bytes::Bytes;
use futures_util::future::{FutureExt, LocalBoxFuture};
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;

/// Serves connections by `http`, which is made once per worker, and goes on with those that leave it.
#[derive(Debug)]
pub struct TakeOver<H> {
    http: H,
    app: Arc<App>,
    gate: Arc<Gate>,
    groups: Rc<Groups>,
}

/// The same on one worker.
pub struct Worker<S> {
    http: Rc<S>,
    shared: Rc<Shared>,
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl<H> TakeOver<H> {
    /// - `http`: a service of actix-http whose requests find what [`Io::introduce`] puts there.
    /// - `gate`: counts the connections.
    /// - `groups`: of this worker.
    pub fn new(http: H, app: Arc<App>, gate: Arc<Gate>, groups: Rc<Groups>) -> Self {
        Self { http, app, gate, groups }
    }
}

impl<H> ServiceFactory<TcpStream> for TakeOver<H>
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
        let http = self.http.new_service(());
        let (app, gate, groups) = (Arc::clone(&self.app), Arc::clone(&self.gate), Rc::clone(&self.groups));
        Box::pin(
            async move { Ok(Worker { http: Rc::new(http.await?), shared: Rc::new(Shared { app, gate, groups }) }) },
        )
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
        let Some(counted) = self.shared.gate.connect() else { return Box::pin(async { Ok(()) }) };
        let (http, shared, counted) = (Rc::clone(&self.http), Rc::clone(&self.shared), Rc::new(counted));
        // Small pieces are the rule here, and each must leave at once. A connection that refuses this has ended already.
        let _refused = stream.set_nodelay(true);
        let mut connected = Some(Box::new(Connected { stream, before: Bytes::new() }));
        // What is held here is held for every connection, whatever it does.
        Box::pin(async move {
            while let Some(serving) = connected.take() {
                let slot = Rc::new(Slot::new(shared.app.config.hand_off));
                dispatch(&*http, serving, &slot, &counted, &shared).await;
                if let Some(left) = slot.take() {
                    drop(slot);
                    connected = connection::go_on(&shared, left, &counted).await;
                }
            }
            Ok(())
        })
    }
}

/// Serves requests until the connection leaves the dispatcher, or ends. On the heap, and only as long as it lasts.
#[expect(clippy::boxed_local, reason = "a box emptied by the caller would last as long as the connection")]
fn dispatch<'h, S>(
    http: &'h S,
    connected: Box<Connected>,
    slot: &Rc<Slot>,
    counted: &Rc<Connection>,
    shared: &Shared,
) -> LocalBoxFuture<'h, ()>
where
    S: Service<(Io, Option<SocketAddr>), Response = ()>,
    S::Future: 'h,
    S::Error: fmt::Debug,
{
    let Connected { stream, before } = *connected;
    let peer = stream.peer_addr().ok();
    let config = &shared.app.config;
    let patience =
        Patience { head: config.head_silence_max, stalled: config.write_silence_max, linger: connection::LINGER };
    let io = Io::new(stream, before, Rc::clone(slot), Rc::clone(counted), patience);
    let trace = |ended: Result<(), S::Error>| {
        if let Err(error) = ended {
            tracing::trace!("a dispatcher ended: {error:?}");
        }
    };
    http.call((io, peer)).map(trace).boxed_local()
}
