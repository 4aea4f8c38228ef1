//! Sources: write generated or measured events to ordinary streams, by the same appends as clients.
//!
//! A source starts at its first request and runs until its lease expires; requests and readers of
//! its stream renew it. A client whose requests have a holder name can release a source. When all
//! holders have released it, the source stops at once, so that a client that changes its settings
//! never uses more than one source.
//!
//! The sequence number is stored in the stream: a source that restarts reads its last event and
//! continues from there, so that the number never decreases. Streams retain only their newest part.
//! Beyond a limit, the sources that stopped first are removed and their streams deleted.
//!
//! Each source has its own thread: the system's timer is exact to about 60 microseconds and tokio's
//! to a millisecond, and lateness here would be measured as latency of every technique.

mod generator;
mod host;
mod running;
mod schedule;
mod writer;

use crate::lab::WrongField;
use generator::EventGenerator;
use host::Host;
use running::{RunningSource, SourceLease};
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tailwater_core::clock::Clock;
use tailwater_core::{CreateError, NameError, ReadError, StreamConfig, StreamName, Streams};
use tailwater_protocol::lab::{SourceAnswer, SourceLeaseRequest, SourceRequest};
use tokio::runtime::Handle;
use tokio::sync::watch;
use writer::{SourceFeed, SourceWriter, next_seq};

/// Limits of sources.
#[derive(Debug, Clone, Copy)]
pub struct SourceLimits {
    /// Running sources; beyond it 503.
    pub running: usize,
    /// Sources with their streams, running or stopped; beyond it those that stopped first are removed.
    pub retained: usize,
    /// Time without request or reader after which a source stops.
    pub lease: Duration,
    /// Newest bytes of each stream that are retained.
    pub keep_bytes: u64,
}

impl Default for SourceLimits {
    fn default() -> Self {
        Self {
            running: 32,
            retained: 48,
            lease: Duration::from_secs(30),
            keep_bytes: 8 << 20,
        }
    }
}

/// Time limit for a stopped source to complete its last append.
const STOP_MAX: Duration = Duration::from_secs(5);
/// Allowed lengths of a holder in bytes.
const HOLDER_BYTES: std::ops::RangeInclusive<usize> = 1..=64;

/// Why a source does not run.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A value is out of range (400).
    #[error(transparent)]
    Field(#[from] WrongField),
    /// The limit of sources is reached (503).
    #[error(
        "{limit} sources are running, which is the limit; an unused one stops within {lease_s} s, or when `replaces` names its stream"
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
    /// Locked while a source starts, so that no two sources write to one stream.
    sources: tokio::sync::Mutex<HashMap<StreamName, Arc<RunningSource>>>,
}

