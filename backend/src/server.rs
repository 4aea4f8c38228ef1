//! Runs the server on a listener until shutdown, which lets responses in progress complete.

pub use crate::mount::{Opened, open};

use crate::api::VERSION_PREFIX;
use crate::config::Config;
use crate::http;
use crate::lab::Lab;
use crate::live::{Groups, LiveTerms};
use crate::mount::Mount;
use crate::takeover::{Io, TakeOver};
use actix_http::HttpService;
use actix_server::Server;
use actix_service::{fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web_lab::middleware::CatchPanic;
use std::collections::BTreeMap;
use std::future::{Future, ready};
use std::net::TcpListener;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::Streams;
use tokio::time::{sleep, timeout};

/// How long a connection with a refused request is read, so that its client receives the refusal.
const LINGER: Duration = Duration::from_secs(1);

/// Opens the store selected by `config` and serves its streams; see [`serve`].
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

/// Serves the streams of a store, and closes it afterwards; see [`serve`].
///
/// # Errors
/// When the listener can't be used, a stored subscription can't be read, or the store can't be
/// closed.
pub async fn run_on(
    listener: TcpListener,
    config: Config,
    opened: Opened,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let drain = config.drain;
    let store = Arc::clone(&opened.store);
    let mount = Mount::new("", listening_on(&listener, config)?, opened)?;
    let served = serve_mount(listener, &mount, shutdown).await;
    let closed = mount.close().await;
    drop(mount);
    // The workers' threads end shortly after they reported their end. Until then the store is open,
    // and its directory locked.
    let store_released = async {
        while Arc::strong_count(&store) > 1 {
            sleep(Duration::from_millis(1)).await;
        }
    };
    if timeout(drain, store_released).await.is_err() {
        tracing::warn!("the server has stopped, but the store is still in use");
    }
    served.and(closed)
}

/// Serves `streams` on `listener` until `shutdown` completes; then ends every live response and
/// returns when all connections are closed, or after `config.drain`.
///
/// For programs with streams of their own, such as some with a retention that requests can't set.
///
/// # Errors
/// Only when the listener can't be used.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    streams: Arc<Streams>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let config = listening_on(&listener, config)?;
    let mount = Mount::of("", config, streams, &BTreeMap::new())?;
    let served = serve_mount(listener, &mount, shutdown).await;
    mount.delete_expired().await;
    served
}

/// The configuration with the address that `listener` is bound to.
fn listening_on(listener: &TcpListener, config: Config) -> std::io::Result<Config> {
    Ok(Config {
        listen: listener.local_addr()?,
        ..config
    })
}

async fn serve_mount(
    listener: TcpListener,
    mount: &Mount,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let lab = lab(mount);
    let server = listen(listener, mount, lab.clone())?;
    let handle = server.handle();
    let serving = actix_web::rt::spawn(server);
    shutdown.await;
    if let Some(lab) = lab {
        lab.close().await;
    }
    mount.end();
    handle.stop(true).await;
    serving.await.unwrap_or(Ok(()))
}

/// Starts to serve the routes on `listener`.
fn listen(
    listener: TcpListener,
    mount: &Mount,
    lab: Option<web::Data<Lab>>,
) -> std::io::Result<Server> {
    let (app, gate) = (mount.app().clone(), mount.gate().clone());
    let config = &app.config;
    let (address, keep_alive) = (config.listen, config.keep_alive);
    let workers = config.worker_threads();
    let server = Server::build()
        .workers(workers)
        .shutdown_timeout(whole_seconds(config.drain.as_secs_f64().ceil().min(3600.0)))
        // Per worker. Accepted connections beyond the limit are closed on arrival, see
        // `Gate::connect`.
        .max_concurrent_connections(gate.accepted_max().div_ceil(workers))
        .disable_signals();
    let drain = server.graceful_shutdown_signal();
    let server = server.listen("streams", listener, move || {
        let groups = Groups::new(LiveTerms::of(&app));
        let mut application = actix_web::App::new()
            .app_data(app.clone())
            .app_data(gate.clone())
            .app_data(Rc::clone(&groups));
        if let Some(lab) = &lab {
            application = application.app_data(lab.clone());
        }
        let application = application
            // A panicking handler is answered with a 500 response, and then the connection is closed.
            .wrap(CatchPanic::default())
            .wrap(from_fn(http::guard))
            .service(web::scope(VERSION_PREFIX).configure(routes))
            .configure(http::assets::configure)
            .default_service(web::to(http::no_route));
        let drain = drain.clone();
        let (app_for_expect, gate_for_expect, lab) = (app.clone(), gate.clone(), lab.clone());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let drain = drain.clone();
                async move { drain.notified().await }
            })
            // `takeover::Slot` has the deadlines of clients.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(keep_alive)
            .client_disconnect_timeout(LINGER)
            .h1_allow_half_closed(false)
            .local_addr(address)
            .expect(fn_service(move |request| {
                let lab = lab.as_ref().map(|lab| &***lab);
                ready(http::check_expectation(
                    &app_for_expect,
                    &gate_for_expect,
                    lab,
                    request,
                ))
            }))
            .on_connect_ext(move |io: &Io, data| io.insert_extensions(data))
            // actix's own address is not used: a request contains the name that its client uses.
            .h1(map_config(application, |()| AppConfig::default()));
        TakeOver::new(
            http,
            app.clone().into_inner(),
            gate.clone().into_inner(),
            groups,
        )
    })?;
    Ok(server.run())
}

/// The routes below the version's prefix.
fn routes(service: &mut web::ServiceConfig) {
    http::configure(service);
    #[cfg(feature = "lab")]
    http::lab::configure(service);
}

#[cfg(feature = "lab")]
fn lab(mount: &Mount) -> Option<web::Data<Lab>> {
    let app = mount.app();
    app.config.lab_on().then(|| {
        web::Data::new(Lab::new(
            Arc::clone(&app.streams),
            app.clock,
            app.config.listen,
            &tokio::runtime::Handle::current(),
        ))
    })
}

#[cfg(not(feature = "lab"))]
fn lab(_: &Mount) -> Option<web::Data<Lab>> {
    None
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of seconds from 0 to 3600"
)]
fn whole_seconds(seconds: f64) -> u64 {
    seconds as u64
}
