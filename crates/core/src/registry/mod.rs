//! All streams by name, with idempotent creation.

mod deleted;
mod deletion;
mod fork;
mod import;
mod index;
mod list;

pub use fork::{ForkError, ForkPoint, ForkRequest};
pub use import::PendingImport;
pub use list::{ListOrder, ListQuery};

use crate::clock::WallClock;
use crate::log::observer::{ObserverSlot, StreamObserver};
use crate::log::{Log, lock};
use crate::model::StreamId;
use crate::model::{Payload, PayloadError, StreamConfig, StreamLimits, StreamName};
use crate::store::{Change, Commit, Recovery, Store, StoreError, StreamCreation};
use bytes::Bytes;
use deleted::DeletedNames;
use index::StreamIndex;
use std::borrow::Borrow;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::headers::ContentKind;
use tokio::sync::{Notify, oneshot};

/// The result of a creation.
#[derive(Debug)]
pub struct Created {
    /// The stream.
    pub log: Arc<Log>,
    /// Whether the stream is new; false if it existed with the same configuration.
    pub is_new: bool,
}

/// Why a creation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// The stream exists with another configuration (409).
    #[error("the stream exists with {has}; the request has {requested}")]
    Differs {
        /// The existing value of the first setting that differs.
        has: String,
        /// The requested value.
        requested: String,
    },
    /// The name belongs to a deleted stream that is retained for its forks (409).
    #[error("the name belongs to a deleted stream until the last of its {forks} forks is deleted")]
    Hidden {
        /// The number of forks.
        forks: usize,
    },
    /// The name of an import belongs to an existing stream (409).
    #[error("a stream of this name exists; delete it first, or choose another name")]
    Taken,
    /// During an import, another stream of the name was created and deleted (409).
    #[error(
        "another stream of this name was created and deleted during the import; import it again"
    )]
    NameReused,
    /// The limit on the number of streams is reached (507).
    #[error("the limit of {limit} streams is reached")]
    TooMany {
        /// The maximum number of streams.
        limit: usize,
    },
    /// The fork cannot be created.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a stream was not found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// There is no stream of this name (404).
    Unknown,
    /// The stream was deleted and is retained only for its forks (410).
    Hidden,
}

/// All streams of a server. Clones share the same streams.
#[derive(Debug, Clone)]
pub struct Streams {
    store: Arc<dyn Store>,
    logs: Arc<RwLock<StreamIndex>>,
    name_locks: Arc<NameLocks>,
    deleted: Arc<DeletedNames>,
    next_id: Arc<AtomicU64>,
    limits: StreamLimits,
    wall: WallClock,
    observed: ObserverSlot,
}

impl Streams {
    /// Creates an empty set of streams on an empty store.
    pub fn new(store: Arc<dyn Store>, limits: impl Into<StreamLimits>) -> Self {
        Self::open(store, &mut Recovery::default(), limits)
    }

    /// Opens the recovered streams of a store; see [`Streams::open_with`].
    pub fn open(
        store: Arc<dyn Store>,
        recovery: &mut Recovery,
        limits: impl Into<StreamLimits>,
    ) -> Self {
        Self::open_with(store, recovery, limits, WallClock::system())
    }

    /// Opens the recovered streams of a store.
    ///
    /// Idle times start anew. Hidden streams without forks, and incomplete imports, are deleted.
    ///
    /// - `recovery`: the streams and the notes about them are removed from it; other notes remain.
    /// - `limits`: limits for new streams and appends; existing streams may exceed them.
    /// - `wall`: the time of day.
    pub fn open_with(
        store: Arc<dyn Store>,
        recovery: &mut Recovery,
        limits: impl Into<StreamLimits>,
        wall: WallClock,
    ) -> Self {
        let limits = limits.into();
        let deleted = Arc::new(DeletedNames::take(
            &mut recovery.notes,
            limits.deleted_names_max,
        ));
        let unfinished = import::take_unfinished(&mut recovery.notes);
        let mut known = std::mem::take(&mut recovery.streams);
        // A fork has a higher id than its source, so sources are opened first.
        known.sort_unstable_by_key(|known| known.stream);
        let last_id = known
            .iter()
            .map(|known| known.stream)
            .chain(unfinished.iter().copied())
            .max();
        known.retain(|known| !unfinished.contains(&known.stream));
        let observed = ObserverSlot::default();
        let mut by_id: HashMap<StreamId, Arc<Log>> = HashMap::with_capacity(known.len());
        for known in known {
            let id = known.stream;
            let source = known
                .config
                .fork
                .as_ref()
                .map(|fork| by_id.get(&fork.source).cloned());
            match &source {
                Some(Some(source)) => source.fork_refs.add_recovered(),
                Some(None) => {
                    tracing::error!(stream = %known.name, "the source of this fork is missing");
                }
                None => {}
            }
            let log = Log::open(known, source.flatten(), Arc::clone(&store), wall)
                .with_observer(&observed, &limits);
            by_id.insert(id, Arc::new(log));
        }
        let streams = Self {
            store,
            logs: Arc::new(RwLock::new(by_id.into_values().collect())),
            name_locks: Arc::default(),
            deleted,
            next_id: Arc::new(AtomicU64::new(
                last_id.map_or(0, |last| last.0 + 1).max(first_id()),
            )),
            limits,
            wall,
            observed,
        };
        unfinished
            .into_iter()
            .for_each(|stream| import::delete_unfinished(&streams.store, stream));
        streams.collect_hidden();
        streams
    }

