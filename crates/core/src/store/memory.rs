//! The memory store: streams in memory, with a limit on their size. Nothing survives the process.

use super::notes::NoteSizes;
use super::page::Record;
use super::tail_pages::TailPages;
use super::{
    Change, Commit, CommitCallback, Cut, CutFuture, MessagesFuture, ReadFuture, Store, StoreError,
    StoreUsage, StreamCreation, StreamId, WriterProgress,
};
use crate::model::ProducerId;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tailwater_protocol::Offset;

/// The memory of a stream without its messages and names in bytes: its log, and its entries in maps.
const STREAM_BYTES: u64 = 512;
/// The memory of a producer without its identifier in bytes: two map entries of its log and one here.
const PRODUCER_BYTES: u64 = 192;
/// The number of copies of the last `Stream-Seq` in a log.
const SEQ_COPIES: u64 = 2;

/// Stores streams in memory, up to a number of bytes.
#[derive(Debug)]
pub struct MemoryStore {
    streams: RwLock<HashMap<StreamId, Arc<Mutex<MemoryStream>>>>,
    kept_bytes: AtomicU64,
    limit_bytes: u64,
    notes: Mutex<NoteSizes>,
}

/// One stream.
#[derive(Debug)]
struct MemoryStream {
    pages: TailPages,
    /// The memory of its log.
    overhead: StreamOverhead,
    /// Set under the lock by a deletion, so that an append that found the stream earlier fails.
    is_deleted: bool,
}

/// The memory of a log without messages: its name, configuration, producers, and the last `Stream-Seq`.
#[derive(Debug, Default)]
struct StreamOverhead {
    producers: HashSet<ProducerId>,
    seq_bytes: u64,
    bytes: u64,
}

impl StreamOverhead {
    fn new(new: &StreamCreation) -> Self {
        let source = new
            .config
            .fork
            .as_ref()
            .map_or(0, |fork| fork.source_name.as_str().len());
        let names = new.name.as_str().len() + new.config.content_type.len() + source;
        Self {
            bytes: STREAM_BYTES + names as u64,
            ..Self::default()
        }
    }

    /// The number of bytes that an append adds to the overhead, and the resulting bytes of `Stream-Seq`.
    fn growth(&self, progress: &WriterProgress) -> (u64, u64) {
        let seq = progress
            .seq
            .as_ref()
            .map_or(self.seq_bytes, |seq| SEQ_COPIES * seq.len() as u64);
        let producer = progress
            .producer
            .as_ref()
            .filter(|(id, _)| !self.producers.contains(id));
        let producer = producer.map_or(0, |(id, _)| PRODUCER_BYTES + id.as_str().len() as u64);
        (producer + seq.saturating_sub(self.seq_bytes), seq)
    }

    /// Applies an append. The caller counts the growth as in use.
    fn apply(&mut self, progress: WriterProgress, (growth, seq): (u64, u64)) {
        // A shorter `Stream-Seq` keeps the capacity of the longer one.
        self.seq_bytes = self.seq_bytes.max(seq);
        self.bytes += growth;
        self.producers.extend(progress.producer.map(|(id, _)| id));
    }
}

