//! The log of one stream: offsets, and a tail that can be watched. Independent of HTTP and of the store.

mod append;
mod append_state;
pub(crate) mod fork_refs;
#[cfg(any(test, feature = "test-util"))]
pub mod interleavings;
mod lifetime;
pub(crate) mod lineage;
pub(crate) mod observer;
mod position;
mod producers;
mod readers;
pub(crate) mod retention;

pub use append::{Append, AppendError, Appended};
pub use observer::StreamObserver;
pub use readers::{ReaderGuard, ReaderStatus, Readers};

use crate::clock::WallClock;
use crate::model::{
    Accepted, Payload, PayloadError, ProducerId, StreamConfig, StreamId, StreamLimits, StreamName,
    Tail, TailState,
};
use crate::store::{Recovered, Store, StoreError};
use append_state::AppendState;
use bytes::Bytes;
use fork_refs::ForkRefs;
use lifetime::Lifetime;
use lineage::Lineage;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, StreamOffset};
use tokio::sync::watch;

/// The result of a read, with the tail at the same instant.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Complete messages in the stored form (see [`Payload`]); empty at the tail.
    pub data: Bytes,
    /// The position before `data`.
    pub from: Offset,
    /// The position after `data`.
    pub next: Offset,
    /// The tail when the read started; `data` does not extend beyond it.
    pub tail: Tail,
}

impl Batch {
    /// Whether `data` ends at the tail.
    pub fn up_to_date(&self) -> bool {
        self.next >= self.tail.next
    }

    /// Whether the stream is closed and `data` ends at the tail.
    pub fn closed(&self) -> bool {
        self.tail.closed() && self.up_to_date()
    }
}

/// The start of a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStart {
    /// The earliest retained position.
    Beginning,
    /// The tail.
    Now,
    /// A given position.
    At(Offset),
}

/// Why a read failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The position is before the earliest retained position (410).
    #[error("offset {requested} is before the earliest retained offset, {earliest}")]
    Gone {
        /// The requested start.
        requested: StreamOffset,
        /// The earliest possible start.
        earliest: StreamOffset,
    },
    /// The offset is from an earlier or later stream of the same name (410).
    #[error(
        "offset {requested} belongs to another stream of this name, which was deleted; read this stream from offset=-1"
    )]
    OtherGeneration {
        /// The requested start.
        requested: StreamOffset,
        /// The generation of the stream.
        generation: u32,
    },
    /// The position is inside a message, so the server has never issued it (400).
    #[error("offset {requested} was never issued: it is inside a message")]
    InsideMessage {
        /// The requested start.
        requested: StreamOffset,
    },
    /// The stream was deleted (404).
    #[error("the stream was deleted")]
    Deleted,
    /// The store failed to return stored data.
    #[error(transparent)]
    Store(StoreError),
}

/// An append-only log: the order of appends, the tail and the state of one stream. The bytes are in a [`Store`].
#[derive(Debug)]
pub struct Log {
    id: StreamId,
    name: StreamName,
    generation: u32,
    config: StreamConfig,
    kind: ContentKind,
    created: SystemTime,
    store: Arc<dyn Store>,
    wall: WallClock,
    /// The state after all submitted appends. The lock is held while an append is submitted, which
    /// defines the order of appends.
    staged: Mutex<AppendState>,
    /// The state after all committed appends.
    committed: Mutex<AppendState>,
    /// Whether a submitted append has failed, so that `staged` must be reset to `committed`.
    has_failed: AtomicBool,
    earliest_bytes: AtomicU64,
    tail: watch::Sender<Tail>,
    readers: Readers,
    lifetime: Lifetime,
    /// The source, if the stream is a fork.
    source: Option<Arc<Self>>,
    pub(crate) lineage: Lineage,
    pub(crate) fork_refs: ForkRefs,
    observed: observer::ObserverSlot,
    /// The maximum number of messages of one append.
    messages_max: usize,
    #[cfg(any(test, feature = "test-util"))]
    /// A call that a test runs between two accesses to this log.
    pub interruption: interleavings::Interruption,
}

