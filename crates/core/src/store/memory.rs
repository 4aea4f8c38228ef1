//! The store that keeps everything in memory: nothing survives the process, and its size is limited.

use super::notes::NoteSizes;
use super::page::Record;
use super::tail_pages::TailPages;
use super::{
    Change, Commit, CommitCallback, Cut, Listing, Marks, Reading, Seeking, Store, StoreError,
    StoreUsage, StreamCreation, StreamId,
};
use crate::model::ProducerId;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::future::ready;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use tailwater_protocol::Offset;

/// Bytes that a stream takes at least, beside its messages and names: its log, and its places in lists.
const STREAM_BYTES: u64 = 512;
/// Bytes that a producer takes beside its identifier: its place in two tables of its log and in one here.
const PRODUCER_BYTES: u64 = 192;
/// How often a log keeps the last `Stream-Seq`.
const SEQ_COPIES: u64 = 2;

/// Streams in memory, up to a number of bytes.
#[derive(Debug)]
pub struct MemoryStore {
    streams: RwLock<HashMap<StreamId, Arc<Mutex<MemoryStream>>>>,
    kept_bytes: AtomicU64,
    limit_bytes: u64,
    notes: Mutex<NoteSizes>,
}

/// What is kept of one stream.
#[derive(Debug)]
struct MemoryStream {
    pages: TailPages,
    /// What its log remembers beside messages.
    marks: StreamOverhead,
    /// Set under the lock by the deletion: an append that found the stream before must not fill it after.
    is_deleted: bool,
}

/// What a log remembers beside messages, to be counted: its name and configuration, its producers, the last `Stream-Seq`.
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

    /// Bytes that an append's marks add, and that `Stream-Seq` has with them.
    fn growth(&self, marks: &Marks) -> (u64, u64) {
        let seq = marks
            .seq
            .as_ref()
            .map_or(self.seq_bytes, |seq| SEQ_COPIES * seq.len() as u64);
        let producer = marks
            .producer
            .as_ref()
            .filter(|(id, _)| !self.producers.contains(id));
        let producer = producer.map_or(0, |(id, _)| PRODUCER_BYTES + id.as_str().len() as u64);
        (producer + seq.saturating_sub(self.seq_bytes), seq)
    }

    /// Takes the marks of an append that was made; their growth is counted by the caller.
    fn take(&mut self, marks: Marks, (growth, seq): (u64, u64)) {
        // A shorter `Stream-Seq` keeps the room of the longer one.
        self.seq_bytes = self.seq_bytes.max(seq);
        self.bytes += growth;
        self.producers.extend(marks.producer.map(|(id, _)| id));
    }
}

impl MemoryStore {
    /// An empty store.
    ///
    /// - `limit_bytes`: payload, bookkeeping and what streams and subscriptions are called together; an append beyond it fails with [`StoreError::Full`].
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            streams: RwLock::default(),
            kept_bytes: AtomicU64::new(0),
            limit_bytes,
            notes: Mutex::default(),
        }
    }

    /// Bytes in use, payload and bookkeeping.
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

    fn give_back(&self, bytes: u64) {
        self.kept_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Corrects what is counted as in use when something that took `before` bytes takes `after` now.
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
                marks,
                now,
                ..
            } => {
                let kept = self.stream(stream)?;
                let mut kept = lock(&kept);
                kept.check_end(at)?;
                let growth = kept.marks.growth(&marks);
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
                    pushed.inspect_err(|_| self.give_back(growth.0))?;
                } else {
                    // A closure is done whatever room there is: nothing comes after it.
                    self.kept_bytes.fetch_add(growth.0, Ordering::Relaxed);
                }
                kept.marks.take(marks, growth);
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
            // Notes are only for the next opening, which this store does not have.
            Change::Delete { .. } => self.delete(stream),
        }
    }

    fn create(&self, stream: StreamId, new: StreamCreation) -> Result<(), StoreError> {
        let (begins, marks) = (new.config.begins(), StreamOverhead::new(&new));
        let bytes = marks.bytes;
        self.reserve(bytes)?;
        let mut kept = MemoryStream {
            pages: TailPages::new(begins),
            marks,
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
            pushed.inspect_err(|_| self.give_back(bytes))?;
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
        let marks = std::mem::take(&mut kept.marks);
        self.correct(was.memory_bytes(), 0);
        self.give_back(marks.bytes);
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

    fn read(&self, stream: StreamId, from: Offset, until: Offset, max_bytes: usize) -> Reading<'_> {
        let page = self
            .stream(stream)
            .and_then(|kept| lock(&kept).pages.page(from, until, max_bytes));
        Box::pin(ready(page))
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> Seeking<'_> {
        Box::pin(ready(
            self.stream(stream).map(|kept| lock(&kept).pages.cut(cut)),
        ))
    }

    fn last_messages(&self, stream: StreamId, until: Offset, count: usize) -> Listing<'_> {
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
        // Notes are only for the next opening, which this store does not have. What they are about is in memory, though.
        let admitted = {
            let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
            notes.admit(key, value.as_ref().map(Bytes::len), |needed| {
                self.reserve(needed)
            })
        };
        done(admitted.map(|freed| self.give_back(freed)));
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
            life: 0,
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

    /// A number of names or notes of a little over a thousand bytes that do not all fit.
    const TOO_MANY: u64 = LIMIT / 1_000;

    fn long(number: u64) -> String {
        format!("{number}{}", "n".repeat(1_000))
    }

    fn append(at: u64, marks: Marks) -> Change {
        Change::Append {
            at: offset(at),
            payload: Some(json("1")),
            close: false,
            marks,
            now: SystemTime::UNIX_EPOCH,
        }
    }

    fn produced(number: u64) -> Marks {
        let id = ProducerId::parse("id", &long(number)[..250]).unwrap();
        Marks {
            producer: Some((id, Accepted { epoch: 0, seq: 0 })),
            seq: None,
        }
    }

    /// Stores one after the other until the store is full, which must happen before `most` of them.
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
            marks: produced(0),
            now: SystemTime::UNIX_EPOCH,
        };
        assert_eq!(
            commit(&store, StreamId(0), close),
            Err(StoreError::OutOfStep)
        );
        assert_eq!(store.kept_bytes(), full, "what is refused takes nothing");
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
    fn notes_count_and_internal_changes_fit_when_memory_is_full() {
        let store = MemoryStore::new(LIMIT);
        fill(&store, TOO_MANY, &|number| {
            note(&store, &number.to_string(), Some(1_000))
        });
        assert_eq!(
            note(&store, "0", Some(1_100)),
            Ok(()),
            "a step of a subscription"
        );
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
            let marks = Marks {
                seq: Some(long(number)),
                producer: None,
            };
            commit(&store, StreamId(0), append(2 * number, marks)).unwrap();
        }
        assert!(store.kept_bytes() < empty + 10_000);
        let huge = Marks {
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
