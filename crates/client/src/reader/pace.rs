//! When to ask again: the polling clock's polls, and pauses after faults.

use std::time::Duration;

const PAUSE_FIRST: Duration = Duration::from_millis(500);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A server that asks for more patience than this does not get it.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// PollSchedule at a fixed rate, whatever the answers do: a late answer makes one tick late, never the ones after it.
#[derive(Debug)]
pub(super) struct PollSchedule {
    interval: Duration,
    last_sent: Option<Duration>,
    next: Option<Duration>,
}

impl PollSchedule {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval: interval.max(INTERVAL_MIN),
            last_sent: None,
            next: None,
        }
    }

    /// A poll leaves: if it is the due one (or the first), the next one is due on the grid's next line after `now`.
    pub(super) fn sent(&mut self, now: Duration) {
        self.last_sent = Some(now);
        let first = now + self.interval;
        self.next = Some(match self.next {
            None => first,
            Some(tick) if tick > now => tick,
            Some(tick) => {
                let nanos = (now - tick).as_nanos() % self.interval.as_nanos();
                let past_line = Duration::from_nanos(u64::try_from(nanos).unwrap_or_default());
                first - past_line
            }
        });
    }

    /// When the next poll is due; `None` before the first.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next
    }

    /// The grid begins anew at the next poll.
    pub(super) fn reset(&mut self) {
        self.last_sent = None;
        self.next = None;
    }

    pub(super) fn set_interval(&mut self, now: Duration, interval: Duration) {
        self.interval = interval.max(INTERVAL_MIN);
        self.next = self.last_sent.map(|asked| (asked + self.interval).max(now));
    }
}

/// Backoff that double from fault to fault, spread so that many readers do not come back at the same instant.
#[derive(Debug, Clone)]
pub struct Backoff {
    state: u64,
}

impl Backoff {
    /// Backoff of one client; `seed` should differ between clients.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The pause after the `faults`-th fault in a row, counted from 1.
    ///
    /// Between a tenth and the whole of 0.5 s, 1 s, 2 s ... 30 s; never less than the server asked for, and then at most a
    /// tenth (and a second) more.
    pub fn delay_after(&mut self, faults: u32, retry_after: Option<Duration>) -> Duration {
        let whole = PAUSE_FIRST
            .saturating_mul(1 << faults.saturating_sub(1).min(10))
            .min(PAUSE_MAX);
        let share = self.uniform();
        match retry_after {
            Some(asked) => {
                let asked = asked.min(RETRY_AFTER_MAX);
                asked + (asked / 10 + Duration::from_secs(1)).mul_f64(share)
            }
            None => whole.mul_f64(0.1 + 0.9 * share),
        }
    }

    /// The next of a uniform series over 0..1. Source: SplitMix64.
    fn uniform(&mut self) -> f64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn a_late_poll_does_not_shift_later_polls() {
        let mut polls = PollSchedule::new(at(100));
        assert_eq!(polls.next(), None);
        for (asked, next) in [
            (5, 105),
            (105, 205),
            (250, 305),
            (305, 405),
            (310, 405),
            (1_005, 1_105),
            (1_190, 1_205),
        ] {
            polls.sent(at(asked));
            assert_eq!(polls.next(), Some(at(next)), "asked at {asked}");
        }
    }

    #[test]
    fn a_new_interval_counts_from_the_last_poll() {
        let mut polls = PollSchedule::new(at(1_000));
        polls.sent(at(0));
        polls.set_interval(at(300), at(500));
        assert_eq!(polls.next(), Some(at(500)));
        polls.set_interval(at(300), at(100));
        assert_eq!(polls.next(), Some(at(300)));
    }

    #[test]
    fn pauses_grow_to_a_limit_and_differ_between_seeds() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(seed);
            for (fault, whole) in [(1, 500), (2, 1_000), (3, 2_000), (7, 30_000), (100, 30_000)] {
                let pause = backoff.delay_after(fault, None);
                assert!(
                    pause >= at(whole / 10) && pause <= at(whole),
                    "seed {seed}, fault {fault}: {pause:?}"
                );
            }
        }
        assert_ne!(
            Backoff::new(1).delay_after(5, None),
            Backoff::new(2).delay_after(5, None)
        );
    }

    #[test]
    fn retry_after_is_a_lower_bound_of_the_pause() {
        for seed in 0..50 {
            let pause = Backoff::new(seed).delay_after(1, Some(at(20_000)));
            assert!(
                pause >= at(20_000) && pause <= at(23_000),
                "seed {seed}: {pause:?}"
            );
        }
        assert!(
            Backoff::new(0).delay_after(1, Some(Duration::from_secs(u64::MAX / 2)))
                <= RETRY_AFTER_MAX * 2
        );
    }
}
