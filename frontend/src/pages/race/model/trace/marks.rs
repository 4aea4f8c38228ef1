//! What a trace keeps of requests, chunks, events, waits, changes and faults.
//!
//! All times are milliseconds on the client's monotonic clock (`performance.now()`).

use super::ring::JoinedRun;
use tailwater_protocol::Technique;

/// One request (for WebSocket: one connection), from its sending to the end of its answer.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestMark {
    /// The follower's count of requests.
    pub id: u64,
    /// What the request served; catching up is `Poll` in every lane.
    pub technique: Technique,
    /// When it left.
    pub sent_ms: f64,
    /// When the answer's head arrived.
    pub head_ms: Option<f64>,
    /// When the answer's last piece arrived, as far as it has.
    pub last_chunk_ms: Option<f64>,
    /// When the answer ended; `None` while it is open.
    pub end_ms: Option<f64>,
    /// HTTP status of the answer; 0 before its head.
    pub status: u16,
    /// Body bytes so far.
    pub bytes: u64,
    /// Whether any data came with it; a finished request without is an empty answer.
    pub filled: bool,
    /// Whether it ended otherwise than it should.
    pub failed: bool,
}

impl RequestMark {
    /// Whether the request was over at `at_ms`.
    pub fn is_over(&self, at_ms: f64) -> bool {
        self.end_ms.is_some_and(|end| end <= at_ms)
    }

    /// Whether the technique answers once and ends, so that an end without data is an empty answer.
    pub fn answers_once(&self) -> bool {
        matches!(self.technique, Technique::Poll | Technique::LongPoll)
    }
}

/// Pieces of one answer's body that arrived within the same fraction of a pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRun {
    /// Of which request.
    pub id: u64,
    /// When the first of them arrived.
    pub at_ms: f64,
    /// When the last of them arrived.
    pub last_ms: f64,
    /// Body bytes of all of them.
    pub bytes: u64,
    /// How many there are.
    pub count: u32,
}

/// One decoded event, as the page tells it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventMark {
    /// The source's count, the same in every lane.
    pub seq: u64,
    /// When it was due, converted from the server's clock to the client's; `None` when unknown.
    pub due_ms: Option<f64>,
    /// When the piece that completed it arrived.
    pub at_ms: f64,
    /// The request that carried it.
    pub id: u64,
}

/// Events of one answer whose due times and arrivals each lie within the same fraction of a pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRun {
    /// The first of them.
    pub first_seq: u64,
    /// The last of them.
    pub last_seq: u64,
    /// How many there are.
    pub count: u32,
    /// When the first was due, on the client's clock.
    pub due_ms: Option<f64>,
    /// When the first arrived.
    pub at_ms: f64,
    /// When the last arrived.
    pub last_ms: f64,
    /// The request that carried them.
    pub id: u64,
}

impl EventRun {
    /// When it is first to be seen: its due time where that is known and lies before its arrival, else the arrival.
    pub fn starts_ms(&self) -> f64 {
        self.due_ms.unwrap_or(self.at_ms).min(self.at_ms)
    }
}

impl From<EventMark> for EventRun {
    fn from(mark: EventMark) -> Self {
        Self {
            first_seq: mark.seq,
            last_seq: mark.seq,
            count: 1,
            due_ms: mark.due_ms,
            at_ms: mark.at_ms,
            last_ms: mark.at_ms,
            id: mark.id,
        }
    }
}

/// A time in which nothing is under way: the poll interval, or a pause after a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitMark {
    /// Since when.
    pub since_ms: f64,
    /// Until when: as announced, or the next request if that left earlier.
    pub until_ms: f64,
    /// Whether it is a pause after a fault.
    pub after_fault: bool,
}

/// The lane's technique changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeMark {
    /// When.
    pub at_ms: f64,
    /// The technique from then on.
    pub to: Technique,
    /// Whether a fault forced it.
    pub forced: bool,
}

/// Something went wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultMark {
    /// When it was noticed.
    pub at_ms: f64,
    /// In words, as the follower reported it.
    pub what: String,
}

impl JoinedRun for ChunkRun {
    fn last_ms(&self) -> f64 {
        self.last_ms
    }

    fn absorb(&mut self, next: &Self, grain_ms: f64) -> bool {
        let joins = self.id == next.id && next.last_ms - self.at_ms <= grain_ms;
        if joins {
            self.last_ms = next.last_ms;
            self.bytes += next.bytes;
            self.count += next.count;
        }
        joins
    }
}

impl JoinedRun for EventRun {
    fn last_ms(&self) -> f64 {
        self.last_ms
    }

    fn absorb(&mut self, next: &Self, grain_ms: f64) -> bool {
        let dues_join = match (self.due_ms, next.due_ms) {
            (Some(first), Some(second)) => (second - first).abs() <= grain_ms,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        let joins = dues_join && self.id == next.id && next.last_ms - self.at_ms <= grain_ms;
        if joins {
            self.last_ms = next.last_ms;
            self.last_seq = next.last_seq;
            self.count += next.count;
        }
        joins
    }
}
