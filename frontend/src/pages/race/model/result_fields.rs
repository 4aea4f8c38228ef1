//! The fields of a saved result as bytes: one function names them in their order, for writing and for reading.
//!
//! Counts are LEB128, numbers and points are little-endian floats, texts follow their length. A derived serialiser would need
//! several times as much code in the dashboard.

use tailwater_lab::{Claim, Doubt, Finding, Guards, Measurement, Quantity, Verdict};
use tailwater_protocol::Technique;
use tailwater_protocol::lab::LaneCounts;

use super::clock::ClockMapping;
use super::lane::LanePhase;
use super::lane_summary::{LaneSummary, Measure};
use super::saved_result::SavedResult;
use super::summary::LanePath;
use crate::lanes::ReaderPlace;

const PHASES: [LanePhase; 7] = [
    LanePhase::Off,
    LanePhase::Connecting,
    LanePhase::CatchingUp,
    LanePhase::Live,
    LanePhase::Retrying,
    LanePhase::Ended,
    LanePhase::Failed,
];
const MEASURES: [Measure; 2] = [Measure::FromDue, Measure::BehindFirst];
const PATHS: [LanePath; 5] = [
    LanePath::Unknown,
    LanePath::Relay,
    LanePath::LabOff,
    LanePath::NoneFree,
    LanePath::PortsShut,
];
const PLACES: [ReaderPlace; 3] = [
    ReaderPlace::OwnWorkers,
    ReaderPlace::OneWorker,
    ReaderPlace::Page,
];
const BOOLS: [bool; 2] = [false, true];
/// The greatest number of a finding.
const KINDS: u64 = 8;
/// The greatest count: the whole numbers that a JSON number holds.
const COUNT_MAX: u64 = 1 << 53;
/// A curve never has more points.
const POINTS_MAX: usize = 64;

/// The bytes, while a result is written to them or read from them.
#[derive(Debug, Default)]
pub(super) struct ResultFields {
    bytes: Vec<u8>,
    /// Bytes that have been read.
    at: usize,
    is_reading: bool,
    /// Whether bytes were missing, or a field had a value that it can't have.
    is_broken: bool,
}

impl ResultFields {
    /// The bytes of a result, which is used up.
    pub(super) fn write(result: &mut SavedResult) -> Vec<u8> {
        let mut fields = Self::default();
        fields.result(result);
        fields.bytes
    }

    /// The result that has these bytes; `None` if they are not those of a result.
    pub(super) fn read(bytes: &[u8]) -> Option<SavedResult> {
        let mut fields = Self {
            bytes: bytes.to_vec(),
            is_reading: true,
            ..Self::default()
        };
        let mut result = SavedResult::default();
        fields.result(&mut result);
        (fields.at == bytes.len() && !fields.is_broken).then_some(result)
    }

    /// All fields, in their order.
    fn result(&mut self, result: &mut SavedResult) {
        self.count(&mut result.at_ms);
        self.count(&mut result.seed);
        self.count(&mut result.time_origin_ms);
        self.text(&mut result.host);
        self.text(&mut result.server_version);
        self.text(&mut result.browser);
        self.text(&mut result.query);
        let summary = &mut result.summary;
        self.text(&mut summary.stream);
        self.choice(&mut summary.path, &PATHS);
        self.choice(&mut summary.readers, &PLACES);
        self.choice(&mut summary.is_periodic, &BOOLS);
        self.count(&mut summary.skipped_bytes);
        self.optional(&mut summary.rate_per_s);
        self.number(&mut summary.run_s);
        let mut clock = summary.clock.unwrap_or_default();
        self.number(&mut clock.ahead_ms);
        self.number(&mut clock.bound_ms);
        self.number(&mut clock.round_trip_ms);
        self.size(&mut clock.probes);
        summary.clock = Some(clock).filter(|clock| *clock != ClockMapping::default());
        for lane in &mut summary.lanes {
            self.lane(lane);
        }
        for curves in &mut result.curves {
            self.curve(&mut curves.measured);
            self.curve(&mut curves.theory);
        }
        for group in &mut result.group_of {
            self.count(group);
        }
    }

