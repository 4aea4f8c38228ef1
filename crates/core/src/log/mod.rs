//! A stream's log: offsets, and a tail that can be watched. It knows no HTTP and no disk.

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

use crate::clock::Wall;
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

/// What a read found, with the tail at the same instant.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Whole messages as kept (see [`Payload`]); empty at the tail.
    pub data: Bytes,
    /// Where `data` begins.
    pub from: Offset,
    /// The position after `data`.
    pub next: Offset,
    /// The tail when the read began; `data` never goes beyond it.
    pub tail: Tail,
}

impl Batch {
    /// Whether `data` ends at the tail.
    pub fn up_to_date(&self) -> bool {
        self.next >= self.tail.next
    }

    /// Whether the stream is closed and `data` ends at its end.
    pub fn closed(&self) -> bool {
        self.tail.closed() && self.up_to_date()
    }
}

/// Where a reader wants to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadStart {
    /// At the earliest position kept.
    Beginning,
    /// At the tail.
    Now,
    /// At a position.
    At(Offset),
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The position lies before what is kept (410).
    #[error("offset {asked} is before the earliest one that is kept, {earliest}")]
    Gone {
        /// Where reading was asked to begin.
        asked: StreamOffset,
        /// Where it can begin.
        earliest: StreamOffset,
    },
    /// The offset belongs to another stream of this name, which was deleted (410).
    #[error(
        "offset {asked} belongs to another stream of this name, which was deleted; this one's begin at offset=-1"
    )]
    OtherLife {
        /// Where reading was asked to begin.
        asked: StreamOffset,
        /// Which of the streams that its name has had this is, counted from 0.
        life: u32,
    },
    /// The position lies inside a message, so it was never issued (400).
    #[error("offset {asked} was never issued: it lies inside a message")]
    InsideMessage {
        /// Where reading was asked to begin.
        asked: StreamOffset,
    },
    /// The stream was deleted (404).
    #[error("the stream was deleted")]
    Deleted,
    /// The store can't give what it should have.
    #[error(transparent)]
    Store(StoreError),
}

/// An append-only log: one stream's order, tail and state; its bytes rest in a [`Store`].
#[derive(Debug)]
pub struct Log {
    id: StreamId,
    name: StreamName,
    life_number: u32,
    config: StreamConfig,
    kind: ContentKind,
    created: SystemTime,
    store: Arc<dyn Store>,
    wall: Wall,
    /// The end as it will be once all that was submitted is committed. Held while submitting: that is the order.
    staged: Mutex<AppendState>,
    /// The end as committed, with what the next append is checked against.
    committed: Mutex<AppendState>,
    /// A submitted change failed: what is staged no longer follows from what is committed.
    faulted: AtomicBool,
    earliest_bytes: AtomicU64,
    tail: watch::Sender<Tail>,
    readers: Readers,
    life: Lifetime,
    /// The stream that this one was forked from.
    source: Option<Arc<Self>>,
    pub(crate) lineage: Lineage,
    pub(crate) fork_refs: ForkRefs,
    observed: observer::ObserverSlot,
    /// Messages that one append may have.
    messages_max: usize,
    #[cfg(any(test, feature = "test-util"))]
    /// What a test lets happen between two looks at this log.
    pub interruption: interleavings::Interruption,
}

