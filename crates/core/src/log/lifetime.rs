//! The expiry of a stream: after a time without use, or at a date.

use crate::clock::WallClock;
use crate::model::Expiry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// The expiry and the last use of a stream.
///
/// Idle time is measured with the monotonic clock from the time at which this server opened the
/// stream; time during which the server did not run does not count. A stream that expired just
/// before a crash and was not yet deleted is available again after the restart.
#[derive(Debug)]
pub(super) struct Lifetime {
    expiry: Option<Expiry>,
    wall: WallClock,
    opened: Instant,
    /// Milliseconds from `opened` to the last use, or [`EXPIRED`].
    used_ms: AtomicU64,
}

/// The value of `used_ms` after the stream has expired.
const EXPIRED: u64 = u64::MAX;

impl Lifetime {
    /// A lifetime that starts now.
    pub(super) fn new(expiry: Option<Expiry>, wall: WallClock) -> Self {
        Self {
            expiry,
            wall,
            opened: Instant::now(),
            used_ms: AtomicU64::new(0),
        }
    }

    /// Records a read or write; `false` if the stream has already expired.
    ///
    /// Source: Durable Streams protocol, section 5.1, `Stream-TTL`.
    pub(super) fn renew(&self) -> bool {
        let Some(Expiry::Idle(_)) = self.expiry else {
            return true;
        };
        let now = self.now_ms();
        let later = |used: u64| (used != EXPIRED).then_some(used.max(now));
        self.used_ms
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, later)
            .is_ok()
    }

    /// Whether the stream has expired. The expiry of an idle stream is final: a concurrent call of
    /// [`Lifetime::renew`] either prevents it or returns `false`.
    ///
    /// - `is_followed`: whether the stream has live readers, which counts as use.
    pub(super) fn is_expired(&self, is_followed: impl FnOnce() -> bool) -> bool {
        let idle = match self.expiry {
            None => return false,
            Some(Expiry::At(end)) => return self.wall.now() >= end,
            Some(Expiry::Idle(idle)) => idle,
        };
        let used = self.used_ms.load(Ordering::Acquire);
        if used == EXPIRED {
            return true;
        }
        if is_followed() || Duration::from_millis(self.now_ms().saturating_sub(used)) < idle {
            return false;
        }
        self.used_ms
            .compare_exchange(used, EXPIRED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The time until the stream expires if it is not used; `None` if it never expires.
    pub(super) fn time_left(&self) -> Option<Duration> {
        match self.expiry? {
            Expiry::At(end) => Some(
                end.duration_since(self.wall.now())
                    .unwrap_or(Duration::ZERO),
            ),
            Expiry::Idle(idle) => {
                let used = self.used_ms.load(Ordering::Acquire);
                Some(idle.saturating_sub(Duration::from_millis(self.now_ms().saturating_sub(used))))
            }
        }
    }

    /// Milliseconds since `opened`; never [`EXPIRED`].
    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(EXPIRED - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_expires_once_and_use_postpones_it() {
        let lifetime = Lifetime::new(Some(Expiry::Idle(1_000 * MS)), WallClock::tokio());
        tokio::time::advance(999 * MS).await;
        assert!(!lifetime.is_expired(|| false));
        assert_eq!(lifetime.time_left(), Some(MS));
        assert!(lifetime.renew());
        assert_eq!(lifetime.time_left(), Some(1_000 * MS));
        tokio::time::advance(999 * MS).await;
        assert!(!lifetime.is_expired(|| false));
        tokio::time::advance(MS).await;
        assert!(!lifetime.is_expired(|| true), "it has a live reader");
        assert!(lifetime.is_expired(|| false));
        assert!(!lifetime.renew(), "an expired stream cannot be renewed");
        assert!(lifetime.is_expired(|| true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_expires_at_its_date_even_when_used() {
        let wall = WallClock::tokio();
        let lifetime = Lifetime::new(Some(Expiry::At(wall.now() + 5 * MS)), wall);
        tokio::time::advance(4 * MS).await;
        assert!(!lifetime.is_expired(|| false) && lifetime.renew());
        assert_eq!(lifetime.time_left(), Some(MS));
        tokio::time::advance(MS).await;
        assert!(lifetime.is_expired(|| true));
    }

    #[tokio::test(start_paused = true)]
    async fn no_expiry_never_expires_and_zero_seconds_expire_at_once() {
        let eternal = Lifetime::new(None, WallClock::tokio());
        tokio::time::advance(Duration::from_secs(1 << 40)).await;
        assert!(!eternal.is_expired(|| false));
        assert!(
            Lifetime::new(Some(Expiry::Idle(Duration::ZERO)), WallClock::tokio())
                .is_expired(|| false)
        );
    }
}
