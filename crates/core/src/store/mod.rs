//! Storage of streams: the contract between a log, which validates appends, and a store, which stores them.
//!
//! A log submits changes with their positions; a store makes them durable and calls back. Changes of
//! one stream are submitted in order, several may be pending at once, and a store may combine changes
//! of many streams into one commit (group commit). A store guarantees:
//!
//! - [`Store::commit`] does not block. `done` is called exactly once, from any thread, possibly before
//!   `commit` returns, after the change is durable (as configured) and readable. For changes of one
//!   stream it is called in the order of submission. `done` must not block.
//! - Changes of one stream take effect in the order of submission. An append whose `at` is not the
//!   stream's end, because an earlier append failed, fails with [`StoreError::OutOfStep`].
//! - A change is atomic, in memory and after a crash.
//! - [`Store::read`] returns complete messages, and only committed ones.

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
    /// The stream.
    pub stream: StreamId,
    /// The change.
    pub change: Change,
}

/// The kinds of changes.
#[derive(Debug)]
pub enum Change {
    /// Creates the stream.
    Create(Box<StreamCreation>),
    /// Appends messages, closes the stream, both, or neither. An empty append completes after all
    /// changes before it.
    Append {
        /// The end of the stream before this change.
        at: Offset,
        /// The messages to append.
        payload: Option<Payload>,
        /// Whether to close the stream.
        close: bool,
        /// The positions of writers, which are stored in the same commit.
        progress: WriterProgress,
        /// The time of the append, for retention by age.
        now: SystemTime,
    },
    /// Permits the store to remove messages.
    Trim {
        /// The position: messages that end at or before it may be removed.
        before: Offset,
    },
    /// Hides the stream: it was deleted but has forks, so its name and its messages are retained.
    Hide,
    /// Deletes the stream.
    Delete {
        /// Changes of notes in the same commit; see [`Store::note`].
        notes: Vec<NoteChange>,
    },
}

impl Change {
    /// A deletion without changes of notes.
    pub fn delete() -> Self {
        Self::Delete { notes: Vec::new() }
    }
}

/// The key of a note, and its new value; `None` removes the note.
pub type NoteChange = (String, Option<Bytes>);

/// The creation of a stream.
#[derive(Debug)]
pub struct StreamCreation {
    /// The name.
    pub name: StreamName,
    /// The generation of the stream.
    pub generation: u32,
    /// The configuration. The stream's own messages start at [`StreamConfig::begins`].
    pub config: StreamConfig,
    /// The initial content.
    pub first: Option<Payload>,
    /// Whether to create the stream closed.
    pub closed: bool,
    /// The time of creation.
    pub at: SystemTime,
}

impl StreamCreation {
    /// The state of the stream directly after its creation.
    pub(crate) fn to_recovered(&self, stream: StreamId) -> Recovered {
        let begins = self.config.begins();
        Recovered {
            stream,
            name: self.name.clone(),
            generation: self.generation,
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

/// The positions of writers that an append changes, and later appends are checked against.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WriterProgress {
    /// The `Stream-Seq` of the append, if it has one.
    pub seq: Option<String>,
    /// The producer of the append and its position after it, if it has one.
    pub producer: Option<(ProducerId, Accepted)>,
}

/// The stored state of a stream, as read when a durable store is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// The id.
    pub stream: StreamId,
    /// The name.
    pub name: StreamName,
    /// The generation.
    pub generation: u32,
    /// The configuration.
    pub config: StreamConfig,
    /// The time of creation.
    pub created: SystemTime,
    /// The earliest retained position; not before [`StreamConfig::begins`].
    pub earliest: Offset,
    /// The position after the last message.
    pub next: Offset,
    /// Whether the stream is closed, and the producer's append that closed it, if any.
    pub closed: Option<Option<(ProducerId, Accepted)>>,
    /// Whether the stream was deleted and is retained only for its forks.
    pub hidden: bool,
    /// The last accepted `Stream-Seq`.
    pub seq: Option<String>,
    /// The position of each producer.
    pub producers: Vec<(ProducerId, Accepted)>,
}

/// The stored streams and notes, as read when a durable store is opened.
#[derive(Debug, Default)]
pub struct Recovery {
    /// The streams.
    pub streams: Vec<Recovered>,
    /// The notes, by key; see [`Store::note`].
    pub notes: BTreeMap<String, Bytes>,
}

/// A criterion for the position up to which messages are removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The last boundary between appends at or before this position.
    AtMost(Offset),
    /// The position before the first append at or after this time.
    OlderThan(SystemTime),
}

