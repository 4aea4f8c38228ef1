//! The end of a stream in memory: sealed pages, and one open page.
//!
//! Appends are copied into the open page. The page is sealed when the next append does not fit, and
//! consecutive small pages are joined when together they make a large one. So bytes are contiguous,
//! readers share slices of them, and an append needs no allocation of its own. A read from the open
//! page is copied once, and shared by all readers at that position until the next append.

use super::page::{APPEND_BYTES_MAX, Index, PageView, Record, SealedPage, distance, nanos, page};
use super::{Cut, StoreError, StoredMessage};
use bytes::Bytes;
use std::collections::VecDeque;
use std::ops::Range;
use tailwater_protocol::Offset;

/// The maximum number of bytes of the open page. A longer append becomes a page without being copied.
const OPEN_BYTES_MAX: usize = 64 << 10;
/// The number of bytes of a large page, equal to the default maximum of a response (`--page-max`).
const PAGE_BYTES: usize = 1 << 20;
/// The number of bytes from which a page is not joined with others.
const LARGE: usize = PAGE_BYTES - OPEN_BYTES_MAX;
/// The maximum number of bytes of a read result that is cached for the next reader.
const LATEST_MAX: usize = OPEN_BYTES_MAX;

/// Consecutive appends up to the end of a stream.
#[derive(Debug)]
pub(super) struct TailPages {
    pages: VecDeque<SealedPage>,
    open: OpenPage,
    /// The last result of a read from the open page, and its position, for further readers there. Not
    /// counted as memory of the stream, like responses in transmission.
    latest: Option<(Offset, Bytes)>,
    /// The number of bytes of the sealed pages in memory.
    pages_memory: usize,
    /// The earliest position; earlier bytes of the first page are removed logically.
    begins: Offset,
}

/// The page that is being filled.
#[derive(Debug)]
struct OpenPage {
    at: Offset,
    bytes: Vec<u8>,
    index: Index,
    /// The minimum allocation in bytes: a stream that filled a page is expected to fill the next.
    capacity_min: usize,
}

impl TailPages {
    /// Creates an empty end of a stream that ends at `at`.
    pub(super) fn new(at: Offset) -> Self {
        Self {
            pages: VecDeque::new(),
            open: OpenPage::new(at, 0),
            latest: None,
            pages_memory: 0,
            begins: at,
        }
    }

    /// The earliest position in memory.
    pub(super) fn begins(&self) -> Offset {
        self.begins
    }

    /// The position after the last byte.
    pub(super) fn end(&self) -> Offset {
        self.open.end()
    }

    /// The number of bytes in memory.
    pub(super) fn memory_bytes(&self) -> usize {
        self.pages_memory + self.open.memory_bytes()
    }

    /// The number of bytes that an append needs, without unused capacity of the index.
    ///
    /// # Errors
    /// [`StoreError::Unwritable`]: the append is longer than [`APPEND_BYTES_MAX`].
    pub(super) fn needed(&self, record: &Record) -> Result<usize, StoreError> {
        let len = record.payload.len();
        if len > APPEND_BYTES_MAX {
            return Err(StoreError::Unwritable(format!(
                "an append has {len} bytes, the limit is {APPEND_BYTES_MAX}"
            )));
        }
        let index = size_of::<u64>() + size_of::<u32>() * record.payload.messages();
        Ok(index
            + if len >= OPEN_BYTES_MAX {
                len
            } else {
                self.open.growth(len).max(len)
            })
    }

    /// Adds an append at the end. Returns whether it starts a new page.
    pub(super) fn push(&mut self, record: Record) -> bool {
        let len = record.payload.len();
        let begins_page =
            self.open.bytes.is_empty() || self.open.bytes.len() + len > OPEN_BYTES_MAX;
        if begins_page {
            self.seal();
        }
        self.latest = None;
        if len >= OPEN_BYTES_MAX {
            self.open.at = record.end();
            self.add(SealedPage::of(record));
        } else {
            self.open.push(&record);
        }
        begins_page
    }

