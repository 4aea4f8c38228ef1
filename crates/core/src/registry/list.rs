//! Pages of the list of streams, ordered by name.

use super::Streams;
use crate::log::Log;
use std::ops::Bound;
use std::sync::{Arc, PoisonError};

/// The number of names that are searched before the lock on the streams is released, so that
/// creations and deletions are not delayed by a long search.
const NAMES_AT_ONCE: usize = 1_000;

/// The selection of a page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Selects names that start with this text; all if it is empty.
    pub prefix: String,
    /// Selects names that contain this text, ignoring case; all if it is empty.
    pub search: String,
    /// Selects names after this one in byte order; all if it is `None`.
    pub after: Option<String>,
    /// The maximum number of streams, at least 1.
    pub limit: usize,
}

impl Streams {
    /// A page of streams in byte order of their names, and whether more streams follow.
    ///
    /// The cost of a prefix query is proportional to the page; a search examines every name after
    /// `after` until the page is full. Streams that are created or deleted meanwhile may or may not be
    /// included; all others are included exactly once.
    pub async fn list(&self, query: &ListQuery) -> (Vec<Arc<Log>>, bool) {
        let search = query.search.to_lowercase();
        let mut page = Vec::new();
        let mut after = query.after.clone();
        let at_once = if search.is_empty() {
            query.limit.saturating_add(1).min(NAMES_AT_ONCE)
        } else {
            NAMES_AT_ONCE
        };
        loop {
            let seen = self.scan(&query.prefix, after.as_deref(), at_once);
            let is_end = seen.len() < at_once;
            after = seen.last().map(|log| log.name().to_string());
            for log in seen {
                if log.is_hidden() || log.is_expired() {
                    continue;
                }
                if !search.is_empty() && !log.name().as_str().to_lowercase().contains(&search) {
                    continue;
                }
                if page.len() == query.limit {
                    return (page, true);
                }
                page.push(log);
            }
            if is_end {
                return (page, false);
            }
            tokio::task::yield_now().await;
        }
    }

    /// The names of the first `limit` forks of `source`. Returns immediately for a stream without forks.
    pub async fn forks_of(&self, source: &Log, limit: usize) -> Vec<String> {
        let wanted = source.forks().min(limit);
        let mut names = Vec::new();
        let mut after: Option<String> = None;
        while names.len() < wanted {
            let seen = self.scan("", after.as_deref(), NAMES_AT_ONCE);
            let forks = seen.iter().filter(|log| {
                log.config()
                    .fork
                    .as_ref()
                    .is_some_and(|fork| fork.source == source.id())
            });
            names.extend(
                forks
                    .map(|log| log.name().to_string())
                    .take(wanted - names.len()),
            );
            if seen.len() < NAMES_AT_ONCE {
                break;
            }
            after = seen.last().map(|log| log.name().to_string());
            tokio::task::yield_now().await;
        }
        names
    }

    /// The first `at_once` streams after `after` whose name starts with `prefix`.
    fn scan(&self, prefix: &str, after: Option<&str>, at_once: usize) -> Vec<Arc<Log>> {
        let from = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        logs.range::<str, _>((from, Bound::Unbounded))
            .take_while(|(name, _)| name.as_str().starts_with(prefix))
            .take(at_once)
            .map(|(_, log)| Arc::clone(log))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{StreamConfig, StreamName};
    use crate::store::MemoryStore;

    async fn streams(names: impl IntoIterator<Item = String>) -> Streams {
        let streams = Streams::new(Arc::new(MemoryStore::new(1 << 30)), usize::MAX);
        for name in names {
            let name = StreamName::parse(&name).unwrap();
            streams
                .create(&name, StreamConfig::new("text/plain"), None, false)
                .await
                .unwrap();
        }
        streams
    }

    async fn names(streams: &Streams, wanted: ListQuery) -> (Vec<String>, bool) {
        let (page, more) = streams.list(&wanted).await;
        (
            page.iter().map(|log| log.name().to_string()).collect(),
            more,
        )
    }

    fn wanted(prefix: &str, search: &str, after: Option<&str>, limit: usize) -> ListQuery {
        ListQuery {
            prefix: prefix.to_owned(),
            search: search.to_owned(),
            after: after.map(str::to_owned),
            limit,
        }
    }

    #[tokio::test]
    async fn a_page_starts_after_any_name_and_keeps_to_its_prefix() {
        let streams =
            streams(["b/1", "a", "b/3", "B", "b", "bb", "c", "b/2"].map(str::to_owned)).await;
        for (prefix, after, limit, expected, more) in [
            (
                "",
                None,
                9,
                &["B", "a", "b", "b/1", "b/2", "b/3", "bb", "c"][..],
                false,
            ),
            ("b/", None, 9, &["b/1", "b/2", "b/3"][..], false),
            ("b/", None, 3, &["b/1", "b/2", "b/3"][..], false),
            ("b/", None, 2, &["b/1", "b/2"][..], true),
            ("b/", Some("b/2"), 2, &["b/3"][..], false),
            ("b/", Some("b/19"), 2, &["b/2", "b/3"][..], false),
            ("b/", Some("a"), 1, &["b/1"][..], true),
            ("b/", Some("z"), 9, &[][..], false),
            ("none", None, 9, &[][..], false),
        ] {
            let found = names(&streams, wanted(prefix, "", after, limit)).await;
            assert_eq!(
                found,
                (expected.iter().map(ToString::to_string).collect(), more),
                "{prefix} {after:?} {limit}"
            );
        }
    }

    #[tokio::test]
    async fn a_search_matches_inside_names_and_continues_in_steps() {
        let many = (0..NAMES_AT_ONCE * 2 + 7).map(|number| format!("stream/{number:05}"));
        let streams = streams(many.chain(["zone/Ünder".to_owned(), "zone/other".to_owned()])).await;
        assert_eq!(
            names(&streams, wanted("", "üNDER", None, 5)).await,
            (vec!["zone/Ünder".to_owned()], false)
        );
        assert_eq!(
            names(&streams, wanted("zone", "stream", None, 5)).await,
            (vec![], false)
        );
        assert_eq!(
            names(&streams, wanted("", "0200", None, 2)).await.0,
            ["stream/00200", "stream/02000"]
        );
        let mut after = None;
        let mut all = Vec::new();
        loop {
            let (page, more) = names(&streams, wanted("stream/", "", after.as_deref(), 999)).await;
            after = page.last().cloned();
            all.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(all.len(), NAMES_AT_ONCE * 2 + 7);
        assert!(all.is_sorted());
    }
}
