//! Server-sent events: one request, and each event leaves at once: a data event and a control event a write, in one chunk.

use super::{Prediction, WireSizes, Workload, streaming};

/// A planned restart reuses the connection: the client is back after one re-arm gap.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    streaming::predict(workload, wire, workload.gap())
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
    fn a_silent_stream_costs_its_heartbeats() {
        let workload = Workload {
            rate_per_s: 0.001,
            ..Workload::default()
        };
        let bytes = predict(&workload, &WireSizes::of(Technique::Sse)).bytes_per_event;
        // 1,000 s between events hold about 66 beats of 15 s.
        assert!(
            (bytes.heartbeat / WireSizes::of(Technique::Sse).heartbeat_bytes - 66.2).abs() < 1.0,
            "{}",
            bytes.heartbeat
        );
    }
}
