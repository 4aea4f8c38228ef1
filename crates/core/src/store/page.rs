//! Appends of one stream in a row: their bytes in one piece, with where messages and appends end; and answers made of such.

use super::{StoreError, StoredMessage};
use crate::model::Payload;
use bytes::{Bytes, BytesMut};
use std::ops::Range;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tailwater_protocol::Offset;

/// The longest append, in bytes: what an [`Index`] can count.
pub(super) const APPEND_BYTES_MAX: usize = u32::MAX as usize;

/// Bytes from which on appends in a row are never copied for an answer.
pub(super) const LONG: usize = 256 << 10;

/// One append as it comes.
#[derive(Debug, Clone)]
pub(super) struct Record {
    /// The position before its first byte.
    pub(super) at: Offset,
    /// When it was made.
    pub(super) time: SystemTime,
    /// What it brought; at most [`APPEND_BYTES_MAX`].
    pub(super) payload: Payload,
}

impl Record {
    /// The position after its last byte.
    pub(super) fn end(&self) -> Offset {
        self.at.advance(self.payload.len()).unwrap_or(Offset::MAX)
    }
}

/// Where appends and messages end, in bytes from the first: 12 bytes for an append of one message.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Index {
    appends: Vec<u32>,
    /// When each append was made, in nanoseconds since 1970.
    times: Vec<u64>,
    /// Where messages end, as soon as one append has several; empty while every append is one message.
    messages: Vec<u32>,
    /// The latest of the times.
    newest: u64,
}

impl Index {
    /// Room for so many appends without growing.
    pub(super) fn with_capacity(appends: usize) -> Self {
        Self {
            appends: Vec::with_capacity(appends),
            times: Vec::with_capacity(appends),
            ..Self::default()
        }
    }

    /// Adds an append whose messages end at `ends` of its `len` bytes; no ends are one message.
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

    /// Adds another's appends after its own.
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

    /// What is left without the first `bytes`, which end a message.
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

    /// How many bytes it counts.
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

    /// The end of the last whole message that ends in `from..=limit`; the end of the first after `from` if none does.
    fn cut(&self, from: usize, limit: usize) -> usize {
        let messages = self.messages();
        let first = messages.partition_point(|&end| end as usize <= from);
        let after = messages.partition_point(|&end| end as usize <= limit);
        messages
            .get(after.max(first + 1) - 1)
            .map_or(self.len(), |end| *end as usize)
    }

    /// The end of the last append that ends at or before `at`; 0 if none does.
    pub(super) fn last_append(&self, at: usize) -> usize {
        let passed = self.appends.partition_point(|&end| end as usize <= at);
        passed
            .checked_sub(1)
            .map_or(0, |last| self.appends[last] as usize)
    }

    /// Where the first append begins that ends after `from` and was made at `time`, in nanoseconds since 1970, or later.
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

    /// The messages that begin before `until`, the last one first.
    ///
    /// - `at`: the position before the first byte.
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

    /// Bytes of memory in use, those kept for growth included.
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

/// Appends in a row that don't change any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SealedPage {
    /// The position before its first byte.
    pub(super) at: Offset,
    pub(super) bytes: Bytes,
    pub(super) index: Index,
}

impl SealedPage {
    /// A page of these bytes, which `index` counts.
    pub(super) fn new(at: Offset, bytes: Bytes, mut index: Index) -> Self {
        index.shrink();
        Self { at, bytes, index }
    }

    /// A page of one append; its bytes are shared, not copied.
    pub(super) fn of(Record { at, time, payload }: Record) -> Self {
        let mut index = Index::with_capacity(1);
        index.push(nanos(time), payload.len(), payload.ends());
        Self::new(at, payload.bytes().clone(), index)
    }

    /// Pages that follow each other as one, copied.
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

    /// What is left of it after `position`, which lies in it between messages, copied.
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

    /// The position that lies so many bytes after its first.
    pub(super) fn cut_at(&self, bytes: usize) -> Offset {
        self.at.advance(bytes).unwrap_or(Offset::MAX)
    }

    /// Bytes of memory in use.
    pub(super) fn memory_bytes(&self) -> usize {
        self.bytes.len() + self.index.memory_bytes() + PAGE_OVERHEAD_BYTES
    }
}

/// Bytes that a page takes beside its own: its place in a queue, and four allocations' heads.
const PAGE_OVERHEAD_BYTES: usize = size_of::<SealedPage>() + 4 * 16;

/// Appends in a row, wherever they lie.
pub(super) trait PageView {
    /// The position before the first byte.
    fn at(&self) -> Offset;
    /// Where messages and appends end.
    fn index(&self) -> &Index;
    /// All bytes.
    fn bytes(&self) -> &[u8];
    /// Some of them, to be given away.
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

/// Whole messages from `from` on, as [`super::Store::read`] promises.
///
/// - `runs`: in order and without gaps, the first one being the one in which `from` lies or which begins there.
/// - `end`: the stream's end, which is the earliest position kept when there are no runs.
///
/// What lies in several runs is copied to be one piece; an answer ends sooner than it must rather than that a long run is.
pub(super) fn page<R: PageView>(
    mut runs: impl Iterator<Item = Result<R, StoreError>>,
    [from, until, end]: [Offset; 3],
    max_bytes: usize,
) -> Result<Bytes, StoreError> {
    let Some(first) = runs.next().transpose()? else {
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
    let Some(second) = runs.next().transpose()? else {
        return Ok(head);
    };
    if second.bytes().len() >= LONG || second.index().cut(0, 0) > room - head.len() {
        return Ok(head);
    }
    let mut page = BytesMut::from(head);
    let mut next = Some(second);
    while let Some(run) = next {
        let left = room.saturating_sub(page.len());
        let end = run.index().cut(0, left);
        if end > left || run.bytes().len() >= LONG {
            break;
        }
        page.extend_from_slice(&run.bytes()[..end]);
        if end < run.bytes().len() || page.len() >= room {
            break;
        }
        next = runs.next().transpose()?;
    }
    Ok(page.freeze())
}

/// Bytes from one position to a later one; 0 when it is not later.
pub(super) fn distance(from: Offset, to: Offset) -> usize {
    usize::try_from(to.bytes().saturating_sub(from.bytes())).unwrap_or(usize::MAX)
}

/// Nanoseconds since 1970, which reaches to 2554.
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
