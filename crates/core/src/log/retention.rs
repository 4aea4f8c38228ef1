//! Retention: removes the oldest messages beyond a number of bytes or an age.

use super::Log;
use crate::store::{Change, Commit, Cut};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tailwater_protocol::Offset;

impl Log {
    /// Removes the oldest messages if the retained bytes exceed the limit by more than a quarter.
    pub(crate) async fn enforce_byte_limit(&self) {
        let Some(keep) = self.config.keep_bytes.filter(|_| self.exceeds_byte_limit()) else {
            return;
        };
        let next = self.tail_now().next.bytes();
        if let Some(at_most) = next.checked_sub(keep).and_then(Offset::new) {
            // Boxed, because this is rare and would otherwise enlarge the future of every append.
            Box::pin(self.trim_to(Cut::AtMost(at_most))).await;
        }
    }

    /// Whether [`Log::enforce_byte_limit`] has messages to remove.
    pub(crate) fn exceeds_byte_limit(&self) -> bool {
        let kept = self
            .tail_now()
            .next
            .bytes()
            .saturating_sub(self.earliest().bytes());
        self.config
            .keep_bytes
            .is_some_and(|keep| kept > keep.saturating_add(keep / 4))
            && self.forks() == 0
    }

    /// Removes the messages that exceed the age limit.
    pub(crate) async fn enforce_age_limit(&self) {
        let Some(age) = self.config.keep_age else {
            return;
        };
        if self.earliest() >= self.tail_now().next || self.forks() > 0 {
            return;
        }
        if let Some(time) = self.wall.now().checked_sub(age) {
            self.trim_to(Cut::OlderThan(time)).await;
        }
    }

    /// Removes the messages before a cut, unless the stream has forks.
    async fn trim_to(&self, cut: Cut) {
        let before = match self.seek(cut).await {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(stream = %self.name, %error, "old messages cannot be removed");
                return;
            }
        };
        // Held until the change is submitted: a fork that is created later finds the messages removed,
        // and an existing fork prevents the removal.
        let Some(_no_forks) = self.fork_refs.no_forks() else {
            return;
        };
        if self
            .earliest_bytes
            .fetch_max(before.bytes(), Ordering::AcqRel)
            >= before.bytes()
        {
            return;
        }
        // Inherited messages are stored with other streams.
        if before > self.config.begins() {
            let name = self.name.clone();
            self.store.commit(
                Commit { stream: self.id, change: Change::Trim { before } },
                Box::new(move |result| {
                    if let Err(error) = result {
                        tracing::warn!(stream = %name, %error, "messages before {before} are no longer readable, but still stored");
                    }
                }),
            );
        }
    }
}

/// The number of sweeps between two checks of an age limit: messages are removed late by at most a
/// sixteenth of the age, but a check is made at least every 60 sweeps.
pub(crate) fn sweeps_between_checks(age: Duration, every: Duration) -> u64 {
    let sweeps = age.as_millis() / every.as_millis().max(1) / 16;
    u64::try_from(sweeps).unwrap_or(u64::MAX).clamp(1, 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_is_checked_each_sweep_or_within_sixty() {
        let second = Duration::from_secs(1);
        for (age_s, sweeps) in [
            (1, 1),
            (16, 1),
            (32, 2),
            (3_600, 60),
            (u64::MAX / 2_000, 60),
        ] {
            assert_eq!(
                sweeps_between_checks(Duration::from_secs(age_s), second),
                sweeps,
                "{age_s} s"
            );
        }
    }
}
