//! All streams by name: idempotent creation, and deletion that wakes readers and writers.

mod deleted;
mod endings;
mod fork;
mod import;
mod index;
mod list;

pub use fork::{ForkError, ForkPoint, ForkRequest};
pub use import::Importing;
pub use list::{ListOrder, ListQuery};

use crate::clock::Wall;
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

/// The outcome of a creation.
#[derive(Debug)]
pub struct Created {
    /// The stream.
    pub log: Arc<Log>,
    /// Whether it is new; if not, it was there with the same configuration.
    pub is_new: bool,
}

/// Why a stream was not created.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreateError {
    /// It exists with another configuration (409).
    #[error("the stream exists with {has}; this asks for {asked}")]
    Differs {
        /// Where it differs, as it is.
        has: String,
        /// The same as it was asked for.
        asked: String,
    },
    /// The name belongs to a stream that was deleted and is kept for its forks (409).
    #[error("a deleted stream keeps this name until the last of its {forks} forks is deleted")]
    Hidden {
        /// How many forks it has.
        forks: usize,
    },
    /// A stream that must be new has the name of one that exists (409).
    #[error("a stream of this name exists; delete it first, or choose another name")]
    Taken,
    /// While a stream was imported, another of its name was created and deleted (409).
    #[error("another stream of this name was created and deleted in the meantime; import it again")]
    Overtaken,
    /// No more streams are allowed (507).
    #[error("there are {limit} streams, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The fork can't be made.
    #[error(transparent)]
    Fork(#[from] ForkError),
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a name leads to no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Absent {
    /// There is none of this name (404).
    Unknown,
    /// It was deleted and is kept for its forks only (410).
    Hidden,
}

/// All streams of a server. Clones are handles of the same streams.
#[derive(Debug, Clone)]
pub struct Streams {
    store: Arc<dyn Store>,
    logs: Arc<RwLock<StreamIndex>>,
    name_locks: Arc<NameLocks>,
    deleted: Arc<DeletedNames>,
    next_id: Arc<AtomicU64>,
    limits: StreamLimits,
    wall: Wall,
    observed: ObserverSlot,
}

impl Streams {
    /// No streams yet; their bytes will be kept in `store`, within `limits`.
    pub fn new(store: Arc<dyn Store>, limits: impl Into<StreamLimits>) -> Self {
        Self::open(store, &mut Recovery::default(), limits)
    }

    /// The streams that `store` knew when it opened; see [`Streams::open_with`].
    pub fn open(
        store: Arc<dyn Store>,
        recovery: &mut Recovery,
        limits: impl Into<StreamLimits>,
    ) -> Self {
        Self::open_with(store, recovery, limits, Wall::system())
    }

    /// The streams that `store` knew when it opened.
    ///
    /// A stream that ends when it is idle has its whole time anew. What was deleted and has no forks any more, and what
    /// was not imported to its end, is deleted for good.
    ///
    /// - `recovery`: the streams and the notes about them are taken out of it; other notes stay.
    /// - `limits`: beyond them nothing is created or taken; what is there stays.
    /// - `wall`: the time of day.
    pub fn open_with(
        store: Arc<dyn Store>,
        recovery: &mut Recovery,
        limits: impl Into<StreamLimits>,
        wall: Wall,
    ) -> Self {
        let limits = limits.into();
        let deleted = Arc::new(DeletedNames::take(
            &mut recovery.notes,
            limits.deleted_names_max,
        ));
        let halves = import::take_halves(&mut recovery.notes);
        let mut known = std::mem::take(&mut recovery.streams);
        // A fork has a higher number than its source, so sources come first.
        known.sort_unstable_by_key(|known| known.stream);
        let last_id = known
            .iter()
            .map(|known| known.stream)
            .chain(halves.iter().copied())
            .max();
        known.retain(|known| !halves.contains(&known.stream));
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
                    tracing::error!(stream = %known.name, "the stream that it was forked from is missing");
                }
                None => {}
            }
            let log = Log::open(known, source.flatten(), Arc::clone(&store), wall)
                .kept_by(&observed, &limits);
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
        halves
            .into_iter()
            .for_each(|half| import::forget(&streams.store, half));
        streams.collect_hidden();
        streams
    }

    /// The store of the streams.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The clock that the streams use for the time of day.
    pub fn wall(&self) -> Wall {
        self.wall
    }

    /// Tells `observer` from now on whenever a stream was created, moved, closed or deleted; the first one stays.
    pub fn observe(&self, observer: Arc<dyn StreamObserver>) {
        self.observed.set(observer);
    }

    /// The first content of a stream that shall be created; `None` when `body` has no message.
    ///
    /// # Errors
    /// All of [`PayloadError`] but [`PayloadError::Empty`] and [`PayloadError::EmptyArray`] (400).
    pub async fn first_payload(
        &self,
        kind: ContentKind,
        body: Bytes,
    ) -> Result<Option<Payload>, PayloadError> {
        Payload::first(Payload::read(kind, body, self.limits.append_messages_max).await)
    }

    /// How much there may be.
    pub fn limits(&self) -> &StreamLimits {
        &self.limits
    }

    /// The stream of this name, unless it was deleted or has ended by itself.
    pub fn find(&self, name: &StreamName) -> Option<Arc<Log>> {
        self.lookup(name).ok()
    }

    /// The stream of this name, unless it was deleted or has ended by itself.
    ///
    /// # Errors
    /// Whether it is only hidden or not there at all.
    pub fn lookup<N: Ord + ?Sized>(&self, name: &N) -> Result<Arc<Log>, Absent>
    where
        StreamName: Borrow<N>,
    {
        match self.entry(name) {
            Some(log) if log.is_hidden() => Err(Absent::Hidden),
            Some(log) if log.is_over() => Err(if log.forks() > 0 {
                Absent::Hidden
            } else {
                Absent::Unknown
            }),
            Some(log) => Ok(log),
            None => Err(Absent::Unknown),
        }
    }

    /// Whatever holds this name.
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

    /// How many streams there are, hidden ones included.
    pub fn count(&self) -> usize {
        self.logs
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }

    /// Creates a stream, or finds it when it is there with the same configuration.
    ///
    /// Dropping the future undoes nothing: what was submitted is done, and the name stays locked until then.
    ///
    /// - `config`: of a stream that is no fork; for forks see [`Streams::fork`].
    /// - `first`: its first content; ignored when the stream is there.
    /// - `closed`: create it closed; must agree with a stream that is there.
    ///
    /// # Errors
    /// All of [`CreateError`] but the forks' own; then nothing was created.
    ///
    /// Source: Durable Streams protocol, section 5.1.
    pub async fn create(
        &self,
        name: &StreamName,
        config: StreamConfig,
        first: Option<Payload>,
        closed: bool,
    ) -> Result<Created, CreateError> {
        let (lock, there) = self.remove_ended(self.lock_name(name).await).await?;
        if let Some(log) = there {
            return same(log, &config, closed);
        }
        let life = self.deleted.next_life(name);
        let new = StreamCreation {
            name: name.clone(),
            life,
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

    /// The stream of the locked name, after the deletion of one that has ended by itself.
    async fn remove_ended(
        &self,
        lock: NameLock,
    ) -> Result<(NameLock, Option<Arc<Log>>), CreateError> {
        let mut lock = lock;
        if let Some(log) = self.entry(&lock.name)
            && !log.is_hidden()
            && log.is_over()
        {
            let removed = self.remove(log, lock).await;
            let (outcome, given_back) = removed.map_err(|_| StoreError::NoStream)?;
            outcome?;
            lock = given_back;
        }
        match self.entry(&lock.name) {
            Some(log) if log.is_hidden() => Err(CreateError::Hidden { forks: log.forks() }),
            there => Ok((lock, there)),
        }
    }

    /// Submits a creation; the stream is there and the name unlocked when the answer comes, whether a request waits for that or not.
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
        let known = new.known_as(stream);
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
                    let log = Arc::new(log.kept_by(&streams.observed, &streams.limits));
                    streams.write().insert(Arc::clone(&log));
                    streams.observed.tell(log.name());
                    log
                });
                drop(lock);
                // The receiver is dropped only with its request; then no answer is needed.
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

    /// Locks a name; waits while somebody else creates or deletes it.
    async fn lock_name(&self, name: &StreamName) -> NameLock {
        loop {
            let changed = self.name_locks.changed.notified();
            if let Some(lock) = self.try_lock_name(name) {
                return lock;
            }
            changed.await;
        }
    }

    /// Locks a name, unless somebody else creates or deletes it.
    fn try_lock_name(&self, name: &StreamName) -> Option<NameLock> {
        let is_free = lock(&self.name_locks.taken).insert(name.clone());
        is_free.then(|| NameLock {
            name_locks: Arc::clone(&self.name_locks),
            name: name.clone(),
        })
    }
}