impl MemoryStore {
    /// Creates an empty store.
    ///
    /// - `limit_bytes`: the maximum number of bytes of payload, metadata and notes; an append beyond it
    ///   fails with [`StoreError::Full`].
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            streams: RwLock::default(),
            kept_bytes: AtomicU64::new(0),
            limit_bytes,
            notes: Mutex::default(),
        }
    }

    /// The number of bytes in use, including metadata and notes.
    pub fn kept_bytes(&self) -> u64 {
        self.kept_bytes.load(Ordering::Relaxed)
    }

    fn stream(&self, id: StreamId) -> Result<Arc<Mutex<MemoryStream>>, StoreError> {
        let streams = self.streams.read().unwrap_or_else(PoisonError::into_inner);
        streams.get(&id).cloned().ok_or(StoreError::NoStream)
    }

    fn reserve(&self, needed: u64) -> Result<(), StoreError> {
        let kept = self.kept_bytes.fetch_add(needed, Ordering::Relaxed);
        if kept + needed > self.limit_bytes {
            self.kept_bytes.fetch_sub(needed, Ordering::Relaxed);
            return Err(StoreError::Full {
                kept,
                limit: self.limit_bytes,
                needed,
            });
        }
        Ok(())
    }

    fn release(&self, bytes: u64) {
        self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Updates the number of bytes in use after an object changed from `before` to `after` bytes.
    fn correct(&self, before: usize, after: usize) {
        self.kept_bytes.fetch_add(after as u64, Ordering::Relaxed);
        self.kept_bytes.fetch_sub(before as u64, Ordering::Relaxed);
    }

    fn apply(&self, Commit { stream, change }: Commit) -> Result<(), StoreError> {
        match change {
            Change::Create(new) => self.create(stream, *new),
            Change::Append {
                at,
                payload,
                progress,
                now,
                ..
            } => {
                let kept = self.stream(stream)?;
                let mut kept = lock(&kept);
                kept.check_end(at)?;
                let growth = kept.overhead.growth(&progress);
                if let Some(payload) = payload {
                    self.reserve(growth.0)?;
                    let pushed = self.push(
                        &mut kept,
                        Record {
                            at,
                            time: now,
                            payload,
                        },
                    );
                    pushed.inspect_err(|_| self.release(growth.0))?;
                } else {
                    // Closing succeeds even if the store is full, because nothing is appended after it.
                    self.kept_bytes.fetch_add(growth.0, Ordering::Relaxed);
                }
                kept.overhead.apply(progress, growth);
                Ok(())
            }
            Change::Hide => self.stream(stream).map(drop),
            Change::Trim { before } => {
                let kept = self.stream(stream)?;
                let pages = &mut lock(&kept).pages;
                let was = pages.memory_bytes();
                pages.trim(before);
                self.correct(was, pages.memory_bytes());
                Ok(())
            }
            // Notes are read only when a durable store is opened.
            Change::Delete { .. } => self.delete(stream),
        }
    }

    fn create(&self, stream: StreamId, new: StreamCreation) -> Result<(), StoreError> {
        let (begins, overhead) = (new.config.begins(), StreamOverhead::new(&new));
        let bytes = overhead.bytes;
        self.reserve(bytes)?;
        let mut kept = MemoryStream {
            pages: TailPages::new(begins),
            overhead,
            is_deleted: false,
        };
        if let Some(payload) = new.first {
            let pushed = self.push(
                &mut kept,
                Record {
                    at: begins,
                    time: new.at,
                    payload,
                },
            );
            pushed.inspect_err(|_| self.release(bytes))?;
        }
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        streams.insert(stream, Arc::new(Mutex::new(kept)));
        Ok(())
    }

    fn delete(&self, stream: StreamId) -> Result<(), StoreError> {
        let mut streams = self.streams.write().unwrap_or_else(PoisonError::into_inner);
        let kept = streams.remove(&stream).ok_or(StoreError::NoStream)?;
        drop(streams);
        let mut kept = lock(&kept);
        kept.is_deleted = true;
        let was = std::mem::replace(&mut kept.pages, TailPages::new(Offset::ZERO));
        let overhead = std::mem::take(&mut kept.overhead);
        self.correct(was.memory_bytes(), 0);
        self.release(overhead.bytes);
        Ok(())
    }

    fn push(&self, kept: &mut MemoryStream, record: Record) -> Result<(), StoreError> {
        let pages = &mut kept.pages;
        let (was, needed) = (pages.memory_bytes(), pages.needed(&record)?);
        self.reserve(needed as u64)?;
        pages.push(record);
        self.correct(was + needed, pages.memory_bytes());
        Ok(())
    }
}

impl Store for MemoryStore {
    fn commit(&self, commit: Commit, done: CommitCallback) {
        done(self.apply(commit));
    }

    fn read(
        &self,
        stream: StreamId,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> ReadFuture<'_> {
        let page = self
            .stream(stream)
            .and_then(|kept| lock(&kept).pages.page(from, until, max_bytes));
        Box::pin(ready(page))
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> CutFuture<'_> {
        Box::pin(ready(
            self.stream(stream).map(|kept| lock(&kept).pages.cut(cut)),
        ))
    }

    fn last_messages(&self, stream: StreamId, until: Offset, count: usize) -> MessagesFuture<'_> {
        let found = self.stream(stream).map(|kept| {
            let mut found = lock(&kept).pages.last_messages(until, count);
            found.reverse();
            found
        });
        Box::pin(ready(found))
    }

    fn usage(&self) -> StoreUsage {
        StoreUsage {
            kind: "memory",
            stored_bytes: Some(self.kept_bytes()),
            limit_bytes: Some(self.limit_bytes),
            ..StoreUsage::default()
        }
    }

    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback) {
        // The values of notes are not stored, because they are read only when a durable store is
        // opened. They are counted, because their content is in the server's memory.
        let admitted = {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.admit(key, value.as_ref().map(Bytes::len), |needed| {
                self.reserve(needed)
            })
        };
        done(admitted.map(|freed| self.release(freed)));
    }
}

impl MemoryStream {
    fn check_end(&self, at: Offset) -> Result<(), StoreError> {
        match self.pages.end() {
            _ if self.is_deleted => Err(StoreError::NoStream),
            end if end != at => Err(StoreError::OutOfStep),
            _ => Ok(()),
        }
    }
}

