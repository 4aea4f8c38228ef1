//! A page of the list of streams with the previous pages, and the readers of a stream by technique.

use tailwater_protocol::inspect::{StreamDetails, StreamList};
use tailwater_protocol::{Technique, Token};

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
    /// The number of streams of the server, once known.
    pub total: Option<u64>,
    /// The cursors of the visited pages after the first one, in order.
    starts: Vec<String>,
}

impl Listing {
    /// Where the next page begins; `None` on the last page.
    pub fn next(&self) -> Option<String> {
        self.page.loaded().and_then(|page| page.after.clone())
    }

    /// Whether there is a next page; `None` while the page is loading.
    pub fn has_next(&self) -> Option<bool> {
        (self.page != Fetched::Loading).then(|| self.next().is_some())
    }

    /// Opens the page after the one that begins after `from`, and returns where it begins.
    pub fn open_next(&mut self, from: Option<&str>) -> Option<String> {
        let next = self.next()?;
        let known = self.index(from).map_or(0, |index| index + 1);
        self.starts.truncate(known);
        self.starts.push(next.clone());
        Some(next)
    }

    /// The cursor of the page before `from`; `None` for the first page, and if the previous page is unknown, such as after a
    /// deep link.
    pub fn previous(&self, from: Option<&str>) -> Option<String> {
        let before = self.index(from)?.checked_sub(1)?;
        self.starts.get(before).cloned()
    }

    fn index(&self, from: Option<&str>) -> Option<usize> {
        let is_there = |start: &String| Some(start.as_str()) == from;
        self.starts.iter().position(is_there)
    }

    /// Marks the page as loading.
    pub fn wait(&mut self) {
        self.page = Fetched::Loading;
    }

    /// Starts again with another search.
    pub fn restart(&mut self) {
        self.starts.clear();
        self.wait();
    }

    /// Shows a page that was received.
    pub fn show(&mut self, page: Fetched<StreamList>) {
        self.total = page.loaded().map(|page| page.total as u64).or(self.total);
        self.page = page;
    }

    /// Whether the list is empty.
    pub fn is_empty(&self) -> bool {
        self.page
            .loaded()
            .is_some_and(|page| page.streams.is_empty())
    }
}

/// The number of bytes before an offset of this server; 0 if it is not a number.
pub fn bytes_before(offset: &Token) -> u64 {
    offset.as_str().parse().unwrap_or(0)
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
        let count = details.reader_counts.of(technique);
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
            ..StreamList::default()
        })
    }

    #[test]
    fn next_and_previous_page_also_after_a_deep_link() {
        let mut listing = Listing::default();
        assert_eq!(listing.total, None);
        listing.show(list(Some("b")));
        assert_eq!(listing.open_next(None).as_deref(), Some("b"));
        assert_eq!(listing.has_next(), Some(true));
        listing.wait();
        assert_eq!((listing.has_next(), listing.total), (None, Some(0)));
        assert_eq!(
            listing.open_next(Some("b")),
            None,
            "not while it is loading"
        );
        listing.page = list(Some("d"));
        assert_eq!(listing.open_next(Some("b")).as_deref(), Some("d"));
        assert_eq!(listing.previous(Some("d")).as_deref(), Some("b"));
        assert_eq!(listing.previous(Some("b")), None);
        // After the Back button led to the first page, its next page has a new cursor.
        listing.page = list(Some("c"));
        assert_eq!(listing.open_next(None).as_deref(), Some("c"));
        assert_eq!(listing.previous(Some("c")), None);
        assert_eq!(listing.previous(Some("d")), None);
        assert_eq!(Listing::default().previous(Some("x")), None);
    }
}
