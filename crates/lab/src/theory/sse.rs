//! Server-sent events: one request, and each event is sent immediately: a data event and a control event in one chunk.

use super::wire::in_a_chunk;
use super::{Prediction, WireSizes, Workload, streaming};
use tailwater_protocol::sse;

/// A reconnect reuses the connection and takes one re-arm gap.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    streaming::predict(workload, wire, workload.gap())
}

/// Typical sizes; see [`WireSizes::of`].
pub(super) fn wire_sizes() -> WireSizes {
    WireSizes {
        request_head_bytes: 586.0,
        response_head_bytes: 304.0,
        envelope_bytes: 163.0,
        heartbeat_bytes: in_a_chunk(sse::HEARTBEAT),
        ..WireSizes::of_chunks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tailwater_protocol::Technique;

    #[test]
    fn an_event_costs_its_envelope_and_one_chunk() {
        let workload = Workload {
            rate_per_s: 100.0,
            lifetime: Duration::from_secs(3_600),
            ..Workload::default()
        };
        let wire = WireSizes::of(Technique::Sse);
        let bytes = predict(&workload, &wire).bytes_per_event;
        assert!((bytes.framing - 6.0).abs() < 1e-3);
        assert_eq!(bytes.envelope, wire.envelope_bytes);
        assert!(bytes.heartbeat < 1e-6);
        assert!(bytes.request_head < 0.01);
    }

    #[test]
    fn a_stream_without_events_costs_its_heartbeats() {
        let workload = Workload {
            rate_per_s: 0.001,
            ..Workload::default()
        };
        let bytes = predict(&workload, &WireSizes::of(Technique::Sse)).bytes_per_event;
        // About 66 heartbeats of 15 s in 1,000 s between events.
        assert!(
            (bytes.heartbeat / WireSizes::of(Technique::Sse).heartbeat_bytes - 66.2).abs() < 1.0,
            "{}",
            bytes.heartbeat
        );
    }
}