fn lock(kept: &Mutex<MemoryStream>) -> MutexGuard<'_, MemoryStream> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Accepted, Payload, StreamConfig, StreamName};
    use std::sync::mpsc;
    use std::time::SystemTime;
    use tailwater_protocol::headers::ContentKind;

    fn offset(bytes: u64) -> Offset {
        Offset::new(bytes).unwrap()
    }

    fn json(body: &str) -> Payload {
        Payload::parse(ContentKind::Json, Bytes::copy_from_slice(body.as_bytes())).unwrap()
    }

    fn creation(name: &str, first: Option<Payload>) -> Change {
        let (name, config) = (
            StreamName::parse(name).unwrap(),
            StreamConfig::new("application/json"),
        );
        Change::Create(Box::new(StreamCreation {
            name,
            config,
            first,
            closed: false,
            at: SystemTime::UNIX_EPOCH,
            generation: 0,
        }))
    }

    fn commit(store: &dyn Store, stream: StreamId, change: Change) -> Result<(), StoreError> {
        let (send, outcome) = mpsc::channel();
        store.commit(
            Commit { stream, change },
            Box::new(move |result| send.send(result).unwrap()),
        );
        outcome.try_recv().expect("`done` is called")
    }

    const LIMIT: u64 = 4 << 20;

    /// A number of names or notes of slightly over 1,000 bytes that exceeds the limit.
    const TOO_MANY: u64 = LIMIT / 1_000;

    fn long(number: u64) -> String {
        format!("{number}{}", "n".repeat(1_000))
    }

    fn append(at: u64, progress: WriterProgress) -> Change {
        Change::Append {
            at: offset(at),
            payload: Some(json("1")),
            close: false,
            progress,
            now: SystemTime::UNIX_EPOCH,
        }
    }

    fn produced(number: u64) -> WriterProgress {
        let id = ProducerId::parse("id", &long(number)[..250]).unwrap();
        WriterProgress {
            producer: Some((id, Accepted { epoch: 0, seq: 0 })),
            seq: None,
        }
    }

    /// Calls `one` until the store is full, which must happen within `most` calls.
    fn fill(store: &MemoryStore, most: u64, one: &dyn Fn(u64) -> Result<(), StoreError>) {
        let count = (0..=most)
            .find(|number| one(*number).is_err())
            .unwrap_or_else(|| panic!("{most} and more"));
        assert!(count > most / 4, "only {count}");
        assert!(matches!(
            one(count),
            Err(StoreError::Full { limit: LIMIT, .. })
        ));
        assert!(store.kept_bytes() <= LIMIT);
    }

    #[test]
    fn producers_count_as_kept_until_their_stream_is_deleted() {
        let store = MemoryStore::new(LIMIT);
        commit(&store, StreamId(0), creation("a", None)).unwrap();
        fill(&store, 4 * TOO_MANY, &|number| {
            commit(&store, StreamId(0), append(2 * number, produced(number)))
        });
        let full = store.kept_bytes();
        let close = Change::Append {
            at: offset(u64::MAX >> 11),
            payload: None,
            close: true,
            progress: produced(0),
            now: SystemTime::UNIX_EPOCH,
        };
        assert_eq!(
            commit(&store, StreamId(0), close),
            Err(StoreError::OutOfStep)
        );
        assert_eq!(store.kept_bytes(), full, "a refused change uses no space");
        commit(&store, StreamId(0), Change::delete()).unwrap();
        assert_eq!(store.kept_bytes(), 0);
    }

    #[test]
    fn names_count_as_kept_until_their_streams_are_deleted() {
        let store = MemoryStore::new(LIMIT);
        fill(&store, TOO_MANY, &|number| {
            commit(
                &store,
                StreamId(number),
                creation(&long(number)[..500], None),
            )
        });
        for number in 0.. {
            if commit(&store, StreamId(number), Change::delete()).is_err() {
                break;
            }
        }
        assert_eq!(store.kept_bytes(), 0);
    }

    #[test]
    fn notes_count_as_kept_and_may_grow_a_little_when_full() {
        let store = MemoryStore::new(LIMIT);
        fill(&store, TOO_MANY, &|number| {
            note(&store, &number.to_string(), Some(1_000))
        });
        assert_eq!(note(&store, "0", Some(1_100)), Ok(()), "a small growth");
        assert!(note(&store, "0", Some(100_000)).is_err());
        for number in 0..TOO_MANY {
            note(&store, &number.to_string(), None).unwrap();
        }
        assert_eq!(store.kept_bytes(), 0);
    }

    #[test]
    fn only_the_last_stream_seq_counts_as_kept() {
        let store = MemoryStore::new(LIMIT);
        commit(&store, StreamId(0), creation("a", None)).unwrap();
        let empty = store.kept_bytes();
        for number in 0..5 {
            let progress = WriterProgress {
                seq: Some(long(number)),
                producer: None,
            };
            commit(&store, StreamId(0), append(2 * number, progress)).unwrap();
        }
        assert!(store.kept_bytes() < empty + 10_000);
        let huge = WriterProgress {
            seq: Some("n".repeat(5 << 20)),
            producer: None,
        };
        assert!(commit(&store, StreamId(0), append(10, huge)).is_err());
    }

    fn note(store: &dyn Store, key: &str, bytes: Option<usize>) -> Result<(), StoreError> {
        let (send, outcome) = mpsc::channel();
        let value = bytes.map(|bytes| Bytes::from(vec![b'n'; bytes]));
        store.note(
            key,
            value,
            Box::new(move |result| send.send(result).unwrap()),
        );
        outcome.try_recv().expect("`done` is called")
    }
}