    /// The store of the streams.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock for the time of day.
    pub fn wall(&self) -> WallClock {
        self.wall
    }

    /// Sets the observer of all changes; only the first call has an effect.
    pub fn observe(&self, observer: Arc<dyn StreamObserver>) {
        self.observed.set(observer);
    }

    /// Parses the initial content of a stream; `None` if `body` has no messages.
    ///
    /// # Errors
    /// All of [`PayloadError`] except [`PayloadError::Empty`] and [`PayloadError::EmptyArray`] (400).
    pub async fn first_payload(
        &self,
        kind: ContentKind,
        body: Bytes,
    ) -> Result<Option<Payload>, PayloadError> {
        Payload::first(Payload::read(kind, body, self.limits.append_messages_max).await)
    }

    /// The limits on streams and appends.
    pub fn limits(&self) -> &StreamLimits {
        &self.limits
    }

    /// Finds a stream by name; `None` if it does not exist, is hidden or has expired.
    pub fn find(&self, name: &StreamName) -> Option<Arc<Log>> {
        self.lookup(name).ok()
    }

    /// Finds a stream by name.
    ///
    /// # Errors
    /// [`Absent`]: the stream is hidden, or does not exist.
    pub fn lookup<N: Ord + ?Sized>(&self, name: &N) -> Result<Arc<Log>, Absent>
    where
        StreamName: Borrow<N>,
    {
        match self.entry(name) {
            Some(log) if log.is_hidden() => Err(Absent::Hidden),
            Some(log) if log.is_expired() => Err(if log.forks() > 0 {
                Absent::Hidden
            } else {
                Absent::Unknown
            }),
            Some(log) => Ok(log),
            None => Err(Absent::Unknown),
        }
    }

    /// The stream of this name, even if it is hidden or has expired.
    fn entry<N: Ord + ?Sized>(&self, name: &N) -> Option<Arc<Log>>
    where
        StreamName: Borrow<N>,
    {
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .cloned()
    }

