//! One lane of a race in figures.

use tailwater_lab::Verdict;
use tailwater_protocol::Technique;
use tailwater_protocol::lab::LaneCounts;

use super::lane::LanePhase;
use super::tally::Discarded;

/// From when an event's lateness is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Measure {
    /// From its due time, which is in its stamps.
    #[default]
    FromDue,
    /// From its arrival in the first lane, as it has no stamps.
    BehindFirst,
}

/// One lane in figures.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneSummary {
    /// The technique that the lane is for.
    pub technique: Technique,
    /// The technique in use.
    pub following: Technique,
    /// Its phase.
    pub phase: LanePhase,
    /// The last fault.
    pub fault: Option<String>,
    /// From when lateness is counted.
    pub measure: Measure,
    /// Number of samples of the percentiles.
    pub samples: u64,
    /// Median, ms; from 4 samples.
    pub p50_ms: Option<f64>,
    /// The error of the median, ms: half its 95 % confidence interval plus the mean time that the browser itself takes.
    pub p50_error_ms: f64,
    /// 90th percentile, ms; from 20 samples.
    pub p90_ms: Option<f64>,
    /// 99th percentile, ms; from 200 samples.
    pub p99_ms: Option<f64>,
    /// Mean, ms.
    pub mean_ms: Option<f64>,
    /// Least, ms.
    pub min_ms: Option<f64>,
    /// Most, ms.
    pub max_ms: Option<f64>,
    /// Messages that arrived.
    pub events: u64,
    /// Of those, written before the lane began.
    pub before: u64,
    /// Messages that never arrived.
    pub lost: u64,
    /// Messages that arrived again.
    pub repeated: u64,
    /// Requests of the lane's technique.
    pub requests: u64,
    /// Requests for messages that had been written before.
    pub catch_up_requests: u64,
    /// Empty responses.
    pub empty: u64,
    /// Responses that ended with a fault.
    pub faults: u64,
    /// Payload bytes of the messages.
    pub payload_bytes: u64,
    /// Body bytes that the page received.
    pub body_bytes: u64,
    /// Bytes in both directions per event, counted by the relay, without `cross_origin_per_event`.
    pub bytes_per_event: Option<f64>,
    /// Bytes per event that are sent only because the lane has its own port.
    pub cross_origin_per_event: Option<f64>,
    /// Events that arrived while bytes were counted.
    pub counted_events: Option<u64>,
    /// The relay's counts.
    pub counts: Option<LaneCounts>,
    /// Median time from the end of a response to the next request, ms.
    pub rearm_ms: Option<f64>,
    /// Mean time that the browser itself takes to send a request, ms.
    pub client_up_ms: f64,
    /// Mean time that the browser itself takes to deliver a response, a chunk or a frame, ms.
    pub client_down_ms: f64,
    /// 99th percentile of the time that the browser itself takes for an event, ms.
    pub client_p99_ms: f64,
    /// Whether the server removed events before the lane read them.
    pub fell_behind: bool,
    /// Number of bytes of an unfinished line.
    pub unfinished_bytes: usize,
    /// Discarded samples.
    pub discarded: Discarded,
    /// The predicted mean, ms.
    pub predicted_ms: Option<f64>,
    /// How the measured mean compares to it.
    pub verdict: Option<Verdict>,
}

impl LaneSummary {
    /// A lane that is off.
    pub fn off(technique: Technique) -> Self {
        Self {
            technique,
            following: technique,
            phase: LanePhase::Off,
            fault: None,
            measure: Measure::FromDue,
            samples: 0,
            p50_ms: None,
            p50_error_ms: 0.0,
            p90_ms: None,
            p99_ms: None,
            mean_ms: None,
            min_ms: None,
            max_ms: None,
            events: 0,
            before: 0,
            lost: 0,
            repeated: 0,
            requests: 0,
            catch_up_requests: 0,
            empty: 0,
            faults: 0,
            payload_bytes: 0,
            body_bytes: 0,
            bytes_per_event: None,
            cross_origin_per_event: None,
            counted_events: None,
            counts: None,
            rearm_ms: None,
            client_up_ms: 0.0,
            client_down_ms: 0.0,
            client_p99_ms: 0.0,
            fell_behind: false,
            unfinished_bytes: 0,
            discarded: Discarded::default(),
            predicted_ms: None,
            verdict: None,
        }
    }

    /// Whether the lane is switched on.
    pub fn is_on(&self) -> bool {
        self.phase != LanePhase::Off
    }

    /// Whether it has been at the tail.
    pub fn is_live(&self) -> bool {
        matches!(self.phase, LanePhase::Live | LanePhase::Ended)
    }

    /// Whether it has read a closed stream to its end.
    pub fn has_ended(&self) -> bool {
        self.phase == LanePhase::Ended
    }

    /// Whether it can't be read.
    pub fn has_failed(&self) -> bool {
        self.phase == LanePhase::Failed
    }
}
