//! The offset between two monotonic clocks from round trips, with a bound that assumes nothing about symmetry.
//!
//! A probe leaves at t0 and is back at t3 on the client's clock; the server has it at t1 and answers at t2 on its own. As no
//! transit is negative, the offset θ = server - client lies in `[t2 - t3, t1 - t0]`. Intersecting the intervals of many
//! probes (Marzullo) is never wider than the best one. Clocks also run at slightly different speeds, so an old interval
//! is widened by the drift that is allowed for.

use std::collections::VecDeque;

/// One round trip.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockProbe {
    /// t0: the request left, milliseconds on the client's clock.
    pub sent_ms: f64,
    /// t1: the server had it, microseconds on the server's clock.
    pub received_us: u64,
    /// t2: the server answered, microseconds on the server's clock.
    pub answered_us: u64,
    /// t3: the answer was there, milliseconds on the client's clock.
    pub back_ms: f64,
}

impl ClockProbe {
    /// Time on the way, both ways together, in milliseconds: δ of the formulas.
    pub fn round_trip_ms(&self) -> f64 {
        (self.back_ms - self.sent_ms) - (self.answered_us as f64 - self.received_us as f64) / 1e3
    }

    /// Middle of this probe's interval, milliseconds: θ of the formulas.
    pub fn offset_ms(&self) -> f64 {
        let (low, high) = self.interval_ms();
        f64::midpoint(low, high)
    }

    /// `[t2 - t3, t1 - t0]` in milliseconds.
    fn interval_ms(&self) -> (f64, f64) {
        (
            self.answered_us as f64 / 1e3 - self.back_ms,
            self.received_us as f64 / 1e3 - self.sent_ms,
        )
    }
}

/// What a probe did to the estimate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProbeOutcome {
    /// It agrees with the others.
    Taken,
    /// Its times contradict each other (negative round trip): left out.
    Impossible,
    /// It contradicts all that came before by more than any drift: one of the clocks was set or slept. Everything
    /// before it is forgotten, and latencies measured meanwhile are worth nothing.
    Stepped,
}

/// The offset as known at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClockEstimate {
    /// Add this to the client's clock to get the server's, milliseconds.
    pub offset_ms: f64,
    /// The offset is wrong by at most this, milliseconds.
    pub bound_ms: f64,
    /// Round trip of the quickest probe, milliseconds.
    pub round_trip_ms: f64,
    /// How many probes are taken into account.
    pub probes: usize,
    /// How many of them agree with the estimate.
    pub agreeing: usize,
}

impl ClockEstimate {
    /// The client's `at_ms` on the server's clock, microseconds.
    pub fn server_us(&self, at_ms: f64) -> f64 {
        (at_ms + self.offset_ms) * 1e3
    }

    /// Whether the smallest latency seen can be true: nothing arrives before it was sent, but for the bound.
    pub fn allows(&self, smallest_latency_ms: f64) -> bool {
        smallest_latency_ms >= -self.bound_ms
    }
}

/// How much faster the server's clock runs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Parts per million; 1 ppm is 3.6 ms an hour.
    pub ppm: f64,
    /// Wrong by at most this.
    pub bound_ppm: f64,
}

/// Collects probes and says the offset.
#[derive(Debug, Clone)]
pub struct ClockEstimator {
    probes: VecDeque<ClockProbe>,
    resolution_ms: f64,
    steps: u32,
}

impl ClockEstimator {
    /// Probes remembered; the oldest leaves first.
    pub const PROBES_MAX: usize = 256;
    /// Difference in speed that is allowed for between two quartz clocks.
    pub const DRIFT_PPM_MAX: f64 = 100.0;
    /// Contradictions up to this are scheduling noise of coarse clocks, not a step.
    const STEP_MS_MIN: f64 = 2.0;

    /// - `resolution_ms`: the step of the client's clock (see [`resolution_ms`]); every stamp may be that much too low.
    pub fn new(resolution_ms: f64) -> Self {
        Self {
            probes: VecDeque::new(),
            resolution_ms: resolution_ms.max(0.0),
            steps: 0,
        }
    }

