//! The due times of a generator's events: a pure, seeded sequence, the same on every run.

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use tailwater_protocol::lab::Pattern;

/// Events of one burst.
pub(super) const BURST: u32 = 10;

/// Due times in microseconds after the start: non-decreasing and infinite.
///
/// The same pattern, rate and seed give the same times on any 64-bit machine.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    pattern: Pattern,
    mean_gap_us: f64,
    rng: SmallRng,
    next_us: f64,
    /// The start of a periodic schedule: times are computed from it, so that rounding errors do not
    /// accumulate.
    phase_us: f64,
    events: u64,
}

impl Schedule {
    /// - `rate_per_s`: mean events per second, above 0.
    pub(super) fn new(pattern: Pattern, rate_per_s: f64, seed: u64) -> Self {
        let mut rng = SmallRng::seed_from_u64(seed);
        let mean_gap_us = 1e6 / rate_per_s;
        let next_us = match pattern {
            Pattern::Poisson => exponential(&mut rng, mean_gap_us),
            Pattern::Periodic => rng.random::<f64>() * mean_gap_us,
            Pattern::Burst => exponential(&mut rng, mean_gap_us * f64::from(BURST)),
        };
        Self {
            pattern,
            mean_gap_us,
            rng,
            next_us,
            phase_us: next_us,
            events: 0,
        }
    }

    /// When the next event is due.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "rises from zero; 2^64 us are ages"
    )]
    pub(super) fn next_us(&self) -> u64 {
        self.next_us as u64
    }

    /// Advances to the next event.
    pub(super) fn advance(&mut self) {
        self.events += 1;
        match self.pattern {
            Pattern::Poisson => self.next_us += exponential(&mut self.rng, self.mean_gap_us),
            Pattern::Periodic => {
                self.next_us = self.phase_us + self.events as f64 * self.mean_gap_us;
            }
            Pattern::Burst if self.events.is_multiple_of(u64::from(BURST)) => {
                self.next_us += exponential(&mut self.rng, self.mean_gap_us * f64::from(BURST));
            }
            Pattern::Burst => {}
        }
    }
}

fn exponential(rng: &mut SmallRng, mean: f64) -> f64 {
    -(1.0 - rng.random::<f64>()).ln() * mean
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATTERNS: [Pattern; 3] = [Pattern::Poisson, Pattern::Periodic, Pattern::Burst];

    fn due(pattern: Pattern, rate_per_s: f64, seed: u64, count: usize) -> Vec<u64> {
        let mut schedule = Schedule::new(pattern, rate_per_s, seed);
        (0..count)
            .map(|_| {
                let at = schedule.next_us();
                schedule.advance();
                at
            })
            .collect()
    }

    /// Mean of the gaps in microseconds, and their coefficient of variation.
    fn gaps(due_us: &[u64]) -> (f64, f64) {
        let gaps: Vec<f64> = due_us
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as f64)
            .collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
        (mean, variance.sqrt() / mean)
    }

    #[test]
    fn the_same_seed_gives_the_same_times_and_another_seed_others() {
        for pattern in PATTERNS {
            assert_eq!(
                due(pattern, 5.0, 7, 1_000),
                due(pattern, 5.0, 7, 1_000),
                "{pattern:?}"
            );
            assert_ne!(
                due(pattern, 5.0, 7, 10),
                due(pattern, 5.0, 8, 10),
                "{pattern:?}"
            );
        }
    }

    #[test]
    fn every_pattern_has_the_mean_rate_and_its_own_spread() {
        for (pattern, spread) in [
            (Pattern::Poisson, 1.0),
            (Pattern::Periodic, 0.0),
            (Pattern::Burst, 19f64.sqrt()),
        ] {
            for rate in [0.1, 1.0, 33.3, 2_000.0] {
                let (mean_us, varies) = gaps(&due(pattern, rate, 42, 100_000));
                let allowed = 4.0 * (spread + 1e-3) / 100_000f64.sqrt();
                assert!(
                    (mean_us * rate / 1e6 - 1.0).abs() < allowed,
                    "{pattern:?} at {rate}/s, seed 42: {mean_us}"
                );
                assert!(
                    (varies - spread).abs() < 0.05 * (1.0 + spread),
                    "{pattern:?} at {rate}/s, seed 42: {varies}"
                );
            }
        }
    }

    #[test]
    fn a_periodic_schedule_begins_at_a_seeded_phase() {
        let phases: Vec<u64> = (0..1_000)
            .map(|seed| due(Pattern::Periodic, 1.0, seed, 1)[0])
            .collect();
        assert!(phases.iter().all(|phase| *phase < 1_000_000));
        let mean = phases.iter().sum::<u64>() as f64 / 1e9;
        assert!((mean - 0.5).abs() < 0.04, "{mean}");
    }

    #[test]
    fn a_burst_falls_due_at_once() {
        let due_us = due(Pattern::Burst, 10.0, 3, 100);
        for burst in due_us.chunks(BURST as usize) {
            assert!(burst.iter().all(|at| at == &burst[0]));
        }
        assert!(due_us[9] < due_us[10]);
    }

    #[test]
    fn rounding_does_not_add_up() {
        let due_us = due(Pattern::Periodic, 3.0, 1, 3_000_001);
        assert!((due_us[3_000_000] - due_us[0]).abs_diff(1_000_000_000_000) <= 1);
    }
}
