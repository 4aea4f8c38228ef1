//! The next generation of each name, so that the offsets of a stream differ from those of deleted streams of its name.
//!
//! The first stream of a name has generation 0, and the stream after a deleted one has the next
//! generation. The next generations of deleted names are stored in notes, in the same commit as the
//! deletion. Their number is limited: if there are too many names, the one that was deleted first is
//! removed, and the *floor* is raised to its next generation. A name without a note starts at the
//! floor, so no name has a generation twice, whichever notes were removed.

use crate::log::lock;
use crate::model::StreamName;
use crate::store::NoteChange;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

/// The prefix of the keys of notes about names. A number that is unique for each deletion follows, so
/// that no commit overwrites the note of another deletion, whatever the order of the commits.
const NOTES: &str = "deleted/";

/// The names of deleted streams with their next generations, up to a limit.
#[derive(Debug)]
pub(super) struct DeletedNames {
    names_max: usize,
    inner: Mutex<DeletedNamesState>,
}

#[derive(Debug, Default)]
struct DeletedNamesState {
    names: HashMap<StreamName, DeletedName>,
    /// The same names in the order of their deletion.
    oldest: BTreeMap<u64, StreamName>,
    next_order: u64,
    /// The generation of new streams whose name is not in `names`.
    floor: u32,
}

/// The state of a name whose stream was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DeletedName {
    /// The generation of the next stream of the name.
    next: u32,
    /// The number of the deletion; later deletions have higher numbers.
    order: u64,
}

impl DeletedNames {
    /// Reads the stored names, and removes their notes from `notes`.
    ///
    /// - `names_max`: at least 1.
    pub(super) fn take(notes: &mut BTreeMap<String, Bytes>, names_max: usize) -> Self {
        let mut inner = DeletedNamesState::default();
        notes.retain(|key, value| {
            let Some(order) = key.strip_prefix(NOTES) else {
                return true;
            };
            match order.parse().ok().and_then(|order| read(order, value)) {
                Some((name, deleted, floor)) => {
                    inner.floor = inner.floor.max(floor);
                    inner.insert(name, deleted);
                }
                None => tracing::error!(
                    "the note `{key}` about a deleted stream is invalid and ignored"
                ),
            }
            false
        });
        let this = Self {
            names_max: names_max.max(1),
            inner: Mutex::new(inner),
        };
        // The notes of names that are removed here remain stored, and are read again at the next start.
        lock(&this.inner).remove_beyond(this.names_max);
        this
    }

    /// The generation of the next stream of a name.
    pub(super) fn next_generation(&self, name: &StreamName) -> u32 {
        let inner = lock(&self.inner);
        inner
            .names
            .get(name)
            .map_or(inner.floor, |deleted| deleted.next)
    }

    /// Increments the next generation of a name; called before a deletion is submitted.
    ///
    /// If the deletion fails, the entry remains. This is harmless, because the name has no next stream
    /// before a deletion succeeds.
    ///
    /// - `generation`: the generation of the stream that is deleted.
    /// - Returns the changes of notes for the same commit.
    pub(super) fn end_generation(&self, name: &StreamName, generation: u32) -> Vec<NoteChange> {
        let mut inner = lock(&self.inner);
        let deleted = DeletedName {
            next: generation.saturating_add(1),
            order: inner.next_order,
        };
        let before = inner.insert(name.clone(), deleted);
        let removed = inner.remove_beyond(self.names_max);
        let mut notes: Vec<NoteChange> = before
            .into_iter()
            .chain(removed)
            .map(|order| (key(order), None))
            .collect();
        // The current floor is part of each note; the highest one is valid.
        let value = format!("{} {} {name}", deleted.next, inner.floor);
        notes.push((key(deleted.order), Some(value.into())));
        notes
    }
}

impl DeletedNamesState {
    /// Inserts a name, unless there is an entry with a higher generation. Returns the number of the
    /// deletion that this one replaces.
    fn insert(&mut self, name: StreamName, deleted: DeletedName) -> Option<u64> {
        self.next_order = self.next_order.max(deleted.order.saturating_add(1));
        let before = self.names.get(&name).copied();
        if before.is_some_and(|before| before.next > deleted.next) {
            return None;
        }
        if let Some(before) = before {
            self.oldest.remove(&before.order);
        }
        self.names.insert(name.clone(), deleted);
        self.oldest.insert(deleted.order, name);
        before.map(|before| before.order)
    }

