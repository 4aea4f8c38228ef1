//! Where bytes rest: the contract between a log, which decides what is appended, and a store, which keeps it.
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

mod memory;

pub use memory::MemoryStore;

use crate::log::{Payload, StreamConfig, StreamName};
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use tailwater_protocol::Offset;

/// A stream's number, never used again, not even for the next stream of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);

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
    /// It exists from now on, with its first content, if any; possibly closed at once.
    Create {
        /// Its name.
        name: StreamName,
        /// Its configuration.
        config: StreamConfig,
        /// Its first content.
        first: Option<Payload>,
        /// Whether nothing may be appended any more.
        closed: bool,
    },
    /// It grows, is closed, or both.
    Append {
        /// Its end before this change.
        at: Offset,
        /// What is added.
        payload: Option<Payload>,
        /// Whether nothing may be appended any more.
        close: bool,
    },
    /// What lies before a position may be forgotten.
    Trim {
        /// The position; messages that end at or before it go.
        before: Offset,
    },
    /// It exists no more.
    Delete,
}

/// Called when a change is done: durable and readable, or failed and without any effect.
pub type Done = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// Why a store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No room. Nothing that was acknowledged is lost.
    #[error("the store is full: {kept} of {limit} bytes are in use and this change needs {needed} more")]
    Full {
        /// Bytes in use.
        kept: u64,
        /// Bytes allowed.
        limit: u64,
        /// Bytes that this change needed.
        needed: u64,
    },
    /// An earlier change of the same stream failed.
    #[error("an earlier append to this stream failed, so this one had nothing to follow")]
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
}

/// A read under way.
pub type Reading<'a> = Pin<Box<dyn Future<Output = Result<Bytes, StoreError>> + Send + 'a>>;

/// Keeps the bytes of streams; see the module for what it promises.
pub trait Store: fmt::Debug + Send + Sync + 'static {
    /// Make a change durable and readable, then call `done`; never waits.
    fn commit(&self, commit: Commit, done: Done);

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
}
