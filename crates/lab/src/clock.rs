//! Estimates the offset between two monotonic clocks from round trips, with an error bound that does not assume symmetric
//! transit times.
//!
//! A probe is sent at t0 and its response is received at t3 on the client's clock; the server receives it at t1 and
//! responds at t2 on its own clock. Transit times are not negative, so the offset θ = server - client lies in
//! `[t2 - t3, t1 - t0]`. The intersection of the intervals of many probes (Marzullo) is never wider than the best one.
//! Clocks run at slightly different speeds, so an old interval is widened by the maximum drift.

use std::collections::VecDeque;

use crate::ascending;

/// One round trip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockProbe {
    /// t0: when the request was sent, milliseconds on the client's clock.
    pub sent_ms: f64,
    /// t1: when the server received it, microseconds on the server's clock.
    pub received_us: u64,
    /// t2: when the server responded, microseconds on the server's clock.
    pub responded_us: u64,
    /// t3: when the response was received, milliseconds on the client's clock.
    pub back_ms: f64,
}

impl ClockProbe {
    /// Transit time in both directions, in milliseconds: δ of the formulas.
    pub fn round_trip_ms(&self) -> f64 {
        (self.back_ms - self.sent_ms) - (self.responded_us as f64 - self.received_us as f64) / 1e3
    }

    /// Middle of this probe's interval, milliseconds: θ of the formulas.
    pub fn offset_ms(&self) -> f64 {
        let (low, high) = self.interval_ms();
        f64::midpoint(low, high)
    }

    /// `[t2 - t3, t1 - t0]` in milliseconds.
    fn interval_ms(&self) -> (f64, f64) {
        (
            self.responded_us as f64 / 1e3 - self.back_ms,
            self.received_us as f64 / 1e3 - self.sent_ms,
        )
    }
}

/// The effect of a probe on the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It is consistent with the others.
    Taken,
    /// Its times contradict each other (negative round trip); it is ignored.
    Impossible,
    /// It contradicts the earlier probes by more than the maximum drift: one of the clocks was set or suspended. The
    /// earlier probes are discarded, and latencies measured since the last one are invalid.
    Stepped,
}

/// An estimate of the offset at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockEstimate {
    /// Add this to the client's clock to get the server's, milliseconds.
    pub offset_ms: f64,
    /// The largest error of the offset, milliseconds.
    pub bound_ms: f64,
    /// Round trip of the fastest probe, milliseconds.
    pub round_trip_ms: f64,
    /// Number of probes used.
    pub probes: usize,
    /// Number of probes whose intervals contain the estimate.
    pub agreeing: usize,
}

impl ClockEstimate {
    /// Converts a time of the client's clock to the server's, microseconds.
    pub fn server_us(&self, at_ms: f64) -> f64 {
        (at_ms + self.offset_ms) * 1e3
    }

    /// Whether the smallest measured latency is possible: it must not be below zero by more than the bound.
    pub fn allows(&self, smallest_latency_ms: f64) -> bool {
        smallest_latency_ms >= -self.bound_ms
    }
}

/// How much faster the server's clock runs than the client's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Parts per million; 1 ppm is 3.6 ms an hour.
    pub ppm: f64,
    /// The largest error, parts per million.
    pub bound_ppm: f64,
}

/// Collects probes and estimates the offset.
#[derive(Debug, Clone)]
pub struct ClockEstimator {
    probes: VecDeque<ClockProbe>,
    resolution_ms: f64,
    steps: u32,
}

impl ClockEstimator {
    /// Limit of probes kept; the oldest is removed first.
    pub const PROBES_MAX: usize = 256;
    /// Maximum drift between two quartz clocks.
    pub const DRIFT_PPM_MAX: f64 = 100.0;
    /// Smaller contradictions are attributed to scheduling and coarse clocks, not to a step.
    const STEP_MS_MIN: f64 = 2.0;

    /// - `resolution_ms`: the resolution of the client's clock (see [`resolution_ms`]); timestamps may be too low by it.
    pub fn new(resolution_ms: f64) -> Self {
        Self {
            probes: VecDeque::new(),
            resolution_ms: resolution_ms.max(0.0),
            steps: 0,
        }
    }