    /// Removes the names that were deleted first, beyond `names_max`, and raises the floor to their
    /// next generations. Returns the numbers of their deletions.
    fn remove_beyond(&mut self, names_max: usize) -> Vec<u64> {
        let mut removed = Vec::new();
        while self.names.len() > names_max
            && let Some((order, name)) = self.oldest.pop_first()
        {
            if let Some(deleted) = self.names.remove(&name) {
                self.floor = self.floor.max(deleted.next);
            }
            removed.push(order);
        }
        removed
    }
}

fn key(order: u64) -> String {
    format!("{NOTES}{order}")
}

/// Decodes a note: next generation, floor and name.
fn read(order: u64, value: &[u8]) -> Option<(StreamName, DeletedName, u32)> {
    let mut parts = std::str::from_utf8(value).ok()?.splitn(3, ' ');
    let (next, floor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let name = StreamName::parse(parts.next()?).ok()?;
    Some((name, DeletedName { next, order }, floor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(number: usize) -> StreamName {
        StreamName::parse(&format!("s{number}")).unwrap()
    }

    /// Applies changes of notes like a store.
    fn keep(kept: &mut BTreeMap<String, Bytes>, notes: Vec<NoteChange>) {
        for (key, value) in notes {
            match value {
                Some(value) => drop(kept.insert(key, value)),
                None => drop(kept.remove(&key)),
            }
        }
    }

    #[test]
    fn removed_names_raise_the_first_generation_of_others() {
        let mut kept = BTreeMap::new();
        let names = DeletedNames::take(&mut kept.clone(), 2);
        assert_eq!(names.next_generation(&name(1)), 0);
        for generation in 0..3 {
            keep(&mut kept, names.end_generation(&name(1), generation));
            assert_eq!(names.next_generation(&name(1)), generation + 1);
        }
        keep(&mut kept, names.end_generation(&name(2), 0));
        assert_eq!(names.next_generation(&name(9)), 0);
        keep(&mut kept, names.end_generation(&name(3), 0));
        assert_eq!(
            kept.len(),
            2,
            "the oldest note is removed from the store, too"
        );
        for names in [names, DeletedNames::take(&mut kept, 2)] {
            let next = [1, 2, 3, 9].map(|number| names.next_generation(&name(number)));
            assert_eq!(
                next,
                [3, 1, 1, 3],
                "a name without a note starts with the next generation of the removed one"
            );
        }
        assert!(kept.is_empty());
    }

    #[test]
    fn other_notes_stay_and_invalid_ones_are_skipped() {
        let note =
            |key: &str, value: &'static str| (key.to_owned(), Bytes::from_static(value.as_bytes()));
        let mut notes = BTreeMap::from([
            note("deleted/3", "2 1 a b/c"),
            note("deleted/4", "1 0 a b/c"),
            note("deleted/5", "x"),
            note("deleted/x", "1 0 d"),
            note("import/7", ""),
        ]);
        let names = DeletedNames::take(&mut notes, 10);
        assert_eq!(
            names.next_generation(&StreamName::parse("a b/c").unwrap()),
            2
        );
        assert_eq!(names.next_generation(&StreamName::parse("d").unwrap()), 1);
        assert_eq!(notes.into_keys().collect::<Vec<_>>(), ["import/7"]);
    }

    proptest! {
        /// Names are created and deleted, the server is restarted, and commits reach the store in
        /// almost any order.
        #[test]
        fn no_name_has_the_same_generation_twice(
            steps in proptest::collection::vec((0_usize..6, 0_usize..12, any::<bool>()), 1..200),
            names_max in 1_usize..5,
        ) {
            let (mut kept, mut late): (BTreeMap<String, Bytes>, Vec<Vec<NoteChange>>) = Default::default();
            let mut names = DeletedNames::take(&mut kept.clone(), names_max);
            let mut seen: HashMap<usize, u32> = HashMap::new();
            for (number, restart, waits) in steps {
                let generation = names.next_generation(&name(number));
                if let Some(before) = seen.insert(number, generation) {
                    prop_assert!(generation > before, "s{number} has generation {generation} after {before}");
                }
                late.push(names.end_generation(&name(number), generation));
                if !waits || restart == 0 {
                    late.drain(..).rev().for_each(|notes| keep(&mut kept, notes));
                }
                if restart == 0 {
                    names = DeletedNames::take(&mut kept.clone(), names_max);
                }
            }
        }
    }
}
