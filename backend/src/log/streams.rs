//! Which streams exist: name to log, with creation that is safe to repeat and deletion that everybody notices.

mod import;
mod list;

pub use import::Importing;
pub use list::Wanted;

use super::{Log, Payload, State, StreamConfig, Tail, lock};
use crate::store::{Change, Commit, NewStream, Store, StoreError, StreamId};
use std::borrow::Borrow;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::Offset;
use tokio::sync::{Notify, oneshot};

/// A stream's name: the path after `/v1/stream/`, percent-decoded, of one or more segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// A path that can't name a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name at all, or an empty segment.
    #[error("the stream path `{0}` has an empty segment")]
    EmptySegment(String),
    /// `.` or `..`.
    #[error("the stream path `{0}` has the segment `.` or `..`")]
    DotSegment(String),
    /// Bytes that are not UTF-8: they decode to U+FFFD, and different paths would name one stream.
    #[error("the stream path is not UTF-8 once percent-decoded")]
    NotUtf8,
    /// A control character.
    #[error("the stream path has a control character at byte {0}")]
    Control(usize),
    /// Too long (414).
    #[error("the stream path has {came} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes that came.
        came: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many segments (414).
    #[error("the stream path has {came} segments, the limit is {limit}")]
    TooManySegments {
        /// Segments that came.
        came: usize,
        /// Segments allowed.
        limit: usize,
    },
}

