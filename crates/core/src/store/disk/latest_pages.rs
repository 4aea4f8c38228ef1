//! What the disk store holds of each stream in memory: its state, and its latest appends, within a limit of bytes for all streams.

use super::super::page::Record;
use super::super::tail_pages::TailPages;
use super::super::{StoreError, StoredMessage, StreamId};
use super::codec::StateFact;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tailwater_protocol::Offset;

/// Bytes that a page costs beside its own while it is in the queue, which also keeps its stream, be it deleted, in memory.
const PLACE_BYTES: u64 = 64 + size_of::<DiskStream>() as u64;

/// The streams that exist, as committed.
#[derive(Debug, Default)]
pub(super) struct DiskStreams {
    by_id: RwLock<HashMap<StreamId, Arc<DiskStream>>>,
}

/// One stream, as committed.
#[derive(Debug)]
pub(super) struct DiskStream {
    pub(super) id: StreamId,
    kept: Mutex<DiskStreamState>,
}

/// The state of a stream, as committed.
#[derive(Debug)]
pub(super) struct DiskStreamState {
    /// Its latest appends, up to its end.
    latest: TailPages,
    /// What else is known of it.
    pub(super) state: StateFact,
    is_deleted: bool,
}

/// The result of a read from memory.
#[derive(Debug)]
pub(super) enum MemoryLookup {
    /// The answer.
    Here(Result<Bytes, StoreError>),
    /// It must be read from disk, up to this end.
    OnDisk { end: Offset },
}

impl DiskStreams {
    pub(super) fn find(&self, id: StreamId) -> Result<Arc<DiskStream>, StoreError> {
        self.by_id
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
            .cloned()
            .ok_or(StoreError::NoStream)
    }

    pub(super) fn insert(&self, stream: Arc<DiskStream>) {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(stream.id, stream);
    }

    fn remove(&self, id: StreamId) -> Option<Arc<DiskStream>> {
        self.by_id
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
    }
}

impl DiskStream {
    pub(super) fn new(id: StreamId, end: Offset, state: StateFact) -> Self {
        Self {
            id,
            kept: Mutex::new(DiskStreamState {
                latest: TailPages::new(end),
                state,
                is_deleted: false,
            }),
        }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, DiskStreamState> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page if it is in memory, else the end up to which to read it from disk.
    pub(super) fn look(&self, from: Offset, until: Offset, max_bytes: usize) -> MemoryLookup {
        let mut kept = self.kept();
        if let Err(refusal) = kept.check(from) {
            return MemoryLookup::Here(Err(refusal));
        }
        if from < kept.latest.begins() {
            return MemoryLookup::OnDisk { end: kept.end() };
        }
        MemoryLookup::Here(kept.latest.page(from, until, max_bytes))
    }

    /// Those of the last messages that are in memory, the last one first; then those that are only on disk end at or before
    /// the first position and begin at or after the second.
    pub(super) fn last_messages(
        &self,
        until: Offset,
        count: usize,
    ) -> Result<(Vec<StoredMessage>, [Offset; 2]), StoreError> {
        let kept = self.kept();
        let earliest = kept.state.earliest;
        kept.check(earliest)?;
        let mut found = kept.latest.last_messages(until, count);
        found.retain(|message| message.at >= earliest);
        Ok((found, [kept.latest.begins().min(until), earliest]))
    }

    /// Whether `from` can still be read.
    pub(super) fn check(&self, from: Offset) -> Result<(), StoreError> {
        self.kept().check(from)
    }
}

impl DiskStreamState {
    /// The position after its last message.
    pub(super) fn end(&self) -> Offset {
        self.latest.end()
    }

    fn check(&self, from: Offset) -> Result<(), StoreError> {
        match self.state.earliest {
            _ if self.is_deleted => Err(StoreError::NoStream),
            earliest if from < earliest => Err(StoreError::Trimmed { earliest }),
            _ => Ok(()),
        }
    }
}

/// Pages of the latest appends of all streams in the order in which they were begun: the oldest make room for new ones.
#[derive(Debug)]
pub(super) struct LatestPages {
    order: VecDeque<(Arc<DiskStream>, Offset)>,
    bytes: u64,
    bytes_max: u64,
}

impl LatestPages {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self {
            order: VecDeque::new(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Remembers appends of one stream, which move its end, and removes what lies before its earliest position.
    pub(super) fn publish(
        &mut self,
        stream: &Arc<DiskStream>,
        records: Vec<Record>,
        state: StateFact,
    ) {
        let mut kept = stream.kept();
        let was = kept.latest.memory_bytes();
        for record in records {
            let at = record.at;
            if kept.latest.push(record) {
                self.remember(stream, at);
            }
        }
        if state.earliest > kept.latest.begins() {
            kept.latest.trim(state.earliest);
            // What is left of a page begins here; its own place names where it began before.
            self.remember(stream, state.earliest);
        }
        kept.state = state;
        self.correct(was, kept.latest.memory_bytes());
    }

    /// Forgets a stream that was deleted.
    pub(super) fn remove(&mut self, streams: &DiskStreams, id: StreamId) {
        let Some(stream) = streams.remove(id) else {
            return;
        };
        let mut kept = stream.kept();
        kept.is_deleted = true;
        let end = kept.end();
        let was = std::mem::replace(&mut kept.latest, TailPages::new(end));
        self.correct(was.memory_bytes(), 0);
    }

    /// Forgets the oldest pages beyond the limit; they stay on disk.
    pub(super) fn forget(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((stream, at)) = self.order.pop_front() else {
                return;
            };
            self.bytes -= PLACE_BYTES;
            let mut kept = stream.kept();
            let was = kept.latest.memory_bytes();
            kept.latest.forget_page(at);
            self.correct(was, kept.latest.memory_bytes());
        }
    }

    fn remember(&mut self, stream: &Arc<DiskStream>, at: Offset) {
        self.order.push_back((Arc::clone(stream), at));
        self.bytes += PLACE_BYTES;
    }

    /// Corrects what is counted when something that took `before` bytes takes `after` now.
    fn correct(&mut self, before: usize, after: usize) {
        self.bytes = (self.bytes + after as u64).saturating_sub(before as u64);
    }
}
