//! Subscriptions: durable cursors over many streams that wake workers, by webhook or by an event on
//! a stream.
//!
//! An append adds its stream's name to a set (`changed_streams.rs`: one short lock, none without
//! subscriptions); a task passes the names to the subscriptions that follow them; each of those is
//! a task of its own (`actor.rs`) around a pure state machine (`state.rs`). Nothing polls: timers
//! exist only for leases and retries.
//!
//! Source: Durable Streams protocol, sections 6 and 7.

mod actor;
mod changed_streams;
pub mod definition;
#[cfg(test)]
mod fixture;
pub mod glob;
mod list;
pub mod note;
mod requests;
pub mod signing;
pub mod state;
pub mod target;
#[cfg(test)]
mod tests;
pub mod webhook;
#[cfg(feature = "webhooks")]
pub mod webhook_client;
pub mod wire;

pub use requests::{Refused, WorkerReport};

use actor::SubscriptionEntry;
use bytes::Bytes;
use changed_streams::ChangedStreams;
use definition::{Definition, SubscriptionId};
use note::SubscriptionRecord;
use signing::{Jwks, Keys, StoredKeys};
use state::{Moment, StreamSnapshot, SubscriptionFault, SubscriptionState};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, UNIX_EPOCH};
use tailwater_core::clock::WallClock;
use tailwater_core::store::{Store, StoreError};
use tailwater_core::{ListQuery, StreamName, Streams, TailState};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, oneshot, watch};
use webhook::WebhookTransport;

/// The store's key for the secret keys.
const KEYS_NOTE: &str = "subscriptions/keys";
/// Prefix of the store's key for a subscription, before its id.
const NOTE_PREFIX: &str = "subscription/";

/// Limits of subscriptions.
#[derive(Debug, Clone)]
pub struct SubscriptionLimits {
    /// Number of subscriptions.
    pub subscriptions_max: usize,
    /// Streams of one subscription.
    pub streams_max: usize,
    /// Concurrent webhook requests.
    pub deliveries_max: usize,
    /// Time limit of a webhook's response; its lease may end earlier.
    pub webhook_answer_max: Duration,
    /// Allow webhooks on this machine.
    pub allow_local: bool,
    /// The server's public URL: `https://host`, without a slash at the end.
    pub public_url: Option<String>,
}

/// Why subscriptions can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionsOpenError {
    /// A stored note can't be read.
    #[error(
        "the stored note `{key}` can't be read: {reason}; the server does not start without an acknowledged subscription"
    )]
    Note {
        /// The note's key.
        key: String,
        /// The reason.
        reason: String,
    },
    /// The keys can't be generated or restored.
    #[error(transparent)]
    Keys(#[from] signing::KeyError),
}

/// All subscriptions of a server.
#[derive(Debug)]
pub struct Subscriptions {
    shared: Arc<SubscriptionContext>,
    entries: RwLock<BTreeMap<SubscriptionId, Arc<SubscriptionEntry>>>,
    changed_streams: Arc<ChangedStreams>,
    /// Held while a subscription is created or deleted.
    changing: Mutex<()>,
    keys_are_stored: AtomicBool,
}

/// Shared by all subscriptions' tasks.
#[derive(Debug)]
struct SubscriptionContext {
    streams: Arc<Streams>,
    store: Arc<dyn Store>,
    keys: Keys,
    limits: SubscriptionLimits,
    wall: WallClock,
    webhooks: Arc<dyn WebhookTransport>,
    deliveries: Semaphore,
    stop: watch::Receiver<bool>,
    /// Lives as long as the server, other than the runtime of a request's worker.
    runtime: Handle,
}

impl Subscriptions {
    /// Opens the stored subscriptions, and follows `streams` from now on.
    ///
    /// Must be called within a tokio runtime that runs as long as the server.
    ///
    /// - `notes`: the store's notes, [`tailwater_core::store::Recovery::notes`]; others are
    ///   ignored.
    /// - `stop`: becomes true when the server stops.
    ///
    /// # Errors
    /// [`SubscriptionsOpenError`] when a note can't be read or the system has no randomness.
    pub fn open(
        streams: Arc<Streams>,
        notes: &BTreeMap<String, Bytes>,
        limits: SubscriptionLimits,
        webhooks: Arc<dyn WebhookTransport>,
        stop: watch::Receiver<bool>,
    ) -> Result<Arc<Self>, SubscriptionsOpenError> {
        let stored_keys = notes
            .get(KEYS_NOTE)
            .map(|document| read_keys(document))
            .transpose()?;
        let keys_are_stored = AtomicBool::new(stored_keys.is_some());
        let keys = stored_keys.map_or_else(Keys::generate, Ok)?;
        let deliveries = Semaphore::new(limits.deliveries_max.min(Semaphore::MAX_PERMITS));
        let (wall, runtime, store) = (
            streams.wall(),
            Handle::current(),
            Arc::clone(streams.store()),
        );
        let shared = Arc::new(SubscriptionContext {
            streams,
            store,
            keys,
            limits,
            wall,
            webhooks,
            deliveries,
            stop,
            runtime,
        });
        let mut entries = BTreeMap::new();
        for (key, document) in notes.iter().filter(|(key, _)| key.starts_with(NOTE_PREFIX)) {
            let fault = |reason: String| SubscriptionsOpenError::Note {
                key: key.clone(),
                reason,
            };
            let id = SubscriptionId::parse(&key[NOTE_PREFIX.len()..])
                .map_err(|error| fault(error.to_string()))?;
            let (record, state) = note::read(document).map_err(|error| fault(error.to_string()))?;
            entries.insert(id, (record, state));
        }
        if !entries.is_empty() {
            tracing::info!("opened {} subscriptions", entries.len());
        }
        let changed_streams = Arc::new(ChangedStreams::new(entries.len()));
        shared
            .streams
            .observe(Arc::clone(&changed_streams) as Arc<_>);
        let entries = entries
            .into_iter()
            .map(|(id, (record, state))| (id.clone(), actor::spawn(&shared, id, record, state)))
            .collect();
        let entries = RwLock::new(entries);
        let this = Arc::new(Self {
            shared,
            entries,
            changed_streams,
            changing: Mutex::default(),
            keys_are_stored,
        });
        this.shared.runtime.spawn(Self::distribute(
            Arc::downgrade(&this),
            Arc::clone(&this.changed_streams),
            this.shared.stop.clone(),
        ));
        Ok(this)
    }

