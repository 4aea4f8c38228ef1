//! Pages: the contiguous bytes of consecutive appends, with the ends of messages and appends; and reads across pages.

use super::{StoreError, StoredMessage};
use crate::model::Payload;
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::Offset;

/// The maximum length of an append in bytes, limited by the integers of an [`Index`].
pub(super) const APPEND_BYTES_MAX: usize = u32::MAX as usize;

/// The number of bytes from which a page is not copied to join it with others.
pub(super) const LONG: usize = 256 << 10;

/// One append.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The position before its first byte.
    pub(super) at: Offset,
    /// The time of the append.
    pub(super) time: SystemTime,
    /// The messages, at most [`APPEND_BYTES_MAX`] bytes.
    pub(super) payload: Payload,
}

impl Record {
    /// The position after its last byte.
    pub(super) fn end(&self) -> Offset {
        self.at.advance(self.payload.len()).unwrap_or(Offset::MAX)
    }
}

/// The ends of appends and messages in a page, in bytes. Takes 12 bytes for an append of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    appends: Vec<u32>,
    /// The time of each append, in nanoseconds since 1970.
    times: Vec<u64>,
    /// The ends of messages; empty while every append has one message.
    messages: Vec<u32>,
    /// The latest of `times`.
    newest: u64,
}

impl Index {
    /// Creates an empty index with capacity for a number of appends.
    pub(super) fn with_capacity(appends: usize) -> Self {
        Self {
            appends: Vec::with_capacity(appends),
            times: Vec::with_capacity(appends),
            ..Self::default()
        }
    }

    /// Adds an append of `len` bytes.
    ///
    /// - `ends`: the ends of its messages; empty for one message.
    pub(super) fn push(&mut self, time: u64, len: usize, ends: &[usize]) {
        let base = self.len();
        let from_base = |end: usize| u32::try_from(base + end).unwrap_or(u32::MAX);
        if ends.len() > 1 && self.messages.is_empty() {
            self.messages.clone_from(&self.appends);
        }
        if ends.len() > 1 {
            self.messages.extend(ends.iter().map(|&end| from_base(end)));
        } else if !self.messages.is_empty() {
            self.messages.push(from_base(len));
        }
        self.appends.push(from_base(len));
        self.times.push(time);
        self.newest = self.newest.max(time);
    }

    /// Adds the appends of another index.
    fn extend(&mut self, other: &Self) {
        let base = u32::try_from(self.len()).unwrap_or(u32::MAX);
        if !self.messages.is_empty() || !other.messages.is_empty() {
            if self.messages.is_empty() {
                self.messages.clone_from(&self.appends);
            }
            self.messages
                .extend(other.messages().iter().map(|end| base + end));
        }
        self.appends
            .extend(other.appends.iter().map(|end| base + end));
        self.times.extend_from_slice(&other.times);
        self.newest = self.newest.max(other.newest);
    }

    /// The index without the first `bytes`, which must be a message boundary.
    fn after(&self, bytes: usize) -> Self {
        let gone = u32::try_from(bytes).unwrap_or(u32::MAX);
        let rest = |ends: &[u32]| -> Vec<u32> {
            ends[ends.partition_point(|end| *end <= gone)..]
                .iter()
                .map(|end| end - gone)
                .collect()
        };
        let appends = rest(&self.appends);
        let times = self.times[self.times.len() - appends.len()..].to_vec();
        Self {
            appends,
            times,
            messages: rest(&self.messages),
            newest: self.newest,
        }
    }

    /// The number of bytes of all appends.
    pub(super) fn len(&self) -> usize {
        self.appends.last().map_or(0, |end| *end as usize)
    }

    fn messages(&self) -> &[u32] {
        if self.messages.is_empty() {
            &self.appends
        } else {
            &self.messages
        }
    }

    fn is_boundary(&self, at: usize) -> bool {
        at == 0 || u32::try_from(at).is_ok_and(|at| self.messages().binary_search(&at).is_ok())
    }

    /// The end of the last message that ends in `from..=limit`, or else of the first one after `from`.
    fn cut(&self, from: usize, limit: usize) -> usize {
        let messages = self.messages();
        let first = messages.partition_point(|&end| end as usize <= from);
        let after = messages.partition_point(|&end| end as usize <= limit);
        messages
            .get(after.max(first + 1) - 1)
            .map_or(self.len(), |end| *end as usize)
    }

    /// The end of the last append that ends at or before `at`; 0 if there is none.
    pub(super) fn last_append(&self, at: usize) -> usize {
        let passed = self.appends.partition_point(|&end| end as usize <= at);
        passed
            .checked_sub(1)
            .map_or(0, |last| self.appends[last] as usize)
    }

