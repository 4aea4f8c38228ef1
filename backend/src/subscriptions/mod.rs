//! Subscriptions: durable cursors over many streams that wake workers, by webhook or by an event on a stream.
//!
//! A stream that moved is marked and its name left at the door (`news.rs`, one short lock, nothing when there are no
//! subscriptions); a task takes the names to the subscriptions that they concern; each of those is a task of its own
//! (`actor.rs`) around a pure state machine (`state.rs`). Nothing polls: timers exist only for leases and retries that do.
//!
//! Source: Durable Streams protocol, sections 6 and 7.

mod actor;
mod changed_streams;
pub mod definition;
#[cfg(test)]
mod fixture;
pub mod glob;
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
use note::Card;
use signing::{Jwks, KeptKeys, Keys};
use state::{Moment, Sight, SubscriptionFault, SubscriptionState};
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, UNIX_EPOCH};
use tailwater_core::clock::Wall;
use tailwater_core::store::{Store, StoreError};
use tailwater_core::{State as TailState, StreamName, Streams, Wanted};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, Semaphore, oneshot, watch};
use webhook::WebhookTransport;

/// What the store keeps the keys under.
const KEYS_NOTE: &str = "subscriptions/keys";
/// What the store keeps each subscription under, before its id.
const NOTE_PREFIX: &str = "subscription/";

/// How much there may be of subscriptions.
#[derive(Debug, Clone)]
pub struct SubscriptionLimits {
    /// Subscriptions.
    pub subscriptions_max: usize,
    /// Streams of one subscription.
    pub streams_max: usize,
    /// Webhook requests under way at once.
    pub deliveries_max: usize,
    /// How long a webhook may take to answer; its lease may end earlier.
    pub webhook_answer_max: Duration,
    /// Webhooks may be on this machine.
    pub allow_local: bool,
    /// Under which URL others know this server: `https://host`, no slash at its end.
    pub public_url: Option<String>,
}

/// Why subscriptions can't be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionsOpenError {
    /// A note that is not one.
    #[error(
        "the note `{key}` can't be read: {reason}; this server will not start without a subscription that was acknowledged"
    )]
    Note {
        /// Which note.
        key: String,
        /// Why not.
        reason: String,
    },
    /// No keys can be made.
    #[error(transparent)]
    Keys(#[from] signing::KeyError),
}

/// All subscriptions of a server.
#[derive(Debug)]
pub struct Subscriptions {
    shared: Arc<SubscriptionContext>,
    entries: RwLock<BTreeMap<SubscriptionId, Arc<SubscriptionEntry>>>,
    news: Arc<ChangedStreams>,
    /// Held while a subscription is made or ended.
    making: Mutex<()>,
    keys_are_kept: AtomicBool,
}

/// What each subscription's task needs.
#[derive(Debug)]
struct SubscriptionContext {
    streams: Arc<Streams>,
    store: Arc<dyn Store>,
    keys: Keys,
    limits: SubscriptionLimits,
    wall: Wall,
    webhooks: Arc<dyn WebhookTransport>,
    deliveries: Semaphore,
    stop: watch::Receiver<bool>,
    /// Lives as long as the server; the worker of a request may not.
    runtime: Handle,
}

