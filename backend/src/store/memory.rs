//! The store that keeps everything in memory: nothing survives the process, and a limit keeps it from eating the machine.

use super::page::{Record, page};
use super::{Change, Commit, Cut, Done, Reading, Seeking, Store, StoreError, StreamId};
use crate::log::Payload;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::SystemTime;
use tailwater_protocol::Offset;

/// Bytes that an append costs beside its payload: its place in the queue and the allocation's head, measured as about 96.
const RECORD_OVERHEAD_BYTES: u64 = 96;

/// Streams in memory, up to a number of bytes.
#[derive(Debug)]
pub struct MemoryStore {
    streams: RwLock<HashMap<StreamId, Arc<Mutex<Kept>>>>,
    kept_bytes: AtomicU64,
    limit_bytes: u64,
}

/// What is kept of one stream.
#[derive(Debug, Default)]
struct Kept {
    records: VecDeque<Record>,
    begins: Offset,
    end: Offset,
    /// Set under the lock by the deletion: an append that found the stream before must not fill it after.
    is_deleted: bool,
}

impl MemoryStore {
    /// An empty store.
    ///
    /// - `limit_bytes`: payload and bookkeeping together; an append beyond it fails with [`StoreError::Full`].
    pub fn new(limit_bytes: u64) -> Self {
        Self { streams: RwLock::default(), kept_bytes: AtomicU64::new(0), limit_bytes }
    }

    /// Bytes in use, payload and bookkeeping.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    fn stream(&self, id: StreamId) -> Result<Arc<Mutex<Kept>>, StoreError> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(&id).cloned().ok_or(StoreError::NoStream)
    }

    fn reserve(&self, needed: u64) -> Result<(), StoreError> {
        let kept = self.kept_bytes.fetch_add(needed, Ordering::Relaxed);
        if kept + needed > self.limit_bytes {
            self.kept_bytes.fetch_sub(needed, Ordering::Relaxed);
            return Err(StoreError::Full { kept, limit: self.limit_bytes, needed });
        }
        Ok(())
    }

    fn release(&self, records: impl Iterator<Item = Record>) {
        let bytes = records.map(|record| cost(&record.payload)).sum();
        self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn apply(&self, Commit { stream, change }: Commit) -> Result<(), StoreError> {
        match change {
            Change::Create(new) => {
                let begins = new.config.begins();
                let mut kept = Kept { begins, end: begins, ..Kept::default() };
                self.push(&mut kept, begins, new.first, new.at)?;
                let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
                streams.insert(stream, Arc::new(Mutex::new(kept)));
            }
            Change::Append { at, payload, now, .. } => {
                let kept = self.stream(stream)?;
                self.push(&mut lock(&kept), at, payload, now)?;
            }
            Change::Hide => {
                self.stream(stream)?;
            }
            Change::Trim { before } => {
                let kept = self.stream(stream)?;
                let mut kept = lock(&kept);
                let keep_from = kept.records.partition_point(|record| record.end() <= before);
                self.release(kept.records.drain(..keep_from));
                kept.begins = kept.begins.max(before.min(kept.end));
            }
            Change::Delete => {
                let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
                let kept = streams.remove(&stream).ok_or(StoreError::NoStream)?;
                drop(streams);
                let mut kept = lock(&kept);
                kept.is_deleted = true;
                self.release(kept.records.drain(..));
            }
        }
        Ok(())
    }

    fn push(&self, kept: &mut Kept, at: Offset, payload: Option<Payload>, time: SystemTime) -> Result<(), StoreError> {
        if kept.is_deleted {
            return Err(StoreError::NoStream);
        }
        if kept.end != at {
            return Err(StoreError::OutOfStep);
        }
        let Some(payload) = payload else { return Ok(()) };
        self.reserve(cost(&payload))?;
        let record = Record { at, time, payload };
        kept.end = record.end();
        kept.records.push_back(record);
        Ok(())
    }
}

impl Store for MemoryStore {
    fn commit(&self, commit: Commit, done: Done) {
        done(self.apply(commit));
    }

    fn read(&self, stream: StreamId, from: Offset, until: Offset, max_bytes: usize) -> Reading<'_> {
        let page = self.stream(stream).and_then(|kept| lock(&kept).page(from, until, max_bytes));
        Box::pin(std::future::ready(page))
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> Seeking<'_> {
        Box::pin(std::future::ready(self.stream(stream).map(|kept| lock(&kept).cut(cut))))
    }

    fn note(&self, _: &str, _: Option<Bytes>, done: Done) {
        // Notes are only for the next opening, which this store does not have.
        done(Ok(()));
    }
}

impl Kept {
    fn cut(&self, cut: Cut) -> Offset {
        let passed = match cut {
            Cut::AtMost(at) => self.records.partition_point(|record| record.end() <= at),
            Cut::OlderThan(time) => self.records.iter().take_while(|record| record.time < time).count(),
        };
        passed.checked_sub(1).and_then(|last| self.records.get(last)).map_or(self.begins, Record::end)
    }

    fn page(&self, from: Offset, until: Offset, max_bytes: usize) -> Result<Bytes, StoreError> {
        let first = self.records.partition_point(|record| record.end() <= from);
        page(self.records.range(first..).map(Ok), from, until, max_bytes, self.end)
    }
}

fn cost(payload: &Payload) -> u64 {
    payload.memory_bytes() as u64 + RECORD_OVERHEAD_BYTES
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
