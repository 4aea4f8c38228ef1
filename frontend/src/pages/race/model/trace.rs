//! The marks of one lane in the last two minutes, in bounded memory.

mod marks;
mod ring;
#[cfg(test)]
mod tests;

pub use marks::{ChangeMark, ChunkRun, EventMark, EventRun, FaultMark, RequestMark, WaitMark};

use ring::RunRing;
use std::collections::VecDeque;
use tailwater_client::FollowReport;
use tailwater_protocol::Technique;

use crate::lanes::LaneReport;

/// How long marks are kept.
pub const KEEP_MS: f64 = 120_000.0;
/// Requests kept; the oldest is dropped first.
const REQUESTS_MAX: usize = 8_192;
/// Runs of chunks, and of events, kept.
const RUNS_MAX: usize = 16_384;
/// Waits kept: enough for twenty polls a second in two minutes.
const WAITS_MAX: usize = 4_096;
/// Changes of technique, and faults, kept.
const RARE_MAX: usize = 128;
/// A lane's follower has one open request, or two during a change of technique; older ones count as ended.
const OPEN_MAX: usize = 4;
/// Marks within this time are one step.
const STEP_MS: f64 = 0.5;

/// One lane's marks of the last [`KEEP_MS`], in order of time.
///
/// - [`Trace::report`] and [`Trace::event`] add marks; neither allocates, except for the message of a fault.
/// - Chunks and events within the same fraction of a pixel are merged, see [`ChunkRun`] and [`EventRun`].
/// - To pause, clone it: the clone does not change, and can be drawn at any `now` up to that moment.
#[derive(Debug, Clone)]
pub struct Trace {
    requests: VecDeque<RequestMark>,
    chunks: RunRing<ChunkRun>,
    events: RunRing<EventRun>,
    waits: VecDeque<WaitMark>,
    changes: VecDeque<ChangeMark>,
    faults: VecDeque<FaultMark>,
    newest_ms: f64,
}

impl Default for Trace {
    fn default() -> Self {
        Self::new()
    }
}

impl Trace {
    /// An empty trace; all memory for its marks is allocated here.
    pub fn new() -> Self {
        Self {
            requests: VecDeque::with_capacity(REQUESTS_MAX),
            chunks: RunRing::new(RUNS_MAX),
            events: RunRing::new(RUNS_MAX),
            waits: VecDeque::with_capacity(WAITS_MAX),
            changes: VecDeque::with_capacity(RARE_MAX),
            faults: VecDeque::with_capacity(RARE_MAX),
            newest_ms: 0.0,
        }
    }

    /// Adds a report of the lane's follower.
    pub fn report(&mut self, report: &LaneReport) {
        match report {
            FollowReport::Requested {
                id,
                at_ms,
                technique,
            } => self.requested(*id, *at_ms, *technique),
            FollowReport::Responded { id, at_ms, status } => {
                self.touch(*at_ms);
                if let Some(request) = self.request_mut(*id) {
                    request.head_ms = Some(*at_ms);
                    request.status = *status;
                }
            }
            FollowReport::Chunk { id, at_ms, bytes } => self.chunk(*id, *at_ms, *bytes),
            FollowReport::Batch { id, batch, .. } => {
                if let Some(request) = self.request_mut(*id) {
                    request.filled |= batch.bytes > 0;
                }
            }
            FollowReport::Ended { id, at_ms, fault } => {
                self.touch(*at_ms);
                if let Some(request) = self.request_mut(*id) {
                    request.end_ms.get_or_insert(*at_ms);
                    request.failed |= fault.is_some();
                }
                self.fault(*at_ms, fault.as_deref());
            }
            FollowReport::Waiting {
                at_ms,
                for_ms,
                after_fault,
            } => {
                self.touch(*at_ms);
                let wait = WaitMark {
                    since_ms: *at_ms,
                    until_ms: at_ms + for_ms,
                    after_fault: *after_fault,
                };
                push_bounded(&mut self.waits, wait, WAITS_MAX);
            }
            FollowReport::Changed {
                at_ms, to, fault, ..
            } => {
                self.touch(*at_ms);
                let change = ChangeMark {
                    at_ms: *at_ms,
                    to: *to,
                    forced: fault.is_some(),
                };
                push_bounded(&mut self.changes, change, RARE_MAX);
                self.fault(*at_ms, fault.as_deref());
            }
            FollowReport::Finished { at_ms, fault } => {
                self.cut(*at_ms);
                self.fault(*at_ms, fault.as_deref());
            }
        }
    }

