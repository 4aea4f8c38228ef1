//! Tests of the disk store, with helpers and a model of its content.

mod damage;
mod directory;
mod failing;
mod panicking;
mod reopening;

use super::{DiskOpenError, DiskOptions, DiskStore, Faults, SyncMode};
use crate::model::{Accepted, Payload, ProducerId, StreamConfig, StreamName};
use crate::store::{
    Change, Commit, Recovered, Recovery, Store, StoreError, StreamCreation, StreamId,
    WriterProgress,
};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, SystemTime};
use tailwater_protocol::Offset;
use tailwater_protocol::headers::ContentKind;

/// The longest wait.
const DEADLINE: Duration = Duration::from_secs(20);

/// Options for a store that opens and writes fast and has little data in memory.
fn options() -> DiskOptions {
    DiskOptions {
        sync: SyncMode::Never,
        hot_max: 300,
        reserve: 1,
    }
}

fn open(directory: &Path) -> Result<(DiskStore, Recovery), DiskOpenError> {
    DiskStore::open_with(directory, &options(), Faults::default())
}

fn json(body: &str) -> Payload {
    Payload::parse(ContentKind::Json, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn offset(bytes: u64) -> Offset {
    Offset::new(bytes).unwrap()
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000 + seconds, 123_456_789)
}

type CommitOutcome = mpsc::Receiver<Result<(), StoreError>>;

fn submit(store: &DiskStore, stream: StreamId, change: Change) -> CommitOutcome {
    let (send, outcome) = mpsc::channel();
    store.commit(
        Commit { stream, change },
        Box::new(move |result| send.send(result).unwrap()),
    );
    outcome
}

fn commit(store: &DiskStore, stream: StreamId, change: Change) -> Result<(), StoreError> {
    submit(store, stream, change)
        .recv_timeout(DEADLINE)
        .expect("`done` is called")
}

fn note(store: &DiskStore, key: &str, value: Option<&'static str>) -> Result<(), StoreError> {
    let (send, outcome) = mpsc::channel();
    store.note(
        key,
        value.map(Bytes::from),
        Box::new(move |result| send.send(result).unwrap()),
    );
    outcome.recv_timeout(DEADLINE).expect("`done` is called")
}

fn creation(name: &str, first: Option<&str>) -> Change {
    let (name, config) = (
        StreamName::parse(name).unwrap(),
        StreamConfig::new("application/json"),
    );
    Change::Create(Box::new(StreamCreation {
        name,
        generation: 0,
        config,
        first: first.map(json),
        closed: false,
        at: at(0),
    }))
}

fn append(position: u64, body: &str) -> Change {
    let progress = WriterProgress::default();
    Change::Append {
        at: offset(position),
        payload: Some(json(body)),
        close: false,
        progress,
        now: at(position),
    }
}

fn read(
    store: &DiskStore,
    stream: StreamId,
    from: u64,
    until: u64,
    max: usize,
) -> Result<String, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let page = runtime.block_on(store.read(stream, offset(from), offset(until), max))?;
    Ok(String::from_utf8(page.to_vec()).unwrap())
}

/// All pages from the earliest position to the end.
fn whole(store: &DiskStore, known: &Recovered) -> Result<String, StoreError> {
    let mut whole = String::new();
    let (begin, end) = (known.earliest.bytes(), known.next.bytes());
    while begin + (whole.len() as u64) < end {
        whole += &read(store, known.stream, begin + whole.len() as u64, end, 100)?;
    }
    Ok(whole)
}

/// The expected content of a store: each stream as it is recovered, and its text from position 0.
#[derive(Debug, Clone, Default, PartialEq)]
struct DiskModel {
    streams: BTreeMap<StreamId, (Recovered, String)>,
    notes: BTreeMap<String, Bytes>,
}

impl DiskModel {
    /// Applies a change that the store accepted.
    fn apply(&mut self, id: StreamId, change: &Change) {
        if let Change::Create(new) = change {
            let text = new.first.as_ref().map(text).unwrap_or_default();
            let known = Recovered {
                stream: id,
                name: new.name.clone(),
                generation: new.generation,
                config: new.config.clone(),
                created: new.at,
                earliest: new.config.begins(),
                next: new.config.begins().advance(text.len()).unwrap(),
                closed: new.closed.then_some(None),
                hidden: false,
                seq: None,
                producers: Vec::new(),
            };
            let inherited = " ".repeat(usize::try_from(new.config.begins().bytes()).unwrap());
            self.streams.insert(id, (known, inherited + &text));
            return;
        }
        if matches!(change, Change::Delete { .. }) {
            self.streams.remove(&id);
            return;
        }
        let (known, whole) = self.streams.get_mut(&id).unwrap();
        match change {
            Change::Append {
                payload,
                close,
                progress,
                ..
            } => {
                whole.push_str(&payload.as_ref().map(text).unwrap_or_default());
                known.next = offset(whole.len() as u64);
                if *close {
                    known.closed = Some(progress.producer.clone());
                }
                known.seq = progress.seq.clone().or(known.seq.take());
                if let Some((id, at)) = &progress.producer {
                    known.producers.retain(|(known, _)| known != id);
                    known.producers.push((id.clone(), *at));
                    known.producers.sort();
                }
            }
            Change::Trim { before } => {
                known.earliest = known.earliest.max((*before).min(known.next));
            }
            Change::Hide => known.hidden = true,
            Change::Create(_) | Change::Delete { .. } => {}
        }
    }

    /// The streams that an opened store reports, and their content.
    fn of(store: &DiskStore, recovery: Recovery) -> Result<Self, StoreError> {
        let mut streams = BTreeMap::new();
        for known in recovery.streams {
            let inherited = " ".repeat(usize::try_from(known.earliest.bytes()).unwrap());
            let text = inherited + &whole(store, &known)?;
            streams.insert(known.stream, (known, text));
        }
        Ok(Self {
            streams,
            notes: recovery.notes,
        })
    }

    /// The same with trimmed content left blank.
    fn kept(mut self) -> Self {
        for (known, text) in self.streams.values_mut() {
            let trimmed = usize::try_from(known.earliest.bytes()).unwrap();
            text.replace_range(..trimmed, &" ".repeat(trimmed));
        }
        self
    }
}

fn text(payload: &Payload) -> String {
    String::from_utf8(payload.bytes().to_vec()).unwrap()
}

fn producer(name: &str, epoch: u64, seq: u64) -> (ProducerId, Accepted) {
    (ProducerId::kept(name).unwrap(), Accepted { epoch, seq })
}
