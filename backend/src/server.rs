//! Runs the server on a listener until it is told to stop, and stops without cutting anybody off.

use crate::api::gate::Gate;
use crate::api::{App, Budget};
use crate::config::{Config, StoreKind};
use crate::http;
use crate::lab::Lab;
use crate::live::{Groups, Terms};
use crate::subscriptions::Subscriptions;
use crate::subscriptions::courier::HttpCourier;
use crate::takeover::{Io, TakeOver};
use actix_http::HttpService;
use actix_server::Server;
use actix_service::{fn_service, map_config};
use actix_web::dev::{AppConfig, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web_lab::middleware::CatchPanic;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::Streams;
use tailwater_core::clock::Clock;
use tailwater_core::store::{DiskOpenError, DiskOptions, DiskStore, MemoryStore, Recovery, Store};
use tokio::sync::{Semaphore, watch};
use tokio::time::{sleep, timeout};

/// How long a connection that is refused half-way is read on, so that its client gets to see the refusal.
const LINGER: Duration = Duration::from_secs(1);

/// A store that is open, with what it knows.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// What it held when it was opened.
    pub recovery: Recovery,
}

/// Opens the store that `config` names.
///
/// # Errors
/// All of [`DiskOpenError`].
pub fn open(config: &Config) -> Result<Opened, DiskOpenError> {
    match config.store {
        StoreKind::Memory => Ok(Opened {
            store: Arc::new(MemoryStore::new(config.memory_max)),
            recovery: Recovery::default(),
        }),
        StoreKind::Disk => {
            if config.strict {
                DiskStore::check_private(&config.data_dir)?;
            }
            let options = DiskOptions {
                sync: config.sync,
                hot_max: config.hot_max,
                reserve: config.disk_reserve,
            };
            let (store, recovery) = DiskStore::open(&config.data_dir, &options)?;
            Ok(Opened {
                store: Arc::new(store),
                recovery,
            })
        }
    }
}

/// Opens the store that `config` names and serves its streams; see [`serve`].
///
/// # Errors
/// When the store can't be opened or the listener can't be used.
pub async fn run(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let opened = open(&config).map_err(std::io::Error::other)?;
    run_on(listener, config, opened, shutdown).await
}

/// Serves the streams of a store, and closes it when all have left; see [`serve`].
///
/// # Errors
/// Only when the listener can't be used.
pub async fn run_on(
    listener: TcpListener,
    config: Config,
    Opened {
        store,
        mut recovery,
    }: Opened,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let streams = Arc::new(Streams::open(
        Arc::clone(&store),
        &mut recovery,
        config.stream_limits(),
    ));
    let drain = config.drain;
    let served = serve_noted(listener, config, streams, &recovery.notes, shutdown).await;
    let closing = Arc::clone(&store);
    let closed = tokio::task::spawn_blocking(move || closing.close()).await;
    // The workers' threads end a moment after they said so. Until then the store is still open, and its directory taken.
    let let_go = async {
        while Arc::strong_count(&store) > 1 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(drain, let_go).await.is_err() {
        tracing::warn!("the server has stopped, but something of it still holds the store");
    }
    served.and(closed.map_err(std::io::Error::other))
}

/// Serves `streams` on `listener` until `shutdown` is done; then ends every live answer cleanly and returns when all have
/// left, or after `config.drain`.
///
/// For programs that keep streams of their own, such as some with a retention that no request can ask for.
///
/// # Errors
/// Only when the listener can't be used.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    streams: Arc<Streams>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    serve_noted(listener, config, streams, &BTreeMap::new(), shutdown).await
}

/// As [`serve`], with the notes that the store kept ([`tailwater_core::store::Recovery::notes`]): subscriptions and their keys.
///
/// # Errors
/// When the listener can't be used or a note can't be read.
pub async fn serve_noted(
    listener: TcpListener,
    config: Config,
    streams: Arc<Streams>,
    notes: &BTreeMap<String, Bytes>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let (stop, stopping) = watch::channel(false);
    let subscriptions = subscriptions(&config, &listener, &streams, notes, stopping.clone())?;
    let gate = web::Data::new(Gate::new(&config, listener.local_addr()?.ip()));
    let (ending, drain) = (Arc::clone(&streams), config.drain);
    let (sweeping, every, stop_sweeping) = (Arc::clone(&streams), config.sweep, stopping.clone());
    actix_web::rt::spawn(async move { sweeping.sweep_until(every, stop_sweeping).await });
    let app = web::Data::new(state(config.clone(), streams, subscriptions, stopping));
    let lab = config.lab_on().then(|| lab(&app, &listener)).transpose()?;
    let offered = lab.clone();
    let server = listen(listener, &config, app, gate, offered)?;
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    shutdown.await;
    if let Some(lab) = lab {
        lab.close().await;
    }
    finish(stop, &handle).await;
    let served = serving.await.unwrap_or(Ok(()));
    // What nobody could find any more must not be there again after the next start.
    if timeout(drain, ending.delete_ended()).await.is_err() {
        tracing::warn!(
            "the store took too long to delete streams that had ended; they begin anew with the next start"
        );
    }
    served
}

