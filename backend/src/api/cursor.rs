//! Cursors: keys that rise with time, so that a shared cache never serves the same empty answer twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2024-10-09T00:00:00Z, where intervals are counted from, in seconds since 1970.
const EPOCH_S: u64 = 1_728_432_000;
/// Length of an interval in seconds.
const INTERVAL_S: u64 = 20;
/// The most intervals that a cursor is moved ahead of time (an hour).
const JITTER_MAX: u64 = 180;
/// How far beyond its moment a cursor may be (about six years): one further ahead never came from this server, and counts as none.
const AHEAD_MAX: u64 = 10_000_000;

/// The cursors of one reader: each at least the interval of its moment, and above what the reader came with.
#[derive(Debug, Clone, Copy)]
pub struct Cursors {
    floor: u64,
}

impl Cursors {
    /// For a reader that echoed `asked`, if anything.
    ///
    /// - `jitter`: any random number; how far beyond `asked` to go if `asked` is not in the past.
    ///
    /// Source: Durable Streams protocol, section 10.1.
    pub fn after(asked: Option<u64>, jitter: u64) -> Self {
        let now = interval(SystemTime::now());
        let floor = match asked {
            Some(asked) if (now..now + AHEAD_MAX).contains(&asked) => {
                asked + 1 + jitter % JITTER_MAX
            }
            _ => 0,
        };
        Self { floor }
    }

    /// Those of a reader that came without any, or with one of the past: the same for all of them at any moment.
    pub fn common() -> Self {
        Self { floor: 0 }
    }

    /// The cursor of this reader for an answer in which everybody's is `common`, if it is another one.
    pub fn own(self, common: u64) -> Option<u64> {
        (self.floor > common).then_some(self.floor)
    }

    /// The cursor for an answer that leaves now.
    pub fn now(self) -> u64 {
        interval(SystemTime::now()).max(self.floor)
    }
}

fn interval(now: SystemTime) -> u64 {
    let since_1970 = now
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    since_1970.saturating_sub(EPOCH_S) / INTERVAL_S
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_always_above_the_one_that_came() {
        let now = interval(SystemTime::now());
        for asked in [None, Some(0), Some(now - 1), Some(now), Some(now + 10_000)] {
            for jitter in [0, 179, 180, u64::MAX] {
                let cursor = Cursors::after(asked, jitter).now();
                assert!(
                    asked.is_none_or(|asked| cursor > asked),
                    "{asked:?} {jitter} {cursor}"
                );
                assert!(cursor >= now);
            }
        }
    }

    #[test]
    fn a_cursor_that_nobody_gave_out_is_ignored() {
        let now = interval(SystemTime::now());
        for asked in [now + AHEAD_MAX + 1, 1 << 40, u64::MAX] {
            let cursors = Cursors::after(Some(asked), 7);
            assert!(
                cursors.own(now).is_none() && cursors.now() <= now + 1,
                "{asked}"
            );
        }
    }
}
