//! One commit in the making: each change checked against what is committed and what came before it in the same commit.

use super::super::notes::NoteSizes;
use super::super::page::Record;
use super::super::{Change, Commit, Marks, StoreError, StreamCreation, StreamId};
use super::codec::{self, Fact, Space, StateFact};
use super::engine::{Engine, check_key, check_value};
use super::latest_pages::{DiskStream, DiskStreams, LatestPages};
use super::space::Room;
use super::sweep::{Sweep, Sweeps};
use bytes::Bytes;
use fjall::OwnedWriteBatch;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tailwater_protocol::Offset;

/// Bytes that an append takes on disk beside its payload: key, time, checksum and the journal's words around them.
const RECORD_OVERHEAD_BYTES: u64 = 64;
/// Bytes of appends that one value holds, unless one alone is longer.
const VALUE_BYTES: usize = 64 << 10;
/// Bytes that a stream takes on disk beside its messages and names.
const STREAM_OVERHEAD_BYTES: u64 = 200;

/// Changes that will take effect together, or not at all.
#[derive(Debug)]
pub(super) struct CommitStage<'a> {
    streams: &'a DiskStreams,
    room: &'a mut Room,
    note_sizes: &'a mut NoteSizes,
    touched: HashMap<StreamId, StagedStream>,
    /// By key, since one commit can hold a key only once; `None` removes.
    facts: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    notes: BTreeMap<String, Option<Vec<u8>>>,
}

/// A stream as it will be.
#[derive(Debug)]
struct StagedStream {
    stream: Arc<DiskStream>,
    is_new: bool,
    end: Offset,
    state: StateFact,
    is_state_changed: bool,
    is_deleted: bool,
    records: Vec<Record>,
}

