//! A page of the list of streams with the previous pages, and the readers of a stream by technique.

use tailwater_protocol::Technique;
use tailwater_protocol::inspect::{StreamDetails, StreamList};

/// Streams on a page of the list.
pub const PAGE: usize = 50;

/// The state of something that is requested from the server.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Fetched<T> {
    /// No response yet.
    #[default]
    Loading,
    /// The response, which may be some seconds old.
    Loaded(T),
    /// It does not exist.
    Missing,
    /// The server refused the request, with the reason.
    Refused(String),
}

/// The variants of [`Fetched`] without the response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchedKind {
    /// No response yet.
    Loading,
    /// A response.
    Loaded,
    /// It does not exist.
    Missing,
    /// The server refused the request, with the reason.
    Refused(String),
}

impl<T> Fetched<T> {
    /// The variant.
    pub fn kind(&self) -> FetchedKind {
        match self {
            Self::Loading => FetchedKind::Loading,
            Self::Loaded(_) => FetchedKind::Loaded,
            Self::Missing => FetchedKind::Missing,
            Self::Refused(why) => FetchedKind::Refused(why.clone()),
        }
    }

    /// The response, if there is one.
    pub fn loaded(&self) -> Option<&T> {
        match self {
            Self::Loaded(value) => Some(value),
            Self::Loading | Self::Missing | Self::Refused(_) => None,
        }
    }
}

/// The list as it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// The page.
    pub page: Fetched<StreamList>,
    /// Where the pages before this one began, the first of them in front.
    trail: Vec<Option<String>>,
}

impl Listing {
    /// Where the next page begins; `None` on the last page.
    pub fn next(&self) -> Option<String> {
        self.page.loaded().and_then(|page| page.after.clone())
    }

    /// Opens the page after the one that begins after `from`, and returns where it begins.
    pub fn open_next(&mut self, from: Option<String>) -> Option<String> {
        let next = self.next()?;
        self.trail.push(from);
        self.page = Fetched::Loading;
        Some(next)
    }

    /// Goes back to the page before; to the first where the way here is not known, as after a deep link.
    pub fn open_previous(&mut self) -> Option<String> {
        self.page = Fetched::Loading;
        self.trail.pop().flatten()
    }

    /// Starts again with another search.
    pub fn restart(&mut self) {
        *self = Self::default();
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.page
            .loaded()
            .is_some_and(|page| page.streams.is_empty())
    }
}

/// The readers of one technique.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Followers {
    /// Their technique.
    pub technique: Technique,
    /// How many.
    pub count: usize,
    /// Bytes by which the slowest of the listed readers is behind.
    pub lag_bytes: u64,
}

/// Live readers by technique; techniques without readers are left out.
pub fn followers(details: &StreamDetails) -> Vec<Followers> {
    let of = |technique| {
        let lags = details
            .readers
            .iter()
            .filter(|reader| reader.technique == technique)
            .map(|reader| reader.lag_bytes);
        let count = details.reader_counts.get(&technique).copied().unwrap_or(0);
        Followers {
            technique,
            count,
            lag_bytes: lags.max().unwrap_or(0),
        }
    };
    Technique::ALL
        .into_iter()
        .map(of)
        .filter(|followers| followers.count > 0)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(after: Option<&str>) -> Fetched<StreamList> {
        Fetched::Loaded(StreamList {
            streams: Vec::new(),
            after: after.map(str::to_owned),
        })
    }

    #[test]
    fn pages_go_forward_and_back_also_from_a_deep_link() {
        let mut listing = Listing {
            page: list(Some("b")),
            ..Listing::default()
        };
        assert_eq!(listing.open_next(None).as_deref(), Some("b"));
        assert_eq!(listing.page, Fetched::Loading);
        assert_eq!(
            listing.open_next(Some("b".to_owned())),
            None,
            "not before the page is there"
        );
        listing.page = list(Some("d"));
        assert_eq!(
            listing.open_next(Some("b".to_owned())).as_deref(),
            Some("d")
        );
        assert_eq!(listing.open_previous().as_deref(), Some("b"));
        assert_eq!(listing.open_previous(), None);
        let mut linked = Listing::default();
        assert_eq!(linked.open_previous(), None);
    }
}