    /// The number of streams, including hidden ones.
    pub fn count(&self) -> usize {
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Creates a stream, or returns an existing stream with the same configuration.
    ///
    /// Dropping the future does not cancel a submitted creation; the name stays locked until it completes.
    ///
    /// - `config`: the configuration, without a source; for forks see [`Streams::fork`].
    /// - `first`: the initial content; ignored if the stream exists.
    /// - `closed`: whether to create the stream closed; compared with the state of an existing stream.
    ///
    /// # Errors
    /// All of [`CreateError`] except [`CreateError::Fork`]; nothing was created.
    ///
    /// Source: Durable Streams protocol, section 5.1.
    pub async fn create(
        &self,
        name: &StreamName,
        config: StreamConfig,
        first: Option<Payload>,
        closed: bool,
    ) -> Result<Created, CreateError> {
        let (lock, existing) = self.remove_expired(self.lock_name(name).await).await?;
        if let Some(log) = existing {
            return check_same(log, &config, closed);
        }
        let generation = self.deleted.next_generation(name);
        let new = StreamCreation {
            name: name.clone(),
            generation,
            config,
            first,
            closed,
            at: self.wall.now(),
        };
        let created = self
            .submit_creation(lock, new, None)?
            .await
            .unwrap_or(Err(StoreError::NoStream));
        Ok(Created {
            log: created?,
            is_new: true,
        })
    }

    /// The stream of the locked name, if there is one. Deletes it first if it has expired.
    async fn remove_expired(
        &self,
        lock: NameLock,
    ) -> Result<(NameLock, Option<Arc<Log>>), CreateError> {
        let mut lock = lock;
        if let Some(log) = self.entry(&lock.name)
            && !log.is_hidden()
            && log.is_expired()
        {
            let removed = self.remove(log, lock).await;
            let (outcome, given_back) = removed.map_err(|_| StoreError::NoStream)?;
            outcome?;
            lock = given_back;
        }
        match self.entry(&lock.name) {
            Some(log) if log.is_hidden() => Err(CreateError::Hidden { forks: log.forks() }),
            existing => Ok((lock, existing)),
        }
    }

    /// Submits a creation. It completes and unlocks the name even if the receiver is dropped.
    fn submit_creation(
        &self,
        lock: NameLock,
        new: StreamCreation,
        source: Option<fork::ForkReservation>,
    ) -> Result<oneshot::Receiver<Result<Arc<Log>, StoreError>>, CreateError> {
        if self.count() >= self.limits.streams_max {
            return Err(CreateError::TooMany {
                limit: self.limits.streams_max,
            });
        }
        let stream = self.new_id();
        let known = new.to_recovered(stream);
        let (answer, created) = oneshot::channel();
        let streams = self.clone();
        self.store.commit(
            Commit {
                stream,
                change: Change::Create(Box::new(new)),
            },
            Box::new(move |result| {
                let result = result.map(|()| {
                    let source = source.and_then(fork::ForkReservation::keep);
                    let log = Log::open(known, source, Arc::clone(&streams.store), streams.wall);
                    let log = Arc::new(log.with_observer(&streams.observed, &streams.limits));
                    streams.write().insert(Arc::clone(&log));
                    streams.observed.notify(log.name());
                    log
                });
                drop(lock);
                // The receiver is dropped if the client has disconnected.
                let _gone = answer.send(result);
            }),
        );
        Ok(created)
    }

    fn new_id(&self) -> StreamId {
        StreamId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, StreamIndex> {
        self.logs.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks a name; waits for other creations and deletions of it.
    async fn lock_name(&self, name: &StreamName) -> NameLock {
        loop {
            let changed = self.name_locks.changed.notified();
            if let Some(lock) = self.try_lock_name(name) {
                return lock;
            }
            changed.await;
        }
    }

    /// Locks a name; `None` if it is already locked.
    fn try_lock_name(&self, name: &StreamName) -> Option<NameLock> {
        let is_free = lock(&self.name_locks.taken).insert(name.clone());
        is_free.then(|| NameLock {
            name_locks: Arc::clone(&self.name_locks),
            name: name.clone(),
        })
    }
}

/// An id that is higher than those of earlier processes: the microseconds since 1970, given that a
/// server creates less than a million streams per second.
///
/// Ids are part of entity tags. If a process started with id 1 again, a cache could serve the content
/// of a stream of an earlier process for a new stream with the same id.
fn first_id() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since_1970.as_micros()).unwrap_or(1)
}

/// The names whose stream is being created or deleted.
#[derive(Debug, Default)]
struct NameLocks {
    taken: Mutex<HashSet<StreamName>>,
    changed: Notify,
}

/// The lock on one name, held by a creation or deletion until it completes.
#[derive(Debug)]
struct NameLock {
    name_locks: Arc<NameLocks>,
    name: StreamName,
}

impl Drop for NameLock {
    fn drop(&mut self) {
        lock(&self.name_locks.taken).remove(&self.name);
        self.name_locks.changed.notify_waiters();
    }
}

/// The existing stream `log`, if its configuration and state are as requested.
fn check_same(
    log: Arc<Log>,
    requested: &StreamConfig,
    closed: bool,
) -> Result<Created, CreateError> {
    let has = log.config();
    let is_closed = log.tail_now().closed();
    let differs = if !has.same_type(&requested.content_type) {
        Some((
            format!("content type `{}`", has.content_type),
            format!("`{}`", requested.content_type),
        ))
    } else if has.expiry != requested.expiry {
        Some((
            format!("expiry {}", has.expiry_text()),
            requested.expiry_text(),
        ))
    } else if (has.keep_bytes, has.keep_age) != (requested.keep_bytes, requested.keep_age) {
        Some((
            format!("retention {}", has.retention_text()),
            requested.retention_text(),
        ))
    } else if has.fork != requested.fork {
        Some((format!("source {}", has.fork_text()), requested.fork_text()))
    } else if is_closed != closed {
        let word = |closed: bool| if closed { "closed" } else { "open" };
        Some((
            format!("state {}", word(is_closed)),
            word(closed).to_owned(),
        ))
    } else {
        None
    };
    match differs {
        None => Ok(Created { log, is_new: false }),
        Some((has, requested)) => Err(CreateError::Differs { has, requested }),
    }
}
