//! WebSocket: one upgrade, and each event leaves at once in a frame of its own.

use super::{Prediction, WireSizes, Workload, streaming};

/// A planned restart needs a new connection: one round trip more than the re-arm gap.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    streaming::predict(
        workload,
        wire,
        workload.gap() + workload.transit_up + workload.transit_down,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::BodyFraming;
    use std::time::Duration;

    #[test]
    fn bytes_follow_the_fixture() {
        // 36 B and a frame head of 2 B: 38, and 2.3 amortised over 300 s.
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
        let says = predict(&workload, &WireSizes::bare());
        assert!((says.latency.max_s() - 0.25).abs() < 1e-9);
    }
}