    /// Adds one decoded event; the events of a lane are added in the order of their arrival.
    pub fn event(&mut self, mark: EventMark) {
        self.touch(mark.at_ms);
        let at_ms = self
            .newest_event()
            .map_or(mark.at_ms, |before| before.last_ms.max(mark.at_ms));
        self.events.push(
            EventRun::from(EventMark { at_ms, ..mark }),
            self.newest_ms - KEEP_MS,
        );
    }

    /// Ends all open requests: the lane's follower was dropped at `at_ms`.
    pub fn cut(&mut self, at_ms: f64) {
        self.touch(at_ms);
        self.end_wait(at_ms);
        for request in self.requests.iter_mut().rev().take(OPEN_MAX) {
            request.end_ms.get_or_insert(at_ms);
            // Neither an empty response nor a fault, as it was cancelled.
            request.filled = true;
        }
    }

    /// Drops all marks, for another stream.
    pub fn clear(&mut self) {
        self.requests.clear();
        self.chunks.clear();
        self.events.clear();
        self.waits.clear();
        self.changes.clear();
        self.faults.clear();
    }

    /// Requests that were open at some time between the two, in the order in which they were sent.
    pub fn requests(&self, from_ms: f64, to_ms: f64) -> impl Iterator<Item = &RequestMark> {
        let first = self
            .requests
            .partition_point(|request| request.sent_ms < from_ms)
            .saturating_sub(OPEN_MAX);
        self.requests
            .range(first..)
            .take_while(move |request| request.sent_ms <= to_ms)
            .filter(move |request| !request.is_over(from_ms))
    }

    /// Chunks that arrived between the two, in order.
    pub fn chunks(&self, from_ms: f64, to_ms: f64) -> impl Iterator<Item = &ChunkRun> {
        self.chunks
            .since(from_ms)
            .take_while(move |run| run.at_ms <= to_ms)
    }

    /// Events whose time from due to arrival overlaps the time between the two, in the order of arrival.
    pub fn events(&self, from_ms: f64, to_ms: f64) -> impl Iterator<Item = &EventRun> {
        self.events
            .since(from_ms)
            .take_while(move |run| run.starts_ms() <= to_ms)
    }

    /// Waits at some time between the two, in order.
    pub fn waits(&self, from_ms: f64, to_ms: f64) -> impl Iterator<Item = &WaitMark> {
        let first = self.waits.partition_point(|wait| wait.until_ms < from_ms);
        self.waits
            .range(first..)
            .take_while(move |wait| wait.since_ms <= to_ms)
    }

    /// Changes of technique between the two, in order.
    pub fn changes(&self, from_ms: f64, to_ms: f64) -> impl Iterator<Item = &ChangeMark> {
        self.changes
            .iter()
            .filter(move |change| (from_ms..=to_ms).contains(&change.at_ms))
    }

    /// Faults between the two, in order.
    pub fn faults(&self, from_ms: f64, to_ms: f64) -> impl Iterator<Item = &FaultMark> {
        self.faults
            .iter()
            .filter(move |fault| (from_ms..=to_ms).contains(&fault.at_ms))
    }

    /// The latest event that arrived.
    pub fn newest_event(&self) -> Option<&EventRun> {
        self.events.runs().back()
    }

    /// The time of the newest mark; 0 when there is none.
    pub fn newest_ms(&self) -> f64 {
        self.newest_ms
    }

    /// The number of marks.
    pub fn len(&self) -> usize {
        let rings = self.chunks.runs().len() + self.events.runs().len();
        rings + self.requests.len() + self.waits.len() + self.changes.len() + self.faults.len()
    }

    /// Whether there are no marks.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first mark after `after_ms`: the sending of a request, a head, end, arrival, due time, end of a wait or change.
    pub fn next_mark(&self, after_ms: f64) -> Option<f64> {
        self.instants()
            .filter(|at| *at > after_ms + STEP_MS)
            .min_by(f64::total_cmp)
    }

