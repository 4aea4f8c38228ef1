//! When to send the next request: the schedule of polls, and the backoff after faults.

use std::time::Duration;

const BACKOFF_MIN: Duration = Duration::from_millis(500);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A longer `Retry-After` is reduced to this.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);
const INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Schedules polls at a fixed rate. A late response delays one poll, but not those after it.
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

    /// Records that a poll is sent at `now`. The next one is due at the first multiple of the interval, counted from the
    /// first poll, after `now`.
    pub(super) fn sent(&mut self, now: Duration) {
        self.last_sent = Some(now);
        let first = now + self.interval;
        self.next = Some(match self.next {
            None => first,
            Some(due) if due > now => due,
            Some(due) => {
                let late = Duration::from_nanos(nanos(now - due) % nanos(self.interval));
                first - late
            }
        });
    }

    /// When the next poll is due; `None` before the first.
    pub(super) fn next(&self) -> Option<Duration> {
        self.next
    }

    /// Restarts the schedule with the next poll.
    pub(super) fn reset(&mut self) {
        self.last_sent = None;
        self.next = None;
    }

    pub(super) fn set_interval(&mut self, now: Duration, interval: Duration) {
        self.interval = interval.max(INTERVAL_MIN);
        self.next = self.last_sent.map(|sent| (sent + self.interval).max(now));
    }
}

/// The nanoseconds of a duration in 64 bits, which last for centuries: a remainder in 128 bits is a kilobyte of the page.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Exponential backoff with jitter, so that many clients do not retry at the same instant.
#[derive(Debug, Clone)]
pub struct Backoff {
    state: u64,
}

impl Backoff {
    /// - `seed`: should differ between clients.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The delay before the next request.
    ///
    /// - `faults`: number of faults in a row, at least 1.
    /// - `retry_after`: the server's `Retry-After`.
    /// - Returns a random delay between 10 % and 100 % of 0.5 s, 1 s, 2 s ... 30 s; with `retry_after` that time, at most
    ///   one hour, plus a random delay of at most 10 % of it and one second.
    pub fn delay_after(&mut self, faults: u32, retry_after: Option<Duration>) -> Duration {
        let limit = BACKOFF_MIN
            .saturating_mul(1 << faults.saturating_sub(1).min(10))
            .min(BACKOFF_MAX);
        let share = self.uniform();
        match retry_after {
            Some(least) => {
                let least = least.min(RETRY_AFTER_MAX);
                least + (least / 10 + Duration::from_secs(1)).mul_f64(share)
            }
            None => limit.mul_f64(0.1 + 0.9 * share),
        }
    }

    /// The next random number, uniform over 0..1. Source: SplitMix64.
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
        for (sent, next) in [
            (5, 105),
            (105, 205),
            (250, 305),
            (305, 405),
            (310, 405),
            (1_005, 1_105),
            (1_190, 1_205),
        ] {
            polls.sent(at(sent));
            assert_eq!(polls.next(), Some(at(next)), "sent at {sent}");
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
    fn delays_grow_to_a_limit_and_differ_between_seeds() {
        for seed in 0..50 {
            let mut backoff = Backoff::new(seed);
            for (fault, limit) in [(1, 500), (2, 1_000), (3, 2_000), (7, 30_000), (100, 30_000)] {
                let delay = backoff.delay_after(fault, None);
                assert!(
                    delay >= at(limit / 10) && delay <= at(limit),
                    "seed {seed}, fault {fault}: {delay:?}"
                );
            }
        }
        assert_ne!(
            Backoff::new(1).delay_after(5, None),
            Backoff::new(2).delay_after(5, None)
        );
    }

    #[test]
    fn retry_after_is_a_lower_bound_of_the_delay() {
        for seed in 0..50 {
            let delay = Backoff::new(seed).delay_after(1, Some(at(20_000)));
            assert!(
                delay >= at(20_000) && delay <= at(23_000),
                "seed {seed}: {delay:?}"
            );
        }
        assert!(
            Backoff::new(0).delay_after(1, Some(Duration::from_secs(u64::MAX / 2)))
                <= RETRY_AFTER_MAX * 2
        );
    }
}
