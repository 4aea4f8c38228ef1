//! The thread of a source: appends events when they are due, until the lease ends.

use super::generator::EventGenerator;
use super::host::Host;
use super::running::RunningSource;
use super::{SourceError, micros};
use serde_json::value::RawValue;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tailwater_core::clock::Clock;
use tailwater_core::{Append, AppendError, Log, Payload, PayloadError, ReadStart, TailState};
use tailwater_protocol::lab::EventStamps;
use tailwater_protocol::{Technique, document};
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Maximum events of one append.
pub(super) const EVENTS_MAX: usize = 1024;
/// Interval at which a waiting source checks its lease.
const LEASE_CHECK_PERIOD: Duration = Duration::from_millis(500);
/// Maximum bytes of one read during the search for the last event.
pub(super) const PAGE_BYTES: usize = 1 << 20;

/// One more than the sequence number of the last event, or 0 in an empty stream.
///
/// Messages between the source's own, published by others, are skipped.
pub(super) async fn next_seq(log: &Arc<Log>) -> Result<u64, SourceError> {
    let foreign = |reason: &str| SourceError::Foreign {
        stream: log.name().to_string(),
        reason: reason.to_owned(),
    };
    let mut from = log.resolve(ReadStart::Beginning);
    let (mut last, mut is_empty) = (None, true);
    loop {
        let batch = log.read(from, PAGE_BYTES).await?;
        if batch.data.is_empty() {
            break;
        }
        is_empty = false;
        last = last_stamps(&batch.data).or(last);
        from = batch.next;
    }
    match last {
        None if is_empty => Ok(0),
        None => Err(foreign("no message has seq, due_us and sent_us")),
        Some(stamps) => stamps
            .seq
            .checked_add(1)
            .ok_or_else(|| foreign("its last seq is the maximum")),
    }
}

/// The stamps of the last message that has them. Each JSON message is stored with a comma after it.
fn last_stamps(page: &[u8]) -> Option<EventStamps> {
    let array = [b"[", page.strip_suffix(b",").unwrap_or(page), b"]"].concat();
    let messages: Vec<&RawValue> = serde_json::from_slice(&array).ok()?;
    messages
        .iter()
        .rev()
        .find_map(|message| document::read(message.get().as_bytes()).ok())
}

/// The events of a source.
#[derive(Debug)]
pub(super) enum SourceFeed {
    Host(Box<Host>),
    Generator(EventGenerator),
}

impl SourceFeed {
    fn next_due_us(&self) -> u64 {
        match self {
            Self::Host(host) => host.next_due_us(),
            Self::Generator(generator) => generator.next_due_us(),
        }
    }

    /// Writes all events due by now, at most [`EVENTS_MAX`], as one JSON array; returns their
    /// number.
    fn write_due(&mut self, first_seq: u64, clock: &Clock) -> (u64, Vec<u8>) {
        match self {
            Self::Host(host) => {
                let mut body = Vec::with_capacity(512);
                host.write(first_seq, || clock.now_us(), &mut body);
                (1, body)
            }
            Self::Generator(generator) => {
                let now_us = clock.now_us();
                let (mut events, mut body) = (0, String::from("["));
                while generator.next_due_us() <= now_us && events < EVENTS_MAX as u64 {
                    body.push_str(if events > 0 { "," } else { "" });
                    generator.write(first_seq + events, now_us, &mut body);
                    events += 1;
                }
                body.push(']');
                (events, body.into_bytes())
            }
        }
    }
}

/// The state of a source's thread.
#[derive(Debug)]
pub(super) struct SourceWriter {
    pub(super) feed: SourceFeed,
    /// The sequence number of the next event.
    pub(super) seq: u64,
    pub(super) clock: Clock,
    /// The time by which a reader renews the lease.
    pub(super) lease: Duration,
    pub(super) source: Arc<RunningSource>,
    /// The number of polling requests at the last check of the lease.
    pub(super) plain_reads: usize,
    /// Dropped at the end of the thread, which closes the receivers.
    pub(super) running: watch::Sender<()>,
}

/// Why a source could not write.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error(transparent)]
    Payload(#[from] PayloadError),
    #[error(transparent)]
    Append(#[from] AppendError),
}

impl SourceWriter {
    /// Writes events when due, until the lease expires or a write fails.
    pub(super) fn run(mut self, runtime: &Handle) {
        while self.is_lease_valid() {
            let wait_us = self.feed.next_due_us().saturating_sub(self.clock.now_us());
            if wait_us > 0 {
                thread::park_timeout(Duration::from_micros(wait_us).min(LEASE_CHECK_PERIOD));
                continue;
            }
            let (events, body) = self.feed.write_due(self.seq, &self.clock);
            if events == 0 {
                continue;
            }
            if let Err(error) = runtime.block_on(self.append(body)) {
                tracing::info!(stream = %self.source.log.name(), %error, "the source stops: its events can't be written");
                break;
            }
            self.seq += events;
        }
        self.source.lease.end(self.clock.now_us());
        drop(self.running);
    }

    async fn append(&self, body: Vec<u8>) -> Result<(), WriteError> {
        let log = &self.source.log;
        let payload = Payload::parse(log.kind(), body.into())?;
        log.append(Append {
            payload: Some(payload),
            ..Append::default()
        })
        .await?;
        Ok(())
    }

    /// Whether the lease is valid. Renews it if there is a reader, or was a request since the last call.
    fn is_lease_valid(&mut self) -> bool {
        let RunningSource { log, lease, .. } = &*self.source;
        if log.tail_now().state != TailState::Open {
            return false;
        }
        let plain_reads = log.readers().count(Technique::Poll);
        let now_us = self.clock.now_us();
        if log.readers().live() > 0 || plain_reads != self.plain_reads {
            self.plain_reads = plain_reads;
            lease.extend(now_us.saturating_add(micros(self.lease)));
        }
        lease.is_valid(now_us)
    }
}
