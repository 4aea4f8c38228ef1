//! The live readers of a stream: how many by each technique, and the position of each.

use super::lock;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tailwater_protocol::{Offset, Technique};

/// Live readers by technique; polls come and go too quickly to be counted here.
#[derive(Debug, Default)]
pub struct Readers {
    /// By [`Technique::index`]: live readers; for polling the plain reads since the stream was opened, because a source that is
    /// only polled is used, too.
    counts: [AtomicUsize; Technique::COUNT],
    /// The live readers in the order in which they came.
    present: Mutex<BTreeMap<u64, Arc<PresentReader>>>,
    came: AtomicU64,
}

/// One live reader as others see it.
#[derive(Debug)]
struct PresentReader {
    technique: Technique,
    since: Instant,
    at_bytes: AtomicU64,
}

/// Where one live reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReaderStatus {
    /// How it follows.
    pub technique: Technique,
    /// The position after what it was given.
    pub at: Offset,
    /// How long its request has been under way; a long-poll's reader comes anew with each of them.
    pub present_for: Duration,
}

impl Readers {
    /// Live readers that use `technique`; for [`Technique::Poll`] the number of plain reads so far.
    pub fn count(&self, technique: Technique) -> usize {
        self.counter(technique).load(Ordering::Relaxed)
    }

    /// Live readers by any technique that waits.
    pub fn live(&self) -> usize {
        Technique::waiting()
            .map(|technique| self.count(technique))
            .sum()
    }

    /// Where the first `limit` of the live readers are, those that came first in front.
    pub fn statuses(&self, limit: usize) -> Vec<ReaderStatus> {
        let present: Vec<Arc<PresentReader>> =
            lock(&self.present).values().take(limit).cloned().collect();
        let status = |it: Arc<PresentReader>| ReaderStatus {
            technique: it.technique,
            at: Offset::new(it.at_bytes.load(Ordering::Relaxed)).unwrap_or(Offset::MAX),
            present_for: it.since.elapsed(),
        };
        present.into_iter().map(status).collect()
    }

    /// Notes one plain read.
    pub fn note_plain_read(&self) {
        self.counter(Technique::Poll)
            .fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, technique: Technique) -> &AtomicUsize {
        &self.counts[technique.index()]
    }
}

/// One live reader; counted until dropped.
#[derive(Debug)]
pub struct ReaderGuard {
    log: Arc<super::Log>,
    number: u64,
    present: Arc<PresentReader>,
}

impl ReaderGuard {
    /// Counts a live reader of `log` from now on, which begins at `from`.
    pub fn new(log: Arc<super::Log>, technique: Technique, from: Offset) -> Self {
        let readers = log.readers();
        readers.counter(technique).fetch_add(1, Ordering::Relaxed);
        let number = readers.came.fetch_add(1, Ordering::Relaxed);
        let present = Arc::new(PresentReader {
            technique,
            since: Instant::now(),
            at_bytes: AtomicU64::new(from.bytes()),
        });
        lock(&readers.present).insert(number, Arc::clone(&present));
        Self {
            log,
            number,
            present,
        }
    }

    /// Notes that the reader was given everything before `at`.
    pub fn is_at(&self, at: Offset) {
        self.present.at_bytes.store(at.bytes(), Ordering::Relaxed);
    }
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        // It was in use until now, however long ago its reader came. Before the count falls, or it would seem idle since.
        self.log.renew();
        let readers = self.log.readers();
        readers
            .counter(self.present.technique)
            .fetch_sub(1, Ordering::Relaxed);
        lock(&readers.present).remove(&self.number);
    }
}
