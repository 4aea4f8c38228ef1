//! One lane: the state that results from a follower's reports.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use tailwater_client::FollowReport;
use tailwater_lab::{Latencies, ascending};
use tailwater_protocol::lab::LaneCounts;
use tailwater_protocol::{Technique, Token};

use super::client_costs::ClientCosts;
use super::clock::ClockMapping;
use super::meter::RelayMeter;
use super::order::{FirstArrivals, MessageArrival, Order};
use super::ring::Ring;
use super::tally::{Discarded, LaneTally};
use super::trace::EventMark;
use crate::lanes::pieces::{CutMessage, MessageStamps};
use crate::lanes::{CutBatch, LaneReport};

/// Samples of each lane that are kept for the export and for dots.
pub const SAMPLES_MAX: usize = 2_000;
/// The most re-arm gaps that are kept.
const GAPS_MAX: usize = 255;
/// Time after catching up in which a lane is not measured, as connections and code are not warm yet.
pub const WARM_UP_MS: f64 = 1_000.0;

/// The phase of a lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LanePhase {
    /// Switched off.
    Off,
    /// There was no response yet.
    Connecting,
    /// Reading messages that had been written before.
    CatchingUp,
    /// At the tail.
    Live,
    /// Waiting for the next attempt after a fault.
    Retrying,
    /// The stream is closed, and all of it has been read.
    Ended,
    /// The stream can't be read.
    Failed,
}

/// One event with its latency, for the export.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LatencySample {
    /// The source's number, or the position in the stream if it has none.
    pub seq: u64,
    /// When it was due on the page's clock, ms; `None` without stamps.
    pub due_ms: Option<f64>,
    /// When it arrived on the page's clock, ms.
    pub at_ms: f64,
    /// Time from due to arrival, or after the arrival in the first lane if it has no stamps; ms.
    pub late_ms: f64,
}

/// The conditions of a measurement.
#[derive(Debug, Clone, Copy, Default)]
pub struct Conditions {
    /// How the server's clock maps to the page's, once it is known.
    pub clock: Option<ClockMapping>,
    /// Whether the tab is hidden now.
    pub hidden: bool,
    /// Events that were due before this time do not count, ms on the page's clock.
    pub measured_from_ms: f64,
    /// When the run began, ms on the page's clock.
    pub run_from_ms: f64,
}

#[derive(Debug, Clone, Copy)]
struct OpenRequest {
    id: u64,
    technique: Technique,
    has_data: bool,
    counted_empty: bool,
    failed: bool,
    sent_ms: f64,
    last_byte_ms: f64,
}

/// One lane of the race.
#[derive(Debug, Clone)]
pub struct LaneModel {
    /// The technique that the lane is for.
    pub technique: Technique,
    /// The technique in use, which differs after a fallback.
    pub following: Technique,
    /// Its phase.
    pub phase: LanePhase,
    /// The message of the last fault.
    pub fault: Option<String>,
    /// Counts of this run.
    pub tally: LaneTally,
    /// Position in the stream, lost and repeated messages.
    pub order: Order,
    /// Discarded samples.
    pub discarded: Discarded,
    /// Times from due to arrival.
    pub latency: Latencies,
    /// Times after the first lane, of messages without stamps.
    pub behind: Latencies,
    /// The last samples.
    pub samples: Ring<LatencySample>,
    /// The position to continue from.
    pub token: Option<Token>,
    /// Whether the server removed events of this run before the lane read them.
    pub fell_behind: bool,
    /// The time that the browser itself takes.
    pub client: ClientCosts,
    /// Number of bytes of an unfinished line.
    pub unfinished_bytes: usize,
    preview: String,
    /// The status of the last response.
    status: u16,
    gaps: Ring<f64>,
    exchanges: VecDeque<OpenRequest>,
    caught_up_ms: Option<f64>,
    before: u64,
    meter: RelayMeter,
}

impl LaneModel {
    /// A lane that is off.
    pub fn new(technique: Technique) -> Self {
        Self {
            technique,
            following: technique,
            phase: LanePhase::Off,
            fault: None,
            tally: LaneTally::default(),
            order: Order::default(),
            discarded: Discarded::default(),
            latency: Latencies::default(),
            behind: Latencies::default(),
            samples: Ring::new(SAMPLES_MAX),
            token: None,
            fell_behind: false,
            client: ClientCosts::default(),
            unfinished_bytes: 0,
            preview: String::new(),
            status: 0,
            gaps: Ring::new(GAPS_MAX),
            exchanges: VecDeque::new(),
            caught_up_ms: None,
            before: 0,
            meter: RelayMeter::default(),
        }
    }

    /// Starts following at `token`, which is `position` messages after the common start.
    pub fn start(&mut self, token: Token, position: u64) {
        self.following = self.technique;
        self.phase = LanePhase::Connecting;
        self.fault = None;
        self.order.jump(position);
        self.token = Some(token);
        self.unfinished_bytes = 0;
        self.exchanges.clear();
        self.caught_up_ms = None;
    }

