//! Sources: write known events into ordinary streams, by the same appends as any client.
//!
//! A source starts at its first request and runs until its lease expires; requests and readers of
//! its stream renew it. Its sequence number is in its stream: a source that restarts reads its last
//! event and continues from there, so that the number never decreases. Streams retain only their
//! newest part. Beyond a limit, the generators that stopped first are forgotten and their streams
//! deleted.
//!
//! Each source has its own thread: the system's timer is exact to about 60 microseconds and tokio's
//! to a millisecond, and lateness here would be measured as latency of every technique.

mod generator;
mod host;
mod schedule;

use crate::lab::WrongField;
use generator::EventGenerator;
use host::Host;
use serde_json::value::RawValue;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tailwater_core::clock::Clock;
use tailwater_core::{
    Append, AppendError, CreateError, Log, NameError, Payload, PayloadError, ReadError, ReadStart,
    StreamConfig, StreamName, Streams, TailState,
};
use tailwater_protocol::lab::{EventStamps, SourceAnswer, SourceRequest};
use tailwater_protocol::{Technique, document};
use tokio::runtime::Handle;

/// Limits of sources.
#[derive(Debug, Clone, Copy)]
pub struct SourceLimits {
    /// Running sources; beyond it 503.
    pub running: usize,
    /// Remembered sources with their streams, running or stopped.
    pub known: usize,
    /// Time without request or reader after which a source stops.
    pub lease: Duration,
    /// Newest bytes of each stream that are retained.
    pub keep_bytes: u64,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            running: 8,
            known: 16,
            lease: Duration::from_secs(30),
            keep_bytes: 8 << 20,
        }
    }
}

/// Maximum events of one append.
const EVENTS_MAX: usize = 1024;
/// Interval at which a waiting source checks its lease.
const LEASE_CHECK_PERIOD: Duration = Duration::from_millis(500);
/// Maximum bytes of one read during the search for the last event.
const PAGE_BYTES: usize = 1 << 20;

/// Why a source does not run.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A value is out of range (400).
    #[error(transparent)]
    Field(#[from] WrongField),
    /// The limit of sources is reached (503).
    #[error(
        "{limit} sources are running, which is the limit; an unused one stops within {lease_s} s"
    )]
    TooMany {
        /// Sources allowed.
        limit: usize,
        /// Seconds after its last use at which a source stops.
        lease_s: u64,
    },
    /// The stream exists, and its content is not a source's (409).
    #[error(
        "the stream `{stream}` exists and was not written by a source: {reason}; delete it first"
    )]
    Foreign {
        /// The stream's name.
        stream: String,
        /// The reason.
        reason: String,
    },
    /// Its stream can't be created.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// Its stream can't be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Its stream's name is invalid.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The system has no thread, or can't be measured (503).
    #[error("system error: {0}")]
    System(#[from] io::Error),
}

/// All sources of a server.
#[derive(Debug)]
pub struct SourceTable {
    streams: Arc<Streams>,
    clock: Clock,
    runtime: Handle,
    limits: SourceLimits,
    /// Locked while a source starts, so that no two write to one stream.
    known: tokio::sync::Mutex<HashMap<StreamName, Arc<RunningSource>>>,
}

/// A running or stopped source, shared with its thread.
#[derive(Debug)]
struct RunningSource {
    log: Arc<Log>,
    lease: SourceLease,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// The end of a source's lease, on the server's clock.
#[derive(Debug)]
struct SourceLease {
    until_us: AtomicU64,
    is_stopped: AtomicBool,
}

impl RunningSource {
    fn is_running(&self) -> bool {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        thread.as_ref().is_some_and(|thread| !thread.is_finished())
    }

    fn stop(&self) {
        self.lease.is_stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = &*self.thread.lock().unwrap_or_else(PoisonError::into_inner) {
            thread.thread().unpark();
        }
    }
}

impl Drop for SourceTable {
    fn drop(&mut self) {
        self.known.get_mut().values().for_each(|known| known.stop());
    }
}

impl SourceTable {
    /// No sources yet.
    ///
    /// - `runtime`: where appends complete; sources end with it.
    pub fn new(streams: Arc<Streams>, clock: Clock, runtime: Handle, limits: SourceLimits) -> Self {
        Self {
            streams,
            clock,
            runtime,
            limits,
            known: tokio::sync::Mutex::default(),
        }
    }

    /// Starts a source, or renews its lease if it is running.
    ///
    /// # Errors
    /// All of [`SourceError`].
    pub async fn start_or_renew(
        &self,
        request: &SourceRequest,
    ) -> Result<SourceAnswer, SourceError> {
        let name = StreamName::parse(&match request {
            SourceRequest::Host(request) => host::stream_name(request.pattern).to_owned(),
            SourceRequest::Generator(request) => {
                generator::check(request)?;
                generator::stream_name(request)
            }
        })?;
        let mut known = self.known.lock().await;
        let answer = SourceAnswer {
            stream: name.to_string(),
            lease_s: self.limits.lease.as_secs(),
        };
        let log = self.streams.find(&name);
        let same =
            |known: &RunningSource| log.as_ref().is_some_and(|log| Arc::ptr_eq(log, &known.log));
        if let Some(known) = known
            .get(&name)
            .filter(|known| known.is_running() && same(known))
        {
            known
                .lease
                .until_us
                .store(self.lease_end_us(), Ordering::Relaxed);
            // It may have stopped just before the renewal.
            if known.is_running() {
                return Ok(answer);
            }
        }
        known
            .remove(&name)
            .iter()
            .for_each(|previous| previous.stop());
        if known.values().filter(|known| known.is_running()).count() >= self.limits.running {
            return Err(SourceError::TooMany {
                limit: self.limits.running,
                lease_s: self.limits.lease.as_secs(),
            });
        }
        self.forget_oldest(&mut known).await;
        let started = self.start(&name, request).await?;
        known.insert(name, started);
        Ok(answer)
    }