    /// Seals the open page and opens another one.
    fn seal(&mut self) {
        if !self.open.bytes.is_empty() {
            let next = OpenPage::new(self.end(), OPEN_BYTES_MAX);
            let OpenPage {
                at, bytes, index, ..
            } = std::mem::replace(&mut self.open, next);
            self.add(SealedPage::new(at, bytes.into_boxed_slice().into(), index));
        }
    }

    /// Adds a page, and joins the last pages if together they make a large one.
    fn add(&mut self, page: SealedPage) {
        self.pages_memory += page.memory_bytes();
        self.pages.push_back(page);
        let small = self
            .pages
            .iter()
            .rev()
            .take_while(|page| page.bytes.len() < LARGE);
        let (count, bytes) = small.fold((0, 0), |(count, bytes), page| {
            (count + 1, bytes + page.bytes.len())
        });
        if count < 2 || bytes < LARGE {
            return;
        }
        let first = self.pages.len() - count;
        let joined = SealedPage::join(self.pages.range(first..));
        self.pages_memory -= self
            .pages
            .drain(first..)
            .map(|page| page.memory_bytes())
            .sum::<usize>();
        self.pages_memory += joined.as_ref().map_or(0, SealedPage::memory_bytes);
        self.pages.extend(joined);
    }

    /// Reads complete messages; see [`super::Store::read`].
    ///
    /// # Errors
    /// [`StoreError::Trimmed`], [`StoreError::InsideMessage`].
    pub(super) fn page(
        &mut self,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> Result<Bytes, StoreError> {
        let until = until.min(self.end());
        if let Some((at, latest)) = &self.latest
            && *at == from
            && latest.len() <= max_bytes
            && at.advance(latest.len()) == Some(until)
        {
            return Ok(latest.clone());
        }
        if from < self.begins {
            return Err(StoreError::Trimmed {
                earliest: self.begins,
            });
        }
        let first = self.pages.partition_point(|page| page.end() <= from);
        let open = (!self.open.bytes.is_empty()).then_some(TailPage::Open(&self.open));
        let pages = self.pages.range(first..).map(TailPage::Sealed).chain(open);
        let data = page(pages.map(Ok), [from, until, self.end()], max_bytes)?;
        if data.len() <= LATEST_MAX
            && from
                .advance(data.len())
                .is_some_and(|next| next > self.open.at)
        {
            self.latest = Some((from, data.clone()));
        }
        Ok(data)
    }

    /// The position of a cut.
    pub(super) fn cut(&self, cut: Cut) -> Offset {
        let mut found = self.begins;
        for (at, index) in self
            .pages
            .iter()
            .map(|page| (page.at, &page.index))
            .chain([(self.open.at, &self.open.index)])
        {
            let end = at.advance(index.len()).unwrap_or(Offset::MAX);
            let inside = match cut {
                Cut::AtMost(most) if most >= end => None,
                Cut::AtMost(most) => Some(index.last_append(distance(at, most))),
                Cut::OlderThan(time) => index.first_since(nanos(time), distance(at, self.begins)),
            };
            found = found.max(at.advance(inside.unwrap_or(index.len())).unwrap_or(end));
            if inside.is_some() {
                break;
            }
        }
        found
    }

    /// The last messages that begin before `until`, newest first.
    pub(super) fn last_messages(&self, until: Offset, count: usize) -> Vec<StoredMessage> {
        let pages = self.pages.iter().rev().map(|page| (page.at, &page.index));
        [(self.open.at, &self.open.index)]
            .into_iter()
            .chain(pages)
            .flat_map(|(at, index)| index.last_messages(at, until))
            .take_while(|message| message.at >= self.begins)
            .take(count)
            .collect()
    }

    /// Removes the messages before a message boundary. The memory of a page is released when more than
    /// half of it is removed.
    pub(super) fn trim(&mut self, before: Offset) {
        let before = before.min(self.end());
        if before <= self.begins {
            return;
        }
        self.begins = before;
        self.latest.take_if(|(at, _)| *at < before);
        while self.pages.front().is_some_and(|page| page.end() <= before) {
            self.drop_first_page();
        }
        if let Some(first) = self.pages.front()
            && distance(first.at, before) > first.bytes.len() / 2
        {
            let rest = first.after(before);
            self.drop_first_page();
            self.pages_memory += rest.memory_bytes();
            self.pages.push_front(rest);
        } else if distance(self.open.at, before) > self.open.bytes.len() / 2 {
            self.open.trim(before);
        }
    }

    fn drop_first_page(&mut self) {
        self.pages_memory -= self.pages.pop_front().map_or(0, |page| page.memory_bytes());
    }

    /// Removes the pages up to and including the one that starts at `at`.
    pub(super) fn remove_page(&mut self, at: Offset) {
        let end = self
            .pages
            .iter()
            .rev()
            .find(|page| page.at <= at)
            .map(SealedPage::end);
        let end = if at >= self.open.at {
            Some(self.end())
        } else {
            end
        };
        if let Some(end) = end {
            self.trim(end);
        }
    }
}

impl OpenPage {
    fn new(at: Offset, capacity_min: usize) -> Self {
        Self {
            at,
            bytes: Vec::new(),
            index: Index::default(),
            capacity_min,
        }
    }

