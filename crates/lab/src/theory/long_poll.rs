//! Long-polling: an event is sent immediately if a request is waiting; in the gap it is queued until the next request.
//!
//! A response contains all queued events. The process is renewed with each response: K events are queued in the gap G. If
//! K > 0 the next response is sent immediately; otherwise the request waits for an event or for the hold H. For Poisson
//! events:
//!
//! - cycle E = G + e^(-λG) (1 - e^(-λH)) / λ, events per response λE (for a long hold: β = λG + e^(-λG)),
//! - share of events that are queued G/E, each Uniform(0, G): mean latency S + d_d + G²/2E,
//! - empty responses e^(-λ(G+H)), armed share of the time 1 - G/E.
//!
//! The curve is an atom at the downlink time and a ramp of one gap ("over three transits" of RFC 6202, section 2.2).

use super::{Arrivals, Prediction, WireSizes, Workload};
use crate::LatencyDistribution;

/// See the module documentation; `wire` contains the head sizes.
pub(super) fn predict(workload: &Workload, wire: &WireSizes) -> Prediction {
    let cycle = match workload.arrivals {
        Arrivals::Poisson => poisson(workload),
        Arrivals::Periodic => periodic(workload),
    };
    Prediction {
        latency: cycle.latency,
        phase_spread_s: cycle.phase_spread_s,
        requests_per_s: 1.0 / cycle.cycle_s,
        empty_share: cycle.empty_share,
        events_per_response: cycle.events,
        armed_share: (1.0 - gap_s(workload) / cycle.cycle_s).clamp(0.0, 1.0),
        bytes_per_event: wire.per_event_of_responses(
            workload.payload_bytes,
            cycle.events,
            cycle.empty_share,
        ),
    }
}

/// Means between two responses.
struct Cycle {
    cycle_s: f64,
    events: f64,
    empty_share: f64,
    latency: LatencyDistribution,
    phase_spread_s: f64,
}

/// G in seconds, at least a microsecond.
fn gap_s(workload: &Workload) -> f64 {
    workload.gap().as_secs_f64().max(1e-6)
}

fn poisson(workload: &Workload) -> Cycle {
    let (rate, gap_s, hold_s) = (
        workload.rate_per_s,
        gap_s(workload),
        workload.hold.as_secs_f64(),
    );
    let waiting_s = if rate > 0.0 {
        -(-rate * hold_s).exp_m1() / rate
    } else {
        hold_s
    };
    let cycle_s = gap_s + (-rate * gap_s).exp() * waiting_s;
    let floor_s = workload.floor_s();
    let late = LatencyDistribution::uniform(floor_s, floor_s + gap_s);
    Cycle {
        cycle_s,
        events: rate * cycle_s,
        empty_share: (-rate * (gap_s + hold_s)).exp(),
        latency: LatencyDistribution::atom(floor_s).mixed(gap_s / cycle_s, late),
        phase_spread_s: 0.0,
    }
}

/// With a period of at least the gap, a request is waiting at every event, unless a hold ended just before it.
///
/// With a shorter period, responses follow each other after one gap. Events are simulated one by one, because a hold that
/// ends shifts all later requests.
fn periodic(workload: &Workload) -> Cycle {
    const EVENTS: usize = 64;
    let (gap_s, hold_s, floor_s) = (
        gap_s(workload),
        workload.hold.as_secs_f64(),
        workload.floor_s(),
    );
    if workload.rate_per_s <= 0.0 {
        return poisson(workload);
    }
    let period_s = 1.0 / workload.rate_per_s;
    if period_s < gap_s {
        return Cycle {
            cycle_s: gap_s,
            events: gap_s / period_s,
            empty_share: 0.0,
            latency: LatencyDistribution::uniform(floor_s, floor_s + gap_s),
            phase_spread_s: workload.phase_spread_s(gap_s),
        };
    }
    let (mut waits_s, mut empties, mut late_s) = (Vec::with_capacity(EVENTS), 0.0, 0.0);
    for _ in 0..EVENTS {
        // Time from the last response with data to this event, then the number of holds that ended in between.
        let since_s = period_s - late_s;
        let rounds = (since_s / (gap_s + hold_s)).floor();
        let into_s = since_s - rounds * (gap_s + hold_s);
        late_s = (gap_s - into_s).max(0.0);
        empties += rounds;
        waits_s.push(floor_s + late_s);
    }
    let responses = EVENTS as f64 + empties;
    Cycle {
        cycle_s: EVENTS as f64 * period_s / responses,
        events: EVENTS as f64 / responses,
        empty_share: empties / responses,
        latency: LatencyDistribution::of_samples(&waits_s),
        phase_spread_s: 0.0,
    }
}

