//! All streams in two orders: that of their names, and that of their creation.

use crate::log::Log;
use crate::model::{StreamId, StreamName};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// The streams by name and by number. A page of a listing costs what it shows, not what there is.
#[derive(Debug, Default)]
pub(super) struct StreamIndex {
    by_name: BTreeMap<StreamName, Arc<Log>>,
    /// A stream that was created later has a higher number.
    by_id: BTreeMap<StreamId, Arc<Log>>,
}

impl StreamIndex {
    /// Adds a stream; one of the same name goes.
    pub(super) fn insert(&mut self, log: Arc<Log>) {
        let (name, id) = (log.name().clone(), log.id());
        if let Some(before) = self.by_name.insert(name, Arc::clone(&log)) {
            self.by_id.remove(&before.id());
        }
        self.by_id.insert(id, log);
    }

    /// Removes the stream of this name.
    pub(super) fn remove(&mut self, name: &StreamName) {
        if let Some(log) = self.by_name.remove(name) {
            self.by_id.remove(&log.id());
        }
    }

    /// The stream of this name.
    pub(super) fn get<N: Ord + ?Sized>(&self, name: &N) -> Option<&Arc<Log>>
    where
        StreamName: Borrow<N>,
    {
        self.by_name.get(name)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// All, in the order of their names.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Log>> {
        self.by_name.values()
    }

    /// Those behind `after` whose names begin with `prefix` and not with `exclude`, in the order of their names. What is
    /// excluded is skipped, not looked at.
    ///
    /// - `exclude`: excludes nothing when empty.
    pub(super) fn by_name<'a>(
        &'a self,
        prefix: &'a str,
        exclude: &str,
        after: Option<&str>,
    ) -> impl Iterator<Item = &'a Arc<Log>> {
        let (first, from) = match after {
            Some(after) if after >= prefix => (after, Bound::Excluded(after)),
            _ => (prefix, Bound::Included(prefix)),
        };
        let range = |from, until| self.by_name.range::<str, _>((from, until));
        let (before, behind) = if exclude.is_empty() {
            (Some(range(from, Bound::Unbounded)), None)
        } else {
            let before = (first < exclude).then(|| range(from, Bound::Excluded(exclude)));
            let successor = successor(exclude);
            let behind = successor.as_deref().map(|behind| {
                let from = if first < behind {
                    Bound::Included(behind)
                } else {
                    from
                };
                range(from, Bound::Unbounded)
            });
            (before, behind)
        };
        before
            .into_iter()
            .flatten()
            .chain(behind.into_iter().flatten())
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .map(|(_, log)| log)
    }

    /// Those with lower numbers than `after`, the last created first.
    pub(super) fn newest(&self, after: Option<StreamId>) -> impl Iterator<Item = &Arc<Log>> {
        let until = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.by_id.range((Bound::Unbounded, until));
        range.rev().map(|(_, log)| log)
    }
}

impl FromIterator<Arc<Log>> for StreamIndex {
    fn from_iter<I: IntoIterator<Item = Arc<Log>>>(logs: I) -> Self {
        let mut index = Self::default();
        logs.into_iter().for_each(|log| index.insert(log));
        index
    }
}

/// The first text behind all that begin with `prefix`, in byte order; `None` if there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut rest = prefix.chars();
    while let Some(last) = rest.next_back() {
        let next = match last {
            // No character has a number between these.
            '\u{d7ff}' => Some('\u{e000}'),
            char::MAX => None,
            last => char::from_u32(u32::from(last) + 1),
        };
        if let Some(next) = next {
            return Some(format!("{}{next}", rest.as_str()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_lies_between_a_prefix_with_its_names_and_its_successor() {
        for (prefix, expected) in [
            ("lab/", Some("lab0")),
            ("a", Some("b")),
            ("a\u{10ffff}", Some("b")),
            ("\u{10ffff}\u{10ffff}", None),
            ("\u{d7ff}", Some("\u{e000}")),
            ("\u{7f}", Some("\u{80}")),
        ] {
            let found = successor(prefix);
            assert_eq!(found.as_deref(), expected, "{prefix:?}");
            if let Some(found) = found {
                assert!(*found > *prefix && *found > *format!("{prefix}\u{10ffff}"));
            }
        }
    }
}
