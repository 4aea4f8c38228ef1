//! Where bytes are stored: the contract between a log, which decides what is appended, and a store, which keeps it.
//!
//! A log numbers its changes and submits them; a store makes them durable and says so. Changes of one stream are
//! submitted in order, several may be under way at once, and a store may join the changes of many streams into one
//! commit (group commit). What a store promises:
//!
//! - [`Store::commit`] never waits. `done` is called exactly once, from any thread, possibly before `commit` returns,
//!   after the change is as durable as the store promises and can be read. For changes of one stream it is called in the
//!   order of submission. It must not block.
//! - Changes of one stream take effect in the order of submission. An append whose `at` is not the stream's end, because
//!   an earlier one failed, fails with [`StoreError::OutOfStep`] and changes nothing.
//! - A change takes effect whole or not at all, in memory and after a crash.
//! - [`Store::read`] returns whole messages, never beyond what was committed.

mod disk;
mod memory;
mod notes;
mod page;
mod tail_pages;

pub use disk::{DiskOpenError, DiskOptions, DiskStore, StoreCounts, SyncMode};
pub use memory::MemoryStore;

use crate::model::{Accepted, Payload, ProducerId, StreamConfig, StreamId, StreamName};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::time::SystemTime;
use tailwater_protocol::Offset;

/// One change of one stream.
#[derive(Debug)]
pub struct Commit {
    /// Which stream.
    pub stream: StreamId,
    /// What changes.
    pub change: Change,
}

/// What a commit can do to a stream.
#[derive(Debug)]
pub enum Change {
    /// It exists from now on.
    Create(Box<StreamCreation>),
    /// It grows, is closed, both, or neither: an append of nothing is done when everything before it is.
    Append {
        /// Its end before this change.
        at: Offset,
        /// What is added.
        payload: Option<Payload>,
        /// Whether nothing may be appended any more.
        close: bool,
        /// What later appends are checked against, kept in the same commit.
        marks: Marks,
        /// When, for what is kept by age.
        now: SystemTime,
    },
    /// What lies before a position may be forgotten.
    Trim {
        /// The position; messages that end at or before it go.
        before: Offset,
    },
    /// It was deleted while forks of it live: its name is still taken and its messages are still kept.
    Hide,
    /// It exists no more.
    Delete {
        /// Notes that are kept or forgotten in the same commit; see [`Store::note`].
        notes: Vec<NoteChange>,
    },
}

impl Change {
    /// A deletion that leaves no note.
    pub fn delete() -> Self {
        Self::Delete { notes: Vec::new() }
    }
}

/// A key, and what is kept under it or that nothing is any more.
pub type NoteChange = (String, Option<Bytes>);

/// A stream to be made, with its first content, if any.
#[derive(Debug)]
pub struct StreamCreation {
    /// Its name.
    pub name: StreamName,
    /// Which of the streams that its name has had it is, counted from 0.
    pub life: u32,
    /// Its configuration. Its own messages begin at [`StreamConfig::begins`].
    pub config: StreamConfig,
    /// Its first content.
    pub first: Option<Payload>,
    /// Whether nothing may be appended any more.
    pub closed: bool,
    /// When.
    pub at: SystemTime,
}

impl StreamCreation {
    /// What is known of it once it is made.
    pub(crate) fn known_as(&self, stream: StreamId) -> Recovered {
        let begins = self.config.begins();
        Recovered {
            stream,
            name: self.name.clone(),
            life: self.life,
            config: self.config.clone(),
            created: self.at,
            earliest: begins,
            next: begins
                .advance(self.first.as_ref().map_or(0, Payload::len))
                .unwrap_or(Offset::MAX),
            closed: self.closed.then_some(None),
            hidden: false,
            seq: None,
            producers: Vec::new(),
        }
    }
}

/// What an append leaves behind for those that come later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// The writer's own sequence (`Stream-Seq`), when the append named one.
    pub seq: Option<String>,
    /// The producer's position after it, when a producer sent it.
    pub producer: Option<(ProducerId, Accepted)>,
}

/// What a durable store knows of a stream when it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Its number.
    pub stream: StreamId,
    /// Its name.
    pub name: StreamName,
    /// Which of the streams that its name has had it is, counted from 0.
    pub life: u32,
    /// Its configuration.
    pub config: StreamConfig,
    /// When it was created.
    pub created: SystemTime,
    /// The earliest position kept; never before [`StreamConfig::begins`].
    pub earliest: Offset,
    /// The position after its last message.
    pub next: Offset,
    /// Whether it is closed, and by which producer's append, if one closed it.
    pub closed: Option<Option<(ProducerId, Accepted)>>,
    /// Whether it was deleted and is kept for its forks only.
    pub hidden: bool,
    /// The last `Stream-Seq` accepted.
    pub seq: Option<String>,
    /// Each producer's position.
    pub producers: Vec<(ProducerId, Accepted)>,
}

/// Everything that a durable store knows when it opens.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The streams.
    pub streams: Vec<Recovered>,
    /// The notes, by key; see [`Store::note`].
    pub notes: BTreeMap<String, Bytes>,
}