    /// The start of the first append that ends after `from` and has a time of at least `time`, in
    /// nanoseconds since 1970.
    pub(super) fn first_since(&self, time: u64, from: usize) -> Option<usize> {
        if self.newest < time {
            return None;
        }
        let begin = self.appends.partition_point(|&end| end as usize <= from);
        let found = begin + self.times[begin..].iter().position(|&made| made >= time)?;
        Some(
            found
                .checked_sub(1)
                .map_or(0, |before| self.appends[before] as usize),
        )
    }

    /// The messages that begin before `until`, newest first.
    ///
    /// - `at`: the position before the first byte of the page.
    pub(super) fn last_messages(
        &self,
        at: Offset,
        until: Offset,
    ) -> impl Iterator<Item = StoredMessage> + '_ {
        let until = distance(at, until);
        let messages = self.messages();
        let begins = move |index: usize| {
            index
                .checked_sub(1)
                .map_or(0, |before| messages[before] as usize)
        };
        let passed = messages.partition_point(|&end| (end as usize) < until);
        let count = if until == 0 { 0 } else { passed + 1 };
        (0..count.min(messages.len())).rev().map(move |index| {
            let end = messages[index];
            let append = self.appends.partition_point(|&passed| passed < end);
            let position = |bytes| at.advance(bytes).unwrap_or(Offset::MAX);
            StoredMessage {
                at: position(begins(index)),
                end: position((end as usize).min(until)),
                time: UNIX_EPOCH + Duration::from_nanos(self.times[append]),
            }
        })
    }

    /// The number of bytes in memory, including unused capacity.
    pub(super) fn memory_bytes(&self) -> usize {
        (self.appends.capacity() + self.messages.capacity()) * size_of::<u32>()
            + self.times.capacity() * size_of::<u64>()
    }

    fn shrink(&mut self) {
        self.appends.shrink_to_fit();
        self.times.shrink_to_fit();
        self.messages.shrink_to_fit();
    }
}

/// A page that does not change any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedPage {
    /// The position before its first byte.
    pub(super) at: Offset,
    pub(super) bytes: Bytes,
    pub(super) index: Index,
}

impl SealedPage {
    /// Creates a page of bytes and their index.
    pub(super) fn new(at: Offset, bytes: Bytes, mut index: Index) -> Self {
        index.shrink();
        Self { at, bytes, index }
    }

    /// Creates a page of one append without copying its bytes.
    pub(super) fn of(Record { at, time, payload }: Record) -> Self {
        let mut index = Index::with_capacity(1);
        index.push(nanos(time), payload.len(), payload.ends());
        Self::new(at, payload.bytes().clone(), index)
    }

    /// Copies consecutive pages into one; `None` if there are no pages.
    pub(super) fn join<'a>(pages: impl Iterator<Item = &'a Self> + Clone) -> Option<Self> {
        let at = pages.clone().next()?.at;
        let mut bytes = Vec::with_capacity(pages.clone().map(|page| page.bytes.len()).sum());
        let mut index =
            Index::with_capacity(pages.clone().map(|page| page.index.appends.len()).sum());
        for page in pages {
            bytes.extend_from_slice(&page.bytes);
            index.extend(&page.index);
        }
        Some(Self::new(at, bytes.into(), index))
    }

    /// Copies the part after `position`, which must be a message boundary in the page.
    pub(super) fn after(&self, position: Offset) -> Self {
        let gone = distance(self.at, position);
        Self::new(
            position,
            Bytes::copy_from_slice(&self.bytes[gone..]),
            self.index.after(gone),
        )
    }

    /// The position after its last byte.
    pub(super) fn end(&self) -> Offset {
        self.at.advance(self.bytes.len()).unwrap_or(Offset::MAX)
    }

    /// The position `bytes` after the start of the page.
    pub(super) fn cut_at(&self, bytes: usize) -> Offset {
        self.at.advance(bytes).unwrap_or(Offset::MAX)
    }

    /// The number of bytes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.index.memory_bytes() + PAGE_OVERHEAD_BYTES
    }
}

/// The memory overhead of a page in bytes: its place in a queue, and the headers of four allocations.
const PAGE_OVERHEAD_BYTES: usize = size_of::<SealedPage>() + 4 * 16;

/// Access to a page, independent of how it is stored.
pub(super) trait PageView {
    /// The position before the first byte.
    fn at(&self) -> Offset;
    /// The ends of messages and appends.
    fn index(&self) -> &Index;
    /// All bytes.
    fn bytes(&self) -> &[u8];
    /// A range of the bytes as an owned value.
    fn slice(&self, range: Range<usize>) -> Bytes;
}

impl PageView for SealedPage {
    fn at(&self) -> Offset {
        self.at
    }

    fn index(&self) -> &Index {
        &self.index
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn slice(&self, range: Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }
}

impl<R: PageView> PageView for std::sync::Arc<R> {
    fn at(&self) -> Offset {
        (**self).at()
    }

    fn index(&self) -> &Index {
        (**self).index()
    }

    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }

    fn slice(&self, range: Range<usize>) -> Bytes {
        (**self).slice(range)
    }
}

