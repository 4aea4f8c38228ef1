//! What is known of every stream when the store opens, and what a stop left to be finished.

use super::super::{Recovered, Recovery, StoreError, StreamId};
use super::codec::{self, Damage, Fact, StateFact};
use super::engine::Engine;
use super::sweep::Sweep;
use crate::model::{Accepted, ProducerId};
use std::time::{Duration, Instant};
use tailwater_protocol::Offset;

/// How often an opening that takes long says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(1);

/// What an opening found.
#[derive(Debug, Default)]
pub(super) struct RecoveredStore {
    pub(super) recovery: Recovery,
    pub(super) sweeps: Vec<Sweep>,
}

/// The facts of one stream.
#[derive(Debug, Default)]
struct Facts {
    made: Option<codec::StreamFact>,
    state: Option<StateFact>,
    seq: Option<String>,
    producers: Vec<(ProducerId, Accepted)>,
    swept: Option<Offset>,
    is_gone: bool,
}

/// Reads all facts and the end of each stream.
///
/// # Errors
/// [`StoreError::Damaged`]: something is not what was written, or not there.
pub(super) fn recover(engine: &Engine) -> Result<RecoveredStore, StoreError> {
    let mut found = RecoveredStore::default();
    let mut told = Instant::now();
    let mut current: Option<(StreamId, Facts)> = None;
    for fact in engine.facts() {
        let (id, fact, body) = fact?;
        if let Some((before, facts)) = current.take_if(|(current, _)| *current != id) {
            found.add(engine, before, facts)?;
        }
        let (_, facts) = current.get_or_insert_with(|| (id, Facts::default()));
        facts
            .add(fact, &body)
            .map_err(|Damage(what)| damage(id, what))?;
        if told.elapsed() >= PROGRESS_EVERY {
            told = Instant::now();
            tracing::info!("opening: {} streams so far", found.recovery.streams.len());
        }
    }
    if let Some((last, facts)) = current {
        found.add(engine, last, facts)?;
    }
    for note in engine.notes() {
        let (key, value) = note?;
        found.recovery.notes.insert(key, value);
    }
    Ok(found)
}

impl Facts {
    fn add(&mut self, fact: Fact, body: &[u8]) -> Result<(), Damage> {
        match fact {
            Fact::Stream => self.made = Some(codec::StreamFact::read(body)?),
            Fact::State => self.state = Some(StateFact::read(body)?),
            Fact::Seq => {
                let text =
                    std::str::from_utf8(body).map_err(|_| Damage("its Stream-Seq is not UTF-8"))?;
                self.seq = Some(text.to_owned());
            }
            Fact::Producer(id) => self.producers.push((id, codec::read_accepted(body)?)),
            Fact::Swept => self.swept = Some(codec::read_offset(body)?),
            Fact::Gone => self.is_gone = true,
        }
        Ok(())
    }
}

impl RecoveredStore {
    fn add(&mut self, engine: &Engine, stream: StreamId, facts: Facts) -> Result<(), StoreError> {
        if facts.is_gone {
            self.sweeps.push(Sweep {
                stream,
                before: Offset::MAX,
                is_gone: true,
                may_drop_tables: false,
            });
            return Ok(());
        }
        let Some(made) = facts.made else {
            return Err(damage(stream, "its creation is missing"));
        };
        let begins = made.config.begins();
        let state = facts.state.unwrap_or_else(|| StateFact::open(begins));
        let earliest = state.earliest.max(begins);
        let next = engine
            .last(stream)?
            .map_or(earliest, |last| last.end())
            .max(earliest);
        if earliest > facts.swept.unwrap_or(begins) {
            self.sweeps.push(Sweep {
                stream,
                before: earliest,
                is_gone: false,
                may_drop_tables: false,
            });
        }
        self.recovery.streams.push(Recovered {
            stream,
            name: made.name,
            life: made.life,
            config: made.config,
            created: made.created,
            earliest,
            next,
            closed: state.closed,
            hidden: state.hidden,
            seq: facts.seq,
            producers: facts.producers,
        });
        Ok(())
    }
}

fn damage(stream: StreamId, what: &str) -> StoreError {
    StoreError::Damaged(format!("stream {}: {what}", stream.0))
}