impl Log {
    /// A log as its store knows it, be it new or from an earlier process.
    ///
    /// - `source`: the stream that it was forked from, if it is a fork and its source is there; the fork is counted by the caller.
    pub(crate) fn open(
        known: Recovered,
        source: Option<Arc<Self>>,
        store: Arc<dyn Store>,
        wall: Wall,
    ) -> Self {
        let append_state = AppendState::recovered(&known);
        let begins = known.config.begins();
        let earliest = match &source {
            _ if known.earliest > begins => known.earliest,
            Some(source) => source.earliest().min(begins),
            // Of a fork whose source is missing, the beginning is not gone but damaged.
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
            life_number: known.life,
            life: Lifetime::new(known.config.expiry, wall),
            kind: known.config.kind(),
            config: known.config,
            created: known.created,
            store,
            wall,
            tail: watch::Sender::new(append_state.tail()),
            staged: Mutex::new(append_state.clone()),
            committed: Mutex::new(append_state),
            faulted: AtomicBool::new(false),
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

    /// The same log as one of a server's: its changes reported to the observer of the streams, its appends within the limits.
    pub(crate) fn kept_by(self, observed: &observer::ObserverSlot, limits: &StreamLimits) -> Self {
        Self {
            observed: observed.clone(),
            messages_max: limits.append_messages_max,
            ..self
        }
    }

    /// The stream's number.
    pub fn id(&self) -> StreamId {
        self.id
    }

    /// The stream's name.
    pub fn name(&self) -> &StreamName {
        &self.name
    }

    /// The stream's configuration.
    pub fn config(&self) -> &StreamConfig {
        &self.config
    }

    /// What its bytes are.
    pub fn kind(&self) -> ContentKind {
        self.kind
    }

    /// The messages of a body that shall be appended; a long one is read on a thread where it may take its time.
    ///
    /// # Errors
    /// All of [`PayloadError`] (400).
    pub async fn payload(&self, body: Bytes) -> Result<Payload, PayloadError> {
        Payload::read(self.kind, body, self.messages_max).await
    }

    /// Messages that one append may have, for [`Payload::parse_at_most`].
    pub fn append_messages_max(&self) -> usize {
        self.messages_max
    }

    /// When it was created.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// The stream that it was forked from; it may be hidden by now.
    pub fn source(&self) -> Option<&Arc<Self>> {
        self.source.as_ref()
    }

    /// How many forks it has, those that are being made included.
    pub fn forks(&self) -> usize {
        self.fork_refs.forks()
    }

    /// Whether it was deleted and is kept for its forks only.
    pub fn is_hidden(&self) -> bool {
        self.fork_refs.is_hidden()
    }

    /// Whether it has ended by itself: it was idle for too long, or its date has come. It is deleted in a moment.
    pub fn is_over(&self) -> bool {
        self.life.is_over(|| self.readers.live() > 0)
    }

    /// Whether a request finds it: it was neither deleted nor hidden, and has not ended by itself.
    pub fn is_there(&self) -> bool {
        self.tail_now().state != TailState::Deleted && !self.is_hidden() && !self.is_over()
    }

    /// How much longer it lives if nobody uses it from now on; `None` for ever.
    pub fn left(&self) -> Option<Duration> {
        self.life.left()
    }

    /// Notes that somebody reads or writes, which puts off the end of a stream that ends when it is idle. `false` when
    /// it has ended already.
    pub fn renew(&self) -> bool {
        self.life.renew()
    }

    /// The live readers at this moment.
    pub fn readers(&self) -> &Readers {
        &self.readers
    }

    /// The tail now, and as it moves.
    pub fn tail(&self) -> watch::Receiver<Tail> {
        self.may_be_interrupted();
        self.tail.subscribe()
    }

    /// The tail now.
    pub fn tail_now(&self) -> Tail {
        *self.tail.borrow()
    }

    /// The earliest position that is kept.
    pub fn earliest(&self) -> Offset {
        Offset::new(self.earliest_bytes.load(Ordering::Acquire)).unwrap_or(Offset::MAX)
    }

    /// The position that `from` means at this moment.
    pub fn resolve(&self, from: ReadStart) -> Offset {
        match from {
            ReadStart::Beginning => self.earliest(),
            ReadStart::Now => self.tail_now().next,
            ReadStart::At(offset) => offset,
        }
    }

    /// How far each producer came, in the order of their identifiers.
    pub fn producers(&self) -> Vec<(ProducerId, Accepted)> {
        let mut all: Vec<_> = lock(&self.committed)
            .producers()
            .map(|(id, at)| (id.clone(), at))
            .collect();
        all.sort_unstable();
        all
    }

    /// Data from `from` on; never waits for data.
    ///
    /// - `from`: a position that was issued; beyond the tail counts as at the tail.
    /// - `max_bytes`: upper limit, at least 1; a single longer message comes whole.
    /// - Returns a [`Batch`] of whole messages and the tail at the same instant.
    ///
    /// # Errors
    /// - [`ReadError::Gone`]: `from` lies before what is kept (410).
    /// - [`ReadError::InsideMessage`]: `from` was never issued (400).
    /// - [`ReadError::Deleted`]: the stream was deleted (404).
    ///
    /// Source: Durable Streams protocol, section 5.6.
    pub async fn read(&self, from: Offset, max_bytes: usize) -> Result<Batch, ReadError> {
        self.read_until(from, Offset::MAX, max_bytes).await
    }

    /// As [`Log::read`], of what lies before `until`, a position that was issued.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read_until(
        &self,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> Result<Batch, ReadError> {
        self.may_be_interrupted();
        let tail = self.tail_now();
        self.may_be_interrupted();
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
            let (asked, earliest) = (self.offset(from), self.offset(earliest));
            return Err(ReadError::Gone { asked, earliest });
        }
        let data = self.page(from, tail.next.min(until), max_bytes).await?;
        let next = from.advance(data.len()).unwrap_or(tail.next);
        self.may_be_interrupted();
        Ok(Batch {
            data,
            from,
            next,
            tail,
        })
    }

    /// Data from where `start` means; otherwise as [`Log::read`]. The beginning is never gone, however fast it moves.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read_from(&self, start: ReadStart, max_bytes: usize) -> Result<Batch, ReadError> {
        loop {
            match self.read(self.resolve(start), max_bytes).await {
                // It moved between the two looks; each time further on.
                Err(ReadError::Gone { asked, earliest })
                    if start == ReadStart::Beginning && asked < earliest => {}
                outcome => return outcome,
            }
        }
    }

    /// Where, in tests, something else happens in between.
    fn may_be_interrupted(&self) {
        #[cfg(any(test, feature = "test-util"))]
        self.interruption.step();
    }

    /// Ends the stream for writers and readers that hold it.
    pub(crate) fn end(&self) {
        lock(&self.staged).delete();
        lock(&self.committed).delete();
        self.tail
            .send_modify(|tail| tail.state = TailState::Deleted);
        self.observed.tell(&self.name);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
