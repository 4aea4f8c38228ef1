//! Accounting for the size of notes: growth needs free space, and shrinking never fails.
//!
//! The note of a subscription is rewritten for every ack, lease and retry, and its length varies by a
//! few bytes. So that subscriptions continue to work when the store is full, a note may exceed its
//! reserved size by a limited amount.

use super::StoreError;
use std::collections::{BTreeMap, HashMap};

/// The overhead of a note in bytes.
const NOTE_OVERHEAD_BYTES: u64 = 128;
/// A note may exceed its reserved size by this number of bytes plus a `SLACK_PART`th of that size.
const SLACK_BYTES: u64 = 4 << 10;
const SLACK_PART: u64 = 4;

/// The reserved size of each note in bytes, by key.
#[derive(Debug, Default)]
pub(super) struct NoteSizes {
    reserved: HashMap<String, u64>,
}

impl NoteSizes {
    /// The sizes of stored notes.
    pub(super) fn of(notes: &BTreeMap<String, bytes::Bytes>) -> Self {
        let reserved = notes
            .iter()
            .map(|(key, value)| (key.clone(), size(key, value.len())))
            .collect();
        Self { reserved }
    }

    /// Reserves space for the growth of a note.
    ///
    /// - `value_bytes`: the new length of the value, or `None` if the note is removed.
    /// - `reserve`: reserves a number of additional bytes.
    /// - Returns the number of bytes to release.
    ///
    /// # Errors
    /// The error of `reserve`, unless the note may grow without space.
    pub(super) fn admit(
        &mut self,
        key: &str,
        value_bytes: Option<usize>,
        reserve: impl FnOnce(u64) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let before = self.reserved.get(key).copied();
        let Some(value_bytes) = value_bytes else {
            return Ok(self.reserved.remove(key).unwrap_or_default());
        };
        let (had, needed) = (before.unwrap_or_default(), size(key, value_bytes));
        if needed > had
            && let Err(refusal) = reserve(needed - had)
        {
            let is_little =
                before.is_some_and(|had| needed <= had + SLACK_BYTES + had / SLACK_PART);
            return if is_little { Ok(0) } else { Err(refusal) };
        }
        self.reserved.insert(key.to_owned(), needed);
        Ok(had.saturating_sub(needed))
    }
}

fn size(key: &str, value_bytes: usize) -> u64 {
    (key.len() + value_bytes) as u64 + NOTE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_needs_space_and_shrinking_returns_it() {
        let full = || StoreError::Full {
            kept: 1,
            limit: 1,
            needed: 1,
        };
        let mut sizes = NoteSizes::of(&BTreeMap::from([(
            "a".to_owned(),
            bytes::Bytes::from(vec![0; 1_000]),
        )]));
        let mut room = 10_000;
        for (key, value, room_after) in [
            ("a", Some(1_000), Some(10_000)),
            ("a", Some(1_500), Some(9_500)),
            ("a", Some(400), Some(10_600)),
            ("b", Some(20_000), None),
            ("b", Some(10_000), Some(471)),
            // There is no space for this growth, but a little growth is possible once.
            ("b", Some(11_000), Some(471)),
            ("b", Some(16_000), Some(471)),
            ("b", Some(17_000), None),
            ("c", Some(1_000), None),
            ("c", None, Some(471)),
            ("b", Some(1_000), Some(9_471)),
            ("b", None, Some(10_600)),
            ("a", None, Some(11_129)),
            ("a", None, Some(11_129)),
        ] {
            let outcome = sizes.admit(key, value, |needed| {
                let left = u64::checked_sub(room, needed).ok_or_else(full)?;
                room = left;
                Ok(())
            });
            room += outcome.as_ref().copied().unwrap_or_default();
            assert_eq!(outcome.map(|_| room).ok(), room_after, "{key}: {value:?}");
        }
    }
}
