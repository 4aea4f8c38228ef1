//! The marks of a trace: requests, chunks, events, waits, changes and faults.
//!
//! All times are milliseconds on the client's monotonic clock (`performance.now()`).

use super::ring::JoinedRun;
use tailwater_protocol::Technique;

/// One request (for WebSocket: one connection), from its sending to the end of its response.
#[derive(Debug, Clone, PartialEq)]
pub struct RequestMark {
    /// The follower's number of the request.
    pub id: u64,
    /// The technique of the request; catching up is `Poll` in every lane.
    pub technique: Technique,
    /// When it was sent.
    pub sent_ms: f64,
    /// When the head of the response arrived.
    pub head_ms: Option<f64>,
    /// When the latest chunk of the response arrived.
    pub last_chunk_ms: Option<f64>,
    /// When the response ended; `None` while it is open.
    pub end_ms: Option<f64>,
    /// HTTP status of the response; 0 before its head.
    pub status: u16,
    /// Body bytes so far.
    pub bytes: u64,
    /// Whether the response had data; a finished one without is an empty response.
    pub filled: bool,
    /// Whether it ended with a fault.
    pub failed: bool,
}

impl RequestMark {
    /// Whether the request was over at `at_ms`.
    pub fn is_over(&self, at_ms: f64) -> bool {
        self.end_ms.is_some_and(|end| end <= at_ms)
    }

    /// Whether a response of the technique ends after its data, so that an end without data is an empty response.
    pub fn responds_once(&self) -> bool {
        self.technique.repeats_requests()
    }
}

/// Chunks of one response's body that arrived within the same fraction of a pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChunkRun {
    /// The request.
    pub id: u64,
    /// When the first of them arrived.
    pub at_ms: f64,
    /// When the last of them arrived.
    pub last_ms: f64,
    /// Body bytes of all of them.
    pub bytes: u64,
    /// Their number.
    pub count: u32,
}

/// One decoded event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventMark {
    /// The source's number of the event, the same in every lane.
    pub seq: u64,
    /// When it was due, converted from the server's clock to the client's; `None` when unknown.
    pub due_ms: Option<f64>,
    /// When the chunk that completed it arrived.
    pub at_ms: f64,
    /// The request whose response had it.
    pub id: u64,
}

/// Events of one response whose due times, and whose arrivals, are within the same fraction of a pixel.
#[derive(Debug, Clone, PartialEq)]
pub struct EventRun {
    /// The first of them.
    pub first_seq: u64,
    /// The last of them.
    pub last_seq: u64,
    /// Their number.
    pub count: u32,
    /// When the first was due, on the client's clock.
    pub due_ms: Option<f64>,
    /// When the first arrived.
    pub at_ms: f64,
    /// When the last arrived.
    pub last_ms: f64,
    /// The request whose response had them.
    pub id: u64,
}

impl EventRun {
    /// When it is first visible: its due time if that is known and before the arrival, else the arrival.
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

/// A time without a request: the poll interval, or the backoff after a fault.
#[derive(Debug, Clone, PartialEq)]
pub struct WaitMark {
    /// Since when.
    pub since_ms: f64,
    /// Until when: as announced, or until the next request if that was sent earlier.
    pub until_ms: f64,
    /// Whether it is the backoff after a fault.
    pub after_fault: bool,
}

/// The lane's technique changed.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangeMark {
    /// When.
    pub at_ms: f64,
    /// The technique from then on.
    pub to: Technique,
    /// Whether a fault caused it.
    pub forced: bool,
}

/// A fault.
#[derive(Debug, Clone, PartialEq)]
pub struct FaultMark {
    /// When it was noticed.
    pub at_ms: f64,
    /// The follower's message.
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