impl StreamName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 512;
    /// The most segments.
    pub const SEGMENTS_MAX: usize = 16;

    /// The name that `path` spells; no leading slash.
    ///
    /// # Errors
    /// All of [`NameError`] (400, or 414 where it is only too long).
    pub fn parse(path: &str) -> Result<Self, NameError> {
        if path.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong { came: path.len(), limit: Self::BYTES_MAX });
        }
        let segments = path.split('/').count();
        if segments > Self::SEGMENTS_MAX {
            return Err(NameError::TooManySegments { came: segments, limit: Self::SEGMENTS_MAX });
        }
        if path.split('/').any(str::is_empty) {
            return Err(NameError::EmptySegment(path.to_owned()));
        }
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(NameError::DotSegment(path.to_owned()));
        }
        if path.contains(char::REPLACEMENT_CHARACTER) {
            return Err(NameError::NotUtf8);
        }
        if let Some((at, _)) = path.char_indices().find(|(_, character)| character.is_control()) {
            return Err(NameError::Control(at));
        }
        Ok(Self(path.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Compared as its text is, so that any text finds its place among names.
impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

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
    #[error("the stream exists with content type `{has}`, {state}; this asks for `{asked}`, {asked_state}")]
    Differs {
        /// Its content type.
        has: String,
        /// Whether it is open or closed.
        state: &'static str,
        /// The content type asked for.
        asked: String,
        /// Whether an open or a closed stream was asked for.
        asked_state: &'static str,
    },
    /// A stream that must be new has the name of one that exists (409).
    #[error("a stream of this name exists; delete it first, or choose another name")]
    Taken,
    /// No more streams are allowed (507).
    #[error("there are {limit} streams, which is the limit")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// All streams of a server.
#[derive(Debug)]
pub struct Streams {
    store: Arc<dyn Store>,
    /// In the order of names, so that a page of a listing costs what it shows, not what there is.
    logs: RwLock<BTreeMap<StreamName, Arc<Log>>>,
    /// Names whose creation or deletion is under way; who wants the same name waits for its end.
    changing: Mutex<HashSet<StreamName>>,
    changed: Notify,
    next_id: AtomicU64,
    streams_max: usize,
}

impl Streams {
    /// No streams yet, their bytes to rest in `store`; at most `streams_max`.
    pub fn new(store: Arc<dyn Store>, streams_max: usize) -> Self {
        Self {
            store,
            logs: RwLock::default(),
            changing: Mutex::default(),
            changed: Notify::new(),
            next_id: AtomicU64::new(first_id()),
            streams_max,
        }
    }

    /// The stream of this name.
    pub fn find(&self, name: &StreamName) -> Option<Arc<Log>> {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// How many streams there are.
    pub fn count(&self) -> usize {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Creates a stream, or finds it when it is there with the same configuration.
    ///
    /// - `first`: its first content; ignored when the stream is there.
    /// - `closed`: create it closed; must agree with a stream that is there.
    ///
    /// # Errors
    /// All of [`CreateError`]; then nothing was created.
    ///
    /// Source: Durable Streams protocol, section 5.1.
    pub async fn create(
        &self,
        name: &StreamName,
        config: StreamConfig,
        first: Option<Payload>,
        closed: bool,
    ) -> Result<Created, CreateError> {
        let _turn = self.turn(name).await;
        if let Some(log) = self.find(name) {
            return same(log, &config, closed);
        }
        if self.count() >= self.streams_max {
            return Err(CreateError::TooMany { limit: self.streams_max });
        }
        let id = self.new_id();
        let next = Offset::ZERO.advance(first.as_ref().map_or(0, Payload::len)).unwrap_or(Offset::MAX);
        let tail = Tail { next, state: if closed { State::Closed } else { State::Open } };
        let created = NewStream { name: name.clone(), config: config.clone(), first, closed, at: SystemTime::now() };
        self.commit(id, Change::Create(Box::new(created))).await?;
        let log = Arc::new(Log::new(id, name.clone(), config, Arc::clone(&self.store), tail));
        self.logs.write().unwrap_or_else(PoisonError::into_inner).insert(name.clone(), Arc::clone(&log));
        Ok(Created { log, is_new: true })
    }

    /// Deletes a stream with all its data; `false` when there is none of this name. Readers that wait are woken.
    ///
    /// # Errors
    /// [`StoreError`]; then the stream is still there.
    ///
    /// Source: Durable Streams protocol, section 5.4.
    pub async fn delete(&self, name: &StreamName) -> Result<bool, StoreError> {
        let _turn = self.turn(name).await;
        let Some(log) = self.find(name) else { return Ok(false) };
        self.commit(log.id(), Change::Delete).await?;
        self.logs.write().unwrap_or_else(PoisonError::into_inner).remove(name);
        log.end();
        Ok(true)
    }

    fn new_id(&self) -> StreamId {
        StreamId(self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    async fn commit(&self, stream: StreamId, change: Change) -> Result<(), StoreError> {
        let (done, outcome) = oneshot::channel();
        self.store.commit(
            Commit { stream, change },
            Box::new(move |result| {
                // The receiver is gone only when the request was dropped; then nobody wants the answer.
                let _gone = done.send(result);
            }),
        );
        outcome.await.unwrap_or(Err(StoreError::NoStream))
    }

    /// Waits until nobody else creates or deletes this name, then holds it.
    async fn turn(&self, name: &StreamName) -> Turn<'_> {
        loop {
            let changed = self.changed.notified();
            if lock(&self.changing).insert(name.clone()) {
                return Turn { streams: self, name: name.clone() };
            }
            changed.await;
        }
    }
}

/// A number above those of every earlier process: microseconds since 1970, and nobody creates a million streams a second.
///
/// Numbers are part of entity tags. If they began at one again, a cache would take the bytes of a stream that a restart
/// forgot for those of the stream that has its number now.
fn first_id() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since_1970.as_micros()).unwrap_or(1)
}

/// The right to create or delete one name.
#[derive(Debug)]
struct Turn<'a> {
    streams: &'a Streams,
    name: StreamName,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        lock(&self.streams.changing).remove(&self.name);
        self.streams.changed.notify_waiters();
    }
}

fn same(log: Arc<Log>, config: &StreamConfig, closed: bool) -> Result<Created, CreateError> {
    let is_closed = log.tail_now().closed();
    if log.config().same_type(&config.content_type) && is_closed == closed {
        return Ok(Created { log, is_new: false });
    }
    let word = |closed: bool| if closed { "closed" } else { "open" };
    Err(CreateError::Differs {
        has: log.config().content_type.to_string(),
        state: word(is_closed),
        asked: config.content_type.to_string(),
        asked_state: word(closed),
    })
}