    fn lane(&mut self, lane: &mut LaneSummary) {
        self.choice(&mut lane.following, &Technique::ALL);
        self.choice(&mut lane.phase, &PHASES);
        self.choice(&mut lane.measure, &MEASURES);
        self.choice(&mut lane.fell_behind, &BOOLS);
        let mut fault = lane.fault.take().unwrap_or_default();
        self.text(&mut fault);
        lane.fault = Some(fault).filter(|fault| !fault.is_empty());
        for count in [
            &mut lane.samples,
            &mut lane.events,
            &mut lane.before,
            &mut lane.lost,
            &mut lane.repeated,
            &mut lane.requests,
            &mut lane.catch_up_requests,
            &mut lane.empty,
            &mut lane.body_bytes,
            &mut lane.discarded.hidden,
        ] {
            self.count(count);
        }
        for number in [
            &mut lane.p50_error_ms,
            &mut lane.client_down_ms,
            &mut lane.client_p99_ms,
        ] {
            self.number(number);
        }
        for number in [
            &mut lane.p50_ms,
            &mut lane.p90_ms,
            &mut lane.p99_ms,
            &mut lane.mean_ms,
            &mut lane.min_ms,
            &mut lane.max_ms,
            &mut lane.bytes_per_event,
            &mut lane.predicted_ms,
        ] {
            self.optional(number);
        }
        self.relay(&mut lane.counts);
        self.verdict(&mut lane.verdict);
    }

    fn relay(&mut self, counts: &mut Option<LaneCounts>) {
        let mut is_counted = counts.is_some();
        self.choice(&mut is_counted, &BOOLS);
        let mut all = counts.unwrap_or_default();
        for count in [
            &mut all.connections_open,
            &mut all.request_head_bytes,
            &mut all.request_body_bytes,
            &mut all.request_framing_bytes,
            &mut all.response_head_bytes,
            &mut all.response_body_bytes,
            &mut all.response_framing_bytes,
            &mut all.cross_origin_bytes,
        ] {
            self.count(count);
        }
        *counts = is_counted.then_some(all);
    }

    /// The numbers of a verdict that are shown; 0 stands for none.
    fn verdict(&mut self, verdict: &mut Option<Verdict>) {
        let (mut kind, mut doubt) = verdict.as_ref().map_or((0, None), kind);
        self.count(&mut kind);
        self.is_broken |= kind > KINDS;
        let mut shown = verdict.unwrap_or(NOTHING);
        // Without enough observations the distance is infinite.
        let mut allowed = Some(shown.allowed).filter(|allowed| allowed.is_finite());
        self.optional(&mut doubt);
        self.number(&mut shown.sample.value);
        self.number(&mut shown.claim.predicted);
        self.optional(&mut allowed);
        shown.allowed = allowed.unwrap_or(f64::INFINITY);
        shown.finding = finding(kind, doubt);
        *verdict = (kind > 0).then_some(shown);
    }

    fn curve(&mut self, curve: &mut Vec<f32>) {
        let mut length = curve.len();
        self.size(&mut length);
        curve.resize(length.min(POINTS_MAX), 0.0);
        for point in curve {
            let mut raw = point.to_le_bytes();
            self.raw(&mut raw);
            *point = f32::from_le_bytes(raw);
        }
    }

    fn size(&mut self, size: &mut usize) {
        let mut count = *size as u64;
        self.count(&mut count);
        match usize::try_from(count) {
            Ok(read) => *size = read,
            Err(_) => self.is_broken = true,
        }
    }

    fn choice<T: Copy + PartialEq>(&mut self, value: &mut T, all: &[T]) {
        let mut index = all.iter().position(|one| one == value).unwrap_or_default();
        self.size(&mut index);
        match all.get(index) {
            Some(chosen) => *value = *chosen,
            None => self.is_broken = true,
        }
    }

