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
use crate::decode::ContentPart;
use crate::lines::Lines;
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
pub(crate) struct LoadTerms {
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

impl LoadTerms {
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
    terms: LoadTerms,
    lines: Lines,
    /// By number of connection.
    ends: Vec<LoadEnd>,
    readers: Vec<LoadReader>,
    writers: Vec<LoadWriter>,
    /// Writers that wait for work.
    idle: Vec<usize>,
    /// Polls by the time when they are due, in microseconds.
    polls: VecDeque<(u64, usize)>,
    /// Messages by stream and writer.
    written: Vec<Vec<u64>>,
    /// Stream of the next append.
    turn: usize,
    begun: Instant,
    pub(crate) tally: LoadTally,
}

/// Who is at a connection's near end.
#[derive(Debug, Clone, Copy)]
enum LoadEnd {
    Reader(usize),
    Writer(usize),
}

/// What was counted since the last [`Load::tally_anew`].
#[derive(Debug)]
pub(crate) struct LoadTally {
    /// Messages that came, each counted for each reader.
    pub(crate) delivered: u64,
    /// Messages that have to come.
    pub(crate) expected: u64,
    /// Bytes that readers received, heads and framing included.
    pub(crate) received: u64,
    /// Answers to polls and long-polls.
    pub(crate) answers: u64,
    /// Appended and acknowledged messages.
    pub(crate) appended: u64,
    /// From when a message was due to when a reader had it.
    pub(crate) latencies: Latencies,
    /// From when an append was due to its acknowledgement.
    pub(crate) acknowledged: Latencies,
    since: Instant,
    last: Instant,
}

impl LoadTally {
    fn new() -> Self {
        Self {
            delivered: 0,
            expected: 0,
            received: 0,
            answers: 0,
            appended: 0,
            latencies: Latencies::new(),
            acknowledged: Latencies::new(),
            since: Instant::now(),
            last: Instant::now(),
        }
    }

    /// Time counts from now on.
    pub(crate) fn starts(&mut self) {
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
        terms: LoadTerms,
    ) -> Result<Self, BenchFault> {
        let mut load = Self {
            target,
            lines: Lines::new(address)?,
            ends: Vec::new(),
            readers: Vec::new(),
            writers: Vec::new(),
            idle: Vec::new(),
            polls: VecDeque::new(),
            written: vec![Vec::new(); terms.streams],
            turn: 0,
            begun: Instant::now(),
            tally: LoadTally::new(),
            terms,
        };
        load.create(address)?;
        Ok(load)
    }

    /// Counts from zero; everything that was expected has to have come.
    pub(crate) fn tally_anew(&mut self) {
        self.tally = LoadTally::new();
    }

    /// Leaves all connections; what was written is still owed to readers to come, from the beginning on.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn leaves_for(&mut self, address: SocketAddr) -> Result<(), BenchFault> {
        self.lines = Lines::new(address)?;
        self.ends.clear();
        self.readers.clear();
        self.writers.clear();
        self.idle.clear();
        self.polls.clear();
        Ok(())
    }

    fn create(&mut self, address: SocketAddr) -> Result<(), BenchFault> {
        let names = (0..self.terms.streams).map(stream);
        let requests = names.filter_map(|name| self.target.create(&name, self.terms.technique));
        ask_all(address, requests.collect())
    }

    fn now(&self) -> u64 {
        micros(self.begun.elapsed())
    }

    /// Takes part in what happens for at most `timeout`.
    fn turn(&mut self, timeout: Duration) -> Result<usize, BenchFault> {
        let count = self.lines.wait(timeout)?;
        for at in 0..count {
            let id = self.lines.ready(at);
            match self.ends[id] {
                LoadEnd::Reader(reader) => self.reader_has(reader)?,
                LoadEnd::Writer(writer) => self.writer_has(writer)?,
            }
        }
        Ok(count)
    }

    /// Waits until everything that was sent is acknowledged and everything that was acknowledged has come to every reader, or until
    /// nothing comes for a while; then says what is wrong.
    ///
    /// # Errors
    /// [`BenchFault::Lost`] when a message was lost, repeated, reordered or damaged.
    pub(crate) fn settles(&mut self) -> Result<(), BenchFault> {
        let mut heard = Instant::now();
        while self.tally.delivered < self.tally.expected || self.idle.len() < self.writers.len() {
            let due = self.polls_due()?;
            let before = (self.tally.delivered, self.idle.len());
            self.turn(due.min(Duration::from_millis(100)))?;
            if (self.tally.delivered, self.idle.len()) != before {
                heard = Instant::now();
            } else if heard.elapsed() > self.terms.silence_max {
                break;
            }
        }
        self.judge()
    }

    fn judge(&self) -> Result<(), BenchFault> {
        let (mut lost, mut again, mut damaged) = (0, 0, 0);
        for reader in &self.readers {
            lost += reader.seen.missing(&self.written[reader.stream]);
            again += reader.seen.again;
            damaged += reader.seen.damaged;
        }
        let waiting = self.writers.len() - self.idle.len();
        if lost + again + damaged == 0 && waiting == 0 {
            return Ok(());
        }
        Err(BenchFault::Lost {
            deliveries: self.tally.expected,
            lost,
            again,
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
fn ask_all(address: SocketAddr, mut requests: Vec<Vec<u8>>) -> Result<(), BenchFault> {
    let mut lines = Lines::new(address)?;
    let mut open = 0;
    for request in requests.split_off(requests.len().saturating_sub(CREATORS)) {
        let id = lines.open()?;
        lines.send(id, &request)?;
        open += 1;
    }
    while open > 0 {
        let count = lines.wait(SILENCE_MAX)?;
        if count == 0 {
            return Err(BenchFault::Server(format!(
                "{open} requests were not answered within {SILENCE_MAX:?}"
            )));
        }
        for at in 0..count {
            let (id, mut answered) = (lines.ready(at), false);
            lines.read(id, &mut |part| {
                match part {
                    ContentPart::Head(head) => expect_ok(&head)?,
                    ContentPart::End => answered = true,
                    _ => {}
                }
                Ok(())
            })?;
            if answered {
                match requests.pop() {
                    Some(request) => lines.send(id, &request)?,
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

/// Whether messages follow, after the head of a response that streams.
fn expect_stream(head: &DecodedHead<'_>) -> Result<bool, BenchFault> {
    let follows = head.is_success() || head.status == 101;
    if !follows {
        expect_ok(head)?;
    }
    Ok(follows)
}
