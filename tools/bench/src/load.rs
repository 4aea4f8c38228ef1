//! The load: readers and writers on raw sockets, in one thread on one core. Every reader checks every message.
//!
//! Each writer appends consecutive numbers to each stream. A reader follows one stream by one technique, and checks that the
//! numbers of each writer are consecutive.

mod pace;
mod readers;
#[cfg(test)]
mod tests;
mod writers;

pub(crate) use pace::Pace;

use crate::BenchFault;
use crate::connections::LoadConnections;
use crate::decode::ContentPart;
use crate::target::{BenchTarget, BenchTechnique};
use readers::LoadReader;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tailwater_harness::http::DecodedHead;
use tailwater_lab::histogram::Latencies;
use writers::LoadWriter;

/// Default of [`LoadOptions::silence_max`].
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Connections used to create streams.
const CREATORS: usize = 16;

/// Options of a load.
#[derive(Debug, Clone)]
pub(crate) struct LoadOptions {
    pub(crate) technique: BenchTechnique,
    /// Number of streams; reader `r` follows stream `r % streams`.
    pub(crate) streams: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Limit of connections that append.
    pub(crate) writers: usize,
    /// The poll interval; zero to send the next poll after each response.
    pub(crate) poll_every: Duration,
    /// Whether latencies are recorded.
    pub(crate) timed: bool,
    /// Timeout without any progress.
    pub(crate) silence_max: Duration,
}

impl LoadOptions {
    /// One stream, with poll interval zero.
    pub(crate) fn new(technique: BenchTechnique, size: usize, writers: usize) -> Self {
        Self {
            technique,
            streams: 1,
            size,
            writers,
            poll_every: Duration::ZERO,
            timed: true,
            silence_max: SILENCE_MAX,
        }
    }
}

/// Readers and writers, and the counts of their messages.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    target: &'a dyn BenchTarget,
    options: LoadOptions,
    connections: LoadConnections,
    /// By connection number.
    roles: Vec<ConnectionRole>,
    readers: Vec<LoadReader>,
    writers: Vec<LoadWriter>,
    /// Writers without a pending append.
    idle: Vec<usize>,
    /// Due times of polls in microseconds, and their readers.
    polls: VecDeque<(u64, usize)>,
    /// Number of messages by stream and writer.
    written: Vec<Vec<u64>>,
    /// The stream of the next append.
    next_stream: usize,
    begun: Instant,
    pub(crate) counts: LoadCounts,
}

/// The reader or writer that uses a connection.
#[derive(Debug, Clone, Copy)]
enum ConnectionRole {
    Reader(usize),
    Writer(usize),
}

/// Counts since the last [`Load::reset_counts`].
#[derive(Debug)]
pub(crate) struct LoadCounts {
    /// Messages received, summed over all readers.
    pub(crate) delivered: u64,
    /// Messages to be received, summed over all readers.
    pub(crate) expected: u64,
    /// Bytes received by readers, including heads and framing.
    pub(crate) received: u64,
    /// Responses to polls and long-polls.
    pub(crate) responses: u64,
    /// Acknowledged messages.
    pub(crate) appended: u64,
    /// From the due time of a message to its receipt by a reader.
    pub(crate) latencies: Latencies,
    /// From the due time of an append to its acknowledgement.
    pub(crate) acknowledged: Latencies,
    since: Instant,
    last: Instant,
}

impl LoadCounts {
    fn new() -> Self {
        Self {
            delivered: 0,
            expected: 0,
            received: 0,
            responses: 0,
            appended: 0,
            latencies: Latencies::new(),
            acknowledged: Latencies::new(),
            since: Instant::now(),
            last: Instant::now(),
        }
    }

    /// Begins the measured time.
    pub(crate) fn start_timer(&mut self) {
        self.since = Instant::now();
        self.last = self.since;
    }

    /// Seconds from [`LoadCounts::start_timer`] to the last delivery or acknowledgement.
    pub(crate) fn seconds(&self) -> f64 {
        self.last.duration_since(self.since).as_secs_f64()
    }
}

impl<'a> Load<'a> {
    /// Creates the streams.
    ///
    /// # Errors
    /// [`BenchFault::Server`] when one can't be created.
    pub(crate) fn new(
        target: &'a dyn BenchTarget,
        address: SocketAddr,
        options: LoadOptions,
    ) -> Result<Self, BenchFault> {
        let mut load = Self {
            target,
            connections: LoadConnections::new(address)?,
            roles: Vec::new(),
            readers: Vec::new(),
            writers: Vec::new(),
            idle: Vec::new(),
            polls: VecDeque::new(),
            written: vec![Vec::new(); options.streams],
            next_stream: 0,
            begun: Instant::now(),
            counts: LoadCounts::new(),
            options,
        };
        load.create(address)?;
        Ok(load)
    }

