//! The core: a log with offsets and a tail that can be watched. It knows no HTTP and no disk.

mod append;
mod config;
#[cfg(test)]
mod interleavings;
mod payload;
mod producers;
mod readers;
mod standing;
mod streams;
#[cfg(test)]
mod unsettled;

pub use append::{Append, AppendError, Appended};
pub use config::{Expiry, Fork, StreamConfig};
pub use payload::{Payload, PayloadError};
pub use producers::{Accepted, Producer, ProducerId};
pub use readers::{ReaderGuard, Readers, Whereabouts};
pub use streams::{CreateError, Created, Importing, NameError, StreamName, Streams, Wanted};

use crate::store::{Change, Commit, Store, StoreError, StreamId};
use bytes::Bytes;
use standing::Standing;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tailwater_protocol::Offset;
use tokio::sync::watch;

/// Where a log ends: a state that can be looked at and watched, not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The position after the last byte.
    pub next: Offset,
    /// Whether more can come.
    pub state: State,
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// More can come.
    Open,
    /// Nothing more will come; what is there stays.
    Closed,
    /// The stream was deleted.
    Deleted,
}

impl Tail {
    /// Whether a reader at `from` has something to do: data, the end, or the stream's deletion.
    pub fn has_news(&self, from: Offset) -> bool {
        self.next > from || self.state != State::Open
    }

    /// Whether the stream is closed.
    pub fn closed(&self) -> bool {
        self.state == State::Closed
    }
}

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
pub enum Start {
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
    #[error("offset {asked} lies before the earliest that is kept, {earliest}")]
    Gone {
        /// Where reading was asked to begin.
        asked: Offset,
        /// Where it can begin.
        earliest: Offset,
    },
    /// The position lies inside a message, so it was never issued (400).
    #[error("offset {asked} was never issued: it lies inside a message")]
    InsideMessage {
        /// Where reading was asked to begin.
        asked: Offset,
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
    config: StreamConfig,
    store: Arc<dyn Store>,
    /// The end as it will be once all that was submitted is committed. Held while submitting: that is the order.
    staged: Mutex<Standing>,
    /// The end as committed, with what the next append is checked against.
    committed: Mutex<Standing>,
    /// A submitted change failed: what is staged no longer follows from what is committed.
    faulted: AtomicBool,
    earliest_bytes: AtomicU64,
    /// Message boundaries at which the log may be cut, about eight per `keep_bytes`; empty when everything is kept.
    cuts: Mutex<VecDeque<Offset>>,
    tail: watch::Sender<Tail>,
    readers: Readers,
    #[cfg(test)]
    interruption: interleavings::Interruption,
}

impl Log {
    pub(crate) fn new(id: StreamId, name: StreamName, config: StreamConfig, store: Arc<dyn Store>, tail: Tail) -> Self {
        let standing = Standing::new(tail);
        Self {
            id,
            name,
            config,
            store,
            staged: Mutex::new(standing.clone()),
            committed: Mutex::new(standing),
            faulted: AtomicBool::new(false),
            earliest_bytes: AtomicU64::new(0),
            cuts: Mutex::default(),
            tail: watch::Sender::new(tail),
            readers: Readers::default(),
            #[cfg(test)]
            interruption: interleavings::Interruption::default(),
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
    pub fn resolve(&self, from: Start) -> Offset {
        match from {
            Start::Beginning => self.earliest(),
            Start::Now => self.tail_now().next,
            Start::At(offset) => offset,
        }
    }

    /// How far each producer came, in the order of their identifiers.
    pub fn producers(&self) -> Vec<(ProducerId, Accepted)> {
        let mut all: Vec<_> = lock(&self.committed).producers().map(|(id, at)| (id.clone(), at)).collect();
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
        self.may_be_interrupted();
        let tail = self.tail_now();
        self.may_be_interrupted();
        if tail.state == State::Deleted {
            return Err(ReadError::Deleted);
        }
        if from >= tail.next {
            return Ok(Batch { data: Bytes::new(), from: tail.next, next: tail.next, tail });
        }
        let earliest = self.earliest();
        if from < earliest {
            return Err(ReadError::Gone { asked: from, earliest });
        }
        let data = self.store.read(self.id, from, tail.next, max_bytes).await.map_err(|error| match error {
            StoreError::Trimmed { earliest } => ReadError::Gone { asked: from, earliest },
            StoreError::InsideMessage(asked) => ReadError::InsideMessage { asked },
            StoreError::NoStream | StoreError::OutOfStep => ReadError::Deleted,
            other @ (StoreError::Full { .. } | StoreError::Unwritable(_) | StoreError::Damaged(_)) => {
                ReadError::Store(other)
            }
        })?;
        let next = from.advance(data.len()).unwrap_or(tail.next);
        self.may_be_interrupted();
        Ok(Batch { data, from, next, tail })
    }

    /// Data from where `start` means; otherwise as [`Log::read`]. The beginning is never gone, however fast it moves.
    ///
    /// # Errors
    /// As [`Log::read`].
    pub async fn read_from(&self, start: Start, max_bytes: usize) -> Result<Batch, ReadError> {
        loop {
            match self.read(self.resolve(start), max_bytes).await {
                // It moved between the two looks; each time further on.
                Err(ReadError::Gone { asked, earliest }) if start == Start::Beginning && asked < earliest => {}
                outcome => return outcome,
            }
        }
    }

    /// Lets go of the oldest messages when more is kept than the configuration allows (with a quarter of slack).
    fn trim(&self) {
        let Some(keep) = self.config.keep_bytes else { return };
        let mut cuts = lock(&self.cuts);
        // Under the lock, or another append could have moved on from what is seen here.
        let next = self.tail_now().next;
        if next.bytes() - cuts.back().map_or(0, |cut| cut.bytes()) >= keep / 8 {
            cuts.push_back(next);
        }
        if next.bytes() - self.earliest().bytes() <= keep + keep / 4 {
            return;
        }
        let mut before = None;
        while cuts.front().is_some_and(|cut| cut.bytes() + keep <= next.bytes()) {
            before = cuts.pop_front();
        }
        let Some(before) = before else { return };
        self.earliest_bytes.fetch_max(before.bytes(), Ordering::AcqRel);
        drop(cuts);
        self.store.commit(Commit { stream: self.id, change: Change::Trim { before } }, Box::new(|_| {}));
    }

    /// Where, in tests, something else happens in between.
    fn may_be_interrupted(&self) {
        #[cfg(test)]
        self.interruption.step();
    }

    /// Ends the stream for writers and readers that hold it.
    pub(crate) fn end(&self) {
        lock(&self.staged).delete();
        lock(&self.committed).delete();
        self.tail.send_modify(|tail| tail.state = State::Deleted);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