/// Where a stream may be cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// At the last boundary between appends at or before this position.
    AtMost(Offset),
    /// Before the first append that was made at or after this moment.
    OlderThan(SystemTime),
}

/// Called when a change is done: durable and readable, or failed and without any effect.
pub type CommitCallback = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing that was acknowledged is lost.
    #[error(
        "the store is full: {kept} of {limit} bytes are in use and this change needs {needed} more"
    )]
    Full {
        /// Bytes in use.
        kept: u64,
        /// Bytes allowed.
        limit: u64,
        /// Bytes that this change needed.
        needed: u64,
    },
    /// An earlier change of the same stream failed.
    #[error("an earlier append to this stream failed, so this one was not made")]
    OutOfStep,
    /// The stream was deleted meanwhile.
    #[error("the stream was deleted meanwhile")]
    NoStream,
    /// The position lies before what is kept.
    #[error("positions before {earliest} are no longer kept")]
    Trimmed {
        /// The earliest position kept.
        earliest: Offset,
    },
    /// A position inside a message.
    #[error("position {0} lies inside a message")]
    InsideMessage(Offset),
    /// Something that the store keeps under a name of its own is longer than it can keep, or empty (400).
    #[error("the {what} has {bytes} bytes: expected 1 to {limit}")]
    TooLong {
        /// What it is, as a client knows it.
        what: &'static str,
        /// Its bytes, with what the store puts before it.
        bytes: u64,
        /// The most bytes that can be kept.
        limit: u64,
    },
    /// The store can't take changes now: it is busy, its medium is read-only, or a write failed. What is there can be read.
    #[error("the store can't take changes now: {0}")]
    Unwritable(String),
    /// The system refused to read what is there, and may not refuse it later.
    #[error("stored data can't be read now: {0}")]
    Unreadable(String),
    /// What the medium holds is not what was written; it is not served.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

/// A read under way.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Bytes, StoreError>> + Send + 'a>>;

/// A look for a position under way.
pub type Seeking<'a> = Pin<Box<dyn Future<Output = Result<Offset, StoreError>> + Send + 'a>>;

/// How much room a store takes, and how much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreUsage {
    /// What the store calls itself; empty when it does not say.
    pub kind: &'static str,
    /// Bytes that it takes, bookkeeping included.
    pub stored_bytes: Option<u64>,
    /// Bytes that it may take, if it has a limit of its own.
    pub limit_bytes: Option<u64>,
    /// Bytes that are free on its medium.
    pub free_bytes: Option<u64>,
    /// Those of them that it leaves free.
    pub reserved_bytes: Option<u64>,
}

/// Where a message lies, and when it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMessage {
    /// The position before its first byte.
    pub at: Offset,
    /// The position after its last byte.
    pub end: Offset,
    /// When it was appended.
    pub time: SystemTime,
}

/// A look for messages under way.
pub type Listing<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<StoredMessage>, StoreError>> + Send + 'a>>;

/// Keeps the bytes of streams; see the module for what it promises.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Make a change durable and readable, then call `done`; never waits.
    fn commit(&self, commit: Commit, done: CommitCallback);

    /// Whole messages from `from` on, at least one, at most `max_bytes` unless a single message is longer, none beyond
    /// `until`.
    ///
    /// - `from`: a message boundary, at or after the earliest position kept, before `until`.
    /// - `max_bytes`: at least 1.
    /// - `until`: a message boundary that is committed.
    ///
    /// # Errors
    /// [`StoreError::NoStream`], [`StoreError::Trimmed`], [`StoreError::InsideMessage`].
    fn read(&self, stream: StreamId, from: Offset, until: Offset, max_bytes: usize) -> Reading<'_>;

    /// The position at which a stream may be cut: a boundary between appends, no earlier than the earliest position kept and
    /// no later than its end.
    ///
    /// # Errors
    /// [`StoreError::NoStream`], [`StoreError::Damaged`].
    fn cut(&self, stream: StreamId, cut: Cut) -> Seeking<'_>;

    /// The last messages that begin before `until`, in order and without gaps; none before the earliest position kept.
    ///
    /// - `count`: at most so many. A store gives fewer where they are long, so that the cost has a limit, and none if it does
    ///   not know when they were appended.
    ///
    /// # Errors
    /// [`StoreError::NoStream`], [`StoreError::Damaged`].
    fn last_messages(&self, stream: StreamId, until: Offset, count: usize) -> Listing<'_> {
        let _unknown = (stream, until, count);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Keeps a small document of the server's own under a key, or forgets it; as durable as a commit, in the order of
    /// submission among notes. What is kept comes back in [`Recovery::notes`].
    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback);

    /// How much room it takes, and how much there is; may wait for the system.
    fn usage(&self) -> StoreUsage {
        StoreUsage::default()
    }

    /// Takes no more changes, makes durable what was taken, and returns when that is done. Reads go on.
    fn close(&self) {}
}
