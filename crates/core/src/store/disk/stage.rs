//! The contents of one commit: each change is checked against the committed state and the changes before it.

use super::super::notes::NoteSizes;
use super::super::page::Record;
use super::super::{Change, Commit, StoreError, StreamCreation, StreamId, WriterProgress};
use super::codec::{self, MetadataKind, Space, StateMetadata};
use super::engine::{Engine, check_key, check_value};
use super::latest_pages::{DiskStream, DiskStreams, LatestPages};
use super::space::FreeSpace;
use super::sweep::{Sweep, Sweeps};
use bytes::Bytes;
use fjall::OwnedWriteBatch;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tailwater_protocol::Offset;

/// The overhead of an append on disk in bytes: key, time, checksum and framing in the journal.
const RECORD_OVERHEAD_BYTES: u64 = 64;
/// The maximum number of bytes of appends in one value, unless a single append is longer.
const VALUE_BYTES: usize = 64 << 10;
/// The size of a stream on disk in bytes, without its messages and names.
const STREAM_OVERHEAD_BYTES: u64 = 200;

/// Changes that are committed atomically.
#[derive(Debug)]
pub(super) struct CommitStage<'a> {
    streams: &'a DiskStreams,
    free_space: &'a mut FreeSpace,
    note_sizes: &'a mut NoteSizes,
    staged: HashMap<StreamId, StagedStream>,
    /// By key, because a batch can contain a key only once; `None` removes the key.
    metadata: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    notes: BTreeMap<String, Option<Vec<u8>>>,
}

/// The state of a stream after the commit.
#[derive(Debug)]
struct StagedStream {
    stream: Arc<DiskStream>,
    is_new: bool,
    end: Offset,
    state: StateMetadata,
    is_state_changed: bool,
    is_deleted: bool,
    records: Vec<Record>,
}

impl<'a> CommitStage<'a> {
    pub(super) fn new(
        streams: &'a DiskStreams,
        free_space: &'a mut FreeSpace,
        note_sizes: &'a mut NoteSizes,
    ) -> Self {
        Self {
            streams,
            free_space,
            note_sizes,
            staged: HashMap::new(),
            metadata: BTreeMap::new(),
            notes: BTreeMap::new(),
        }
    }

    /// Adds a change. A change that fails has no effect.
    pub(super) fn add(&mut self, Commit { stream, change }: Commit) -> Result<(), StoreError> {
        match change {
            Change::Create(new) => self.create(stream, *new),
            Change::Append {
                at,
                payload,
                close,
                progress,
                now,
            } => {
                let size = payload
                    .as_ref()
                    .map_or(0, crate::model::Payload::memory_bytes);
                check_value("append", size)?;
                check_progress(stream, &progress)?;
                let staged = stage(&mut self.staged, self.streams, stream)?;
                if staged.end != at {
                    return Err(StoreError::OutOfStep);
                }
                if let Some(payload) = payload {
                    self.free_space
                        .take(size as u64 + progress_bytes(&progress) + RECORD_OVERHEAD_BYTES)?;
                    staged.push(Record {
                        at,
                        time: now,
                        payload,
                    });
                }
                if close {
                    staged.close(&progress);
                }
                self.mark(stream, progress);
                Ok(())
            }
            Change::Trim { before } => {
                let staged = stage(&mut self.staged, self.streams, stream)?;
                let earliest = before.min(staged.end);
                if earliest > staged.state.earliest {
                    staged.state.earliest = earliest;
                    staged.is_state_changed = true;
                }
                Ok(())
            }
            Change::Hide => {
                let staged = stage(&mut self.staged, self.streams, stream)?;
                staged.state.hidden = true;
                staged.is_state_changed = true;
                Ok(())
            }
            Change::Delete { notes } => {
                stage(&mut self.staged, self.streams, stream)?.is_deleted = true;
                for kind in [MetadataKind::Stream, MetadataKind::State, MetadataKind::Seq] {
                    self.metadata
                        .insert(codec::metadata_key(stream, &kind), None);
                }
                self.put_metadata(stream, &MetadataKind::Gone, |_| {});
                // A deletion releases space, so its notes are not checked for space.
                notes
                    .into_iter()
                    .try_for_each(|(key, value)| self.put_note(key, value.as_ref(), false))
            }
        }
    }

    /// Stores or removes a note. A change that fails has no effect.
    pub(super) fn note(&mut self, key: String, value: Option<&Bytes>) -> Result<(), StoreError> {
        self.put_note(key, value, true)
    }