/// Reads complete messages from pages, as specified in [`super::Store::read`].
///
/// - `pages`: consecutive pages, starting with the one that contains `from`.
/// - `end`: the end of the stream, which is the earliest retained position if there are no pages.
///
/// A result from several pages is copied. It may be shorter than possible, so that a page of [`LONG`]
/// bytes or more is not copied.
pub(super) fn page<R: PageView>(
    mut pages: impl Iterator<Item = Result<R, StoreError>>,
    [from, until, end]: [Offset; 3],
    max_bytes: usize,
) -> Result<Bytes, StoreError> {
    let Some(first) = pages.next().transpose()? else {
        return Err(StoreError::Trimmed { earliest: end });
    };
    if first.at() > from {
        return Err(StoreError::Trimmed {
            earliest: first.at(),
        });
    }
    let skip = distance(first.at(), from);
    if !first.index().is_boundary(skip) {
        return Err(StoreError::InsideMessage(from));
    }
    let room = max_bytes.min(distance(from, until));
    let head_end = first.index().cut(skip, skip.saturating_add(room));
    let head = first.slice(skip..head_end);
    if head_end < first.bytes().len() || head.len() >= room.min(LONG) {
        return Ok(head);
    }
    let Some(second) = pages.next().transpose()? else {
        return Ok(head);
    };
    if second.bytes().len() >= LONG || second.index().cut(0, 0) > room - head.len() {
        return Ok(head);
    }
    let mut joined = BytesMut::from(head);
    let mut next = Some(second);
    while let Some(page) = next {
        let left = room.saturating_sub(joined.len());
        let end = page.index().cut(0, left);
        if end > left || page.bytes().len() >= LONG {
            break;
        }
        joined.extend_from_slice(&page.bytes()[..end]);
        if end < page.bytes().len() || joined.len() >= room {
            break;
        }
        next = pages.next().transpose()?;
    }
    Ok(joined.freeze())
}

/// The number of bytes from one position to another; 0 if the second is not after the first.
pub(super) fn distance(from: Offset, to: Offset) -> usize {
    usize::try_from(to.bytes().saturating_sub(from.bytes())).unwrap_or(usize::MAX)
}

/// Nanoseconds since 1970; times after 2554 are clamped.
pub(super) fn nanos(time: SystemTime) -> u64 {
    let since_1970 = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tailwater_protocol::headers::ContentKind;

    fn append(at: u64, time: u64, body: &'static str) -> SealedPage {
        let payload =
            Payload::parse(ContentKind::Json, Bytes::from_static(body.as_bytes())).unwrap();
        let time = UNIX_EPOCH + Duration::from_nanos(time);
        SealedPage::of(Record {
            at: Offset::new(at).unwrap(),
            time,
            payload,
        })
    }

    #[test]
    fn a_page_ends_between_messages_and_has_at_least_one() {
        let SealedPage { index, .. } = append(0, 1, "[1,22,333]"); // ends at 2, 5, 9
        for (from, limit, end) in [
            (0, 0, 2),
            (0, 1, 2),
            (0, 2, 2),
            (0, 4, 2),
            (0, 5, 5),
            (2, 3, 5),
            (5, 5, 9),
            (0, 99, 9),
        ] {
            assert_eq!(index.cut(from, limit), end, "{from}..={limit}");
        }
        assert!([0, 2, 5, 9].into_iter().all(|at| index.is_boundary(at)));
        assert!([1, 3, 4, 6, 8].into_iter().all(|at| !index.is_boundary(at)));
    }

    #[test]
    fn trimming_joined_appends_equals_joining_the_rest() {
        let pages = [
            append(0, 7, "1"),
            append(2, 5, "[22,3]"),
            append(7, 9, "4"),
            append(9, 8, "[5,6]"),
        ];
        let all = SealedPage::join(pages.iter()).unwrap();
        assert_eq!(all.bytes, "1,22,3,4,5,6,");
        assert_eq!(
            [1, 2, 6, 7, 99].map(|at| all.index.last_append(at)),
            [0, 2, 2, 7, 13]
        );
        let since =
            [(1, 0), (8, 0), (9, 0), (1, 8)].map(|(time, from)| all.index.first_since(time, from));
        assert_eq!(since, [Some(0), Some(7), Some(7), Some(7)]);
        assert_eq!(all.index.first_since(10, 0), None);
        for (gone, left) in [(1, &pages[1..]), (2, &pages[2..]), (3, &pages[3..])] {
            let (rest, expected) = (
                all.after(left[0].at),
                SealedPage::join(left.iter()).unwrap(),
            );
            assert_eq!(
                (rest.at, &rest.bytes, rest.index.messages()),
                (left[0].at, &expected.bytes, expected.index.messages()),
                "{gone}"
            );
            assert_eq!(
                (rest.index.appends, rest.index.times),
                (expected.index.appends, expected.index.times),
                "{gone}"
            );
        }
    }
}
