//! How large notes are: what a note grows by needs room like anything else, what it shrinks by never does.
//!
//! Notes are written anew at every step of a subscription, a few bytes longer or shorter each time. So that acks, leases and
//! retries go on when there is no room, a note may grow a little beyond what room was taken for, once.

use super::StoreError;
use std::collections::{BTreeMap, HashMap};

/// Bytes that a note takes beside its key and value.
const NOTE_OVERHEAD_BYTES: u64 = 128;
/// Bytes by which a note may grow without room, and a part of what room was taken for that is added to it.
const SLACK_BYTES: u64 = 4 << 10;
const SLACK_PART: u64 = 4;

/// Bytes for which room was taken, by note.
#[derive(Debug, Default)]
pub(super) struct NoteSizes {
    taken: HashMap<String, u64>,
}

impl NoteSizes {
    /// Those of notes that are there already.
    pub(super) fn of(notes: &BTreeMap<String, bytes::Bytes>) -> Self {
        let taken = notes
            .iter()
            .map(|(key, value)| (key.clone(), size(key, value.len())))
            .collect();
        Self { taken }
    }

    /// Takes room for what a note grows by.
    ///
    /// - `value_bytes`: its length, or `None` when it is forgotten.
    /// - `take`: takes room for so many bytes more.
    /// - Returns the bytes that it gives back.
    ///
    /// # Errors
    /// That of `take`, when the note may not grow without room.
    pub(super) fn admit(
        &mut self,
        key: &str,
        value_bytes: Option<usize>,
        take: impl FnOnce(u64) -> Result<(), StoreError>,
    ) -> Result<u64, StoreError> {
        let before = self.taken.get(key).copied();
        let Some(value_bytes) = value_bytes else {
            return Ok(self.taken.remove(key).unwrap_or_default());
        };
        let (had, needed) = (before.unwrap_or_default(), size(key, value_bytes));
        if needed > had
            && let Err(refusal) = take(needed - had)
        {
            let is_little =
                before.is_some_and(|had| needed <= had + SLACK_BYTES + had / SLACK_PART);
            return if is_little { Ok(0) } else { Err(refusal) };
        }
        self.taken.insert(key.to_owned(), needed);
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