    /// Restarts at `token`, which is `position` messages after the common start, because the server has removed the messages
    /// before it. They count as lost.
    pub fn skip_to(&mut self, token: Token, position: u64) {
        self.order.lost += position.saturating_sub(self.order.position);
        self.fell_behind = true;
        self.start(token, position);
    }

    /// Marks the lane as live if its first request is a long-poll that was sent before `before_ms` and is still open.
    pub fn settle(&mut self, before_ms: f64) {
        let held = self.exchanges.back().filter(|request| {
            request.technique == Technique::LongPoll
                && request.last_byte_ms == 0.0
                && request.sent_ms < before_ms
        });
        if let Some(held) = held.filter(|_| self.phase == LanePhase::Connecting) {
            self.caught_up_ms = Some(held.sent_ms);
            self.phase = LanePhase::Live;
        }
    }

    /// Whether the lane failed because the server has removed its next messages (410).
    pub fn is_left_behind(&self) -> bool {
        self.phase == LanePhase::Failed && self.status == 410
    }

    /// The position to continue from, as a token and in messages after the common start.
    pub fn place(&self) -> Option<(Token, u64)> {
        Some((self.token.clone()?, self.order.position))
    }

    /// Stops following; the counts are kept.
    pub fn stop(&mut self) {
        self.phase = LanePhase::Off;
        self.fault = None;
        self.exchanges.clear();
    }

    /// Restarts measuring, while following continues.
    pub fn begin_run(&mut self) {
        self.tally = LaneTally::default();
        self.order.lost = 0;
        self.order.repeated = 0;
        self.discarded = Discarded::default();
        self.latency = Latencies::default();
        self.behind = Latencies::default();
        self.samples.clear();
        self.gaps.clear();
        self.client = ClientCosts::default();
        self.fell_behind = false;
        self.before = 0;
        self.meter = RelayMeter::default();
    }

    /// Processes one report, and calls `mark` for each event in it, in order.
    pub fn report(
        &mut self,
        report: &LaneReport,
        first_arrivals: &mut FirstArrivals,
        given: Conditions,
        mark: impl FnMut(EventMark, Option<MessageStamps>),
    ) {
        match report {
            FollowReport::Requested {
                id,
                at_ms,
                technique,
            } => self.requested(*id, *at_ms, *technique),
            FollowReport::Responded { status, .. } => {
                self.status = *status;
                self.reached();
            }
            FollowReport::Chunk { id, at_ms, bytes } => {
                self.tally.chunks += 1;
                self.tally.body_bytes += *bytes as u64;
                if let Some(exchange) = self.exchange(*id) {
                    exchange.last_byte_ms = *at_ms;
                }
            }
            FollowReport::Batch { id, at_ms, batch } => {
                self.batch(*id, *at_ms, batch, first_arrivals, given, mark);
            }
            FollowReport::Ended { id, at_ms, fault } => self.ended(*id, *at_ms, fault.as_deref()),
            FollowReport::Waiting { after_fault, .. } => {
                if *after_fault {
                    self.phase = LanePhase::Retrying;
                }
            }
            FollowReport::Changed { to, fault, .. } => {
                self.following = *to;
                self.fault = fault.clone();
            }
            FollowReport::Finished { fault, .. } => {
                self.phase = if fault.is_some() {
                    LanePhase::Failed
                } else {
                    LanePhase::Ended
                };
                self.fault = fault.clone();
            }
        }
    }

    fn requested(&mut self, id: u64, at_ms: f64, technique: Technique) {
        // A live lane first reads the existing messages with requests of another technique.
        if technique == self.following {
            self.tally.requests += 1;
        } else {
            self.tally.catch_up_requests += 1;
        }
        let former = self
            .exchanges
            .back()
            .filter(|former| former.technique == technique);
        // A pause after a fault is no re-arm gap.
        if let Some(former) = former.filter(|former| former.last_byte_ms > 0.0 && !former.failed) {
            self.gaps.push(at_ms - former.last_byte_ms);
        }
        if self.exchanges.len() == 4 {
            self.exchanges.pop_front();
        }
        self.exchanges.push_back(OpenRequest {
            id,
            technique,
            has_data: false,
            counted_empty: false,
            failed: false,
            sent_ms: at_ms,
            last_byte_ms: 0.0,
        });
    }

    fn exchange(&mut self, id: u64) -> Option<&mut OpenRequest> {
        self.exchanges
            .iter_mut()
            .rev()
            .find(|exchange| exchange.id == id)
    }

    /// Notes a response of the server.
    fn reached(&mut self) {
        self.phase = match self.caught_up_ms {
            Some(_) => LanePhase::Live,
            None => LanePhase::CatchingUp,
        };
    }