    fn count(&mut self, count: &mut u64) {
        let (mut left, mut read) = (*count, 0);
        for shift in (0..64).step_by(7) {
            let more = if left > 127 { 128 } else { 0 };
            let mut raw = [(left & 127) as u8 | more];
            self.raw(&mut raw);
            read |= u64::from(raw[0] & 127) << shift;
            left >>= 7;
            if raw[0] < 128 {
                break;
            }
        }
        self.is_broken |= read > COUNT_MAX;
        *count = read;
    }

    fn number(&mut self, number: &mut f64) {
        let mut value = Some(*number);
        self.optional(&mut value);
        self.is_broken |= value.is_none();
        *number = value.unwrap_or_default();
    }

    /// NaN stands for none.
    fn optional(&mut self, number: &mut Option<f64>) {
        let mut raw = number.unwrap_or(f64::NAN).to_le_bytes();
        self.raw(&mut raw);
        let value = f64::from_le_bytes(raw);
        self.is_broken |= value.is_infinite();
        *number = Some(value).filter(|value| !value.is_nan());
    }

    fn text(&mut self, text: &mut String) {
        let mut bytes = std::mem::take(text).into_bytes();
        let mut length = bytes.len();
        self.size(&mut length);
        bytes.resize(length.min(self.bytes.len()).max(bytes.len()), 0);
        self.raw(&mut bytes);
        let read = String::from_utf8(bytes);
        self.is_broken |= read.is_err();
        *text = read.unwrap_or_default();
    }

    /// Writes bytes, or replaces them by the next ones.
    fn raw(&mut self, value: &mut [u8]) {
        if !self.is_reading {
            self.bytes.extend_from_slice(value);
        } else if let Some(next) = self.bytes.get(self.at..self.at + value.len()) {
            value.copy_from_slice(next);
            self.at += value.len();
        } else {
            self.is_broken = true;
        }
    }
}

const NOTHING: Verdict = Verdict {
    finding: Finding::Confirmed,
    claim: Claim {
        quantity: Quantity::MeanLatency,
        predicted: 0.0,
        effect: 0.0,
        spread: 0.0,
    },
    sample: Measurement {
        value: 0.0,
        ci95: 0.0,
        n: 0,
    },
    allowed: 0.0,
    guards: Guards {
        clock_bound_ms: 0.0,
        resolution_ms: 0.0,
        source_late_ms: 0.0,
        client_ms: 0.0,
        client_mean_ms: 0.0,
        smallest_latency_ms: None,
    },
};

/// The number of a finding, and the number that its doubt has.
fn kind(verdict: &Verdict) -> (u64, Option<f64>) {
    match verdict.finding {
        Finding::Confirmed => (1, None),
        Finding::Refuted => (2, None),
        Finding::Inconclusive { why } => match why {
            Doubt::TooFew { more_s } => (3, more_s),
            Doubt::ClockUnsure { bound_ms } => (4, Some(bound_ms)),
            Doubt::BeforeItsTime { latency_ms } => (5, Some(latency_ms)),
            Doubt::SourceLate { late_ms } => (6, Some(late_ms)),
            Doubt::FixedPhase { spread_ms } => (7, Some(spread_ms)),
            Doubt::ClientBusy { client_ms } => (KINDS, Some(client_ms)),
        },
    }
}

fn finding(kind: u64, doubt: Option<f64>) -> Finding {
    let ms = doubt.unwrap_or_default();
    let why = match kind {
        1 => return Finding::Confirmed,
        2 => return Finding::Refuted,
        4 => Doubt::ClockUnsure { bound_ms: ms },
        5 => Doubt::BeforeItsTime { latency_ms: ms },
        6 => Doubt::SourceLate { late_ms: ms },
        7 => Doubt::FixedPhase { spread_ms: ms },
        KINDS => Doubt::ClientBusy { client_ms: ms },
        _ => Doubt::TooFew { more_s: doubt },
    };
    Finding::Inconclusive { why }
}
