//! Removes the oldest messages: those beyond a number of bytes, and those beyond an age.

use super::Log;
use crate::store::{Change, Commit, Cut};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tailwater_protocol::Offset;

impl Log {
    /// Removes the oldest messages when more is kept than the configuration allows (with a quarter of slack).
    pub(crate) async fn keep_to_bytes(&self) {
        let Some(keep) = self.config.keep_bytes.filter(|_| self.has_too_many_bytes()) else {
            return;
        };
        let next = self.tail_now().next.bytes();
        if let Some(at_most) = next.checked_sub(keep).and_then(Offset::new) {
            // On the heap, for appends seldom come here, and each would carry it.
            Box::pin(self.trim_to(Cut::AtMost(at_most))).await;
        }
    }

    /// Whether [`Log::keep_to_bytes`] would look for something to remove.
    pub(crate) fn has_too_many_bytes(&self) -> bool {
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

    /// Removes the messages that are older than the configuration allows.
    pub(crate) async fn keep_to_age(&self) {
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

    /// Removes everything before a position, unless forks read it.
    async fn trim_to(&self, cut: Cut) {
        let before = match self.seek(cut).await {
            Ok(before) => before,
            Err(error) => {
                tracing::warn!(stream = %self.name, %error, "old messages can't be removed");
                return;
            }
        };
        // Held until the store has the change, so that a fork made now finds them gone, and one made before keeps them.
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
        // What it inherited belongs to the store's other streams.
        if before > self.config.begins() {
            let name = self.name.clone();
            self.store.commit(
                Commit { stream: self.id, change: Change::Trim { before } },
                Box::new(move |result| {
                    if let Err(error) = result {
                        tracing::warn!(stream = %name, %error, "messages before {before} can't be read any more, but are still stored");
                    }
                }),
            );
        }
    }
}

/// Of how many sweeps one looks for messages that are too old: a sixteenth of the age late at most, or a minute of sweeps.
pub(crate) fn sweeps_between_looks(age: Duration, every: Duration) -> u64 {
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
                sweeps_between_looks(Duration::from_secs(age_s), second),
                sweeps,
                "{age_s} s"
            );
        }
    }
}
