//! The store that keeps everything in memory: nothing survives the process, and a limit keeps it from eating the machine.

use super::page::Record;
use super::tape::Tape;
use super::{Change, Commit, Cut, Done, Reading, Seeking, Store, StoreError, StreamId};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tailwater_protocol::Offset;

/// Streams in memory, up to a number of bytes.
#[derive(Debug)]
pub struct MemoryStore {
    streams: RwLock<HashMap<StreamId, Arc<Mutex<Kept>>>>,
    kept_bytes: AtomicU64,
    limit_bytes: u64,
}

/// What is kept of one stream.
#[derive(Debug)]
struct Kept {
    tape: Tape,
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

    /// Corrects what is counted as in use when something that took `before` bytes takes `after` now.
    fn correct(&self, before: usize, after: usize) {
        self.kept_bytes.fetch_add(after as u64, Ordering::Relaxed);
        self.kept_bytes.fetch_sub(before as u64, Ordering::Relaxed);
    }

    fn apply(&self, Commit { stream, change }: Commit) -> Result<(), StoreError> {
        match change {
            Change::Create(new) => {
                let begins = new.config.begins();
                let mut kept = Kept { tape: Tape::new(begins), is_deleted: false };
                if let Some(payload) = new.first {
                    self.push(&mut kept, Record { at: begins, time: new.at, payload })?;
                }
                let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
                streams.insert(stream, Arc::new(Mutex::new(kept)));
            }
            Change::Append { at, payload, now, .. } => {
                let kept = self.stream(stream)?;
                let mut kept = lock(&kept);
                kept.check_end(at)?;
                if let Some(payload) = payload {
                    self.push(&mut kept, Record { at, time: now, payload })?;
                }
            }
            Change::Hide => {
                self.stream(stream)?;
            }
            Change::Trim { before } => {
                let kept = self.stream(stream)?;
                let tape = &mut lock(&kept).tape;
                let was = tape.memory_bytes();
                tape.trim(before);
                self.correct(was, tape.memory_bytes());
            }
            // Notes are only for the next opening, which this store does not have.
            Change::Delete { .. } => {
                let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
                let kept = streams.remove(&stream).ok_or(StoreError::NoStream)?;
                drop(streams);
                let mut kept = lock(&kept);
                kept.is_deleted = true;
                let was = std::mem::replace(&mut kept.tape, Tape::new(Offset::ZERO));
                self.correct(was.memory_bytes(), 0);
            }
        }
        Ok(())
    }

    fn push(&self, kept: &mut Kept, record: Record) -> Result<(), StoreError> {
        let tape = &mut kept.tape;
        let (was, needed) = (tape.memory_bytes(), tape.needed(&record)?);
        self.reserve(needed as u64)?;
        tape.push(record);
        self.correct(was + needed, tape.memory_bytes());
        Ok(())
    }
}

impl Store for MemoryStore {
    fn commit(&self, commit: Commit, done: Done) {
        done(self.apply(commit));
    }

    fn read(&self, stream: StreamId, from: Offset, until: Offset, max_bytes: usize) -> Reading<'_> {
        let page = self.stream(stream).and_then(|kept| lock(&kept).tape.page(from, until, max_bytes));
        Box::pin(std::future::ready(page))
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> Seeking<'_> {
        Box::pin(std::future::ready(self.stream(stream).map(|kept| lock(&kept).tape.cut(cut))))
    }

    fn note(&self, _: &str, _: Option<Bytes>, done: Done) {
        // Notes are only for the next opening, which this store does not have.
        done(Ok(()));
    }
}

impl Kept {
    fn check_end(&self, at: Offset) -> Result<(), StoreError> {
        match self.tape.end() {
            _ if self.is_deleted => Err(StoreError::NoStream),
            end if end != at => Err(StoreError::OutOfStep),
            _ => Ok(()),
        }
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}