    /// Resets all counts; every expected message must have been received.
    pub(crate) fn reset_counts(&mut self) {
        self.counts = LoadCounts::new();
    }

    /// Drops all connections; later readers are expected to receive all earlier messages.
    ///
    /// # Errors
    /// Errors of system calls.
    pub(crate) fn reconnect(&mut self, address: SocketAddr) -> Result<(), BenchFault> {
        self.connections = LoadConnections::new(address)?;
        self.roles.clear();
        self.readers.clear();
        self.writers.clear();
        self.idle.clear();
        self.polls.clear();
        Ok(())
    }

    fn create(&mut self, address: SocketAddr) -> Result<(), BenchFault> {
        let names = (0..self.options.streams).map(stream);
        let requests = names.filter_map(|name| self.target.create(&name, self.options.technique));
        send_all(address, requests.collect())
    }

    fn now(&self) -> u64 {
        micros(self.begun.elapsed())
    }

    /// Handles the events of all connections; waits at most `timeout` for them.
    fn handle_events(&mut self, timeout: Duration) -> Result<usize, BenchFault> {
        let count = self.connections.wait(timeout)?;
        for at in 0..count {
            let id = self.connections.ready(at);
            match self.roles[id] {
                ConnectionRole::Reader(reader) => self.handle_reader(reader)?,
                ConnectionRole::Writer(writer) => self.handle_writer(writer)?,
            }
        }
        Ok(count)
    }

    /// Waits until every append is acknowledged and every message was received by every reader, or until [`LoadOptions::silence_max`]
    /// has passed without progress; then checks the messages.
    ///
    /// # Errors
    /// [`BenchFault::Lost`] when a message was lost, repeated, reordered or damaged.
    pub(crate) fn wait_until_delivered(&mut self) -> Result<(), BenchFault> {
        let mut heard = Instant::now();
        while self.counts.delivered < self.counts.expected || self.idle.len() < self.writers.len() {
            let due = self.polls_due()?;
            let before = (self.counts.delivered, self.idle.len());
            self.handle_events(due.min(Duration::from_millis(100)))?;
            if (self.counts.delivered, self.idle.len()) != before {
                heard = Instant::now();
            } else if heard.elapsed() > self.options.silence_max {
                break;
            }
        }
        self.check_messages()
    }

    fn check_messages(&self) -> Result<(), BenchFault> {
        let (mut lost, mut repeated, mut damaged) = (0, 0, 0);
        for reader in &self.readers {
            lost += reader.received.missing(&self.written[reader.stream]);
            repeated += reader.received.repeated;
            damaged += reader.received.damaged;
        }
        let waiting = self.writers.len() - self.idle.len();
        if lost + repeated + damaged == 0 && waiting == 0 {
            return Ok(());
        }
        Err(BenchFault::Lost {
            deliveries: self.counts.expected,
            lost,
            repeated,
            damaged,
            waiting,
        })
    }
}

/// The name of stream number `number`.
fn stream(number: usize) -> String {
    format!("bench-{number}")
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Sends requests over [`CREATORS`] connections and checks that each succeeds.
fn send_all(address: SocketAddr, mut requests: Vec<Vec<u8>>) -> Result<(), BenchFault> {
    let mut connections = LoadConnections::new(address)?;
    let mut open = 0;
    for request in requests.split_off(requests.len().saturating_sub(CREATORS)) {
        let id = connections.open()?;
        connections.send(id, &request)?;
        open += 1;
    }
    while open > 0 {
        let count = connections.wait(SILENCE_MAX)?;
        if count == 0 {
            return Err(BenchFault::Server(format!(
                "{open} requests had no response within {SILENCE_MAX:?}"
            )));
        }
        for at in 0..count {
            let (id, mut ended) = (connections.ready(at), false);
            connections.read(id, &mut |part| {
                match part {
                    ContentPart::Head(head) => expect_ok(&head)?,
                    ContentPart::End => ended = true,
                    _ => {}
                }
                Ok(())
            })?;
            if ended {
                match requests.pop() {
                    Some(request) => connections.send(id, &request)?,
                    None => open -= 1,
                }
            }
        }
    }
    Ok(())
}

fn expect_ok(head: &DecodedHead<'_>) -> Result<(), BenchFault> {
    if head.is_success() {
        Ok(())
    } else {
        Err(BenchFault::Server(format!(
            "expected a success, received status {}",
            head.status
        )))
    }
}

/// Whether messages follow, after the head of a response that streams.
fn expect_stream(head: &DecodedHead<'_>) -> Result<bool, BenchFault> {
    let follows = head.is_success() || head.status == 101;
    if !follows {
        expect_ok(head)?;
    }
    Ok(follows)
}
