//! The streams of a store as a part of an actix-web application: own prefix, own middleware, own
//! store.
//!
//! ```no_run
//! use actix_web::{App, HttpServer};
//! use tailwater::config::Config;
//! use tailwater::mount::{Mount, open};
//!
//! #[actix_web::main]
//! async fn main() -> std::io::Result<()> {
//!     let config = Config::default();
//!     let address = config.listen;
//!     let opened = open(&config).map_err(std::io::Error::other)?;
//!     let streams = Mount::new("/events", config, opened)?;
//!     let (mounted, ending) = (streams.clone(), streams.clone());
//!     HttpServer::new(move || App::new().configure(|service| mounted.configure(service)))
//!         .bind(address)?
//!         .shutdown_signal(async move {
//!             let _failed = actix_web::rt::signal::ctrl_c().await;
//!             ending.end();
//!         })
//!         .run()
//!         .await?;
//!     streams.close().await
//! }
//! ```

use crate::api::gate::Gate;
use crate::api::{App, Budget, VERSION_PREFIX};
use crate::config::{Config, StoreKind};
use crate::http;
use crate::live::{Groups, LiveTerms};
use crate::subscriptions::Subscriptions;
use crate::subscriptions::webhook::WebhookTransport;
use actix_web::middleware::from_fn;
use actix_web::web;
use actix_web_lab::middleware::CatchPanic;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use tailwater_core::Streams;
use tailwater_core::clock::Clock;
use tailwater_core::store::{DiskOpenError, DiskOptions, DiskStore, MemoryStore, Recovery, Store};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;

/// An open store, and the data recovered from it.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub store: Arc<dyn Store>,
    /// The data recovered at opening.
    pub recovery: Recovery,
}

/// Opens the store selected by `config`.
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

/// The streams of a store, for any number of workers. Clones refer to the same streams.
#[derive(Debug, Clone)]
pub struct Mount {
    app: web::Data<App>,
    gate: web::Data<Gate>,
    stop: Arc<watch::Sender<bool>>,
}

impl Mount {
    /// The streams of a store; starts to delete those that have expired.
    ///
    /// Must be called within a tokio runtime that runs as long as the application.
    ///
    /// - `prefix`: prefix of all paths, such as `/events` for `/events/v1/stream/NAME`: segments of
    ///   letters, digits, `-`, `_` and `.`, each after a slash, or empty.
    /// - `config`: `listen` is the address that the application listens on: on loopback, requests
    ///   have to use it as their host. Settings for a stand-alone server only (workers,
    ///   connections, store, lab) are ignored.
    ///
    /// # Errors
    /// When `prefix` is invalid, a stored subscription can't be read, or the system has no
    /// randomness.
    pub fn new(prefix: &str, config: Config, opened: Opened) -> io::Result<Self> {
        let Opened {
            store,
            mut recovery,
        } = opened;
        let streams = Streams::open(store, &mut recovery, config.stream_limits());
        Self::of(prefix, config, Arc::new(streams), &recovery.notes)
    }

    /// As [`Mount::new`], for streams that are already open.
    ///
    /// - `notes`: the store's notes ([`Recovery::notes`]): subscriptions and their keys.
    ///
    /// # Errors
    /// As [`Mount::new`].
    pub fn of(
        prefix: &str,
        config: Config,
        streams: Arc<Streams>,
        notes: &BTreeMap<String, Bytes>,
    ) -> io::Result<Self> {
        check_prefix(prefix)?;
        let (stop, stopping) = watch::channel(false);
        let address = config.listen.ip();
        let mut limits = config.subscription_limits(address);
        limits.public_url = limits.public_url.map(|base| base + prefix);
        let webhooks = webhooks(limits.allow_local)?;
        let subscriptions = Subscriptions::open(
            Arc::clone(&streams),
            notes,
            limits,
            webhooks,
            stopping.clone(),
        )
        .map_err(io::Error::other)?;
        let (swept_streams, every, stop_sweeping) =
            (Arc::clone(&streams), config.sweep, stopping.clone());
        tokio::spawn(async move { swept_streams.sweep_until(every, stop_sweeping).await });
        let live = config.live_readers_max.min(Semaphore::MAX_PERMITS);
        Ok(Self {
            gate: web::Data::new(Gate::new(&config, address)),
            app: web::Data::new(App {
                streams,
                live: Arc::new(Semaphore::new(live)),
                budget: Budget::new(config.buffers_max.max(config.body_max.saturating_mul(2))),
                config,
                prefix: prefix.to_owned(),
                clock: Clock::new(),
                stop: stopping,
                subscriptions,
            }),
            stop: Arc::new(stop),
        })
    }

    /// The streams, for an application that appends and reads without HTTP.
    pub fn streams(&self) -> &Arc<Streams> {
        &self.app.streams
    }

    pub(crate) fn app(&self) -> &web::Data<App> {
        &self.app
    }

    pub(crate) fn gate(&self) -> &web::Data<Gate> {
        &self.gate
    }

    /// Registers the routes of the streams in one worker's application.
    pub fn configure(&self, service: &mut web::ServiceConfig) {
        let scope = web::scope(&format!("{}{VERSION_PREFIX}", self.app.prefix))
            .app_data(self.app.clone())
            .app_data(self.gate.clone())
            .app_data(Groups::new(LiveTerms::of(&self.app)))
            // A panicking handler is answered with a 500 response, and then the connection is closed.
            .wrap(CatchPanic::default())
            .wrap(from_fn(http::guard))
            .configure(http::configure)
            .default_service(web::to(http::no_route));
        service.service(scope);
    }

    /// Ends live responses, each with a last message. Call this before the application's server is
    /// stopped, or its connections stay open.
    pub fn end(&self) {
        self.stop.send_replace(true);
    }

    /// Ends live responses, deletes streams that have expired, and makes all data durable; reads
    /// remain possible.
    ///
    /// # Errors
    /// When the store could not be closed.
    pub async fn close(&self) -> io::Result<()> {
        self.end();
        self.delete_expired().await;
        let store = Arc::clone(self.app.streams.store());
        tokio::task::spawn_blocking(move || store.close())
            .await
            .map_err(io::Error::other)
    }

    /// Streams that have expired must not reappear after a restart.
    pub(crate) async fn delete_expired(&self) {
        let deletion = self.app.streams.delete_expired();
        if timeout(self.app.config.drain, deletion).await.is_err() {
            tracing::warn!(
                "expired streams could not be deleted in time; the deletion is repeated at the next start"
            );
        }
    }
}

#[cfg(feature = "webhooks")]
fn webhooks(allow_local: bool) -> io::Result<Arc<dyn WebhookTransport>> {
    use crate::subscriptions::webhook_client::WebhookClient;
    Ok(Arc::new(
        WebhookClient::new(allow_local).map_err(io::Error::other)?,
    ))
}

#[cfg(not(feature = "webhooks"))]
fn webhooks(_: bool) -> io::Result<Arc<dyn WebhookTransport>> {
    Ok(Arc::new(crate::subscriptions::webhook::NoWebhooks))
}

/// Checks the form of a prefix.
fn check_prefix(prefix: &str) -> io::Result<()> {
    let is_segment = |segment: &str| {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !segment.is_empty() && segment.bytes().all(is_plain)
    };
    let is_prefix = match prefix.strip_prefix('/') {
        Some(segments) => segments.split('/').all(is_segment),
        None => prefix.is_empty(),
    };
    if is_prefix {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::InvalidInput,
        format!("invalid prefix `{prefix}`, expected segments such as /events, or nothing"),
    ))
}
