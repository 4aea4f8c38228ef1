//! Cursors: cache keys that increase with time, so that a shared cache never serves an empty
//! response twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// 2024-10-09T00:00:00Z, the start of interval 0, in seconds since 1970.
const EPOCH_S: u64 = 1_728_432_000;
/// Length of an interval in seconds.
const INTERVAL_S: u64 = 20;
/// Maximum number of intervals by which a cursor is moved ahead of time (an hour).
const JITTER_MAX: u64 = 180;
/// How far ahead of time a cursor may be, in intervals (about six years). Later ones were never
/// issued by this server, and are ignored.
const AHEAD_MAX: u64 = 10_000_000;

/// The cursors of one reader: each at least the current interval, and greater than the cursor the
/// reader sent.
#[derive(Debug, Clone, Copy)]
pub struct Cursors {
    floor: u64,
}

impl Cursors {
    /// For a reader that echoed the cursor `echoed`, if any.
    ///
    /// - `jitter`: any random number; determines how far to advance if `echoed` is not in the past.
    ///
    /// Source: Durable Streams protocol, section 10.1.
    pub fn after(echoed: Option<u64>, jitter: u64) -> Self {
        let now = interval(SystemTime::now());
        let floor = match echoed {
            Some(echoed) if (now..now + AHEAD_MAX).contains(&echoed) => {
                echoed + 1 + jitter % JITTER_MAX
            }
            _ => 0,
        };
        Self { floor }
    }

    /// For readers that sent no cursor, or one of the past: the same for all of them at any moment.
    pub fn common() -> Self {
        Self { floor: 0 }
    }

    /// This reader's cursor, if it differs from the `common` one.
    pub fn own(self, common: u64) -> Option<u64> {
        (self.floor > common).then_some(self.floor)
    }

    /// The cursor for a response that is sent now.
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
    fn a_cursor_is_greater_than_the_echoed_one() {
        let now = interval(SystemTime::now());
        for echoed in [None, Some(0), Some(now - 1), Some(now), Some(now + 10_000)] {
            for jitter in [0, 179, 180, u64::MAX] {
                let cursor = Cursors::after(echoed, jitter).now();
                assert!(
                    echoed.is_none_or(|echoed| cursor > echoed),
                    "{echoed:?} {jitter} {cursor}"
                );
                assert!(cursor >= now);
            }
        }
    }

    #[test]
    fn a_cursor_that_was_never_issued_is_ignored() {
        let now = interval(SystemTime::now());
        for echoed in [now + AHEAD_MAX + 1, 1 << 40, u64::MAX] {
            let cursors = Cursors::after(Some(echoed), 7);
            assert!(
                cursors.own(now).is_none() && cursors.now() <= now + 1,
                "{echoed}"
            );
        }
    }
}