impl Drop for SourceTable {
    fn drop(&mut self) {
        let now_us = self.clock.now_us();
        let sources = self.sources.get_mut().values();
        sources.for_each(|source| source.stop(now_us));
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
            sources: tokio::sync::Mutex::default(),
        }
    }

    /// Starts a source, or renews its lease if it is running. Before that, releases the source that it
    /// replaces.
    ///
    /// # Errors
    /// All of [`SourceError`].
    pub async fn start_or_renew(
        &self,
        request: &SourceLeaseRequest,
    ) -> Result<SourceAnswer, SourceError> {
        let name = StreamName::parse(&match &request.source {
            SourceRequest::Host(request) => host::stream_name(request.pattern).to_owned(),
            SourceRequest::Generator(request) => {
                generator::check(request)?;
                generator::stream_name(request)
            }
        })?;
        let holder = check_holder(request)?;
        let mut sources = self.sources.lock().await;
        if let (Some(holder), Some(replaced)) = (holder, &request.replaces)
            && replaced != name.as_str()
        {
            self.release(&sources, replaced, holder).await;
        }
        let answer = SourceAnswer {
            stream: name.to_string(),
            lease_s: self.limits.lease.as_secs(),
        };
        if let Some(source) = sources.get(&name) {
            let log = self.streams.find(&name);
            let is_same = log.is_some_and(|log| Arc::ptr_eq(&log, &source.log));
            let until_us = self.lease_end_us();
            // If its thread panicked, the source has ended although its lease has not.
            if is_same && source.is_running() && source.lease.renew(until_us, holder) {
                return Ok(answer);
            }
            // Two sources must not write to one stream.
            if !self.stop(source).await {
                let reason = "the source is stopping; its last append is not complete";
                return Err(io::Error::new(io::ErrorKind::TimedOut, reason).into());
            }
            sources.remove(&name);
        }
        if sources
            .values()
            .filter(|source| source.is_running())
            .count()
            >= self.limits.running
        {
            return Err(SourceError::TooMany {
                limit: self.limits.running,
                lease_s: self.limits.lease.as_secs(),
            });
        }
        self.remove_oldest(&mut sources).await;
        let started = self.start(&name, &request.source, holder).await?;
        sources.insert(name, started);
        Ok(answer)
    }

    /// Removes a holder from a source, and stops the source if it has no other holder.
    async fn release(
        &self,
        sources: &HashMap<StreamName, Arc<RunningSource>>,
        stream: &str,
        holder: &str,
    ) {
        let source = sources.iter().find(|(name, _)| name.as_str() == stream);
        if let Some((_, source)) = source
            && source.lease.release(holder)
        {
            // A source that does not stop in time counts as running until it has stopped.
            let _ended = self.stop(source).await;
        }
    }

    /// Stops a source; returns whether it ended within [`STOP_MAX`].
    async fn stop(&self, source: &RunningSource) -> bool {
        source.stop(self.clock.now_us());
        source.has_ended_within(STOP_MAX).await
    }

    /// Number of running sources.
    pub async fn running(&self) -> usize {
        self.sources
            .lock()
            .await
            .values()
            .filter(|source| source.is_running())
            .count()
    }

    /// Stops all sources; their streams remain.
    pub async fn stop_all(&self) {
        let now_us = self.clock.now_us();
        let sources = self.sources.lock().await;
        sources.values().for_each(|source| source.stop(now_us));
    }

    fn lease_end_us(&self) -> u64 {
        self.clock
            .now_us()
            .saturating_add(micros(self.limits.lease))
    }

    /// Removes the sources that stopped first, and deletes their streams, until one can be added.
    async fn remove_oldest(&self, sources: &mut HashMap<StreamName, Arc<RunningSource>>) {
        while sources.len() >= self.limits.retained {
            let oldest = sources
                .iter()
                .filter(|(_, source)| !source.is_running())
                .min_by_key(|(_, source)| source.lease.until_us())
                .map(|(name, _)| name.clone());
            let Some(name) = oldest else { return };
            sources.remove(&name);
            if let Err(error) = self.streams.delete(&name).await {
                tracing::warn!(stream = %name, %error, "the stream of a stopped source can't be deleted");
            }
        }
    }

    async fn start(
        &self,
        name: &StreamName,
        request: &SourceRequest,
        holder: Option<&str>,
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
        let (running, ended) = watch::channel(());
        let lease = SourceLease::new(self.lease_end_us(), holder);
        let source = Arc::new(RunningSource::new(log, lease, ended));
        let writer = SourceWriter {
            feed,
            seq,
            clock: self.clock,
            lease: self.limits.lease,
            source: Arc::clone(&source),
            plain_reads: 0,
            running,
        };
        let runtime = self.runtime.clone();
        let thread = thread::Builder::new()
            .name("source".to_owned())
            .spawn(move || writer.run(&runtime))?;
        source.set_thread(thread.thread());
        Ok(source)
    }
}

/// The holder of a request, if it has one.
///
/// # Errors
/// [`WrongField`] when it is invalid, or absent in a request with `replaces`.
fn check_holder(request: &SourceLeaseRequest) -> Result<Option<&str>, WrongField> {
    let wrong = |beside: &str, received: String| WrongField {
        field: "holder",
        allowed: format!(
            "{} to {} visible ASCII characters{beside}",
            HOLDER_BYTES.start(),
            HOLDER_BYTES.end()
        ),
        received,
    };
    match &request.holder {
        None if request.replaces.is_some() => Err(wrong(" beside `replaces`", "absent".to_owned())),
        None => Ok(None),
        Some(holder)
            if HOLDER_BYTES.contains(&holder.len())
                && holder.bytes().all(|byte| byte.is_ascii_graphic()) =>
        {
            Ok(Some(holder))
        }
        Some(holder) => Err(wrong(
            "",
            holder.chars().take(*HOLDER_BYTES.end()).collect(),
        )),
    }
}

fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
