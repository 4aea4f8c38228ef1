//! A cache of pages that were recently read from disk, for the reader's next read and for other readers at similar positions.

use super::super::StreamId;
use super::super::page::{LONG, SealedPage, distance};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tailwater_protocol::Offset;

/// The maximum number of bytes of cached pages. The last page is cached even if it is longer.
const BYTES_MAX: usize = 32 << 20;
/// The maximum number of cached pages, which are searched linearly.
const PAGES_MAX: usize = 64;

/// The last pages read, oldest first.
#[derive(Debug, Default)]
pub(super) struct ReadCache {
    inner: Mutex<ReadCacheState>,
}

#[derive(Debug, Default)]
struct ReadCacheState {
    pages: VecDeque<(StreamId, Arc<SealedPage>)>,
    bytes: usize,
}

impl ReadCache {
    /// Finds a page that contains `from` and has at least `wanted` bytes from there on, or at least
    /// [`LONG`] bytes in total.
    pub(super) fn find(
        &self,
        stream: StreamId,
        from: Offset,
        wanted: usize,
    ) -> Option<Arc<SealedPage>> {
        let is_it = |page: &SealedPage| {
            let left = distance(from, page.end());
            page.at <= from && left > 0 && (left >= wanted || page.bytes.len() >= LONG)
        };
        let inner = self.lock();
        let found = inner
            .pages
            .iter()
            .rev()
            .find(|(id, page)| *id == stream && is_it(page));
        found.map(|(_, page)| Arc::clone(page))
    }

    /// Adds a page, and evicts the oldest ones beyond the limits.
    pub(super) fn insert(&self, stream: StreamId, page: Arc<SealedPage>) {
        let mut inner = self.lock();
        inner.bytes += page.memory_bytes();
        inner.pages.push_back((stream, page));
        while inner.pages.len() > 1 && (inner.bytes > BYTES_MAX || inner.pages.len() > PAGES_MAX) {
            let gone = inner
                .pages
                .pop_front()
                .map_or(0, |(_, page)| page.memory_bytes());
            inner.bytes -= gone;
        }
    }

    fn lock(&self) -> MutexGuard<'_, ReadCacheState> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::page::Index;
    use bytes::Bytes;

    fn page(at: u64, len: usize) -> Arc<SealedPage> {
        let mut index = Index::default();
        index.push(0, len, &[]);
        Arc::new(SealedPage::new(
            Offset::new(at).unwrap(),
            Bytes::from(vec![0; len]),
            index,
        ))
    }

    #[test]
    fn a_page_is_found_by_any_position_in_it_until_evicted() {
        let (read_cache, position) = (ReadCache::default(), |at| Offset::new(at).unwrap());
        read_cache.insert(StreamId(1), page(100, 50));
        for (id, at, wanted, is_there) in [
            (1, 99, 1, false),
            (1, 100, 50, true),
            (1, 100, 51, false),
            (1, 149, 1, true),
            (1, 149, 2, false),
            (1, 150, 0, false),
            (2, 100, 1, false),
        ] {
            let found = read_cache.find(StreamId(id), position(at), wanted);
            assert_eq!(
                found.is_some(),
                is_there,
                "stream {id}, {wanted} bytes at {at}"
            );
        }
        for number in 0..PAGES_MAX as u64 - 1 {
            read_cache.insert(StreamId(2), page(number, 1));
        }
        assert!(read_cache.find(StreamId(1), position(100), 1).is_some());
        read_cache.insert(StreamId(2), page(1_000, 1));
        assert!(
            read_cache.find(StreamId(1), position(100), 1).is_none(),
            "the oldest page is evicted first"
        );
        read_cache.insert(StreamId(3), page(0, 2 * BYTES_MAX));
        assert!(
            read_cache
                .find(StreamId(3), position(7), usize::MAX)
                .is_some(),
            "the last page is cached even if it is too long"
        );
        assert_eq!(read_cache.lock().pages.len(), 1);
    }
}