/// Begins to serve the routes on `listener`.
fn listen(
    listener: TcpListener,
    config: &Config,
    app: web::Data<App>,
    gate: web::Data<Gate>,
    lab: Option<web::Data<Lab>>,
) -> std::io::Result<Server> {
    let (address, keep_alive) = (listener.local_addr()?, config.keep_alive);
    let workers = config.worker_threads();
    let server = Server::build()
        .workers(workers)
        .shutdown_timeout(whole_seconds(config.drain.as_secs_f64().ceil().min(3600.0)))
        // For each worker. Of those accepted, the ones that are too many are closed as they come, see `Gate::connect`.
        .max_concurrent_connections(gate.accepted_max().div_ceil(workers))
        .disable_signals();
    let drain = server.graceful_shutdown_signal();
    let server = server.listen("streams", listener, move || {
        let groups = Groups::new(Terms::of(&app));
        let mut application = actix_web::App::new()
            .app_data(app.clone())
            .app_data(gate.clone())
            .app_data(Rc::clone(&groups));
        if let Some(lab) = &lab {
            application = application.app_data(lab.clone());
        }
        let application = application
            // A bug in a handler costs its request a 500, not the connection.
            .wrap(CatchPanic::default())
            .wrap(from_fn(http::guard))
            .configure(http::configure)
            .configure(http::lab::configure)
            .configure(http::assets::configure)
            .default_service(web::to(http::no_route));
        let drain = drain.clone();
        let (expecting, deciding, lab) = (app.clone(), gate.clone(), lab.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let drain = drain.clone();
                async move { drain.notified().await }
            })
            // Deadlines of clients are the connection's own, see `takeover::Slot`.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(keep_alive)
            .client_disconnect_timeout(LINGER)
            .h1_allow_half_closed(false)
            .local_addr(address)
            .expect(fn_service(move |request| {
                let lab = lab.as_ref().map(|lab| &***lab);
                ready(http::decide_by_head(&expecting, &deciding, lab, request))
            }))
            .on_connect_ext(move |io: &Io, data| io.introduce(data))
            .h1(map_config(application, move |()| {
                AppConfig::__priv_test_new(false, address.to_string(), address)
            }));
        TakeOver::new(
            http,
            app.clone().into_inner(),
            gate.clone().into_inner(),
            groups,
        )
    })?;
    Ok(server.run())
}

async fn finish(stop: watch::Sender<bool>, handle: &ServerHandle) {
    stop.send_replace(true);
    handle.stop(true).await;
}

fn lab(app: &App, listener: &TcpListener) -> std::io::Result<web::Data<Lab>> {
    let runtime = tokio::runtime::Handle::current();
    Ok(web::Data::new(Lab::new(
        Arc::clone(&app.streams),
        app.clock,
        listener.local_addr()?,
        &runtime,
    )))
}

fn subscriptions(
    config: &Config,
    listener: &TcpListener,
    streams: &Arc<Streams>,
    notes: &BTreeMap<String, Bytes>,
    stop: watch::Receiver<bool>,
) -> std::io::Result<Arc<Subscriptions>> {
    let limits = config.subscription_limits(listener.local_addr()?.ip());
    let courier = HttpCourier::new(limits.allow_local).map_err(std::io::Error::other)?;
    Subscriptions::open(Arc::clone(streams), notes, limits, Arc::new(courier), stop)
        .map_err(std::io::Error::other)
}

fn state(
    config: Config,
    streams: Arc<Streams>,
    subscriptions: Arc<Subscriptions>,
    stop: watch::Receiver<bool>,
) -> App {
    let live = Arc::new(Semaphore::new(
        config.live_readers_max.min(Semaphore::MAX_PERMITS),
    ));
    let budget = Budget::new(config.buffers_max.max(config.body_max.saturating_mul(2)));
    App {
        streams,
        live,
        budget,
        config,
        clock: Clock::new(),
        stop,
        subscriptions,
    }
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of seconds from 0 to 3600"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}
