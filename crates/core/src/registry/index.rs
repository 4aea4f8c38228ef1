//! The index of all streams, ordered by name and by creation.

use crate::log::Log;
use crate::model::{StreamId, StreamName};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// Indexes streams by name and by number, so that the cost of a page of the list does not depend on
/// the number of streams.
#[derive(Debug, Default)]
pub(super) struct StreamIndex {
    by_name: BTreeMap<StreamName, Arc<Log>>,
    /// Streams that were created later have higher numbers.
    by_id: BTreeMap<StreamId, Arc<Log>>,
}

impl StreamIndex {
    /// Adds a stream and removes the previous stream of the same name, if any.
    pub(super) fn insert(&mut self, log: Arc<Log>) {
        let (name, id) = (log.name().clone(), log.id());
        if let Some(previous) = self.by_name.insert(name, Arc::clone(&log)) {
            self.by_id.remove(&previous.id());
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

    /// The number of streams.
    pub(super) fn len(&self) -> usize {
        self.by_name.len()
    }

    /// All streams, ordered by name.
    pub(super) fn values(&self) -> impl Iterator<Item = &Arc<Log>> {
        self.by_name.values()
    }

    /// The streams after `after` whose names start with `prefix` and do not start with `exclude`,
    /// ordered by name. The range of excluded names is skipped without being scanned.
    ///
    /// - `exclude`: excludes nothing if it is empty.
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
        let (below, above) = if exclude.is_empty() {
            (Some(range(from, Bound::Unbounded)), None)
        } else {
            let below = (first < exclude).then(|| range(from, Bound::Excluded(exclude)));
            let successor = successor(exclude);
            let above = successor.as_deref().map(|successor| {
                let from = if first < successor {
                    Bound::Included(successor)
                } else {
                    from
                };
                range(from, Bound::Unbounded)
            });
            (below, above)
        };
        below
            .into_iter()
            .flatten()
            .chain(above.into_iter().flatten())
            .take_while(move |(name, _)| name.as_str().starts_with(prefix))
            .map(|(_, log)| log)
    }

    /// The streams with numbers below `after`, newest first; all streams if it is `None`.
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

/// The least string that is greater than all strings with this prefix, in byte order; `None` if
/// there is none.
fn successor(prefix: &str) -> Option<String> {
    let mut rest = prefix.chars();
    while let Some(last) = rest.next_back() {
        let next = match last {
            // The code points in between are surrogates, which are not characters.
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
    fn the_successor_is_above_all_names_with_the_prefix() {
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
