//! The live readers of a stream: their number by technique, and the position of each.

use super::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tailwater_protocol::{Offset, Technique};

/// The live readers by technique, and the number of plain reads.
#[derive(Debug, Default)]
pub struct Readers {
    /// The number of live readers, by [`Technique::index`]. For polling, the number of plain reads
    /// since the stream was opened, so that a stream that is only polled counts as used.
    counts: [AtomicUsize; Technique::COUNT],
    /// The live readers in the order in which they connected.
    live: Mutex<BTreeMap<u64, Arc<ReaderEntry>>>,
    next_number: AtomicU64,
}

/// The state of one live reader.
#[derive(Debug)]
struct ReaderEntry {
    technique: Technique,
    since: Instant,
    at_bytes: AtomicU64,
}

/// The status of one live reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderStatus {
    /// The technique.
    pub technique: Technique,
    /// The position after the data that was sent to it.
    pub at: Offset,
    /// The age of its request; each request of a long-polling client is a new reader.
    pub present_for: Duration,
}

impl Readers {
    /// The number of live readers that use `technique`; for [`Technique::Poll`], the number of plain
    /// reads so far.
    pub fn count(&self, technique: Technique) -> usize {
        self.counter(technique).load(Ordering::Relaxed)
    }

    /// The number of live readers, by all techniques except polling.
    pub fn live(&self) -> usize {
        Technique::waiting()
            .map(|technique| self.count(technique))
            .sum()
    }

    /// The status of the first `limit` live readers, in the order in which they connected.
    pub fn statuses(&self, limit: usize) -> Vec<ReaderStatus> {
        let entries: Vec<Arc<ReaderEntry>> =
            lock(&self.live).values().take(limit).cloned().collect();
        let status = |it: Arc<ReaderEntry>| ReaderStatus {
            technique: it.technique,
            at: Offset::new(it.at_bytes.load(Ordering::Relaxed)).unwrap_or(Offset::MAX),
            present_for: it.since.elapsed(),
        };
        entries.into_iter().map(status).collect()
    }

    /// Counts one plain read.
    pub fn note_plain_read(&self) {
        self.counter(Technique::Poll)
            .fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, technique: Technique) -> &AtomicUsize {
        &self.counts[technique.index()]
    }
}

/// A live reader, which is counted until the guard is dropped.
#[derive(Debug)]
pub struct ReaderGuard {
    log: Arc<super::Log>,
    number: u64,
    entry: Arc<ReaderEntry>,
}

impl ReaderGuard {
    /// Registers a live reader of `log`.
    ///
    /// - `from`: the position at which it starts.
    pub fn new(log: Arc<super::Log>, technique: Technique, from: Offset) -> Self {
        let readers = log.readers();
        readers.counter(technique).fetch_add(1, Ordering::Relaxed);
        let number = readers.next_number.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(ReaderEntry {
            technique,
            since: Instant::now(),
            at_bytes: AtomicU64::new(from.bytes()),
        });
        lock(&readers.live).insert(number, Arc::clone(&entry));
        Self { log, number, entry }
    }

    /// Records that everything before `at` was sent to the reader.
    pub fn set_position(&self, at: Offset) {
        self.entry.at_bytes.store(at.bytes(), Ordering::Relaxed);
    }
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        // The stream was in use until now. This must precede the decrement: otherwise the stream could
        // expire in between, because its last recorded use may be old.
        self.log.renew();
        let readers = self.log.readers();
        readers
            .counter(self.entry.technique)
            .fetch_sub(1, Ordering::Relaxed);
        lock(&readers.live).remove(&self.number);
    }
}
