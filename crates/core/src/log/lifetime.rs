//! When a stream ends by itself: some time after it was last used, or at a date.

use crate::clock::Wall;
use crate::model::Expiry;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a stream lives.
///
/// Idleness is counted on the monotonic clock from the moment at which this server opened the stream: time during which
/// the server did not run is not idleness. A stream that ended so just before a crash, and was not deleted yet, is there
/// again after it.
#[derive(Debug)]
pub(super) struct Lifetime {
    expiry: Option<Expiry>,
    wall: Wall,
    opened: Instant,
    /// Milliseconds from `opened` to the last use, or [`OVER`].
    used_ms: AtomicU64,
}

/// In the place of the last use: the stream ended, and nobody can use it any more.
const OVER: u64 = u64::MAX;

impl Lifetime {
    /// A life that begins now.
    pub(super) fn new(expiry: Option<Expiry>, wall: Wall) -> Self {
        Self {
            expiry,
            wall,
            opened: Instant::now(),
            used_ms: AtomicU64::new(0),
        }
    }

    /// Notes a read or a write. `false` when it comes too late: the stream was idle for too long and has ended.
    ///
    /// Source: Durable Streams protocol, section 5.1, `Stream-TTL`.
    pub(super) fn renew(&self) -> bool {
        let Some(Expiry::Idle(_)) = self.expiry else {
            return true;
        };
        let now = self.now_ms();
        let later = |used: u64| (used != OVER).then_some(used.max(now));
        self.used_ms
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, later)
            .is_ok()
    }

    /// Whether the stream has ended. Once it is so by idleness it stays so, and no use that comes at the same moment is
    /// half believed: either it renews the stream or [`Lifetime::renew`] refuses it.
    ///
    /// - `is_followed`: whether anybody follows the stream live, which is use.
    pub(super) fn is_over(&self, is_followed: impl FnOnce() -> bool) -> bool {
        let idle = match self.expiry {
            None => return false,
            Some(Expiry::At(end)) => return self.wall.now() >= end,
            Some(Expiry::Idle(idle)) => idle,
        };
        let used = self.used_ms.load(Ordering::Acquire);
        if used == OVER {
            return true;
        }
        if is_followed() || Duration::from_millis(self.now_ms().saturating_sub(used)) < idle {
            return false;
        }
        self.used_ms
            .compare_exchange(used, OVER, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// How much longer the stream lives if nobody uses it from now on; `None` for ever.
    pub(super) fn left(&self) -> Option<Duration> {
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

    /// Milliseconds from `opened` until now; never [`OVER`].
    fn now_ms(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(OVER - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[tokio::test(start_paused = true)]
    async fn an_idle_stream_expires_once_and_use_postpones_it() {
        let life = Lifetime::new(Some(Expiry::Idle(1_000 * MS)), Wall::driven());
        tokio::time::advance(999 * MS).await;
        assert!(!life.is_over(|| false));
        assert_eq!(life.left(), Some(MS));
        assert!(life.renew());
        assert_eq!(life.left(), Some(1_000 * MS));
        tokio::time::advance(999 * MS).await;
        assert!(!life.is_over(|| false));
        tokio::time::advance(MS).await;
        assert!(!life.is_over(|| true), "somebody follows it");
        assert!(life.is_over(|| false));
        assert!(!life.renew(), "what has ended is not used any more");
        assert!(life.is_over(|| true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_expires_at_its_date_even_when_used() {
        let wall = Wall::driven();
        let life = Lifetime::new(Some(Expiry::At(wall.now() + 5 * MS)), wall);
        tokio::time::advance(4 * MS).await;
        assert!(!life.is_over(|| false) && life.renew());
        assert_eq!(life.left(), Some(MS));
        tokio::time::advance(MS).await;
        assert!(life.is_over(|| true));
    }

    #[tokio::test(start_paused = true)]
    async fn no_expiry_never_ends_and_zero_seconds_end_at_once() {
        let eternal = Lifetime::new(None, Wall::driven());
        tokio::time::advance(Duration::from_secs(1 << 40)).await;
        assert!(!eternal.is_over(|| false));
        assert!(
            Lifetime::new(Some(Expiry::Idle(Duration::ZERO)), Wall::driven()).is_over(|| false)
        );
    }
}
