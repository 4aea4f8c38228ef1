//! Long-polling: an event meets a waiting request and leaves at once, or falls into the gap and waits for the next one.
//!
//! The server answers with all that is queued. Each answer renews the process: a gap G in which K events queue; with
//! K > 0 the next answer leaves at once, else the request waits for an event or for the hold H. Hence for Poisson events
//!
//! - cycle E = G + e^(-λG) (1 - e^(-λH)) / λ, events per answer λE (for a long hold: β = λG + e^(-λG)),
//! - share of events that wait G/E, each Uniform(0, G): mean latency S + d_d + G²/2E,
//! - empty answers e^(-λ(G+H)), armed share of the time 1 - G/E.
//!
//! The curve is an atom at the way down and a ramp to one gap more ("over three transits" of RFC 6202, section 2.2).

use super::{Arrivals, Prediction, WireSizes, Workload};
use crate::LatencyDistribution;

/// See the module's words; `wire` gives head sizes.
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
        bytes_per_event: wire.per_event_of_answers(
            workload.payload_bytes,
            cycle.events,
            cycle.empty_share,
        ),
    }
}

/// What happens between two answers, on average.
struct Cycle {
    cycle_s: f64,
    events: f64,
    empty_share: f64,
    latency: LatencyDistribution,
    phase_spread_s: f64,
}

/// G in seconds; never zero, as even a loopback re-arms in some microseconds.
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

/// With a period of at least the gap every event meets a waiting request, unless a hold ran out just before it.
///
/// Below that, answers follow each other as fast as the gap allows. The regular rhythm is walked through event by event,
/// as a hold that runs out shifts what follows.
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
        // Time from the last answer with data to this event, then how many holds ran out in between.
        let since_s = period_s - late_s;
        let rounds = (since_s / (gap_s + hold_s)).floor();
        let into_s = since_s - rounds * (gap_s + hold_s);
        late_s = (gap_s - into_s).max(0.0);
        empties += rounds;
        waits_s.push(floor_s + late_s);
    }
    let answers = EVENTS as f64 + empties;
    Cycle {
        cycle_s: EVENTS as f64 * period_s / answers,
        events: EVENTS as f64 / answers,
        empty_share: empties / answers,
        latency: LatencyDistribution::of_samples(&waits_s),
        phase_spread_s: 0.0,
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
    fn mean_and_batch_follow_the_fixtures() {
        let says = predict(&workload(5.0, 0.1, 1e6), &WireSizes::bare());
        assert!(
            (says.latency.mean_s() - 0.07259).abs() < 5e-6,
            "{}",
            says.latency.mean_s()
        );
        assert!((says.events_per_response - 1.10653).abs() < 5e-6);
        assert!(
            (predict(&workload(20.0, 0.1, 1e6), &WireSizes::bare()).events_per_response - 2.135)
                .abs()
                < 5e-4
        );
    }

    #[test]
    fn empty_answers_follow_the_fixture() {
        assert!(
            (predict(&workload(0.1, 0.1, 25.0), &WireSizes::bare()).empty_share - 0.0813).abs()
                < 5e-5
        );
    }

    #[test]
    fn the_armed_share_follows_the_fixtures() {
        for (load, armed) in [(0.1, 0.90), (0.5, 0.55), (2.0, 0.06)] {
            let says = predict(&workload(load / 0.1, 0.1, 1e6), &WireSizes::bare());
            assert!(
                (says.armed_share - armed).abs() < 5e-3,
                "{load}: {}",
                says.armed_share
            );
        }
    }

    #[test]
    fn the_largest_latency_is_three_transits() {
        let says = predict(&workload(3.0, 0.1, 25.0), &WireSizes::bare());
        assert!((says.latency.max_s() - 0.15).abs() < 1e-9);
    }

    #[test]
    fn at_a_high_rate_there_is_one_poll_per_gap() {
        let says = predict(&workload(100.0, 0.1, 25.0), &WireSizes::bare());
        assert!((says.requests_per_s - 10.0).abs() < 0.01);
        assert!((says.latency.mean_s() - 0.1).abs() < 1e-3);
    }

    #[test]
    fn bytes_follow_the_fixtures() {
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
    fn periodic_events_meet_a_request_until_gaps_exceed_the_period() {
        let periodic = |period_s: f64, gap_s: f64, hold_s: f64| {
            let workload = Workload {
                arrivals: Arrivals::Periodic,
                ..workload(1.0 / period_s, gap_s, hold_s)
            };
            predict(&workload, &WireSizes::bare())
        };
        assert!((periodic(0.25, 0.24, 25.0).latency.max_s() - 0.12).abs() < 1e-9);
        assert!((periodic(0.25, 0.26, 25.0).latency.mean_s() - 0.26).abs() < 1e-9);
        // A period of 10 s under a hold of 3 s: three empty answers to one with data.
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