impl Log {
    /// Creates the log of a new or recovered stream.
    ///
    /// - `source`: the source, if the stream is a fork and its source exists. The caller counts the
    ///   fork at its source.
    pub(crate) fn open(
        known: Recovered,
        source: Option<Arc<Self>>,
        store: Arc<dyn Store>,
        wall: WallClock,
    ) -> Self {
        let append_state = AppendState::recovered(&known);
        let begins = known.config.begins();
        let earliest = match &source {
            _ if known.earliest > begins => known.earliest,
            Some(source) => source.earliest().min(begins),
            // If the source of a fork is missing, its beginning is damaged, not removed.
            None => Offset::ZERO,
        };
        let lineage = known.config.fork.as_ref().map(|fork| {
            let before = source
                .as_ref()
                .map(|source| source.lineage.clone())
                .unwrap_or_default();
            before.fork(fork.source, fork.at)
        });
        Self {
            id: known.stream,
            name: known.name,
            generation: known.generation,
            lifetime: Lifetime::new(known.config.expiry, wall),
            kind: known.config.kind(),
            config: known.config,
            created: known.created,
            store,
            wall,
            tail: watch::Sender::new(append_state.tail()),
            staged: Mutex::new(append_state.clone()),
            committed: Mutex::new(append_state),
            has_failed: AtomicBool::new(false),
            earliest_bytes: AtomicU64::new(earliest.bytes()),
            readers: Readers::default(),
            source,
            lineage: lineage.unwrap_or_default(),
            fork_refs: ForkRefs::recovered(known.hidden),
            observed: observer::ObserverSlot::default(),
            messages_max: StreamLimits::default().append_messages_max,
            #[cfg(any(test, feature = "test-util"))]
            interruption: interleavings::Interruption::default(),
        }
    }

    /// Sets the observer that is notified of changes, and the limits.
    pub(crate) fn with_observer(
        self,
        observed: &observer::ObserverSlot,
        limits: &StreamLimits,
    ) -> Self {
        Self {
            observed: observed.clone(),
            messages_max: limits.append_messages_max,
            ..self
        }
    }

    /// The id of the stream.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The name of the stream.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// The configuration of the stream.
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// The kind of the content type.
    pub fn kind(&self) -> ContentKind {
        self.kind
    }

    /// Parses the body of an append; a long body is parsed on a blocking thread.
    ///
    /// # Errors
    /// All of [`PayloadError`] (400).
    pub async fn payload(&self, body: Bytes) -> Result<Payload, PayloadError> {
        Payload::read(self.kind, body, self.messages_max).await
    }

    /// The maximum number of messages of one append, for [`Payload::parse_at_most`].
    pub fn append_messages_max(&self) -> usize {
        self.messages_max
    }

    /// The time of creation.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// The source, if the stream is a fork. The source may be hidden.
    pub fn source(&self) -> Option<&Arc<Self>> {
        self.source.as_ref()
    }

    /// The number of forks, including those that are being created.
    pub fn forks(&self) -> usize {
        self.fork_refs.forks()
    }

    /// Whether the stream was deleted and is retained only for its forks.
    pub fn is_hidden(&self) -> bool {
        self.fork_refs.is_hidden()
    }

    /// Whether the stream has expired. The next sweep deletes it.
    pub fn is_expired(&self) -> bool {
        self.lifetime.is_expired(|| self.readers.live() > 0)
    }

    /// The time until the stream expires if it is not used; `None` if it never expires.
    pub fn time_left(&self) -> Option<Duration> {
        self.lifetime.time_left()
    }

    /// Records a read or write, which postpones the expiry of an idle stream. `false` if the stream
    /// has already expired.
    pub fn renew(&self) -> bool {
        self.lifetime.renew()
    }

