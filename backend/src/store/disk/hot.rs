//! What the disk store keeps of streams in memory: where each stands, and its latest appends up to a number of bytes in all.

use super::super::page::{Record, page};
use super::super::{StoreError, StreamId};
use super::codec::State;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tailwater_protocol::Offset;

/// Bytes that an append costs in memory beside its payload: its places in two queues and the allocation's head.
const RECORD_OVERHEAD_BYTES: u64 = 128;

/// The streams that exist, as committed.
#[derive(Debug, Default)]
pub(super) struct Streams {
    by_id: RwLock<HashMap<StreamId, Arc<Stream>>>,
}

/// One stream, as committed.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) id: StreamId,
    kept: Mutex<Kept>,
}

/// Where a stream stands.
#[derive(Debug)]
pub(super) struct Kept {
    /// Its latest appends, up to its end.
    latest: VecDeque<Record>,
    /// The position after its last message.
    pub(super) end: Offset,
    /// What else is known of it.
    pub(super) state: State,
    is_deleted: bool,
}

/// What a look into memory found.
#[derive(Debug)]
pub(super) enum Look {
    /// The answer.
    Here(Result<Bytes, StoreError>),
    /// It must be read from disk, up to this end.
    OnDisk { end: Offset },
}

impl Streams {
    pub(super) fn find(&self, id: StreamId) -> Result<Arc<Stream>, StoreError> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned().ok_or(StoreError::NoStream)
    }

    pub(super) fn insert(&self, stream: Arc<Stream>) {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(stream.id, stream);
    }

    pub(super) fn remove(&self, id: StreamId) {
        let removed = self.by_id.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        if let Some(stream) = removed {
            let mut kept = stream.kept();
            kept.is_deleted = true;
            kept.latest = VecDeque::new();
        }
    }
}

impl Stream {
    pub(super) fn new(id: StreamId, end: Offset, state: State) -> Self {
        Self { id, kept: Mutex::new(Kept { latest: VecDeque::new(), end, state, is_deleted: false }) }
    }

    pub(super) fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A page if memory has it, or where to look for it.
    pub(super) fn look(&self, from: Offset, until: Offset, max_bytes: usize) -> Look {
        let kept = self.kept();
        if let Err(refusal) = kept.check(from) {
            return Look::Here(Err(refusal));
        }
        if from < kept.latest.front().map_or(kept.end, |record| record.at) {
            return Look::OnDisk { end: kept.end };
        }
        let first = kept.latest.partition_point(|record| record.end() <= from);
        Look::Here(page(kept.latest.range(first..).map(Ok), from, until.min(kept.end), max_bytes, kept.end))
    }

    /// Whether `from` can still be read.
    pub(super) fn check(&self, from: Offset) -> Result<(), StoreError> {
        self.kept().check(from)
    }
}

impl Kept {
    fn check(&self, from: Offset) -> Result<(), StoreError> {
        match self.state.earliest {
            _ if self.is_deleted => Err(StoreError::NoStream),
            earliest if from < earliest => Err(StoreError::Trimmed { earliest }),
            _ => Ok(()),
        }
    }

    /// Lets go of what ends at or before the earliest position.
    pub(super) fn trim(&mut self) {
        let earliest = self.state.earliest;
        let passed = self.latest.partition_point(|record| record.end() <= earliest);
        self.latest.drain(..passed);
    }
}

/// The latest appends of all streams in the order in which they were made: the oldest make room for new ones.
#[derive(Debug)]
pub(super) struct Hot {
    order: VecDeque<(Arc<Stream>, Offset, u64)>,
    bytes: u64,
    bytes_max: u64,
}

impl Hot {
    pub(super) fn new(bytes_max: u64) -> Self {
        Self { order: VecDeque::new(), bytes: 0, bytes_max }
    }

    /// Remembers appends of one stream, which move its end.
    pub(super) fn push(&mut self, stream: &Arc<Stream>, records: Vec<Record>) {
        let mut kept = stream.kept();
        for record in records {
            let bytes = record.payload.memory_bytes() as u64 + RECORD_OVERHEAD_BYTES;
            self.bytes += bytes;
            self.order.push_back((Arc::clone(stream), record.at, bytes));
            kept.end = record.end();
            kept.latest.push_back(record);
        }
    }

    /// Forgets the oldest appends beyond the limit; they stay on disk.
    pub(super) fn forget(&mut self) {
        while self.bytes > self.bytes_max {
            let Some((stream, at, bytes)) = self.order.pop_front() else { return };
            self.bytes -= bytes;
            let mut kept = stream.kept();
            // Not there any more when the stream was trimmed or deleted.
            if kept.latest.front().is_some_and(|record| record.at == at) {
                kept.latest.pop_front();
            }
        }
    }
}
