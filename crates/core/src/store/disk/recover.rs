//! Reads the stored state of all streams when the store is opened, and finds unfinished sweeps.

use super::super::{Recovered, Recovery, StoreError, StreamId};
use super::codec::{self, Damage, MetadataKind, StateMetadata};
use super::engine::Engine;
use super::sweep::Sweep;
use crate::model::{Accepted, ProducerId};
use std::time::{Duration, Instant};
use tailwater_protocol::Offset;

/// The interval of progress messages.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// The stored state, and the sweeps to resume.
#[derive(Debug, Default)]
pub(super) struct RecoveredStore {
    pub(super) recovery: Recovery,
    pub(super) sweeps: Vec<Sweep>,
}

/// The metadata of one stream.
#[derive(Debug, Default)]
struct MetadataFields {
    creation: Option<codec::StreamMetadata>,
    state: Option<StateMetadata>,
    seq: Option<String>,
    producers: Vec<(ProducerId, Accepted)>,
    swept: Option<Offset>,
    is_gone: bool,
}

/// Reads the metadata and the end of all streams.
///
/// # Errors
/// [`StoreError::Damaged`]: a value is invalid or missing.
pub(super) fn recover(engine: &Engine) -> Result<RecoveredStore, StoreError> {
    let mut found = RecoveredStore::default();
    let mut reported = Instant::now();
    let mut current: Option<(StreamId, MetadataFields)> = None;
    for entry in engine.metadata() {
        let (id, kind, body) = entry?;
        if let Some((before, metadata)) = current.take_if(|(current, _)| *current != id) {
            found.add(engine, before, metadata)?;
        }
        let (_, metadata) = current.get_or_insert_with(|| (id, MetadataFields::default()));
        metadata
            .add(kind, &body)
            .map_err(|Damage(what)| damage(id, what))?;
        if reported.elapsed() >= PROGRESS_INTERVAL {
            reported = Instant::now();
            tracing::info!("opening: {} streams so far", found.recovery.streams.len());
        }
    }
    if let Some((last, metadata)) = current {
        found.add(engine, last, metadata)?;
    }
    for note in engine.notes() {
        let (key, value) = note?;
        found.recovery.notes.insert(key, value);
    }
    Ok(found)
}

impl MetadataFields {
    fn add(&mut self, kind: MetadataKind, body: &[u8]) -> Result<(), Damage> {
        match kind {
            MetadataKind::Stream => self.creation = Some(codec::StreamMetadata::read(body)?),
            MetadataKind::State => self.state = Some(StateMetadata::read(body)?),
            MetadataKind::Seq => {
                let text =
                    std::str::from_utf8(body).map_err(|_| Damage("its Stream-Seq is not UTF-8"))?;
                self.seq = Some(text.to_owned());
            }
            MetadataKind::Producer(id) => self.producers.push((id, codec::read_accepted(body)?)),
            MetadataKind::Swept => self.swept = Some(codec::read_offset(body)?),
            MetadataKind::Gone => self.is_gone = true,
        }
        Ok(())
    }
}

impl RecoveredStore {
    fn add(
        &mut self,
        engine: &Engine,
        stream: StreamId,
        metadata: MetadataFields,
    ) -> Result<(), StoreError> {
        if metadata.is_gone {
            self.sweeps.push(Sweep {
                stream,
                before: Offset::MAX,
                is_gone: true,
                may_drop_tables: false,
            });
            return Ok(());
        }
        let Some(creation) = metadata.creation else {
            return Err(damage(stream, "its creation is missing"));
        };
        let begins = creation.config.begins();
        let state = metadata
            .state
            .unwrap_or_else(|| StateMetadata::open(begins));
        let earliest = state.earliest.max(begins);
        let next = engine
            .last(stream)?
            .map_or(earliest, |last| last.end())
            .max(earliest);
        if earliest > metadata.swept.unwrap_or(begins) {
            self.sweeps.push(Sweep {
                stream,
                before: earliest,
                is_gone: false,
                may_drop_tables: false,
            });
        }
        self.recovery.streams.push(Recovered {
            stream,
            name: creation.name,
            generation: creation.generation,
            config: creation.config,
            created: creation.created,
            earliest,
            next,
            closed: state.closed,
            hidden: state.hidden,
            seq: metadata.seq,
            producers: metadata.producers,
        });
        Ok(())
    }
}

fn damage(stream: StreamId, what: &str) -> StoreError {
    StoreError::Damaged(format!("stream {}: {what}", stream.0))
}