    /// The live readers.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// Subscribes to the tail.
    pub fn tail(&self) -> watch::Receiver<Tail> {
        self.interruption_point();
        self.tail.subscribe()
    }

    /// The current tail.
    pub fn tail_now(&self) -> Tail {
        *self.tail.borrow()
    }

    /// The earliest retained position.
    pub fn earliest(&self) -> Offset {
        Offset::new(self.earliest_bytes.load(Ordering::Acquire)).unwrap_or(Offset::MAX)
    }

    /// The current position of a start.
    pub fn resolve(&self, from: ReadStart) -> Offset {
        match from {
            ReadStart::Beginning => self.earliest(),
            ReadStart::Now => self.tail_now().next,
            ReadStart::At(offset) => offset,
        }
    }

    /// The position of each producer, ordered by identifier.
    pub fn producers(&self) -> Vec<(ProducerId, Accepted)> {
        let mut all: Vec<_> = lock(&self.committed)
            .producers()
            .map(|(id, at)| (id.clone(), at))
            .collect();
        all.sort_unstable();
        all
    }

    /// Reads data from `from` on, without waiting for new data.
    ///
    /// - `from`: a message boundary; a position beyond the tail is treated as the tail.
    /// - `max_bytes`: the maximum number of bytes, at least 1. The first message is returned even if
    ///   it is longer.
    /// - Returns a [`Batch`] of complete messages, and the tail at the same instant.
    ///
    /// # Errors
    /// - [`ReadError::Gone`]: `from` is before the earliest retained position (410).
    /// - [`ReadError::InsideMessage`]: `from` is not a message boundary (400).
    /// - [`ReadError::Deleted`]: the stream was deleted (404).
    ///
    /// Source: Durable Streams protocol, section 5.6.
    pub async fn read(&self, from: Offset, max_bytes: usize) -> Result<Batch, ReadError> {
        self.read_until(from, Offset::MAX, max_bytes).await
    }

    /// As [`Log::read`], for the data before `until`, which must be a message boundary.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read_until(
        &self,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> Result<Batch, ReadError> {
        self.interruption_point();
        let tail = self.tail_now();
        self.interruption_point();
        if tail.state == TailState::Deleted {
            return Err(ReadError::Deleted);
        }
        if from >= tail.next {
            return Ok(Batch {
                data: Bytes::new(),
                from: tail.next,
                next: tail.next,
                tail,
            });
        }
        let earliest = self.earliest();
        if from < earliest {
            let (requested, earliest) = (self.offset(from), self.offset(earliest));
            return Err(ReadError::Gone {
                requested,
                earliest,
            });
        }
        let data = self.page(from, tail.next.min(until), max_bytes).await?;
        let next = from.advance(data.len()).unwrap_or(tail.next);
        self.interruption_point();
        Ok(Batch {
            data,
            from,
            next,
            tail,
        })
    }

    /// As [`Log::read`], from the current position of `start`. A read from the beginning never fails
    /// with [`ReadError::Gone`], even if messages are removed concurrently.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read_from(&self, start: ReadStart, max_bytes: usize) -> Result<Batch, ReadError> {
        loop {
            match self.read(self.resolve(start), max_bytes).await {
                // The earliest position has advanced since `resolve`.
                Err(ReadError::Gone {
                    requested,
                    earliest,
                }) if start == ReadStart::Beginning && requested < earliest => {}
                outcome => return outcome,
            }
        }
    }

    /// In tests, runs the planned call if it is due.
    fn interruption_point(&self) {
        #[cfg(any(test, feature = "test-util"))]
        self.interruption.step();
    }

    /// Marks the log as deleted, and notifies its readers and the observer.
    pub(crate) fn mark_deleted(&self) {
        lock(&self.staged).delete();
        lock(&self.committed).delete();
        self.tail
            .send_modify(|tail| tail.state = TailState::Deleted);
        self.observed.notify(&self.name);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
