//! WebSocket: one upgrade, and each event is sent immediately in its own frame.

use super::{BodyFraming, Prediction, WireSizes, Workload, streaming};

/// A reconnect opens a new connection, which takes one round trip more than the re-arm gap.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    streaming::predict(
        workload,
        wire,
        workload.gap() + workload.transit_up + workload.transit_down,
    )
}

/// Typical sizes; see [`WireSizes::of`].
pub(super) fn wire_sizes() -> WireSizes {
    WireSizes {
        request_head_bytes: 518.0,
        response_head_bytes: 257.0,
        // The NDJSON line without its line end.
        envelope_bytes: 49.0,
        framing: BodyFraming::WebSocket,
        // A ping, its masked pong, and an empty text frame; at the end a close frame each way.
        heartbeat_bytes: 2.0 + 6.0 + 2.0,
        ending_bytes: 4.0 + 8.0,
        ..WireSizes::bare()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::BodyFraming;
    use std::time::Duration;

    #[test]
    fn bytes_match_the_reference_value() {
        // 36 B and a frame head of 2 B, plus 2.3 B for the upgrade, amortised over 300 s.
        let wire = WireSizes {
            request_head_bytes: 518.0,
            response_head_bytes: 166.0,
            framing: BodyFraming::WebSocket,
            ..WireSizes::bare()
        };
        let workload = Workload {
            payload_bytes: 36.0,
            lifetime: Duration::from_secs(300),
            ..Workload::default()
        };
        let bytes = predict(&workload, &wire).bytes_per_event;
        assert!((bytes.total() - 40.3).abs() < 0.05, "{}", bytes.total());
    }

    #[test]
    fn reconnecting_costs_a_connection_and_an_upgrade() {
        let transit = Duration::from_millis(50);
        let workload = Workload {
            transit_up: transit,
            transit_down: transit,
            ..Workload::default()
        };
        let prediction = predict(&workload, &WireSizes::bare());
        assert!((prediction.latency.max_s() - 0.25).abs() < 1e-9);
    }
}