impl Subscriptions {
    /// Opens the subscriptions that the store kept, and follows `streams` from now on.
    ///
    /// Has to be called inside a tokio runtime that lives as long as the server.
    ///
    /// - `notes`: what the store kept, [`tailwater_core::store::Recovery::notes`]; other notes are left aside.
    /// - `stop`: turns true when the server stops.
    ///
    /// # Errors
    /// [`SubscriptionsOpenError`] when a note can't be read or the system gives no randomness.
    pub fn open(
        streams: Arc<Streams>,
        notes: &BTreeMap<String, Bytes>,
        limits: SubscriptionLimits,
        webhooks: Arc<dyn WebhookTransport>,
        stop: watch::Receiver<bool>,
    ) -> Result<Arc<Self>, SubscriptionsOpenError> {
        let kept_keys = notes
            .get(KEYS_NOTE)
            .map(|document| read_keys(document))
            .transpose()?;
        let keys_are_kept = AtomicBool::new(kept_keys.is_some());
        let keys = kept_keys.map_or_else(Keys::generate, Ok)?;
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
            let (card, state) = note::read(document).map_err(|error| fault(error.to_string()))?;
            entries.insert(id, (card, state));
        }
        if !entries.is_empty() {
            tracing::info!("{} subscriptions are open", entries.len());
        }
        let news = Arc::new(ChangedStreams::new(entries.len()));
        shared.streams.observe(Arc::clone(&news) as Arc<_>);
        let entries = entries
            .into_iter()
            .map(|(id, (card, state))| (id.clone(), actor::begin(&shared, id, card, state)))
            .collect();
        let entries = RwLock::new(entries);
        let this = Arc::new(Self {
            shared,
            entries,
            news,
            making: Mutex::default(),
            keys_are_kept,
        });
        this.shared.runtime.spawn(Self::distribute(
            Arc::downgrade(&this),
            Arc::clone(&this.news),
            this.shared.stop.clone(),
        ));
        Ok(this)
    }

    /// The keys that webhooks are signed with.
    pub fn jwks(&self) -> Jwks {
        self.shared.keys.jwks()
    }

    /// Whether webhooks may be on this machine.
    pub fn allow_local(&self) -> bool {
        self.shared.limits.allow_local
    }

    /// How many subscriptions there are.
    pub fn count(&self) -> usize {
        self.entries().len()
    }

    /// Takes the names of streams that moved to the subscriptions that they concern, until the server stops.
    async fn distribute(
        this: std::sync::Weak<Self>,
        news: Arc<ChangedStreams>,
        mut stop: watch::Receiver<bool>,
    ) {
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                () = news.come() => {}
            }
            let Some(this) = this.upgrade() else { return };
            this.pass_on();
        }
    }

    /// Passes on what came until now.
    fn pass_on(&self) {
        let names = self.news.take();
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
        self.news.expected_by(entries.len());
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

    /// A stream as it is now; `None` when there is none of this name.
    fn sight(&self, name: &StreamName) -> Option<Sight> {
        let log = self.streams.find(name)?;
        let tail = log.tail_now();
        (tail.state != TailState::Deleted).then(|| Sight {
            stream: log.id(),
            life: log.life(),
            begins: log.config().begins(),
            tail: tail.next,
        })
    }

    /// The names of the streams that are there and that a pattern makes its own.
    async fn matching(&self, definition: &Definition) -> Vec<StreamName> {
        let Some(glob) = &definition.pattern else {
            return Vec::new();
        };
        let all = Wanted {
            prefix: glob.prefix().to_owned(),
            limit: usize::MAX,
            ..Wanted::default()
        };
        let (logs, _) = self.streams.list(&all).await;
        logs.iter()
            .map(|log| log.name())
            .filter(|name| definition.matches(name))
            .cloned()
            .collect()
    }

    /// Keeps a subscription's document, or forgets it; done when that is durable.
    async fn keep(&self, id: &SubscriptionId, document: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.note(&format!("{NOTE_PREFIX}{id}"), document.map(Bytes::from))
            .await
    }

    async fn note(&self, key: &str, value: Option<Bytes>) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        let tell = Box::new(move |result| {
            // Whoever waited may have ended with the server.
            let _gone = done.send(result);
        });
        self.store.note(key, value, tell);
        outcome
            .await
            .unwrap_or_else(|_| Err(StoreError::Unwritable("the store has closed".to_owned())))
    }

    /// Under which URL a subscription's worker reaches this server.
    fn base<'a>(&'a self, card: &'a Card) -> &'a str {
        self.limits.public_url.as_deref().unwrap_or(&card.base)
    }
}

fn read_keys(document: &[u8]) -> Result<Keys, SubscriptionsOpenError> {
    let fault = |reason: String| SubscriptionsOpenError::Note {
        key: KEYS_NOTE.to_owned(),
        reason,
    };
    let kept: KeptKeys =
        tailwater_protocol::document::read(document).map_err(|error| fault(error.to_string()))?;
    Keys::restore(kept).map_err(|error| fault(error.to_string()))
}

/// A subscription before its first wake: its streams are linked from where they end now.
///
/// # Errors
/// [`SubscriptionFault::TooManyStreams`].
async fn new_state(
    shared: &SubscriptionContext,
    definition: &Definition,
) -> Result<SubscriptionState, SubscriptionFault> {
    let mut state = SubscriptionState::new(definition.way(), definition.lease_ttl);
    for name in &definition.streams {
        state.link(name, shared.sight(name), true);
    }
    for name in shared.matching(definition).await {
        state.link(&name, shared.sight(&name), false);
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
