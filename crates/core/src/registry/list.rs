//! Pages of the list of streams, ordered by name or by creation.

use super::Streams;
use crate::log::Log;
use crate::model::StreamId;
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
    /// Excludes names that start with this text; excludes nothing if it is empty.
    pub exclude: String,
    /// The order, and the stream after which the page starts.
    pub order: ListOrder,
    /// The maximum number of streams, at least 1.
    pub limit: usize,
}

/// The order of the list, and the stream after which a page starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListOrder {
    /// In the byte order of names, after this name, which does not have to exist; from the first name
    /// if `None`.
    Name(Option<String>),
    /// By creation, newest first, after the stream with this number, which does not have to exist;
    /// from the newest stream if `None`.
    Newest(Option<StreamId>),
}

impl Default for ListOrder {
    fn default() -> Self {
        Self::Name(None)
    }
}

impl ListOrder {
    /// The same order, starting after `log`.
    #[must_use]
    pub fn starting_after(&self, log: &Log) -> Self {
        match self {
            Self::Name(_) => Self::Name(Some(log.name().to_string())),
            Self::Newest(_) => Self::Newest(Some(log.id())),
        }
    }
}

impl ListQuery {
    /// Whether the query selects a stream.
    ///
    /// - `search`: the text searched for, in lower case.
    fn matches(&self, log: &Log, search: &str) -> bool {
        !log.is_hidden() && !log.is_expired() && self.selects(log.name().as_str(), search)
    }

    /// Whether the query selects a name, of a stream or of anything else that is listed.
    ///
    /// - `search`: the text searched for, in lower case.
    pub fn selects(&self, name: &str, search: &str) -> bool {
        name.starts_with(&self.prefix)
            && (self.exclude.is_empty() || !name.starts_with(&self.exclude))
            && (search.is_empty() || name.to_lowercase().contains(search))
    }

    /// The number of streams to scan before the lock is released. If nothing that is scanned can be
    /// filtered out, this is one more than the page.
    fn scan_size(&self) -> usize {
        let is_filtered = match self.order {
            ListOrder::Name(_) => !self.search.is_empty(),
            ListOrder::Newest(_) => [&self.search, &self.prefix, &self.exclude]
                .iter()
                .any(|filter| !filter.is_empty()),
        };
        if is_filtered {
            NAMES_AT_ONCE
        } else {
            self.limit.saturating_add(1).min(NAMES_AT_ONCE)
        }
    }
}

