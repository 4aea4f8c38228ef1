//! A seeded simulation of the techniques, event by event, which checks the formulas.

use super::{Arrivals, Pacing, Prediction, Workload};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use std::time::Duration;

/// The result of a simulated run.
#[derive(Debug)]
pub(super) struct SimulatedRun {
    latencies_s: Vec<f64>,
    responses: usize,
    empty: usize,
    lasted_s: f64,
    seed: u64,
}

/// Times of `count` events in seconds, in ascending order.
fn events(workload: &Workload, count: usize, rng: &mut SmallRng) -> Vec<f64> {
    let mean_gap_s = 1.0 / workload.rate_per_s;
    let mut at_s = match workload.arrivals {
        Arrivals::Poisson => 0.0,
        Arrivals::Periodic => rng.random::<f64>() * mean_gap_s,
    };
    (0..count)
        .map(|_| {
            at_s += match workload.arrivals {
                Arrivals::Poisson => -(1.0 - rng.random::<f64>()).ln() * mean_gap_s,
                Arrivals::Periodic => mean_gap_s,
            };
            at_s
        })
        .collect()
}

/// Polls at their times; each receives the events since the last one.
pub(super) fn poll(workload: &Workload, count: usize, seed: u64) -> SimulatedRun {
    let mut rng = SmallRng::seed_from_u64(seed);
    let events = events(workload, count, &mut rng);
    let down_s = workload.transit_down.as_secs_f64();
    let cycle_s = match workload.pacing {
        Pacing::FixedRate => workload.interval,
        Pacing::FixedDelay => workload.interval + workload.transit_up + workload.transit_down,
    }
    .as_secs_f64();
    let mut run = SimulatedRun {
        latencies_s: Vec::new(),
        responses: 0,
        empty: 0,
        lasted_s: 0.0,
        seed,
    };
    let (mut next, mut at_s) = (0, rng.random::<f64>() * cycle_s);
    while next < events.len() {
        let before = next;
        while next < events.len() && events[next] <= at_s {
            run.latencies_s.push(at_s + down_s - events[next]);
            next += 1;
        }
        run.responses += 1;
        run.empty += usize::from(next == before);
        run.lasted_s = at_s;
        at_s += cycle_s;
    }
    run
}

/// Requests that arrive one gap after the last response, wait for events or the hold, and receive all queued events.
pub(super) fn long_poll(workload: &Workload, count: usize, seed: u64) -> SimulatedRun {
    let mut rng = SmallRng::seed_from_u64(seed);
    let events = events(workload, count, &mut rng);
    let (gap_s, hold_s, down_s) = (
        workload.gap().as_secs_f64(),
        workload.hold.as_secs_f64(),
        workload.transit_down.as_secs_f64(),
    );
    let mut run = SimulatedRun {
        latencies_s: Vec::new(),
        responses: 0,
        empty: 0,
        lasted_s: 0.0,
        seed,
    };
    let (mut next, mut responded_s) = (0, 0.0);
    while next < events.len() {
        let armed_s: f64 = responded_s + gap_s;
        responded_s = if events[next] <= armed_s {
            armed_s
        } else {
            events[next].min(armed_s + hold_s)
        };
        let before = next;
        while next < events.len() && events[next] <= responded_s {
            run.latencies_s.push(responded_s + down_s - events[next]);
            next += 1;
        }
        run.responses += 1;
        run.empty += usize::from(next == before);
        run.lasted_s = responded_s;
    }
    run
}

/// A streaming response that is open for its lifetime and then closed for `reconnect`, repeatedly.
pub(super) fn stream(
    workload: &Workload,
    reconnect: Duration,
    count: usize,
    seed: u64,
) -> SimulatedRun {
    let mut rng = SmallRng::seed_from_u64(seed);
    let events = events(workload, count, &mut rng);
    let (open_s, away_s) = (workload.lifetime.as_secs_f64(), reconnect.as_secs_f64());
    let down_s = workload.transit_down.as_secs_f64();
    let mut run = SimulatedRun {
        latencies_s: Vec::new(),
        responses: 0,
        empty: 0,
        lasted_s: 0.0,
        seed,
    };
    let (mut next, mut opened_s) = (0, 0.0);
    while next < events.len() {
        let before = next;
        while next < events.len() && events[next] <= opened_s + open_s {
            run.latencies_s
                .push(events[next].max(opened_s) + down_s - events[next]);
            next += 1;
        }
        run.responses += 1;
        run.empty += usize::from(next == before);
        opened_s += open_s + away_s;
        run.lasted_s = opened_s;
    }
    run
}

/// Compares a prediction with a simulated run: mean, curve, rate of requests, share of empty responses.
pub(super) fn check(prediction: &Prediction, run: &SimulatedRun) {
    let n = run.latencies_s.len() as f64;
    let context = format!("seed {}, {prediction:?}", run.seed);
    let mean_s = run.latencies_s.iter().sum::<f64>() / n;
    let allowed_s = 4.0 * prediction.latency.deviation_s() / n.sqrt()
        + 0.01 * prediction.latency.mean_s()
        + prediction.phase_spread_s;
    assert!(
        (mean_s - prediction.latency.mean_s()).abs() < allowed_s,
        "mean {mean_s}: {context}"
    );
    // With a fixed phase, a run has only a few latencies instead of the curve.
    let steps = if prediction.phase_spread_s > 0.0 {
        0
    } else {
        20
    };
    for step in 0..=steps {
        let at_s = prediction.latency.max_s() * f64::from(step) / 20.0 + 1e-9;
        let share = run
            .latencies_s
            .iter()
            .filter(|latency| **latency <= at_s)
            .count() as f64
            / n;
        assert!(
            (share - prediction.latency.cdf_s(at_s)).abs() < 0.02,
            "share {share} at {at_s}: {context}"
        );
    }
    let responses = run.responses as f64;
    assert!(
        (responses / run.lasted_s / prediction.requests_per_s - 1.0).abs() < 0.03,
        "{responses}: {context}"
    );
    assert!(
        (n / responses / prediction.events_per_response - 1.0).abs() < 0.03,
        "{context}"
    );
    let empty = run.empty as f64 / responses;
    let allowed =
        4.0 * (prediction.empty_share * (1.0 - prediction.empty_share) / responses).sqrt() + 0.005;
    assert!(
        (empty - prediction.empty_share).abs() < allowed,
        "empty {empty}: {context}"
    );
}
