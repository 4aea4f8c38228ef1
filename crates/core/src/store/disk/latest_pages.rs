//! The part of each stream that the disk store has in memory: its state and its latest appends, with a limit for all streams.

use super::super::page::Record;
use super::super::tail_pages::TailPages;
use super::super::{StoreError, StoredMessage, StreamId};
use super::codec::StateMetadata;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tailwater_protocol::Offset;

/// The overhead of a queued page in bytes. The queue also keeps the page's stream in memory, even if it is deleted.
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
    /// The latest appends, up to the end of the stream.
    latest: TailPages,
    /// The rest of the state.
    pub(super) state: StateMetadata,
    is_deleted: bool,
}

/// The result of a read from memory.
#[derive(Debug)]
pub(super) enum MemoryLookup {
    /// The result.
    Found(Result<Bytes, StoreError>),
    /// The data must be read from disk; `end` is the end of the stream.
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
    pub(super) fn new(id: StreamId, end: Offset, state: StateMetadata) -> Self {
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

    /// Reads from memory, if the data is there.
    pub(super) fn read(&self, from: Offset, until: Offset, max_bytes: usize) -> MemoryLookup {
        let mut kept = self.kept();
        if let Err(refusal) = kept.check(from) {
            return MemoryLookup::Found(Err(refusal));
        }
        if from < kept.latest.begins() {
            return MemoryLookup::OnDisk { end: kept.end() };
        }
        MemoryLookup::Found(kept.latest.page(from, until, max_bytes))
    }

    /// The last messages that are in memory, newest first, and two positions: messages that are only on
    /// disk end at or before the first and begin at or after the second.
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

    /// Checks that the stream exists and `from` is retained.
    pub(super) fn check(&self, from: Offset) -> Result<(), StoreError> {
        self.kept().check(from)
    }
}

impl DiskStreamState {
    /// The position after the last message.
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

/// The pages of the latest appends of all streams in the order in which they were started. The oldest are evicted first.
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

    /// Adds committed appends of one stream, and removes messages before its earliest position.
    pub(super) fn publish(
        &mut self,
        stream: &Arc<DiskStream>,
        records: Vec<Record>,
        state: StateMetadata,
    ) {
        let mut kept = stream.kept();
        let was = kept.latest.memory_bytes();
        for record in records {
            let at = record.at;
            if kept.latest.push(record) {
                self.enqueue(stream, at);
            }
        }
        if state.earliest > kept.latest.begins() {
            kept.latest.trim(state.earliest);
            // The first page now starts here; its existing entry has its previous start.
            self.enqueue(stream, state.earliest);
        }
        kept.state = state;
        self.correct(was, kept.latest.memory_bytes());
    }

    /// Removes a deleted stream.
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

    /// Evicts the oldest pages beyond the limit from memory.
    pub(super) fn evict(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((stream, at)) = self.order.pop_front() else {
                return;
            };
            self.bytes -= PLACE_BYTES;
            let mut kept = stream.kept();
            let was = kept.latest.memory_bytes();
            kept.latest.remove_page(at);
            self.correct(was, kept.latest.memory_bytes());
        }
    }

    fn enqueue(&mut self, stream: &Arc<DiskStream>, at: Offset) {
        self.order.push_back((Arc::clone(stream), at));
        self.bytes += PLACE_BYTES;
    }

    /// Updates the number of bytes after a stream changed from `before` to `after` bytes.
    fn correct(&mut self, before: usize, after: usize) {
        self.bytes = (self.bytes + after as u64).saturating_sub(before as u64);
    }
}