/// A number above those of every earlier process: microseconds since 1970, and nobody creates a million streams a second.
///
/// Numbers are part of entity tags. If they began at one again, a cache would take the bytes of a stream that a restart
/// forgot for those of the stream that has its number now.
fn first_id() -> u64 {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since_1970.as_micros()).unwrap_or(1)
}

/// Names whose stream is being created or deleted; others wait until that is done.
#[derive(Debug, Default)]
struct NameLocks {
    taken: Mutex<HashSet<StreamName>>,
    changed: Notify,
}

/// The exclusive right to create or delete the stream of one name; a change under way holds it until it is done.
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

/// The stream that is there, if it is as asked.
fn same(log: Arc<Log>, asked: &StreamConfig, closed: bool) -> Result<Created, CreateError> {
    let has = log.config();
    let is_closed = log.tail_now().closed();
    let differs = if !has.same_type(&asked.content_type) {
        Some((
            format!("content type `{}`", has.content_type),
            format!("`{}`", asked.content_type),
        ))
    } else if has.expiry != asked.expiry {
        Some((format!("expiry {}", has.expiry_text()), asked.expiry_text()))
    } else if (has.keep_bytes, has.keep_age) != (asked.keep_bytes, asked.keep_age) {
        Some((
            format!("retention {}", has.retention_text()),
            asked.retention_text(),
        ))
    } else if has.fork != asked.fork {
        Some((format!("source {}", has.fork_text()), asked.fork_text()))
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
        Some((has, asked)) => Err(CreateError::Differs { has, asked }),
    }
}