/// Called when a change has completed: it is durable and readable, or it has failed without effect.
pub type CommitCallback = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Why an operation of a store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is not enough space. No acknowledged data is lost.
    #[error(
        "the store is full: {kept} of {limit} bytes are in use and this change needs {needed} more"
    )]
    Full {
        /// The number of bytes in use.
        kept: u64,
        /// The maximum number of bytes.
        limit: u64,
        /// The number of bytes that the change needs.
        needed: u64,
    },
    /// The append does not start at the end of the stream, because an earlier one failed.
    #[error("an earlier append to this stream failed")]
    OutOfStep,
    /// The stream does not exist.
    #[error("the stream was deleted")]
    NoStream,
    /// The position is before the earliest retained position.
    #[error("positions before {earliest} are not retained")]
    Trimmed {
        /// The earliest retained position.
        earliest: Offset,
    },
    /// The position is inside a message.
    #[error("position {0} is inside a message")]
    InsideMessage(Offset),
    /// A key or value is empty or too long for the store (400).
    #[error("the {what} has {bytes} bytes: expected 1 to {limit}")]
    TooLong {
        /// The name of the value for a client.
        what: &'static str,
        /// The number of bytes, including a prefix of the store.
        bytes: u64,
        /// The maximum number of bytes.
        limit: u64,
    },
    /// The store cannot write now: it is busy, the file system is read-only, or a write failed. Stored
    /// data can be read.
    #[error("the store cannot write now: {0}")]
    Unwritable(String),
    /// ReadFuture stored data failed with a possibly temporary error.
    #[error("stored data cannot be read now: {0}")]
    Unreadable(String),
    /// Stored data is not as it was written; it is not returned.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
}

/// The future of [`Store::read`].
pub type ReadFuture<'a> = Pin<Box<dyn Future<Output = Result<Bytes, StoreError>> + Send + 'a>>;

/// The future of [`Store::cut`].
pub type CutFuture<'a> = Pin<Box<dyn Future<Output = Result<Offset, StoreError>> + Send + 'a>>;

/// The space that a store uses, and its limits. Unknown values are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StoreUsage {
    /// The kind of store, such as `disk`; empty if the store does not report it.
    pub kind: &'static str,
    /// Number of bytes stored, including metadata.
    pub stored_bytes: Option<u64>,
    /// Capacity in bytes, if the store has a limit of its own.
    pub limit_bytes: Option<u64>,
    /// Free space of its file system in bytes.
    pub free_bytes: Option<u64>,
    /// The part of the free space that the store does not use.
    pub reserved_bytes: Option<u64>,
}

/// The position of a message, and when it was appended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredMessage {
    /// The position before its first byte.
    pub at: Offset,
    /// The position after its last byte.
    pub end: Offset,
    /// When it was appended.
    pub time: SystemTime,
}

/// The future of [`Store::last_messages`].
pub type MessagesFuture<'a> =
    Pin<Box<dyn Future<Output = Result<Vec<StoredMessage>, StoreError>> + Send + 'a>>;

/// Stores streams; see the module documentation for the guarantees.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Makes a change durable and readable, then calls `done`. Does not block.
    fn commit(&self, commit: Commit, done: CommitCallback);

    /// Reads one or more complete messages from `from` to `until` at most.
    ///
    /// - `from`: a message boundary before `until`, at or after the earliest retained position.
    /// - `until`: a committed message boundary.
    /// - `max_bytes`: the maximum number of bytes, at least 1. The first message is returned even if
    ///   it is longer.
    ///
    /// # Errors
    /// [`StoreError::NoStream`], [`StoreError::Trimmed`], [`StoreError::InsideMessage`].
    fn read(
        &self,
        stream: StreamId,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> ReadFuture<'_>;

    /// Finds the position of a cut: a boundary between appends, from the earliest retained position to
    /// the end of the stream.
    ///
    /// # Errors
    /// [`StoreError::NoStream`], [`StoreError::Damaged`].
    fn cut(&self, stream: StreamId, cut: Cut) -> CutFuture<'_>;

    /// The positions and times of the last messages that begin before `until` and are retained, in
    /// order and without gaps.
    ///
    /// - `count`: maximum number of messages. A store returns fewer if they are long, which limits the
    ///   cost, and none if it does not store the times of appends.
    ///
    /// # Errors
    /// [`StoreError::NoStream`], [`StoreError::Damaged`].
    fn last_messages(&self, stream: StreamId, until: Offset, count: usize) -> MessagesFuture<'_> {
        let _unused = (stream, until, count);
        Box::pin(std::future::ready(Ok(Vec::new())))
    }

    /// Stores or removes a note: a small document of the server under a key.
    ///
    /// A note is as durable as a commit, and changes of notes take effect in the order of submission.
    /// The stored notes are returned in [`Recovery::notes`].
    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback);

    /// The space that the store uses, and its limits. May block on system calls.
    fn usage(&self) -> StoreUsage {
        StoreUsage::default()
    }

    /// Refuses further changes, and returns when all submitted changes are durable. Reads remain
    /// possible.
    fn close(&self) {}
}
