//! A page of the list of streams with the way back to the pages before it, and who reads a stream.

use tailwater_protocol::inspect::{StreamDetails, StreamList};
use tailwater_protocol::{Technique, Token};

/// Streams on a page of the list.
pub const PAGE: usize = 50;

/// Something asked of the server, as far as it is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Fetched<T> {
    /// No answer yet.
    #[default]
    Awaited,
    /// The answer, which may be some seconds old.
    Here(T),
    /// There is no such thing.
    Missing,
    /// The server said no, in words.
    Refused(String),
}

/// Which of the cases of [`Fetched`], without the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchedKind {
    /// No answer yet.
    Awaited,
    /// An answer.
    Here,
    /// There is no such thing.
    Missing,
    /// The server said no, in words.
    Refused(String),
}

impl<T> Fetched<T> {
    /// Which case it is.
    pub fn kind(&self) -> FetchedKind {
        match self {
            Self::Awaited => FetchedKind::Awaited,
            Self::Here(_) => FetchedKind::Here,
            Self::Missing => FetchedKind::Missing,
            Self::Refused(why) => FetchedKind::Refused(why.clone()),
        }
    }

    /// The answer, if it is there.
    pub fn here(&self) -> Option<&T> {
        match self {
            Self::Here(value) => Some(value),
            Self::Awaited | Self::Missing | Self::Refused(_) => None,
        }
    }
}

/// The list as it is shown.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Listing {
    /// The page.
    pub page: Fetched<StreamList>,
    /// How many streams the server has, once it is known.
    pub total: Option<u64>,
    /// Where the pages begin that were turned to from here, the first of them in front.
    starts: Vec<String>,
}

impl Listing {
    /// Where the next page begins; `None` on the last.
    pub fn next(&self) -> Option<String> {
        self.page.here().and_then(|page| page.after.clone())
    }

    /// Whether there is a next page; `None` while the page is awaited.
    pub fn has_next(&self) -> Option<bool> {
        (self.page != Fetched::Awaited).then(|| self.next().is_some())
    }

    /// Leaves the page that begins behind `from` for the next one, and says where that begins.
    pub fn turn_on(&mut self, from: Option<&str>) -> Option<String> {
        let next = self.next()?;
        let known = self.place(from).map_or(0, |place| place + 1);
        self.starts.truncate(known);
        self.starts.push(next.clone());
        Some(next)
    }

    /// Where the page before `from` begins; `None` is the first page, also where the way is not known, as after a deep link.
    pub fn previous(&self, from: Option<&str>) -> Option<String> {
        let before = self.place(from)?.checked_sub(1)?;
        self.starts.get(before).cloned()
    }

    fn place(&self, from: Option<&str>) -> Option<usize> {
        let is_there = |start: &String| Some(start.as_str()) == from;
        self.starts.iter().position(is_there)
    }

    /// Waits for another page.
    pub fn wait(&mut self) {
        self.page = Fetched::Awaited;
    }

    /// Begins anew with another search.
    pub fn restart(&mut self) {
        self.starts.clear();
        self.wait();
    }

    /// Takes a page that came.
    pub fn show(&mut self, page: Fetched<StreamList>) {
        self.total = page.here().map(|page| page.total as u64).or(self.total);
        self.page = page;
    }

    /// Whether nothing exists that could be listed.
    pub fn is_empty(&self) -> bool {
        self.page.here().is_some_and(|page| page.streams.is_empty())
    }
}

/// The bytes before a position, as this server counts them.
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
    /// Bytes by which the slowest of those that are named is behind.
    pub lag_bytes: u64,
}

/// Live readers by technique; techniques that nobody uses are left out.
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
        Fetched::Here(StreamList {
            streams: Vec::new(),
            after: after.map(str::to_owned),
            ..StreamList::default()
        })
    }

    #[test]
    fn pages_are_turned_on_and_back_also_from_a_deep_link() {
        let mut listing = Listing::default();
        assert_eq!(listing.total, None);
        listing.show(list(Some("b")));
        assert_eq!(listing.turn_on(None).as_deref(), Some("b"));
        assert_eq!(listing.has_next(), Some(true));
        listing.wait();
        assert_eq!((listing.has_next(), listing.total), (None, Some(0)));
        assert_eq!(listing.turn_on(Some("b")), None, "not before it is there");
        listing.page = list(Some("d"));
        assert_eq!(listing.turn_on(Some("b")).as_deref(), Some("d"));
        assert_eq!(listing.previous(Some("d")).as_deref(), Some("b"));
        assert_eq!(listing.previous(Some("b")), None);
        // After the browser's way back to the first page, the way on is a new one.
        listing.page = list(Some("c"));
        assert_eq!(listing.turn_on(None).as_deref(), Some("c"));
        assert_eq!(listing.previous(Some("c")), None);
        assert_eq!(listing.previous(Some("d")), None);
        assert_eq!(Listing::default().previous(Some("x")), None);
    }
}