    fn put_note(
        &mut self,
        key: String,
        value: Option<&Bytes>,
        needs_space: bool,
    ) -> Result<(), StoreError> {
        check_key("note's name", key.as_bytes())?;
        check_value("note", value.map_or(0, Bytes::len))?;
        let take = |needed| {
            if needs_space {
                self.free_space.take(needed)
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
        self.free_space
            .take((first_bytes + names) as u64 + STREAM_OVERHEAD_BYTES)?;
        let begins = new.config.begins();
        let state = StateMetadata::open(begins);
        let mut staged = StagedStream {
            stream: Arc::new(DiskStream::new(id, begins, state.clone())),
            is_new: true,
            end: begins,
            state,
            is_state_changed: false,
            is_deleted: false,
            records: Vec::new(),
        };
        if let Some(payload) = new.first {
            staged.push(Record {
                at: begins,
                time: new.at,
                payload,
            });
        }
        if new.closed {
            staged.close(&WriterProgress::default());
        }
        self.staged.insert(id, staged);
        let creation = codec::StreamMetadata {
            name: new.name,
            generation: new.generation,
            config: new.config,
            created: new.at,
        };
        self.put_metadata(id, &MetadataKind::Stream, |out| creation.put(out));
        Ok(())
    }

    fn mark(&mut self, stream: StreamId, progress: WriterProgress) {
        if let Some(seq) = progress.seq {
            self.put_metadata(stream, &MetadataKind::Seq, |out| {
                out.extend_from_slice(seq.as_bytes());
            });
        }
        if let Some((producer, at)) = progress.producer {
            self.put_metadata(stream, &MetadataKind::Producer(producer), |out| {
                codec::put_accepted(out, at);
            });
        }
    }

    fn put_metadata(
        &mut self,
        stream: StreamId,
        kind: &MetadataKind,
        body: impl FnOnce(&mut Vec<u8>),
    ) {
        let key = codec::metadata_key(stream, kind);
        let value = codec::seal(Space::Metadata, &key, body);
        self.metadata.insert(key, Some(value));
    }

    /// Creates the batch for the engine; `None` if there are no changes.
    pub(super) fn batch(&mut self, engine: &Engine) -> Option<OwnedWriteBatch> {
        let changed: Vec<_> = self
            .staged
            .iter()
            .filter(|(_, staged)| staged.is_state_changed && !staged.is_deleted)
            .map(|(id, staged)| (*id, staged.state.clone()))
            .collect();
        for (id, state) in changed {
            self.put_metadata(id, &MetadataKind::State, |out| state.put(out));
        }
        let mut batch = engine.batch();
        for staged in self.staged.values().filter(|staged| !staged.is_deleted) {
            // The appends of a stream are combined into few values, because the engine's cost per value
            // is higher than its cost per byte.
            for records in values(&staged.records) {
                let key = codec::data_key(staged.stream.id, records[0].at);
                batch.insert(&engine.data, key, codec::seal_records(&key, records));
            }
        }
        for (key, value) in std::mem::take(&mut self.metadata) {
            match value {
                Some(value) => batch.insert(&engine.metadata, key, value),
                None => batch.remove(&engine.metadata, key),
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

    /// Publishes the committed changes to readers.
    pub(super) fn publish(self, latest_pages: &mut LatestPages, sweeps: &Sweeps) {
        for (id, staged) in self.staged {
            if staged.is_deleted {
                latest_pages.remove(self.streams, id);
                sweeps.request(Sweep {
                    stream: id,
                    before: staged.end,
                    is_gone: true,
                    may_drop_tables: true,
                });
                continue;
            }
            let before = staged.state.earliest;
            let was_trimmed = before > staged.stream.kept().state.earliest;
            latest_pages.publish(&staged.stream, staged.records, staged.state);
            if was_trimmed {
                sweeps.request(Sweep {
                    stream: id,
                    before,
                    is_gone: false,
                    may_drop_tables: true,
                });
            }
            if staged.is_new {
                self.streams.insert(staged.stream);
            }
        }
        latest_pages.evict();
    }
}

/// Splits records into groups, one for each value.
fn values(records: &[Record]) -> impl Iterator<Item = &[Record]> {
    let mut bytes = 0;
    records.chunk_by(move |before, next| {
        bytes += before.payload.len();
        let fits = bytes + next.payload.len() <= VALUE_BYTES;
        bytes = if fits { bytes } else { 0 };
        fits
    })
}

/// The size of positions of writers on disk in bytes.
fn progress_bytes(WriterProgress { seq, producer }: &WriterProgress) -> u64 {
    let producer = producer.as_ref().map_or(0, |(id, _)| id.as_str().len());
    (producer + seq.as_ref().map_or(0, String::len)) as u64
}

/// Checks the lengths of positions of writers.
fn check_progress(stream: StreamId, progress: &WriterProgress) -> Result<(), StoreError> {
    if let Some((producer, _)) = &progress.producer {
        check_key(
            "producer id",
            &codec::metadata_key(stream, &MetadataKind::Producer(producer.clone())),
        )?;
    }
    check_value("Stream-Seq", progress.seq.as_ref().map_or(0, String::len))
}

impl StagedStream {
    fn push(&mut self, record: Record) {
        self.end = record.end();
        self.records.push(record);
    }

    fn close(&mut self, progress: &WriterProgress) {
        self.state.closed = Some(progress.producer.clone());
        self.is_state_changed = true;
    }
}

/// The staged state of a stream, which is added if it is not staged yet.
fn stage<'t>(
    all: &'t mut HashMap<StreamId, StagedStream>,
    streams: &DiskStreams,
    id: StreamId,
) -> Result<&'t mut StagedStream, StoreError> {
    let staged = match all.entry(id) {
        std::collections::hash_map::Entry::Occupied(entry) => entry.into_mut(),
        std::collections::hash_map::Entry::Vacant(entry) => {
            let stream = streams.find(id)?;
            let kept = stream.kept();
            let (end, state) = (kept.end(), kept.state.clone());
            drop(kept);
            entry.insert(StagedStream {
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
    if staged.is_deleted {
        Err(StoreError::NoStream)
    } else {
        Ok(staged)
    }
}