impl<'a> CommitStage<'a> {
    pub(super) fn new(
        streams: &'a DiskStreams,
        room: &'a mut Room,
        note_sizes: &'a mut NoteSizes,
    ) -> Self {
        Self {
            streams,
            room,
            note_sizes,
            touched: HashMap::new(),
            facts: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Adds a change; one that is refused changes nothing.
    pub(super) fn add(&mut self, Commit { stream, change }: Commit) -> Result<(), StoreError> {
        match change {
            Change::Create(new) => self.create(stream, *new),
            Change::Append {
                at,
                payload,
                close,
                marks,
                now,
            } => {
                let size = payload
                    .as_ref()
                    .map_or(0, crate::model::Payload::memory_bytes);
                check_value("append", size)?;
                check_marks(stream, &marks)?;
                let touched = touch(&mut self.touched, self.streams, stream)?;
                if touched.end != at {
                    return Err(StoreError::OutOfStep);
                }
                if let Some(payload) = payload {
                    self.room
                        .take(size as u64 + marks_bytes(&marks) + RECORD_OVERHEAD_BYTES)?;
                    touched.push(Record {
                        at,
                        time: now,
                        payload,
                    });
                }
                if close {
                    touched.close(&marks);
                }
                self.mark(stream, marks);
                Ok(())
            }
            Change::Trim { before } => {
                let touched = touch(&mut self.touched, self.streams, stream)?;
                let earliest = before.min(touched.end);
                if earliest > touched.state.earliest {
                    touched.state.earliest = earliest;
                    touched.is_state_changed = true;
                }
                Ok(())
            }
            Change::Hide => {
                let touched = touch(&mut self.touched, self.streams, stream)?;
                touched.state.hidden = true;
                touched.is_state_changed = true;
                Ok(())
            }
            Change::Delete { notes } => {
                touch(&mut self.touched, self.streams, stream)?.is_deleted = true;
                for fact in [Fact::Stream, Fact::State, Fact::Seq] {
                    self.facts.insert(codec::fact_key(stream, &fact), None);
                }
                self.put_fact(stream, &Fact::Gone, |_| {});
                // A deletion gives room back, so what it notes needs none.
                notes
                    .into_iter()
                    .try_for_each(|(key, value)| self.put_note(key, value.as_ref(), false))
            }
        }
    }

    /// Keeps or forgets a note; one that is refused changes nothing.
    pub(super) fn note(&mut self, key: String, value: Option<&Bytes>) -> Result<(), StoreError> {
        self.put_note(key, value, true)
    }

    fn put_note(
        &mut self,
        key: String,
        value: Option<&Bytes>,
        needs_room: bool,
    ) -> Result<(), StoreError> {
        check_key("note's name", key.as_bytes())?;
        check_value("note", value.map_or(0, Bytes::len))?;
        let take = |needed| {
            if needs_room {
                self.room.take(needed)
            } else {
                Ok(())
            }
        };
        self.note_sizes.admit(&key, value.map(Bytes::len), take)?;
        let value = value.map(|value| {
            codec::seal(Space::Notes, key.as_bytes(), |out| {
                out.extend_from_slice(value);
            })
        });
        self.notes.insert(key, value);
        Ok(())
    }

    fn create(&mut self, id: StreamId, new: StreamCreation) -> Result<(), StoreError> {
        let first_bytes = new
            .first
            .as_ref()
            .map_or(0, crate::model::Payload::memory_bytes);
        check_value("append", first_bytes)?;
        let source = new
            .config
            .fork
            .as_ref()
            .map_or(0, |fork| fork.source_name.as_str().len());
        let names = new.name.as_str().len() + new.config.content_type.len() + source;
        self.room
            .take((first_bytes + names) as u64 + STREAM_OVERHEAD_BYTES)?;
        let begins = new.config.begins();
        let state = StateFact::open(begins);
        let mut touched = StagedStream {
            stream: Arc::new(DiskStream::new(id, begins, state.clone())),
            is_new: true,
            end: begins,
            state,
            is_state_changed: false,
            is_deleted: false,
            records: Vec::new(),
        };
        if let Some(payload) = new.first {
            touched.push(Record {
                at: begins,
                time: new.at,
                payload,
            });
        }
        if new.closed {
            touched.close(&Marks::default());
        }
        self.touched.insert(id, touched);
        let made = codec::StreamFact {
            name: new.name,
            life: new.life,
            config: new.config,
            created: new.at,
        };
        self.put_fact(id, &Fact::Stream, |out| made.put(out));
        Ok(())
    }

    fn mark(&mut self, stream: StreamId, marks: Marks) {
        if let Some(seq) = marks.seq {
            self.put_fact(stream, &Fact::Seq, |out| {
                out.extend_from_slice(seq.as_bytes());
            });
        }
        if let Some((producer, at)) = marks.producer {
            self.put_fact(stream, &Fact::Producer(producer), |out| {
                codec::put_accepted(out, at);
            });
        }
    }

    fn put_fact(&mut self, stream: StreamId, fact: &Fact, body: impl FnOnce(&mut Vec<u8>)) {
        let key = codec::fact_key(stream, fact);
        let value = codec::seal(Space::Facts, &key, body);
        self.facts.insert(key, Some(value));
    }

    /// The changes for the engine; `None` when there are none.
    pub(super) fn batch(&mut self, engine: &Engine) -> Option<OwnedWriteBatch> {
        let changed: Vec<_> = self
            .touched
            .iter()
            .filter(|(_, touched)| touched.is_state_changed && !touched.is_deleted)
            .map(|(id, touched)| (*id, touched.state.clone()))
            .collect();
        for (id, state) in changed {
            self.put_fact(id, &Fact::State, |out| state.put(out));
        }
        let mut batch = engine.batch();
        for touched in self.touched.values().filter(|touched| !touched.is_deleted) {
            // One value for what a commit adds to a stream: a value costs the engine more than its bytes do.
            for records in pieces(&touched.records) {
                let key = codec::data_key(touched.stream.id, records[0].at);
                batch.insert(&engine.data, key, codec::seal_records(&key, records));
            }
        }
        for (key, value) in std::mem::take(&mut self.facts) {
            match value {
                Some(value) => batch.insert(&engine.facts, key, value),
                None => batch.remove(&engine.facts, key),
            }
        }
        for (key, value) in std::mem::take(&mut self.notes) {
            match value {
                Some(value) => batch.insert(&engine.notes, key, value),
                None => batch.remove(&engine.notes, key),
            }
        }
        (!batch.is_empty()).then_some(batch)
    }

    /// Publishes what was committed to readers.
    pub(super) fn publish(self, latest_pages: &mut LatestPages, sweeps: &Sweeps) {
        for (id, touched) in self.touched {
            if touched.is_deleted {
                latest_pages.remove(self.streams, id);
                sweeps.want(Sweep {
                    stream: id,
                    before: touched.end,
                    is_gone: true,
                    may_drop_tables: true,
                });
                continue;
            }
            let before = touched.state.earliest;
            let was_trimmed = before > touched.stream.kept().state.earliest;
            latest_pages.publish(&touched.stream, touched.records, touched.state);
            if was_trimmed {
                sweeps.want(Sweep {
                    stream: id,
                    before,
                    is_gone: false,
                    may_drop_tables: true,
                });
            }
            if touched.is_new {
                self.streams.insert(touched.stream);
            }
        }
        latest_pages.forget();
    }
}

/// Records in a row for one value each.
fn pieces(records: &[Record]) -> impl Iterator<Item = &[Record]> {
    let mut bytes = 0;
    records.chunk_by(move |before, next| {
        bytes += before.payload.len();
        let fits = bytes + next.payload.len() <= VALUE_BYTES;
        bytes = if fits { bytes } else { 0 };
        fits
    })
}

/// Bytes that what an append leaves behind takes on disk.
fn marks_bytes(Marks { seq, producer }: &Marks) -> u64 {
    let producer = producer.as_ref().map_or(0, |(id, _)| id.as_str().len());
    (producer + seq.as_ref().map_or(0, String::len)) as u64
}

/// Whether the engine takes what an append leaves behind.
fn check_marks(stream: StreamId, marks: &Marks) -> Result<(), StoreError> {
    if let Some((producer, _)) = &marks.producer {
        check_key(
            "producer id",
            &codec::fact_key(stream, &Fact::Producer(producer.clone())),
        )?;
    }
    check_value("Stream-Seq", marks.seq.as_ref().map_or(0, String::len))
}

impl StagedStream {
    fn push(&mut self, record: Record) {
        self.end = record.end();
        self.records.push(record);
    }

    fn close(&mut self, marks: &Marks) {
        self.state.closed = Some(marks.producer.clone());
        self.is_state_changed = true;
    }
}

/// The stream as this commit will leave it, so far.
fn touch<'t>(
    all: &'t mut HashMap<StreamId, StagedStream>,
    streams: &DiskStreams,
    id: StreamId,
) -> Result<&'t mut StagedStream, StoreError> {
    let touched = match all.entry(id) {
        std::collections::hash_map::Entry::Occupied(there) => there.into_mut(),
        std::collections::hash_map::Entry::Vacant(place) => {
            let stream = streams.find(id)?;
            let kept = stream.kept();
            let (end, state) = (kept.end(), kept.state.clone());
            drop(kept);
            place.insert(StagedStream {
                stream,
                is_new: false,
                end,
                state,
                is_state_changed: false,
                is_deleted: false,
                records: Vec::new(),
            })
        }
    };
    if touched.is_deleted {
        Err(StoreError::NoStream)
    } else {
        Ok(touched)
    }
}