    /// Takes a round trip into account.
    pub fn add(&mut self, probe: ClockProbe) -> ProbeOutcome {
        let finite = probe.sent_ms.is_finite() && probe.back_ms.is_finite();
        if !finite
            || probe.round_trip_ms() < -self.slack_ms()
            || probe.answered_us < probe.received_us
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
    /// It is the interval that most probes agree on, each widened by the drift allowed since it was made.
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

    /// Difference in speed between the quickest probe of the older and of the newer half; `None` under eight probes.
    ///
    /// Only worth showing when `bound_ppm` is small, which takes minutes.
    pub fn drift(&self) -> Option<Drift> {
        if self.probes.len() < 8 {
            return None;
        }
        let half = self.probes.len() / 2;
        let quickest = |probes: &mut dyn Iterator<Item = &ClockProbe>| {
            probes
                .copied()
                .min_by(|one, other| one.round_trip_ms().total_cmp(&other.round_trip_ms()))
        };
        let old = quickest(&mut self.probes.iter().take(half))?;
        let new = quickest(&mut self.probes.iter().skip(half))?;
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

    /// How often a clock was set or slept since the beginning.
    pub fn steps(&self) -> u32 {
        self.steps
    }

    /// The step of the client's clock, milliseconds.
    pub fn resolution_ms(&self) -> f64 {
        self.resolution_ms
    }

    /// The error of two rounded stamps, one on each clock.
    fn slack_ms(&self) -> f64 {
        self.resolution_ms + 0.001
    }

    fn interval_at(&self, probe: &ClockProbe, at_ms: f64) -> (f64, f64) {
        let (low, high) = probe.interval_ms();
        let widened = self.slack_ms() + (at_ms - probe.back_ms).abs() * Self::DRIFT_PPM_MAX / 1e6;
        (low - widened, high + widened)
    }
}

/// The part of the axis that lies in the most intervals, and in how many; `None` without any.
///
/// Source: Marzullo 1984; the same as NTP's intersection without its falsetickers' midpoints.
fn agreed(intervals: &[(f64, f64)]) -> Option<(f64, f64, usize)> {
    let sorted = |mut edges: Vec<f64>| {
        edges.sort_unstable_by(f64::total_cmp);
        edges
    };
    let begins = sorted(intervals.iter().map(|interval| interval.0).collect());
    let ends = sorted(intervals.iter().map(|interval| interval.1).collect());
    let (mut over, mut best) = (0, None);
    for (begun, at) in begins.iter().enumerate() {
        // At one place beginnings come before ends, so that intervals that touch agree.
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

/// The step of a clock from readings taken one after another: the smallest difference above zero, milliseconds.
///
/// `None` when the clock never moved.
pub fn resolution_ms(readings_ms: &[f64]) -> Option<f64> {
    readings_ms
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| *step > 0.0)
        .min_by(f64::total_cmp)
}

/// Tells from the wall clock whether the machine slept or was set: both clocks must go on together.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallWatch {
    apart_ms: Option<f64>,
}

impl WallWatch {
    /// A jump beyond this is a sleep or a clock that was set; below it is slewing and rounding.
    pub const JUMP_MS: f64 = 100.0;

    /// Looks at both clocks of one machine (`Date.now()`, `performance.now()`), milliseconds.
    ///
    /// Returns how far the wall clock jumped ahead (or back) since the last look, when that is a jump.
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
            answered_us: us(received_ms + 0.05),
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
                let says = clock.estimate(at_ms).unwrap();
                assert!(
                    (says.offset_ms - now_ms).abs() <= says.bound_ms,
                    "seed {seed}: {says:?}"
                );
                assert_eq!(says.agreeing, says.probes, "seed {seed}");
            }
        }
    }

    #[test]
    fn the_intersection_is_never_wider_than_the_quickest_probe() {
        let mut clock = ClockEstimator::new(0.0);
        clock.add(probe(0.0, 0.1, 3.0, 1_000.0));
        clock.add(probe(5.0, 3.0, 0.1, 1_000.0));
        let says = clock.estimate(8.1).unwrap();
        // Each alone is known to ±1.55 ms, both together to ±0.1.
        assert!(says.bound_ms < 0.11, "{says:?}");
        assert!((says.offset_ms - 1_000.0).abs() < 0.11);
        assert!((says.round_trip_ms - 3.1).abs() < 0.01);
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
        let says = clock.estimate(60.0).unwrap();
        assert!((says.offset_ms - 1_025.0).abs() < 0.1);
        assert!(says.bound_ms >= 25.0);
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
        let says = clock.estimate(2_200.0).unwrap();
        assert_eq!((says.probes, clock.steps()), (1, 1));
        assert!((says.offset_ms - 1_400.0).abs() < 0.5);
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
            answered_us: 40,
            back_ms: 12.0,
        };
        assert_eq!(clock.add(backwards), ProbeOutcome::Impossible);
        let negative = ClockProbe {
            sent_ms: 10.0,
            received_us: 0,
            answered_us: 9_000,
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
    fn sleep_appears_as_a_jump_of_the_wall_clock() {
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
        let says = ClockEstimate {
            offset_ms: 0.0,
            bound_ms: 0.2,
            round_trip_ms: 0.4,
            probes: 1,
            agreeing: 1,
        };
        assert!(says.allows(-0.1));
        assert!(!says.allows(-0.3));
        assert_eq!(says.server_us(2.0), 2_000.0);
    }
}