    /// The public keys of webhooks' signatures.
    pub fn jwks(&self) -> Jwks {
        self.shared.keys.jwks()
    }

    /// Whether webhooks on this machine are allowed.
    pub fn allow_local(&self) -> bool {
        self.shared.limits.allow_local
    }

    /// Number of subscriptions.
    pub fn count(&self) -> usize {
        self.entries().len()
    }

    /// Passes changed streams to the subscriptions that follow them, until the server stops.
    async fn distribute(
        this: std::sync::Weak<Self>,
        changed_streams: Arc<ChangedStreams>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = changed_streams.changed() => {}
            }
            let Some(this) = this.upgrade() else { return };
            this.distribute_pending();
        }
    }

    /// Passes on the changes so far.
    fn distribute_pending(&self) {
        let names = self.changed_streams.take();
        if names.is_empty() {
            return;
        }
        for entry in self.entries().values() {
            let mut concerned = names
                .iter()
                .filter(|name| entry.concerns(name))
                .cloned()
                .peekable();
            if concerned.peek().is_some() {
                entry.mark(concerned);
            }
        }
    }

    fn entries(
        &self,
    ) -> std::sync::RwLockReadGuard<'_, BTreeMap<SubscriptionId, Arc<SubscriptionEntry>>> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_entries(
        &self,
        change: impl FnOnce(&mut BTreeMap<SubscriptionId, Arc<SubscriptionEntry>>),
    ) {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut entries);
        self.changed_streams.set_subscriptions(entries.len());
    }
}

impl SubscriptionContext {
    fn now(&self) -> Moment {
        Moment(0).after(
            self.wall
                .now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or(Duration::ZERO),
        )
    }

    /// The current state of a stream; `None` when it does not exist.
    fn snapshot(&self, name: &StreamName) -> Option<StreamSnapshot> {
        let log = self.streams.find(name)?;
        let tail = log.tail_now();
        (tail.state != TailState::Deleted).then(|| StreamSnapshot {
            stream: log.id(),
            stream_generation: log.generation(),
            begins: log.config().begins(),
            tail: tail.next,
        })
    }

    /// The names of existing streams that a pattern matches.
    async fn matching(&self, definition: &Definition) -> Vec<StreamName> {
        let Some(glob) = &definition.pattern else {
            return Vec::new();
        };
        let all = ListQuery {
            prefix: glob.prefix().to_owned(),
            limit: usize::MAX,
            ..ListQuery::default()
        };
        let (logs, _) = self.streams.list(&all).await;
        logs.iter()
            .map(|log| log.name())
            .filter(|name| definition.matches(name))
            .cloned()
            .collect()
    }

    /// Stores a subscription's document, or removes it; returns when that is durable.
    async fn persist(
        &self,
        id: &SubscriptionId,
        document: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        self.note(&format!("{NOTE_PREFIX}{id}"), document.map(Bytes::from))
            .await
    }

    async fn note(&self, key: &str, value: Option<Bytes>) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let callback = Box::new(move |result| {
            // The store may have closed with the server.
            let _gone = done.send(result);
        });
        self.store.note(key, value, callback);
        outcome
            .await
            .unwrap_or_else(|_| Err(StoreError::Unwritable("the store has closed".to_owned())))
    }

    /// The server's URL for a subscription's worker.
    fn base<'a>(&'a self, record: &'a SubscriptionRecord) -> &'a str {
        self.limits.public_url.as_deref().unwrap_or(&record.base)
    }
}

fn read_keys(document: &[u8]) -> Result<Keys, SubscriptionsOpenError> {
    let fault = |reason: String| SubscriptionsOpenError::Note {
        key: KEYS_NOTE.to_owned(),
        reason,
    };
    let stored: StoredKeys =
        tailwater_protocol::document::read(document).map_err(|error| fault(error.to_string()))?;
    Keys::restore(stored).map_err(|error| fault(error.to_string()))
}

/// A subscription before its first wake: its streams are linked at their current tails.
///
/// # Errors
/// [`SubscriptionFault::TooManyStreams`].
async fn new_state(
    shared: &SubscriptionContext,
    definition: &Definition,
) -> Result<SubscriptionState, SubscriptionFault> {
    let mut state = SubscriptionState::new(definition.way(), definition.lease_ttl);
    for name in &definition.streams {
        state.link(name, shared.snapshot(name), true);
    }
    for name in shared.matching(definition).await {
        state.link(&name, shared.snapshot(&name), false);
    }
    let limit = shared.limits.streams_max;
    if state.links() > limit {
        Err(SubscriptionFault::TooManyStreams {
            received: state.links(),
            limit,
        })
    } else {
        Ok(state)
    }
}