    /// The last mark before `before_ms`.
    pub fn previous_mark(&self, before_ms: f64) -> Option<f64> {
        self.instants()
            .filter(|at| *at < before_ms - STEP_MS)
            .max_by(f64::total_cmp)
    }

    /// Boxed, so that it is compiled once for both directions.
    fn instants(&self) -> Box<dyn Iterator<Item = f64> + '_> {
        let requests = self
            .requests
            .iter()
            .flat_map(|r| [Some(r.sent_ms), r.head_ms, r.end_ms].into_iter().flatten());
        let chunks = self.chunks.runs().iter().map(|run| run.at_ms);
        let events = self
            .events
            .runs()
            .iter()
            .flat_map(|run| [Some(run.at_ms), run.due_ms].into_iter().flatten());
        let waits = self
            .waits
            .iter()
            .map(|wait| wait.until_ms)
            .filter(|until| *until <= self.newest_ms);
        let changes = self.changes.iter().map(|change| change.at_ms);
        Box::new(
            requests
                .chain(chunks)
                .chain(events)
                .chain(waits)
                .chain(changes),
        )
    }

    fn requested(&mut self, id: u64, at_ms: f64, technique: Technique) {
        self.touch(at_ms);
        self.end_wait(at_ms);
        while self
            .requests
            .front()
            .is_some_and(|oldest| oldest.is_over(self.newest_ms - KEEP_MS))
        {
            self.requests.pop_front();
        }
        if let Some(oldest) = self.requests.iter_mut().rev().nth(OPEN_MAX - 1) {
            oldest.end_ms.get_or_insert(at_ms);
        }
        let request = RequestMark {
            id,
            technique,
            sent_ms: at_ms,
            head_ms: None,
            last_chunk_ms: None,
            end_ms: None,
            status: 0,
            bytes: 0,
            filled: false,
            failed: false,
        };
        push_bounded(&mut self.requests, request, REQUESTS_MAX);
    }

    fn chunk(&mut self, id: u64, at_ms: f64, bytes: usize) {
        self.touch(at_ms);
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        if let Some(request) = self.request_mut(id) {
            request.bytes += bytes;
            request.last_chunk_ms = Some(at_ms);
        }
        let at_ms = self
            .chunks
            .runs()
            .back()
            .map_or(at_ms, |before| before.last_ms.max(at_ms));
        self.chunks.push(
            ChunkRun {
                id,
                at_ms,
                last_ms: at_ms,
                bytes,
                count: 1,
            },
            self.newest_ms - KEEP_MS,
        );
    }

    fn fault(&mut self, at_ms: f64, what: Option<&str>) {
        if let Some(what) = what {
            push_bounded(
                &mut self.faults,
                FaultMark {
                    at_ms,
                    what: what.to_owned(),
                },
                RARE_MAX,
            );
        }
    }

    fn end_wait(&mut self, at_ms: f64) {
        if let Some(wait) = self.waits.back_mut() {
            wait.until_ms = wait.until_ms.min(at_ms).max(wait.since_ms);
        }
    }

    fn request_mut(&mut self, id: u64) -> Option<&mut RequestMark> {
        self.requests
            .iter_mut()
            .rev()
            .take(OPEN_MAX)
            .find(|request| request.id == id)
    }

    fn touch(&mut self, at_ms: f64) {
        self.newest_ms = self.newest_ms.max(at_ms);
    }
}

/// The nearest mark after `now_ms` in any of the lanes, for a step forward while paused.
pub fn step_forward<'a>(traces: impl IntoIterator<Item = &'a Trace>, now_ms: f64) -> Option<f64> {
    traces
        .into_iter()
        .filter_map(|trace| trace.next_mark(now_ms))
        .min_by(f64::total_cmp)
}

/// The nearest mark before `now_ms` in any of the lanes, for a step back while paused.
pub fn step_back<'a>(traces: impl IntoIterator<Item = &'a Trace>, now_ms: f64) -> Option<f64> {
    traces
        .into_iter()
        .filter_map(|trace| trace.previous_mark(now_ms))
        .max_by(f64::total_cmp)
}

fn push_bounded<T>(marks: &mut VecDeque<T>, mark: T, most: usize) {
    if marks.len() == most {
        marks.pop_front();
    }
    marks.push_back(mark);
}