impl Streams {
    /// A page of streams in the requested order, and whether there are more after it.
    ///
    /// In the order of names, `prefix` and `exclude` do not scan streams that are not on the page.
    /// `search`, and any filter in the order of creation, scan streams until the page is full.
    /// Streams that are created or deleted meanwhile may or may not be included; all others are
    /// included exactly once.
    pub async fn list(&self, query: &ListQuery) -> (Vec<Arc<Log>>, bool) {
        let search = query.search.to_lowercase();
        let mut page = Vec::new();
        let mut order = query.order.clone();
        let at_once = query.scan_size();
        loop {
            let scanned = self.scan(query, &order, at_once);
            let is_end = scanned.len() < at_once;
            if let Some(last) = scanned.last() {
                order = order.starting_after(last);
            }
            for log in scanned {
                if !query.matches(&log, &search) {
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
        let count = source.forks().min(limit);
        let mut names = Vec::new();
        let mut order = ListOrder::default();
        while names.len() < count {
            let scanned = self.scan(&ListQuery::default(), &order, NAMES_AT_ONCE);
            let forks = scanned.iter().filter(|log| {
                log.config()
                    .fork
                    .as_ref()
                    .is_some_and(|fork| fork.source == source.id())
            });
            names.extend(
                forks
                    .map(|log| log.name().to_string())
                    .take(count - names.len()),
            );
            let Some(last) = scanned.last().filter(|_| scanned.len() == NAMES_AT_ONCE) else {
                break;
            };
            order = order.starting_after(last);
            tokio::task::yield_now().await;
        }
        names
    }

    /// The first `at_once` streams in `order`, fewer only at the end. Only the filters that select a
    /// range of the index are applied.
    fn scan(&self, query: &ListQuery, order: &ListOrder, at_once: usize) -> Vec<Arc<Log>> {
        let logs = self.logs.read().unwrap_or_else(PoisonError::into_inner);
        match order {
            ListOrder::Name(after) => logs
                .by_name(&query.prefix, &query.exclude, after.as_deref())
                .take(at_once)
                .cloned()
                .collect(),
            ListOrder::Newest(after) => logs.newest(*after).take(at_once).cloned().collect(),
        }
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

    async fn names(streams: &Streams, query: ListQuery) -> (Vec<String>, bool) {
        let (page, more) = streams.list(&query).await;
        (
            page.iter().map(|log| log.name().to_string()).collect(),
            more,
        )
    }

    fn query(prefix: &str, search: &str, after: Option<&str>, limit: usize) -> ListQuery {
        ListQuery {
            prefix: prefix.to_owned(),
            search: search.to_owned(),
            order: ListOrder::Name(after.map(str::to_owned)),
            limit,
            ..ListQuery::default()
        }
    }

    #[tokio::test]
    async fn a_page_starts_after_any_name_within_its_prefix() {
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
            let found = names(&streams, query(prefix, "", after, limit)).await;
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
            names(&streams, query("", "üNDER", None, 5)).await,
            (vec!["zone/Ünder".to_owned()], false)
        );
        assert_eq!(
            names(&streams, query("zone", "stream", None, 5)).await,
            (vec![], false)
        );
        assert_eq!(
            names(&streams, query("", "0200", None, 2)).await.0,
            ["stream/00200", "stream/02000"]
        );
        let mut after = None;
        let mut all = Vec::new();
        loop {
            let (page, more) = names(&streams, query("stream/", "", after.as_deref(), 999)).await;
            after = page.last().cloned();
            all.extend(page);
            if !more {
                break;
            }
        }
        assert_eq!(all.len(), NAMES_AT_ONCE * 2 + 7);
        assert!(all.is_sorted());
    }

    #[tokio::test]
    async fn an_excluded_prefix_is_skipped_wherever_a_page_begins() {
        let streams = streams(
            ["a", "lab", "lab.", "lab/1", "lab/2", "lab0", "lab0/1", "m"].map(str::to_owned),
        )
        .await;
        let check = async |prefix: &str, exclude: &str, after: Option<&str>, expected: &[&str]| {
            let mut query = query(prefix, "", after, 9);
            query.exclude = exclude.to_owned();
            let mut pages = Vec::new();
            // Pages of every size join to the same list.
            for limit in [1, 2, 9] {
                let mut joined: Vec<String> = Vec::new();
                let mut query = ListQuery {
                    limit,
                    ..query.clone()
                };
                loop {
                    let (page, has_more) = streams.list(&query).await;
                    joined.extend(page.iter().map(|log| log.name().to_string()));
                    let Some(last) = page.last().filter(|_| has_more) else {
                        break;
                    };
                    query.order = query.order.starting_after(last);
                }
                pages.push(joined);
            }
            for page in pages {
                assert_eq!(page, expected, "{prefix} {exclude} {after:?}");
            }
        };
        let others = ["a", "lab", "lab.", "lab0", "lab0/1", "m"];
        check("", "lab/", None, &others).await;
        check("", "lab/", Some("lab/1"), &others[3..]).await;
        check("", "lab/", Some("lab."), &others[3..]).await;
        check("", "lab/", Some("lab0"), &others[4..]).await;
        check("lab", "lab/", None, &others[1..5]).await;
        check("lab/", "lab/", None, &[]).await;
        check("m", "lab/", None, &["m"]).await;
        check("a", "lab/", None, &["a"]).await;
        check("lab/", "lab/2", None, &["lab/1"]).await;
        check("", "l", None, &["a", "m"]).await;
    }

    #[tokio::test]
    async fn the_newest_stream_is_first_and_pages_join() {
        let streams = streams(["b", "lab/1", "c", "a", "lab/2", "d"].map(str::to_owned)).await;
        let deleted = StreamName::parse("c").unwrap();
        for (prefix, search, exclude, expected) in [
            ("", "", "", &["d", "lab/2", "a", "c", "lab/1", "b"][..]),
            ("", "", "lab/", &["d", "a", "c", "b"]),
            ("lab/", "", "", &["lab/2", "lab/1"]),
            ("", "B", "", &["lab/2", "lab/1", "b"]),
        ] {
            for limit in [1, 2, 6] {
                let mut query = ListQuery {
                    exclude: exclude.to_owned(),
                    order: ListOrder::Newest(None),
                    ..query(prefix, search, None, limit)
                };
                let mut joined: Vec<String> = Vec::new();
                loop {
                    let (page, has_more) = streams.list(&query).await;
                    joined.extend(page.iter().map(|log| log.name().to_string()));
                    let Some(last) = page.last().filter(|_| has_more) else {
                        break;
                    };
                    query.order = query.order.starting_after(last);
                }
                assert_eq!(joined, expected, "{prefix} {search} {exclude} {limit}");
            }
        }
        let query = ListQuery {
            order: ListOrder::Newest(None),
            ..query("", "", None, 3)
        };
        let (page, _) = streams.list(&query).await;
        let after_a = ListOrder::Newest(Some(page[2].id()));
        assert!(streams.delete(&deleted).await.unwrap());
        assert!(streams.delete(page[2].name()).await.unwrap());
        streams
            .create(&deleted, StreamConfig::new("text/plain"), None, false)
            .await
            .unwrap();
        let rest = ListQuery {
            order: after_a,
            limit: 9,
            ..ListQuery::default()
        };
        assert_eq!(
            names(&streams, rest).await,
            (vec!["lab/1".to_owned(), "b".to_owned()], false),
            "after a deleted stream"
        );
        let (page, _) = streams.list(&query).await;
        assert_eq!(page[0].name(), &deleted, "a recreated stream counts as new");
    }
}