    /// Number of running sources.
    pub async fn running(&self) -> usize {
        self.known
            .lock()
            .await
            .values()
            .filter(|known| known.is_running())
            .count()
    }

    /// Stops all sources; their streams remain.
    pub async fn stop_all(&self) {
        self.known
            .lock()
            .await
            .values()
            .for_each(|known| known.stop());
    }

    fn lease_end_us(&self) -> u64 {
        self.clock
            .now_us()
            .saturating_add(micros(self.limits.lease))
    }

    /// Makes room for one more by deleting the streams of the sources that stopped first.
    async fn forget_oldest(&self, known: &mut HashMap<StreamName, Arc<RunningSource>>) {
        while known.len() >= self.limits.known {
            let oldest = known
                .iter()
                .filter(|(_, known)| !known.is_running())
                .min_by_key(|(_, known)| known.lease.until_us.load(Ordering::Relaxed))
                .map(|(name, _)| name.clone());
            let Some(name) = oldest else { return };
            known.remove(&name);
            if let Err(error) = self.streams.delete(&name).await {
                tracing::warn!(stream = %name, %error, "the stream of a stopped source can't be deleted");
            }
        }
    }

    async fn start(
        &self,
        name: &StreamName,
        request: &SourceRequest,
    ) -> Result<Arc<RunningSource>, SourceError> {
        let config = StreamConfig {
            keep_bytes: Some(self.limits.keep_bytes),
            ..StreamConfig::new("application/json")
        };
        let created = self
            .streams
            .create(name, config, None, false)
            .await
            .map_err(|error| match error {
                CreateError::Differs { .. } => SourceError::Foreign {
                    stream: name.to_string(),
                    reason: error.to_string(),
                },
                other => other.into(),
            })?;
        let log = created.log;
        let seq = next_seq(&log).await?;
        let feed = match request {
            SourceRequest::Host(request) => SourceFeed::Host(Box::new(Host::new(
                request.pattern,
                rand::random(),
                || self.clock.now_us(),
            )?)),
            SourceRequest::Generator(request) => {
                SourceFeed::Generator(EventGenerator::new(request, self.clock.now_us()))
            }
        };
        let lease = SourceLease {
            until_us: AtomicU64::new(self.lease_end_us()),
            is_stopped: AtomicBool::new(false),
        };
        let known = Arc::new(RunningSource {
            log: Arc::clone(&log),
            lease,
            thread: Mutex::default(),
        });
        let writer = SourceWriter {
            log,
            feed,
            seq,
            clock: self.clock,
            lease_us: micros(self.limits.lease),
            known: Arc::clone(&known),
            plain_reads: 0,
        };
        let runtime = self.runtime.clone();
        let thread = thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || writer.run(&runtime))?;
        *known.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
        Ok(known)
    }
}

/// One more than the sequence number of the last event, or 0 in an empty stream.
///
/// Messages between the source's own, published by others, are skipped.
async fn next_seq(log: &Arc<Log>) -> Result<u64, SourceError> {
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

/// The stamps of the last message that has them; JSON messages are stored with one comma after
/// each.
fn last_stamps(page: &[u8]) -> Option<EventStamps> {
    let array = [b"[", page.strip_suffix(b",").unwrap_or(page), b"]"].concat();
    let messages: Vec<&RawValue> = serde_json::from_slice(&array).ok()?;
    messages
        .iter()
        .rev()
        .find_map(|message| document::read(message.get().as_bytes()).ok())
}

/// A source's events.
#[derive(Debug)]
enum SourceFeed {
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
struct SourceWriter {
    log: Arc<Log>,
    feed: SourceFeed,
    seq: u64,
    clock: Clock,
    lease_us: u64,
    known: Arc<RunningSource>,
    plain_reads: usize,
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
    fn run(mut self, runtime: &Handle) {
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
                tracing::info!(stream = %self.log.name(), %error, "the source stops: its events can't be written");
                return;
            }
            self.seq += events;
        }
    }

    async fn append(&self, body: Vec<u8>) -> Result<(), WriteError> {
        let payload = Payload::parse(self.log.kind(), body.into())?;
        self.log
            .append(Append {
                payload: Some(payload),
                ..Append::default()
            })
            .await?;
        Ok(())
    }

    /// Whether the lease is valid; renews it if there is a reader, or was one since the last call.
    fn is_lease_valid(&mut self) -> bool {
        let lease = &self.known.lease;
        if lease.is_stopped.load(Ordering::Relaxed) || self.log.tail_now().state != TailState::Open
        {
            return false;
        }
        let readers = self.log.readers();
        let plain_reads = readers.count(Technique::Poll);
        let now_us = self.clock.now_us();
        if readers.live() > 0 || plain_reads != self.plain_reads {
            self.plain_reads = plain_reads;
            lease
                .until_us
                .fetch_max(now_us.saturating_add(self.lease_us), Ordering::Relaxed);
        }
        lease.until_us.load(Ordering::Relaxed) > now_us
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
