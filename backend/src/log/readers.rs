//! Who follows a stream live at this moment, counted by technique.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tailwater_protocol::Technique;

/// Live readers by technique; polls come and go too quickly to be counted here.
#[derive(Debug, Default)]
pub struct Readers {
    long_poll: AtomicUsize,
    ndjson: AtomicUsize,
    sse: AtomicUsize,
    websocket: AtomicUsize,
    /// Plain reads since the stream was opened: a source that is only polled is used, too.
    plain_reads: AtomicUsize,
}

impl Readers {
    /// Live readers that use `technique`; for [`Technique::Poll`] the number of plain reads so far.
    pub fn count(&self, technique: Technique) -> usize {
        self.counter(technique).load(Ordering::Relaxed)
    }

    /// Live readers by any technique that waits.
    pub fn live(&self) -> usize {
        [Technique::LongPoll, Technique::Ndjson, Technique::Sse, Technique::Websocket]
            .map(|it| self.count(it))
            .iter()
            .sum()
    }

    /// Notes one plain read.
    pub fn note_plain_read(&self) {
        self.plain_reads.fetch_add(1, Ordering::Relaxed);
    }

    fn counter(&self, technique: Technique) -> &AtomicUsize {
        match technique {
            Technique::Poll => &self.plain_reads,
            Technique::LongPoll => &self.long_poll,
            Technique::Ndjson => &self.ndjson,
            Technique::Sse => &self.sse,
            Technique::Websocket => &self.websocket,
        }
    }
}

/// One live reader; counted until dropped.
#[derive(Debug)]
pub struct ReaderGuard {
    log: Arc<super::Log>,
    technique: Technique,
}

impl ReaderGuard {
    /// Counts a live reader of `log` from now on.
    pub fn new(log: Arc<super::Log>, technique: Technique) -> Self {
        log.readers().counter(technique).fetch_add(1, Ordering::Relaxed);
        Self { log, technique }
    }
}

impl Drop for ReaderGuard {
    fn drop(&mut self) {
        self.log.readers().counter(self.technique).fetch_sub(1, Ordering::Relaxed);
    }
}
