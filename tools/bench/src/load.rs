//! The load: readers and writers on raw sockets in one thread, on one core, and every message checked by every reader.
//!
//! Writers append, each its own numbers to each stream. A reader follows one stream, by one technique, and knows the number that has to
//! come next of each writer.

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

/// Nothing may take longer than this to come, unless said otherwise.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// Connections that create streams.
const CREATORS: usize = 16;

/// What is read, and by whom.
#[derive(Debug, Clone)]
pub(crate) struct LoadOptions {
    pub(crate) technique: BenchTechnique,
    /// How many streams; reader number `r` follows stream `r` modulo that.
    pub(crate) streams: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Connections that append at most.
    pub(crate) writers: usize,
    /// How often a poll's reader asks; zero: as soon as it is answered.
    pub(crate) poll_every: Duration,
    /// Whether it is of interest when messages come.
    pub(crate) timed: bool,
    /// Nothing may take longer than this to come.
    pub(crate) silence_max: Duration,
}

impl LoadOptions {
    /// One stream; polls that are answered ask again.
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

/// Connections, and what came over them.
#[derive(Debug)]
pub(crate) struct Load<'a> {
    target: &'a dyn BenchTarget,
    options: LoadOptions,
    connections: LoadConnections,
    /// By number of connection.
    roles: Vec<ConnectionRole>,
    readers: Vec<LoadReader>,
    writers: Vec<LoadWriter>,
    /// Writers that wait for work.
    idle: Vec<usize>,
    /// Polls by the time when they are due, in microseconds.
    polls: VecDeque<(u64, usize)>,
    /// Messages by stream and writer.
    written: Vec<Vec<u64>>,
    /// Stream of the next append.
    next_stream: usize,
    begun: Instant,
    pub(crate) counts: LoadCounts,
}

/// Who is at a connection's near end.
#[derive(Debug, Clone, Copy)]
enum ConnectionRole {
    Reader(usize),
    Writer(usize),
}

/// What was counted since the last [`Load::reset_counts`].
#[derive(Debug)]
pub(crate) struct LoadCounts {
    /// Messages that came, each counted for each reader.
    pub(crate) delivered: u64,
    /// Messages that have to come.
    pub(crate) expected: u64,
    /// Bytes that readers received, heads and framing included.
    pub(crate) received: u64,
    /// Answers to polls and long-polls.
    pub(crate) responses: u64,
    /// Appended and acknowledged messages.
    pub(crate) appended: u64,
    /// From when a message was due to when a reader had it.
    pub(crate) latencies: Latencies,
    /// From when an append was due to its acknowledgement.
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

    /// Time counts from now on.
    pub(crate) fn start_timer(&mut self) {
        self.since = Instant::now();
        self.last = self.since;
    }

    /// Seconds from the beginning of the count to the last delivery or acknowledgement.
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

    /// Counts from zero; everything that was expected has to have come.
    pub(crate) fn reset_counts(&mut self) {
        self.counts = LoadCounts::new();
    }

    /// Leaves all connections; what was written is still owed to readers to come, from the beginning on.
    ///
    /// # Errors
    /// What the system says.
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

    /// Takes part in what happens for at most `timeout`.
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

    /// Waits until everything that was sent is acknowledged and everything that was acknowledged has come to every reader, or until
    /// nothing comes for a while; then says what is wrong.
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

/// Sends requests over a few connections and expects a success for each.
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
                "{open} requests were not answered within {SILENCE_MAX:?}"
            )));
        }
        for at in 0..count {
            let (id, mut answered) = (connections.ready(at), false);
            connections.read(id, &mut |part| {
                match part {
                    ContentPart::Head(head) => expect_ok(&head)?,
                    ContentPart::End => answered = true,
                    _ => {}
                }
                Ok(())
            })?;
            if answered {
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
            "expected a success, came {}",
            head.status
        )))
    }
}
