//! NDJSON: one request, and each event is sent immediately: one line in one chunk.

use super::wire::in_a_chunk;
use super::{Prediction, WireSizes, Workload, streaming};
use tailwater_protocol::ndjson;

/// A reconnect reuses the connection and takes one re-arm gap.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    streaming::predict(workload, wire, workload.gap())
}

/// Typical sizes; see [`WireSizes::of`].
pub(super) fn wire_sizes() -> WireSizes {
    WireSizes {
        request_head_bytes: 532.0,
        response_head_bytes: 307.0,
        envelope_bytes: 50.0,
        heartbeat_bytes: in_a_chunk(ndjson::HEARTBEAT),
        ..WireSizes::of_chunks()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::BodyFraming;
    use crate::theory::simulation::{self, check};
    use std::time::Duration;

    #[test]
    fn bytes_match_the_reference_value() {
        // λ = 1/s, L = 300 s, 36 B in one chunk: about 45 B per event.
        let wire = WireSizes {
            request_head_bytes: 532.0,
            response_head_bytes: 145.0,
            framing: BodyFraming::Chunked,
            ..WireSizes::bare()
        };
        let workload = Workload {
            payload_bytes: 36.0,
            lifetime: Duration::from_secs(300),
            ..Workload::default()
        };
        let bytes = predict(&workload, &wire).bytes_per_event;
        assert_eq!(bytes.framing, 6.0);
        assert!((bytes.total() - 44.3).abs() < 0.1, "{}", bytes.total());
    }

    #[test]
    fn the_latency_of_every_event_is_one_transit() {
        let workload = Workload {
            transit_down: Duration::from_millis(50),
            ..Workload::default()
        };
        let prediction = predict(&workload, &WireSizes::bare());
        assert!(prediction.cdf(Duration::from_millis(50)) > 0.999);
        assert_eq!(prediction.cdf(Duration::from_millis(49)), 0.0);
        assert!((prediction.requests_per_s - 1.0 / 60.0).abs() < 1e-4);
    }

    #[test]
    fn the_simulator_agrees() {
        for (rate, gap_ms, lifetime_s) in [(1.0, 100, 60), (20.0, 400, 3), (0.2, 10, 10)] {
            let workload = Workload {
                rate_per_s: rate,
                transit_up: Duration::from_millis(gap_ms / 2),
                transit_down: Duration::from_millis(gap_ms / 2),
                lifetime: Duration::from_secs(lifetime_s),
                ..Workload::default()
            };
            check(
                &predict(&workload, &WireSizes::bare()),
                &simulation::stream(&workload, workload.gap(), 40_000, 14),
            );
        }
    }
}
