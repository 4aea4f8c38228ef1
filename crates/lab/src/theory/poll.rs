//! Polling: an event is delivered by the next poll, so its latency is uniform over one interval.
//!
//! - Latency: S + d_d + Uniform(0, C). The uplink time only shifts the phase of the polls.
//! - C is the interval at a fixed rate, and the interval plus one round trip at a fixed delay.
//! - Empty responses: e^(-λC) for Poisson events, max(0, 1 - C/P) for periodic ones.
//! - Bytes per event: heads / (λC) plus the payload.

use super::{Pacing, Prediction, WireSizes, Workload};
use crate::LatencyDistribution;

/// See the module documentation; `wire` contains the head sizes.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    let cycle_s = cycle_s(workload);
    let floor_s = workload.floor_s();
    let empty_share = workload.none_within(cycle_s);
    let events_per_response = workload.rate_per_s * cycle_s;
    Prediction {
        latency: LatencyDistribution::uniform(floor_s, floor_s + cycle_s),
        phase_spread_s: workload.phase_spread_s(cycle_s),
        requests_per_s: 1.0 / cycle_s,
        empty_share,
        events_per_response,
        armed_share: (workload.server_time.as_secs_f64() / cycle_s).min(1.0),
        bytes_per_event: wire.per_event_of_responses(
            workload.payload_bytes,
            events_per_response,
            empty_share,
        ),
    }
}

/// C: seconds from one poll to the next.
fn cycle_s(workload: &Workload) -> f64 {
    let cycle = match workload.pacing {
        Pacing::FixedRate => workload.interval,
        Pacing::FixedDelay => workload.interval + workload.round_trip() + workload.client_time,
    };
    cycle.as_secs_f64().max(1e-6)
}

/// Typical sizes; see [`WireSizes::of`].
pub(super) fn wire_sizes() -> WireSizes {
    WireSizes {
        empty_body_bytes: 2.0,
        ..WireSizes::of_page()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::Arrivals;
    use crate::theory::simulation::{self, check};
    use std::time::Duration;
    use tailwater_protocol::Technique;

    fn workload(rate_per_s: f64, interval_s: f64, transit_s: f64) -> Workload {
        let transit = Duration::from_secs_f64(transit_s);
        Workload {
            rate_per_s,
            interval: Duration::from_secs_f64(interval_s),
            transit_up: transit,
            transit_down: transit,
            ..Workload::default()
        }
    }

    #[test]
    fn the_mean_is_half_an_interval_plus_the_transit() {
        let prediction = predict(&workload(1.0, 1.0, 0.02), &WireSizes::of(Technique::Poll));
        assert!((prediction.latency.mean_s() - 0.52).abs() < 1e-9);
        assert!((prediction.latency.quantile_s(0.95) - 0.97).abs() < 1e-9);
        assert!((prediction.latency.max_s() - 1.02).abs() < 1e-9);
        assert!((prediction.latency.deviation_s() - 1.0 / 12f64.sqrt()).abs() < 1e-9);
    }

    #[test]
    fn the_share_of_empty_responses_matches_reference_values() {
        let empties = |rate, interval| {
            predict(&workload(rate, interval, 0.0), &WireSizes::bare()).empty_share
        };
        assert!((empties(1.0, 1.0) - 0.3679).abs() < 5e-5);
        assert!((empties(0.1, 1.0) - 0.9048).abs() < 5e-5);
        let periodic = Workload {
            arrivals: Arrivals::Periodic,
            ..workload(1.0 / 50.0, 1.0, 0.0)
        };
        assert!((predict(&periodic, &WireSizes::bare()).empty_share - 0.98).abs() < 1e-9);
    }

    #[test]
    fn a_fixed_delay_adds_the_round_trip_to_the_cycle() {
        // I = 1 s and RTT = 0.2 s: mean 0.7, 0.8333 requests per second.
        let delayed = Workload {
            pacing: Pacing::FixedDelay,
            ..workload(2.0, 1.0, 0.1)
        };
        let prediction = predict(&delayed, &WireSizes::bare());
        assert!((prediction.latency.mean_s() - 0.7).abs() < 1e-9);
        assert!((prediction.requests_per_s - 0.8333).abs() < 5e-5);
    }

    #[test]
    fn bytes_match_reference_values() {
        let wire = WireSizes {
            request_head_bytes: 536.0,
            response_head_bytes: 133.0,
            ..WireSizes::bare()
        };
        let total = |rate| {
            let workload = Workload {
                payload_bytes: 36.0,
                ..workload(rate, 1.0, 0.0)
            };
            let wire = WireSizes {
                empty_head_bytes: wire.response_head_bytes,
                ..wire
            };
            predict(&workload, &wire).bytes_per_event.total()
        };
        assert!((total(0.1) - 6_726.0).abs() < 0.5, "{}", total(0.1));
        assert!((total(1.0) - 705.0).abs() < 0.5);
        assert!((total(10.0) - 102.9).abs() < 0.05);
    }

    #[test]
    fn the_phase_is_fixed_only_if_period_and_cycle_are_commensurable() {
        let spread = |period_s: f64, interval_s: f64| {
            let periodic = Workload {
                arrivals: Arrivals::Periodic,
                ..workload(1.0 / period_s, interval_s, 0.02)
            };
            predict(&periodic, &WireSizes::bare()).phase_spread_s
        };
        assert!((spread(5.0, 1.0) - 0.5).abs() < 1e-9);
        assert!((spread(2.0, 3.0) - 0.5).abs() < 1e-9);
        assert_eq!(spread(1.0, 0.618_033_988_749), 0.0);
        assert_eq!(
            predict(&workload(1.0, 1.0, 0.0), &WireSizes::bare()).phase_spread_s,
            0.0
        );
    }

    #[test]
    fn the_simulator_agrees() {
        for (rate, interval, transit) in [(1.0, 1.0, 0.02), (0.05, 2.0, 0.05), (40.0, 0.25, 0.01)] {
            for pacing in [Pacing::FixedRate, Pacing::FixedDelay] {
                let workload = Workload {
                    pacing,
                    ..workload(rate, interval, transit)
                };
                check(
                    &predict(&workload, &WireSizes::bare()),
                    &simulation::poll(&workload, 40_000, 11),
                );
            }
        }
    }
}