    fn end(&self) -> Offset {
        self.at.advance(self.bytes.len()).unwrap_or(Offset::MAX)
    }

    fn memory_bytes(&self) -> usize {
        self.bytes.capacity() + self.index.memory_bytes()
    }

    /// The additional memory for `len` more bytes.
    fn growth(&self, len: usize) -> usize {
        self.capacity_for(len) - self.bytes.capacity()
    }

    /// The capacity for `len` more bytes. It grows by an eighth, and is exact at first, because most
    /// streams are short.
    fn capacity_for(&self, len: usize) -> usize {
        let (capacity, needed) = (self.bytes.capacity(), self.bytes.len() + len);
        match capacity {
            _ if needed <= capacity => capacity,
            0 => needed.max(self.capacity_min),
            _ => needed.max((needed + needed / 8).min(OPEN_BYTES_MAX)),
        }
    }

    fn push(&mut self, Record { time, payload, .. }: &Record) {
        let capacity = self.capacity_for(payload.len());
        self.bytes.reserve_exact(capacity - self.bytes.len());
        self.bytes.extend_from_slice(payload.bytes());
        self.index.push(nanos(*time), payload.len(), payload.ends());
    }

    fn trim(&mut self, before: Offset) {
        let Self {
            at, bytes, index, ..
        } = std::mem::replace(self, Self::new(before, 0));
        if distance(at, before) < bytes.len() {
            let rest = SealedPage::new(at, bytes.into(), index).after(before);
            self.bytes = rest.bytes.into();
            self.index = rest.index;
        }
    }
}

/// A page, sealed or open.
enum TailPage<'a> {
    Sealed(&'a SealedPage),
    Open(&'a OpenPage),
}

impl PageView for TailPage<'_> {
    fn at(&self) -> Offset {
        match self {
            Self::Sealed(page) => page.at,
            Self::Open(open) => open.at,
        }
    }

    fn index(&self) -> &Index {
        match self {
            Self::Sealed(page) => &page.index,
            Self::Open(open) => &open.index,
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Sealed(page) => &page.bytes,
            Self::Open(open) => &open.bytes,
        }
    }

    fn slice(&self, range: Range<usize>) -> Bytes {
        match self {
            Self::Sealed(page) => page.bytes.slice(range),
            Self::Open(open) => Bytes::copy_from_slice(&open.bytes[range]),
        }
    }
}

#[cfg(test)]
mod tests;
