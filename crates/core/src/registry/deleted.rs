//! Names of deleted streams: how many lives each has had, so that the offsets of its next stream can be told from theirs.
//!
//! A name that had no stream yet begins with life 0, the stream after a deleted one has the next life. What is remembered is
//! kept in the store in the same commit as the deletion. It is bounded: when there are too many names, the one that was deleted
//! first is forgotten, and the *floor* rises to its number of lives. A name that is not remembered begins at the floor, so no
//! life comes twice, whichever names were forgotten.

use crate::log::lock;
use crate::model::StreamName;
use crate::store::NoteChange;
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

/// Where notes about names stand: behind it comes a number that no other deletion has, so that the order in which commits come
/// to the store never lets an old one undo a new one.
const NOTES: &str = "deleted/";

/// The names of deleted streams, as far as they are remembered.
#[derive(Debug)]
pub(super) struct DeletedNames {
    names_max: usize,
    inner: Mutex<DeletedNamesState>,
}

#[derive(Debug, Default)]
struct DeletedNamesState {
    names: HashMap<StreamName, DeletedName>,
    /// The same names, the one that was deleted first at the front.
    oldest: BTreeMap<u64, StreamName>,
    next_order: u64,
    /// The life of streams whose name is not remembered.
    floor: u32,
}

/// A name whose stream was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct DeletedName {
    /// How many streams it has had.
    lives: u32,
    /// Higher for what was deleted later.
    order: u64,
}

impl DeletedNames {
    /// What a store kept, taken out of its notes.
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
                    "the note `{key}` about a deleted stream can't be read, and is left aside"
                ),
            }
            false
        });
        let this = Self {
            names_max: names_max.max(1),
            inner: Mutex::new(inner),
        };
        // What is forgotten here is still kept, and found again at the next opening.
        lock(&this.inner).forget_beyond(this.names_max);
        this
    }

    /// The life of the next stream of this name.
    pub(super) fn next_life(&self, name: &StreamName) -> u32 {
        let inner = lock(&self.inner);
        inner
            .names
            .get(name)
            .map_or(inner.floor, |deleted| deleted.lives)
    }

    /// Counts a life that ends; called before the deletion is submitted.
    ///
    /// If that fails, the name remembers a life that goes on, which does no harm: there is no next before it ends.
    ///
    /// - `life`: of the stream that is deleted.
    /// - Returns what the store has to keep and forget in the same commit.
    pub(super) fn end_life(&self, name: &StreamName, life: u32) -> Vec<NoteChange> {
        let mut inner = lock(&self.inner);
        let deleted = DeletedName {
            lives: life.saturating_add(1),
            order: inner.next_order,
        };
        let before = inner.insert(name.clone(), deleted);
        let forgotten = inner.forget_beyond(self.names_max);
        let mut notes: Vec<NoteChange> = before
            .into_iter()
            .chain(forgotten)
            .map(|order| (key(order), None))
            .collect();
        // With the floor of this moment, of which the highest counts.
        let value = format!("{} {} {name}", deleted.lives, inner.floor);
        notes.push((key(deleted.order), Some(value.into())));
        notes
    }
}

impl DeletedNamesState {
    /// Remembers a name, if it is not known to have had more lives. Returns the number of the deletion that this one replaces.
    fn insert(&mut self, name: StreamName, deleted: DeletedName) -> Option<u64> {
        self.next_order = self.next_order.max(deleted.order.saturating_add(1));
        let before = self.names.get(&name).copied();
        if before.is_some_and(|before| before.lives > deleted.lives) {
            return None;
        }
        if let Some(before) = before {
            self.oldest.remove(&before.order);
        }
        self.names.insert(name.clone(), deleted);
        self.oldest.insert(deleted.order, name);
        before.map(|before| before.order)
    }

    /// Forgets the names that were deleted first, and lets the floor rise to their lives.
    fn forget_beyond(&mut self, names_max: usize) -> Vec<u64> {
        let mut forgotten = Vec::new();
        while self.names.len() > names_max
            && let Some((order, name)) = self.oldest.pop_first()
        {
            if let Some(deleted) = self.names.remove(&name) {
                self.floor = self.floor.max(deleted.lives);
            }
            forgotten.push(order);
        }
        forgotten
    }
}

fn key(order: u64) -> String {
    format!("{NOTES}{order}")
}

/// Lives, floor and name.
fn read(order: u64, value: &[u8]) -> Option<(StreamName, DeletedName, u32)> {
    let mut parts = std::str::from_utf8(value).ok()?.splitn(3, ' ');
    let (lives, floor) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let name = StreamName::parse(parts.next()?).ok()?;
    Some((name, DeletedName { lives, order }, floor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(number: usize) -> StreamName {
        StreamName::parse(&format!("s{number}")).unwrap()
    }

    /// Keeps notes like a store.
    fn keep(kept: &mut BTreeMap<String, Bytes>, notes: Vec<NoteChange>) {
        for (key, value) in notes {
            match value {
                Some(value) => drop(kept.insert(key, value)),
                None => drop(kept.remove(&key)),
            }
        }
    }

    #[test]
    fn forgotten_names_raise_the_first_life_of_others() {
        let mut kept = BTreeMap::new();
        let names = DeletedNames::take(&mut kept.clone(), 2);
        assert_eq!(names.next_life(&name(1)), 0);
        for life in 0..3 {
            keep(&mut kept, names.end_life(&name(1), life));
            assert_eq!(names.next_life(&name(1)), life + 1);
        }
        keep(&mut kept, names.end_life(&name(2), 0));
        assert_eq!(names.next_life(&name(9)), 0);
        keep(&mut kept, names.end_life(&name(3), 0));
        assert_eq!(kept.len(), 2, "the oldest is forgotten in the store, too");
        for names in [names, DeletedNames::take(&mut kept, 2)] {
            let lives = [1, 2, 3, 9].map(|number| names.next_life(&name(number)));
            assert_eq!(
                lives,
                [3, 1, 1, 3],
                "a name that is not remembered begins with the life of the forgotten one"
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
        assert_eq!(names.next_life(&StreamName::parse("a b/c").unwrap()), 2);
        assert_eq!(names.next_life(&StreamName::parse("d").unwrap()), 1);
        assert_eq!(notes.into_keys().collect::<Vec<_>>(), ["import/7"]);
    }

    proptest! {
        /// Names are created and deleted, the server is restarted, and commits reach the store in
        /// almost any order.
        #[test]
        fn no_name_has_the_same_life_twice(
            steps in proptest::collection::vec((0_usize..6, 0_usize..12, any::<bool>()), 1..200),
            names_max in 1_usize..5,
        ) {
            let (mut kept, mut late): (BTreeMap<String, Bytes>, Vec<Vec<NoteChange>>) = Default::default();
            let mut names = DeletedNames::take(&mut kept.clone(), names_max);
            let mut seen: HashMap<usize, u32> = HashMap::new();
            for (number, restart, waits) in steps {
                let life = names.next_life(&name(number));
                if let Some(before) = seen.insert(number, life) {
                    prop_assert!(life > before, "s{number} has life {life} after {before}");
                }
                late.push(names.end_life(&name(number), life));
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
