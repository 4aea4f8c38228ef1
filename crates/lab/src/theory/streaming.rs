//! The prediction for the three streaming techniques: a step at the downlink time, and a small ramp for reconnects.
//!
//! The server ends a response after its lifetime L; the client has reconnected after the gap G. An event in that gap
//! waits Uniform(0, G). Requests per event: 1/(λ(L+G)). The bytes of heads are proportional to them; framing is constant.

use super::wire::times;
use super::{Arrivals, BytesPerEvent, Prediction, WireSizes, Workload};
use crate::LatencyDistribution;
use std::time::Duration;

/// - `reconnect`: time from the end of a response to the beginning of the next one.
pub(super) fn predict(workload: &Workload, wire: &WireSizes, reconnect: Duration) -> Prediction {
    let (open_s, gap_s) = (
        workload.lifetime.as_secs_f64().max(1e-3),
        reconnect.as_secs_f64(),
    );
    let cycle_s = open_s + gap_s;
    let floor_s = workload.floor_s();
    let late = LatencyDistribution::uniform(floor_s, floor_s + gap_s);
    let events_per_response = workload.rate_per_s * cycle_s;
    Prediction {
        latency: LatencyDistribution::atom(floor_s).mixed(gap_s / cycle_s, late),
        phase_spread_s: 0.0,
        requests_per_s: 1.0 / cycle_s,
        empty_share: workload.none_within(cycle_s),
        events_per_response,
        armed_share: open_s / cycle_s,
        bytes_per_event: bytes_per_event(workload, wire, events_per_response),
    }
}

/// One write per event: its envelope and framing, and its share of heads and heartbeats.
fn bytes_per_event(
    workload: &Workload,
    wire: &WireSizes,
    events_per_response: f64,
) -> BytesPerEvent {
    let responses = 1.0 / events_per_response;
    BytesPerEvent {
        request_head: times(wire.request_head_bytes, responses),
        response_head: times(wire.response_head_bytes, responses),
        framing: wire
            .framing
            .bytes_around(workload.payload_bytes + wire.envelope_bytes)
            + times(wire.ending_bytes, responses),
        envelope: wire.envelope_bytes,
        heartbeat: times(wire.heartbeat_bytes, heartbeats_per_event(workload)),
        payload: workload.payload_bytes,
    }
}

/// Heartbeats between two events; each is sent one interval h after the last write.
///
/// Poisson: whole heartbeats in an exponential interval, 1/(e^(λh) - 1). Periodic: whole heartbeats in one period.
fn heartbeats_per_event(workload: &Workload) -> f64 {
    let silent = workload.rate_per_s * workload.heartbeat.as_secs_f64();
    match workload.arrivals {
        Arrivals::Poisson => 1.0 / silent.exp_m1(),
        Arrivals::Periodic => (1.0 / silent).floor(),
    }
}
