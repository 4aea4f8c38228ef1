//! Serves the connections of a listener: by actix's dispatcher, and without it after a takeover.

use super::connection::{self, Continuation};
use super::io::Io;
use super::plain::{Connected, LINGER, WorkerContext};
use super::slot::{ClientDeadlines, Slot};
use crate::api::App;
use crate::api::gate::{CountedConnection, Gate};
use crate::config::Config;
use crate::live::{Groups, ReceiveBuffer};
use actix_service::{Service, ServiceFactory};
use futures_util::future::{FutureExt as _, LocalBoxFuture};
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep_until};

/// Serves connections by `http`, which is created once per worker, and continues those that leave
/// it.
#[derive(Debug)]
pub struct TakeOver<H> {
    http: H,
    app: Arc<App>,
    gate: Arc<Gate>,
    groups: Rc<Groups>,
}

/// [`TakeOver`] on one worker.
pub struct Worker<S> {
    http: Rc<S>,
    shared: Rc<WorkerContext>,
}

impl<S> fmt::Debug for Worker<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl<H> TakeOver<H> {
    /// - `http`: a service of actix-http whose requests see what [`Io::insert_extensions`] adds.
    /// - `gate`: counts the connections.
    /// - `groups`: of this worker.
    pub fn new(http: H, app: Arc<App>, gate: Arc<Gate>, groups: Rc<Groups>) -> Self {
        Self {
            http,
            app,
            gate,
            groups,
        }
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
        let (app, gate, groups) = (
            Arc::clone(&self.app),
            Arc::clone(&self.gate),
            Rc::clone(&self.groups),
        );
        Box::pin(async move {
            Ok(Worker {
                http: Rc::new(http.await?),
                shared: Rc::new(WorkerContext {
                    app,
                    gate,
                    groups,
                    malformed: Rc::default(),
                }),
            })
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
        let Some(counted) = self.shared.gate.connect() else {
            return Box::pin(async { Ok(()) });
        };
        let (http, shared, counted) = (
            Rc::clone(&self.http),
            Rc::clone(&self.shared),
            Rc::new(counted),
        );
        // Deliveries are small and must not be delayed. This fails only for a connection that has
        // already ended.
        let _refused = stream.set_nodelay(true);
        let mut connected = Some(Box::new(Connected {
            stream,
            unread: ReceiveBuffer::default(),
        }));
        // This state is held for the lifetime of every connection.
        Box::pin(async move {
            while let Some(serving) = connected.take() {
                let slot = slot(&shared.app.config);
                dispatch(&*http, serving, &slot, &counted, &shared).await;
                let serving = match connection::resume(&shared, slot, &counted) {
                    None => break,
                    Some(Continuation::Requests(serving)) => serving,
                    Some(Continuation::Reading(reading, after)) => match reading.await {
                        Some(finished) => {
                            connection::resume_after_reader(&shared, finished, after, &counted)
                        }
                        None => break,
                    },
                };
                connected = serving.await;
            }
            Ok(())
        })
    }
}

fn slot(config: &Config) -> Rc<Slot> {
    let deadlines = ClientDeadlines {
        idle: config.keep_alive,
        head: config.head_silence_max,
        stalled: config.write_silence_max,
        linger: LINGER,
    };
    Rc::new(Slot::new(config.takeover, deadlines))
}

/// Serves requests until the connection leaves the dispatcher or ends. Boxed, so that its memory is
/// freed then.
#[expect(
    clippy::boxed_local,
    reason = "a box emptied by the caller would last as long as the connection"
)]
fn dispatch<'h, S>(
    http: &'h S,
    connected: Box<Connected>,
    slot: &Rc<Slot>,
    counted: &Rc<CountedConnection>,
    shared: &WorkerContext,
) -> LocalBoxFuture<'h, ()>
where
    S: Service<(Io, Option<SocketAddr>), Response = ()>,
    S::Future: 'h,
    S::Error: fmt::Debug,
{
    let Connected { stream, unread } = *connected;
    let peer = stream.peer_addr().ok();
    let (counted, groups, malformed) = (
        Rc::clone(counted),
        Rc::clone(&shared.groups),
        Rc::clone(&shared.malformed),
    );
    let io = Io::new(stream, unread, Rc::clone(slot), counted, groups, malformed);
    let mut serving = Box::pin(http.call((io, peer)));
    let (slot, mut timer) = (Rc::clone(slot), None::<Pin<Box<Sleep>>>);
    poll_fn(move |context| {
        if let Poll::Ready(ended) = serving.as_mut().poll(context) {
            if let Err(error) = ended {
                tracing::trace!("dispatcher ended with an error: {error:?}");
            }
            return Poll::Ready(());
        }
        // The connection is dropped when its client exceeds a deadline.
        let Some(deadline) = slot.deadline() else {
            timer = None;
            return Poll::Pending;
        };
        let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if timer.deadline() != deadline {
            timer.as_mut().reset(deadline);
        }
        timer.as_mut().poll(context)
    })
    .boxed_local()
}