    /// Adds a probe.
    pub fn add(&mut self, probe: ClockProbe) -> ProbeOutcome {
        let finite = probe.sent_ms.is_finite() && probe.back_ms.is_finite();
        if !finite
            || probe.round_trip_ms() < -self.slack_ms()
            || probe.responded_us < probe.received_us
        {
            return ProbeOutcome::Impossible;
        }
        let stepped = self.estimate(probe.back_ms).is_some_and(|before| {
            let (low, high) = self.interval_at(&probe, probe.back_ms);
            let apart = (low - before.offset_ms).max(before.offset_ms - high) - before.bound_ms;
            apart > Self::STEP_MS_MIN
        });
        if stepped {
            self.probes.clear();
            self.steps += 1;
        }
        self.probes.push_back(probe);
        if self.probes.len() > Self::PROBES_MAX {
            self.probes.pop_front();
        }
        if stepped {
            ProbeOutcome::Stepped
        } else {
            ProbeOutcome::Taken
        }
    }

    /// The offset for the client's time `at_ms`; `None` before the first probe.
    ///
    /// It is the interval that is contained in the most intervals, each widened by the maximum drift since its probe.
    pub fn estimate(&self, at_ms: f64) -> Option<ClockEstimate> {
        let intervals: Vec<(f64, f64)> = self
            .probes
            .iter()
            .map(|probe| self.interval_at(probe, at_ms))
            .collect();
        let (low, high, agreeing) = agreed(&intervals)?;
        let quickest = self
            .probes
            .iter()
            .map(ClockProbe::round_trip_ms)
            .fold(f64::INFINITY, f64::min);
        Some(ClockEstimate {
            offset_ms: f64::midpoint(low, high),
            bound_ms: (high - low) / 2.0,
            round_trip_ms: quickest.max(0.0),
            probes: intervals.len(),
            agreeing,
        })
    }

    /// The drift between the fastest probes of the older and of the newer half; `None` with fewer than eight probes.
    ///
    /// `bound_ppm` is small enough to be useful only after some minutes.
    pub fn drift(&self) -> Option<Drift> {
        if self.probes.len() < 8 {
            return None;
        }
        let half = self.probes.len() / 2;
        let fastest = |probes: &mut dyn Iterator<Item = &ClockProbe>| {
            probes
                .copied()
                .min_by(|one, other| one.round_trip_ms().total_cmp(&other.round_trip_ms()))
        };
        let old = fastest(&mut self.probes.iter().take(half))?;
        let new = fastest(&mut self.probes.iter().skip(half))?;
        let apart_ms = new.back_ms - old.back_ms;
        if apart_ms <= 0.0 {
            return None;
        }
        let doubt_ms = (old.round_trip_ms() + new.round_trip_ms()).max(0.0) / 2.0 + self.slack_ms();
        Some(Drift {
            ppm: (new.offset_ms() - old.offset_ms()) / apart_ms * 1e6,
            bound_ppm: doubt_ms / apart_ms * 1e6,
        })
    }

    /// How often a clock was set or suspended.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The resolution of the client's clock, milliseconds.
    pub fn resolution_ms(&self) -> f64 {
        self.resolution_ms
    }

    /// The error of two rounded timestamps, one of each clock.
    fn slack_ms(&self) -> f64 {
        self.resolution_ms + 0.001
    }

    fn interval_at(&self, probe: &ClockProbe, at_ms: f64) -> (f64, f64) {
        let (low, high) = probe.interval_ms();
        let widened = self.slack_ms() + (at_ms - probe.back_ms).abs() * Self::DRIFT_PPM_MAX / 1e6;
        (low - widened, high + widened)
    }
}

/// The range that lies in the most intervals, and their number; `None` without intervals.
///
/// Source: Marzullo 1984; like NTP's intersection algorithm, but without a check of midpoints.
fn agreed(intervals: &[(f64, f64)]) -> Option<(f64, f64, usize)> {
    let begins = ascending(intervals.iter().map(|interval| interval.0));
    let ends = ascending(intervals.iter().map(|interval| interval.1));
    let (mut over, mut best) = (0, None);
    for (begun, at) in begins.iter().enumerate() {
        // Where one interval ends and another begins, both count.
        over += ends[over..].iter().take_while(|end| *end < at).count();
        let open = begun + 1 - over;
        if best.is_none_or(|(_, _, most)| open > most) {
            let next = begins
                .get(begun + 1)
                .map_or(ends[over], |next| next.min(ends[over]));
            best = Some((*at, next, open));
        }
    }
    best
}