/// Typical sizes; see [`WireSizes::of`].
pub(super) fn wire_sizes() -> WireSizes {
    WireSizes {
        response_head_bytes: 412.0,
        empty_head_bytes: 301.0,
        ..WireSizes::of_page()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::theory::simulation::{self, check};
    use std::time::Duration;

    fn workload(rate_per_s: f64, gap_s: f64, hold_s: f64) -> Workload {
        Workload {
            rate_per_s,
            transit_up: Duration::from_secs_f64(gap_s / 2.0),
            transit_down: Duration::from_secs_f64(gap_s / 2.0),
            hold: Duration::from_secs_f64(hold_s),
            ..Workload::default()
        }
    }

    #[test]
    fn mean_and_batch_size_match_reference_values() {
        let prediction = predict(&workload(5.0, 0.1, 1e6), &WireSizes::bare());
        assert!(
            (prediction.latency.mean_s() - 0.07259).abs() < 5e-6,
            "{}",
            prediction.latency.mean_s()
        );
        assert!((prediction.events_per_response - 1.10653).abs() < 5e-6);
        assert!(
            (predict(&workload(20.0, 0.1, 1e6), &WireSizes::bare()).events_per_response - 2.135)
                .abs()
                < 5e-4
        );
    }

    #[test]
    fn the_share_of_empty_responses_matches_the_reference_value() {
        assert!(
            (predict(&workload(0.1, 0.1, 25.0), &WireSizes::bare()).empty_share - 0.0813).abs()
                < 5e-5
        );
    }

    #[test]
    fn the_armed_share_matches_reference_values() {
        for (load, armed) in [(0.1, 0.90), (0.5, 0.55), (2.0, 0.06)] {
            let prediction = predict(&workload(load / 0.1, 0.1, 1e6), &WireSizes::bare());
            assert!(
                (prediction.armed_share - armed).abs() < 5e-3,
                "{load}: {}",
                prediction.armed_share
            );
        }
    }

    #[test]
    fn the_largest_latency_is_three_transits() {
        let prediction = predict(&workload(3.0, 0.1, 25.0), &WireSizes::bare());
        assert!((prediction.latency.max_s() - 0.15).abs() < 1e-9);
    }

    #[test]
    fn at_a_high_rate_there_is_one_poll_per_gap() {
        let prediction = predict(&workload(100.0, 0.1, 25.0), &WireSizes::bare());
        assert!((prediction.requests_per_s - 10.0).abs() < 0.01);
        assert!((prediction.latency.mean_s() - 0.1).abs() < 1e-3);
    }

    #[test]
    fn bytes_match_reference_values() {
        let wire = WireSizes {
            request_head_bytes: 536.0,
            response_head_bytes: 133.0,
            ..WireSizes::bare()
        };
        let total = |rate, gap| {
            let workload = Workload {
                payload_bytes: 36.0,
                ..workload(rate, gap, 1e6)
            };
            predict(&workload, &wire).bytes_per_event.total()
        };
        assert!((total(1.0, 1e-6) - 705.0).abs() < 0.5);
        assert!((total(100.0, 0.05) - 170.0).abs() < 1.0);
    }

    #[test]
    fn periodic_events_are_queued_once_gaps_exceed_the_period() {
        let periodic = |period_s: f64, gap_s: f64, hold_s: f64| {
            let workload = Workload {
                arrivals: Arrivals::Periodic,
                ..workload(1.0 / period_s, gap_s, hold_s)
            };
            predict(&workload, &WireSizes::bare())
        };
        assert!((periodic(0.25, 0.24, 25.0).latency.max_s() - 0.12).abs() < 1e-9);
        assert!((periodic(0.25, 0.26, 25.0).latency.mean_s() - 0.26).abs() < 1e-9);
        // A period of 10 s with a hold of 3 s: three empty responses for each with data.
        assert!((periodic(10.0, 0.1, 3.0).empty_share - 0.75).abs() < 1e-9);
    }

    #[test]
    fn the_simulator_agrees() {
        for (rate, gap, hold) in [
            (5.0, 0.1, 25.0),
            (20.0, 0.1, 25.0),
            (0.1, 0.1, 25.0),
            (1.0, 0.5, 0.7),
            (0.2, 0.02, 3.0),
        ] {
            let workload = workload(rate, gap, hold);
            check(
                &predict(&workload, &WireSizes::bare()),
                &simulation::long_poll(&workload, 40_000, 12),
            );
        }
    }

    #[test]
    fn the_simulator_agrees_on_periodic_events() {
        for (rate, gap, hold) in [
            (4.0, 0.1, 25.0),
            (30.0, 0.1, 25.0),
            (31.7, 0.1, 25.0),
            (0.1, 0.1, 3.0),
        ] {
            let workload = Workload {
                arrivals: Arrivals::Periodic,
                ..workload(rate, gap, hold)
            };
            check(
                &predict(&workload, &WireSizes::bare()),
                &simulation::long_poll(&workload, 20_000, 13),
            );
        }
    }
}