    fn batch(
        &mut self,
        id: u64,
        at_ms: f64,
        batch: &CutBatch,
        first_arrivals: &mut FirstArrivals,
        given: Conditions,
        mut mark: impl FnMut(EventMark, Option<MessageStamps>),
    ) {
        self.reached();
        self.fault = None;
        if batch.bytes > 0 {
            self.note_data(id);
        }
        for message in &batch.messages {
            self.message(id, at_ms, message, first_arrivals, given, &mut mark);
        }
        if !batch.messages.is_empty() {
            self.preview.clone_from(&batch.preview);
        }
        self.unfinished_bytes = batch.unfinished_bytes;
        self.token = Some(batch.next.clone());
        if batch.up_to_date && self.caught_up_ms.is_none() {
            self.caught_up_ms = Some(at_ms);
            self.phase = LanePhase::Live;
        }
    }

    /// Corrects the count of empty responses if the batch of a response is reported after its end.
    fn note_data(&mut self, id: u64) {
        let Some(exchange) = self.exchange(id) else {
            return;
        };
        exchange.has_data = true;
        if std::mem::take(&mut exchange.counted_empty) {
            self.tally.empty = self.tally.empty.saturating_sub(1);
        }
    }

    fn message(
        &mut self,
        id: u64,
        at_ms: f64,
        message: &CutMessage,
        first_arrivals: &mut FirstArrivals,
        given: Conditions,
        mark: &mut impl FnMut(EventMark, Option<MessageStamps>),
    ) {
        let arrival =
            first_arrivals.arrive(&mut self.order, message, at_ms, self.caught_up_ms.is_some());
        if arrival.repeated {
            return;
        }
        self.tally.events += 1;
        self.before += u64::from(self.caught_up_ms.is_none());
        self.tally.payload_bytes += message.bytes as u64;
        let due_ms = message
            .stamps
            .and_then(|stamps| Some(given.clock?.to_page_ms(stamps.due_us)));
        let seq = message
            .stamps
            .and_then(|stamps| stamps.seq)
            .unwrap_or(arrival.position);
        mark(
            EventMark {
                seq,
                due_ms,
                at_ms,
                id,
            },
            message.stamps,
        );
        if message.stamps.is_none() || due_ms.is_some() {
            self.sample(seq, due_ms, at_ms, arrival, given);
        }
    }

    fn sample(
        &mut self,
        seq: u64,
        due_ms: Option<f64>,
        at_ms: f64,
        arrival: MessageArrival,
        given: Conditions,
    ) {
        let Some(caught_up_ms) = self.caught_up_ms else {
            self.discarded.catch_up += 1;
            return;
        };
        let Some(late_ms) = due_ms.map_or(arrival.behind_ms, |due_ms| Some(at_ms - due_ms)) else {
            return;
        };
        let began_ms = at_ms - late_ms;
        if began_ms < given.run_from_ms {
            self.discarded.before_run += 1;
            return;
        }
        if given.hidden || began_ms < given.measured_from_ms {
            self.discarded.hidden += 1;
            return;
        }
        if began_ms < caught_up_ms + WARM_UP_MS {
            self.discarded.warm_up += 1;
            return;
        }
        let measure = if due_ms.is_some() {
            &mut self.latency
        } else {
            &mut self.behind
        };
        measure.record_us(late_ms * 1_000.0);
        self.samples.push(LatencySample {
            seq,
            due_ms,
            at_ms,
            late_ms,
        });
    }

    fn ended(&mut self, id: u64, at_ms: f64, fault: Option<&str>) {
        let following = self.following;
        if let Some(fault) = fault {
            self.tally.faults += 1;
            self.fault = Some(fault.to_owned());
            self.phase = LanePhase::Retrying;
        }
        let Some(exchange) = self.exchange(id) else {
            return;
        };
        exchange.last_byte_ms = at_ms;
        exchange.failed = fault.is_some();
        if fault.is_none()
            && exchange.technique.repeats_requests()
            && exchange.technique == following
            && !exchange.has_data
        {
            exchange.counted_empty = true;
            self.tally.empty += 1;
        }
    }

    /// Median time from the end of a response to the sending of the next request, ms; `None` without a sample.
    pub fn rearm_ms(&self) -> Option<f64> {
        let gaps = ascending(self.gaps.iter().copied());
        gaps.get(gaps.len() / 2).copied()
    }

    /// Updates the relay's counts of this lane.
    pub fn counted(&mut self, counts: LaneCounts) {
        self.meter.counted(counts, self.tally.events);
    }

    /// Bytes since the run began.
    pub fn meter(&self) -> &RelayMeter {
        &self.meter
    }

    /// Messages of this run that had been written before the lane started.
    pub fn before(&self) -> u64 {
        self.before
    }

    /// The beginning of the last message.
    pub fn preview(&self) -> &str {
        &self.preview
    }
}