/// The resolution of a clock: the smallest difference above zero between successive readings, milliseconds.
///
/// `None` if all readings are equal.
pub fn resolution_ms(readings_ms: &[f64]) -> Option<f64> {
    readings_ms
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| *step > 0.0)
        .min_by(f64::total_cmp)
}

/// Detects that the machine was suspended or its clock was set: then wall clock and monotonic clock differ.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallWatch {
    apart_ms: Option<f64>,
}

impl WallWatch {
    /// A smaller difference is attributed to slewing and rounding.
    pub const JUMP_MS: f64 = 100.0;

    /// Compares both clocks of one machine (`Date.now()`, `performance.now()`), milliseconds.
    ///
    /// - Returns how far the wall clock jumped ahead (or back) since the last call, in milliseconds; `None` without a jump.
    pub fn look(&mut self, wall_ms: f64, monotonic_ms: f64) -> Option<f64> {
        let apart_ms = wall_ms - monotonic_ms;
        let jump = self
            .apart_ms
            .map(|before| apart_ms - before)
            .filter(|jump| jump.abs() > Self::JUMP_MS);
        self.apart_ms = Some(apart_ms);
        jump
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    /// A probe at client time `at_ms` with transits of `up_ms` and `down_ms`; the server's clock is
    /// `offset_ms` ahead.
    fn probe(at_ms: f64, up_ms: f64, down_ms: f64, offset_ms: f64) -> ClockProbe {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "the server's clock is ahead of zero"
        )]
        let us = |ms: f64| (ms * 1e3).round() as u64;
        let received_ms = at_ms + up_ms + offset_ms;
        ClockProbe {
            sent_ms: at_ms,
            received_us: us(received_ms),
            responded_us: us(received_ms + 0.05),
            back_ms: at_ms + up_ms + 0.05 + down_ms,
        }
    }

    #[test]
    fn the_true_offset_always_lies_within_the_bound() {
        for seed in 0..200 {
            let mut rng = SmallRng::seed_from_u64(seed);
            let offset_ms = rng.random_range(5_000.0..9_000.0);
            let drift = rng.random_range(-90.0..90.0) / 1e6;
            let mut clock = ClockEstimator::new(0.1);
            for step in 0..60 {
                let at_ms = f64::from(step) * 700.0;
                let (up, down) = (rng.random_range(0.1..20.0), rng.random_range(0.1..4.0));
                let now_ms = offset_ms + drift * at_ms;
                assert_eq!(
                    clock.add(probe(at_ms, up, down, now_ms)),
                    ProbeOutcome::Taken,
                    "seed {seed}"
                );
                let estimate = clock.estimate(at_ms).unwrap();
                assert!(
                    (estimate.offset_ms - now_ms).abs() <= estimate.bound_ms,
                    "seed {seed}: {estimate:?}"
                );
                assert_eq!(estimate.agreeing, estimate.probes, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_intersection_is_never_wider_than_the_fastest_probe() {
        let mut clock = ClockEstimator::new(0.0);
        clock.add(probe(0.0, 0.1, 3.0, 1_000.0));
        clock.add(probe(5.0, 3.0, 0.1, 1_000.0));
        let estimate = clock.estimate(8.1).unwrap();
        // The bound of each probe is 1.55 ms, that of both together 0.1 ms.
        assert!(estimate.bound_ms < 0.11, "{estimate:?}");
        assert!((estimate.offset_ms - 1_000.0).abs() < 0.11);
        assert!((estimate.round_trip_ms - 3.1).abs() < 0.01);
    }

    #[test]
    fn the_range_shared_by_most_intervals_is_chosen() {
        assert_eq!(agreed(&[]), None);
        assert_eq!(
            agreed(&[(0.0, 4.0), (1.0, 3.0), (2.0, 9.0), (20.0, 30.0)]),
            Some((2.0, 3.0, 3))
        );
        assert_eq!(agreed(&[(1.0, 2.0), (0.0, 1.0)]), Some((1.0, 1.0, 2)));
    }

    #[test]
    fn asymmetry_stays_within_the_bound_and_is_not_corrected() {
        let mut clock = ClockEstimator::new(0.0);
        for step in 0..10 {
            clock.add(probe(f64::from(step), 50.0, 0.0, 1_000.0));
        }
        let estimate = clock.estimate(60.0).unwrap();
        assert!((estimate.offset_ms - 1_025.0).abs() < 0.1);
        assert!(estimate.bound_ms >= 25.0);
    }

    #[test]
    fn a_clock_step_is_noticed_and_old_probes_are_dropped() {
        let mut clock = ClockEstimator::new(0.1);
        for step in 0..20 {
            clock.add(probe(f64::from(step) * 100.0, 0.2, 0.2, 1_000.0));
        }
        assert_eq!(
            clock.add(probe(2_100.0, 0.2, 0.2, 1_400.0)),
            ProbeOutcome::Stepped
        );
        let estimate = clock.estimate(2_200.0).unwrap();
        assert_eq!((estimate.probes, clock.steps()), (1, 1));
        assert!((estimate.offset_ms - 1_400.0).abs() < 0.5);
    }

    #[test]
    fn a_slow_probe_is_not_a_clock_step() {
        let mut clock = ClockEstimator::new(0.1);
        clock.add(probe(0.0, 0.2, 0.2, 1_000.0));
        assert_eq!(
            clock.add(probe(100.0, 400.0, 0.2, 1_000.0)),
            ProbeOutcome::Taken
        );
        assert!(clock.estimate(600.0).unwrap().bound_ms < 0.5);
    }

    #[test]
    fn contradictory_times_are_ignored() {
        let mut clock = ClockEstimator::new(0.1);
        let backwards = ClockProbe {
            sent_ms: 10.0,
            received_us: 50,
            responded_us: 40,
            back_ms: 12.0,
        };
        assert_eq!(clock.add(backwards), ProbeOutcome::Impossible);
        let negative = ClockProbe {
            sent_ms: 10.0,
            received_us: 0,
            responded_us: 9_000,
            back_ms: 11.0,
        };
        assert_eq!(clock.add(negative), ProbeOutcome::Impossible);
        assert_eq!(clock.estimate(20.0), None);
    }

    #[test]
    fn the_bound_grows_with_the_age_of_the_probes() {
        let mut clock = ClockEstimator::new(0.0);
        clock.add(probe(0.0, 0.1, 0.1, 1_000.0));
        let bound = |at_ms: f64| clock.estimate(at_ms).unwrap().bound_ms;
        assert!((bound(60_000.0) - bound(0.25) - 6.0).abs() < 0.1);
    }

    #[test]
    fn drift_is_found_within_its_bound() {
        let mut clock = ClockEstimator::new(0.005);
        for step in 0..100 {
            let at_ms = f64::from(step) * 2_000.0;
            clock.add(probe(at_ms, 0.1, 0.1, 1_000.0 + at_ms * 50e-6));
        }
        let drift = clock.drift().unwrap();
        assert!((drift.ppm - 50.0).abs() <= drift.bound_ppm, "{drift:?}");
        assert!(drift.bound_ppm < 5.0, "{drift:?}");
    }

    #[test]
    fn memory_of_probes_is_limited() {
        let mut clock = ClockEstimator::new(0.1);
        for step in 0..1_000 {
            clock.add(probe(f64::from(step), 0.2, 0.2, 1_000.0));
        }
        assert_eq!(
            clock.estimate(1_000.0).unwrap().probes,
            ClockEstimator::PROBES_MAX
        );
    }

    #[test]
    fn the_resolution_is_the_smallest_step() {
        assert!((resolution_ms(&[1.0, 1.0, 1.1, 1.1, 1.3]).unwrap() - 0.1).abs() < 1e-9);
        assert_eq!(resolution_ms(&[1.0, 1.0]), None);
    }

    #[test]
    fn suspension_appears_as_a_jump_of_the_wall_clock() {
        let mut watch = WallWatch::default();
        assert_eq!(watch.look(1_000_000.0, 10.0), None);
        assert_eq!(watch.look(1_000_500.0, 510.4), None);
        assert_eq!(
            watch.look(1_031_000.0, 1_010.0).map(f64::round),
            Some(30_000.0)
        );
        assert_eq!(watch.look(1_031_500.0, 1_510.0), None);
    }

    #[test]
    fn an_event_may_not_arrive_before_it_was_sent() {
        let estimate = ClockEstimate {
            offset_ms: 0.0,
            bound_ms: 0.2,
            round_trip_ms: 0.4,
            probes: 1,
            agreeing: 1,
        };
        assert!(estimate.allows(-0.1));
        assert!(!estimate.allows(-0.3));
        assert_eq!(estimate.server_us(2.0), 2_000.0);
    }
}
