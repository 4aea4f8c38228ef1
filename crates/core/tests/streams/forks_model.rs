//! Random sequences of forks, appends, deletions and reads, compared with a model in which a fork is a copy.

use crate::{fork_of, name};
use bytes::Bytes;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::store::{DiskOptions, DiskStore, MemoryStore, Recovery, Store, SyncMode};
use tailwater_core::{Absent, CreateError, ForkError, ForkPoint, ForkRequest, Streams};
use tailwater_core::{Append, Log, ReadError};
use tailwater_core::{Payload, StreamConfig};
use tailwater_protocol::Offset;
use tailwater_protocol::headers::ContentKind;
use tokio::time::timeout;

const HISTORIES: u64 = 60;
/// Histories on disk, where the server restarts after every [`STEPS_BEFORE_RESTART`] steps.
const HISTORIES_ON_DISK: u64 = 10;
const STEPS_BEFORE_RESTART: usize = 50;
const STEPS: usize = 120;
/// The longest wait.
const DEADLINE: Duration = Duration::from_secs(20);
/// The number of stream names, small enough that names are reused.
const NAMES: usize = 9;

/// A stream in the model: its messages as stored, and its source.
#[derive(Debug, Clone, Default)]
struct ForksModel {
    messages: Vec<Bytes>,
    source: Option<String>,
    is_hidden: bool,
}

impl ForksModel {
    /// All message boundaries.
    fn boundaries(&self) -> Vec<u64> {
        let ends = self.messages.iter().scan(0, |end, message| {
            *end += message.len() as u64;
            Some(*end)
        });
        [0].into_iter().chain(ends).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        self.messages.concat()
    }
}

/// The store of a run.
enum ForkStore {
    Memory(Arc<MemoryStore>),
    Disk(tempfile::TempDir),
}

impl ForkStore {
    fn open(&self) -> Streams {
        let (store, mut recovery): (Arc<dyn Store>, _) = match self {
            Self::Memory(store) => (Arc::clone(store) as _, Recovery::default()),
            Self::Disk(directory) => {
                let options = DiskOptions {
                    sync: SyncMode::Never,
                    hot_max: 200,
                    reserve: 1,
                };
                let (store, recovery) = DiskStore::open(directory.path(), &options).unwrap();
                (Arc::new(store), recovery)
            }
        };
        Streams::open(store, &mut recovery, 1_000)
    }
}

struct ForkHistory {
    rng: StdRng,
    kind: ContentKind,
    store: ForkStore,
    streams: Streams,
    models: BTreeMap<String, ForksModel>,
    written: u32,
}

#[tokio::test]
async fn forks_read_like_copies_after_any_history() {
    let first: u64 = rand::random();
    for seed in (0..HISTORIES).map(|number| first.wrapping_add(number)) {
        println!("seed {seed}");
        for kind in [ContentKind::Json, ContentKind::Text] {
            let mut history = ForkHistory::new(
                seed,
                kind,
                ForkStore::Memory(Arc::new(MemoryStore::new(1 << 24))),
            );
            for _ in 0..STEPS {
                history.step().await;
            }
            history.end().await;
        }
    }
}

#[tokio::test]
async fn forks_read_like_copies_after_any_history_with_restarts() {
    let first: u64 = rand::random();
    for seed in (0..HISTORIES_ON_DISK).map(|number| first.wrapping_add(number)) {
        println!("seed {seed}");
        let kind = if seed.is_multiple_of(2) {
            ContentKind::Json
        } else {
            ContentKind::Text
        };
        let mut history =
            ForkHistory::new(seed, kind, ForkStore::Disk(tempfile::tempdir().unwrap()));
        for step in 1..=STEPS {
            history.step().await;
            if step.is_multiple_of(STEPS_BEFORE_RESTART) {
                history.restart();
                history.check_all().await;
            }
        }
        history.end().await;
    }
}

fn fork_request(source: &str, at: u64, sub: u64, body: Bytes) -> ForkRequest {
    ForkRequest {
        at: Offset::new(at).map(ForkPoint::Position),
        sub,
        body,
        ..fork_of(source)
    }
}

/// The content of a fork.
///
/// - `first`: the number of messages of its source before the fork point, without the sub-offset.
/// - `own`: its initial content.
fn forked(
    kind: ContentKind,
    source: &[Bytes],
    first: usize,
    sub: u64,
    own: Vec<Bytes>,
) -> Vec<Bytes> {
    let mut messages = source[..first].to_vec();
    let behind = &source[first..];
    let reaches = usize::try_from(sub).unwrap();
    let own = match kind {
        ContentKind::Json => {
            messages.extend_from_slice(&behind[..reaches]);
            own
        }
        // A sub-offset that reaches the end of a message includes that message; a message of the
        // fork follows it.
        _ if reaches > 0 && behind.first().map(Bytes::len) == Some(reaches) => {
            behind[..1].iter().cloned().chain(own).collect()
        }
        _ => {
            let piece = behind.first().map(|message| message.slice(..reaches));
            vec![
                piece
                    .into_iter()
                    .chain(own)
                    .collect::<Vec<_>>()
                    .concat()
                    .into(),
            ]
        }
    };
    messages.extend(
        own.into_iter()
            .filter(|message: &Bytes| !message.is_empty()),
    );
    messages
}

impl ForkHistory {
    fn new(seed: u64, kind: ContentKind, store: ForkStore) -> Self {
        let streams = store.open();
        Self {
            rng: StdRng::seed_from_u64(seed),
            kind,
            store,
            streams,
            models: BTreeMap::new(),
            written: 0,
        }
    }

    /// Stops the server and starts it again on the same directory.
    fn restart(&mut self) {
        self.streams.store().close();
        // Only one store at a time can use the directory.
        self.streams = Streams::new(Arc::new(MemoryStore::new(1)), 1);
        self.streams = self.store.open();
    }

    async fn step(&mut self) {
        let it = format!("s{}", self.rng.random_range(0..NAMES));
        match self.rng.random_range(0..10) {
            0..2 => self.create(&it).await,
            2..5 => self.append(&it).await,
            5..8 => self.fork(&it).await,
            8 => self.delete(&it).await,
            _ => self.check(&it).await,
        }
    }

    /// One to three messages for JSON, otherwise one, as sent and as stored.
    fn messages(&mut self) -> (Bytes, Vec<Bytes>) {
        let count = if self.kind == ContentKind::Json {
            self.rng.random_range(1..=3)
        } else {
            1
        };
        let each: Vec<String> = (0..count)
            .map(|_| {
                self.written += 1;
                format!(
                    "\"{}{}\"",
                    self.written,
                    "x".repeat(self.rng.random_range(0..12))
                )
            })
            .collect();
        let kept = |text: &String| {
            if self.kind == ContentKind::Json {
                format!("{text},")
            } else {
                text.clone()
            }
        };
        let body = if self.kind == ContentKind::Json {
            format!("[{}]", each.join(" , "))
        } else {
            each[0].clone()
        };
        (
            body.into(),
            each.iter().map(|text| kept(text).into()).collect(),
        )
    }

    async fn create(&mut self, it: &str) {
        let content_type = if self.kind == ContentKind::Json {
            "application/json"
        } else {
            "text/plain"
        };
        let created = self
            .streams
            .create(&name(it), StreamConfig::new(content_type), None, false)
            .await;
        match self.models.get(it) {
            None => {
                assert!(created.unwrap().is_new);
                self.models.insert(it.to_owned(), ForksModel::default());
            }
            Some(model) if model.is_hidden => {
                assert!(
                    matches!(created, Err(CreateError::Hidden { .. })),
                    "{created:?}"
                );
            }
            Some(ForksModel {
                source: Some(_), ..
            }) => {
                assert!(
                    matches!(created, Err(CreateError::Differs { .. })),
                    "{created:?}"
                );
            }
            Some(_) => assert!(!created.unwrap().is_new),
        }
    }

    async fn append(&mut self, it: &str) {
        let Some(log) = self.streams.find(&name(it)) else {
            return;
        };
        let (body, kept) = self.messages();
        let payload = Payload::parse(self.kind, body).unwrap();
        log.append(Append {
            payload: Some(payload),
            ..Append::default()
        })
        .await
        .unwrap();
        self.models.get_mut(it).unwrap().messages.extend(kept);
    }

    async fn fork(&mut self, it: &str) {
        let from = format!("s{}", self.rng.random_range(0..NAMES));
        let Some(model) = self.models.get(&from).cloned() else {
            return;
        };
        let boundaries = model.boundaries();
        let at = *boundaries.choose(&mut self.rng).unwrap();
        let first = boundaries.iter().position(|it| *it == at).unwrap();
        let behind = &model.messages[first..];
        let most = if self.kind == ContentKind::Json {
            behind.len()
        } else {
            behind.first().map_or(0, Bytes::len)
        } as u64;
        let sub = if self.rng.random_bool(0.5) {
            self.rng.random_range(0..=most + 1)
        } else {
            0
        };
        let (body, own) = if self.rng.random_bool(0.3) {
            self.messages()
        } else {
            (Bytes::new(), Vec::new())
        };
        let request = fork_request(&from, at, sub, body);
        let outcome = self.streams.fork(&name(it), request.clone()).await;
        match (self.models.get(it), model.is_hidden) {
            (Some(there), _) if there.is_hidden => {
                assert!(
                    matches!(outcome, Err(CreateError::Hidden { .. })),
                    "{outcome:?}"
                );
            }
            // Whether it is the same fork by chance is not part of the model.
            (Some(_), _) => {
                assert!(
                    matches!(&outcome, Ok(it) if !it.is_new)
                        || matches!(outcome, Err(CreateError::Differs { .. }))
                );
            }
            (None, true) => {
                assert!(
                    matches!(outcome, Err(CreateError::Fork(ForkError::SourceHidden(_)))),
                    "{outcome:?}"
                );
            }
            (None, false) if sub > most => {
                assert!(
                    matches!(outcome, Err(CreateError::Fork(ForkError::SubBeyond { .. }))),
                    "{outcome:?}"
                );
            }
            (None, false)
                if matches!(outcome, Err(CreateError::Fork(ForkError::TooDeep { .. }))) => {}
            (None, false) => {
                assert!(outcome.unwrap().is_new);
                let again = self.streams.fork(&name(it), request).await.unwrap();
                assert!(!again.is_new, "a retry finds the fork");
                let messages = forked(self.kind, &model.messages, first, sub, own);
                self.models.insert(
                    it.to_owned(),
                    ForksModel {
                        messages,
                        source: Some(from),
                        is_hidden: false,
                    },
                );
            }
        }
    }

    async fn delete(&mut self, it: &str) {
        let deleted = self.streams.delete(&name(it)).await.unwrap();
        let is_there = self.models.get(it).is_some_and(|model| !model.is_hidden);
        assert_eq!(deleted, is_there);
        if is_there {
            self.models.get_mut(it).unwrap().is_hidden = true;
        }
        // A hidden stream without forks is deleted, and then possibly its source.
        loop {
            let needed: Vec<String> = self
                .models
                .values()
                .filter_map(|model| model.source.clone())
                .collect();
            let before = self.models.len();
            self.models
                .retain(|it, model| !model.is_hidden || needed.contains(it));
            if self.models.len() == before {
                break;
            }
        }
        // The deletion of the last fork deletes its source asynchronously.
        let settled = async {
            while self.streams.count() != self.models.len() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        timeout(DEADLINE, settled)
            .await
            .expect("unused sources are deleted");
    }

    async fn check(&mut self, it: &str) {
        let found = self.streams.lookup(&name(it));
        match self.models.get(it).cloned() {
            None => assert_eq!(found.unwrap_err(), Absent::Unknown),
            Some(model) if model.is_hidden => assert_eq!(found.unwrap_err(), Absent::Hidden),
            Some(model) => {
                let from = *model.boundaries().choose(&mut self.rng).unwrap();
                let page_max = self.rng.random_range(1..60);
                self.read(&found.unwrap(), &model, from, page_max).await;
            }
        }
    }

    /// Reads page by page from a boundary: the bytes of the model, in whole messages, within the
    /// limit.
    async fn read(&self, log: &Log, model: &ForksModel, from: u64, page_max: usize) {
        let boundaries = model.boundaries();
        let bytes = model.bytes();
        let mut at = Offset::new(from).unwrap();
        loop {
            let batch = log.read(at, page_max).await.unwrap();
            let (start, end) = (at.bytes(), batch.next.bytes());
            assert_eq!(
                batch.data,
                bytes[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()],
                "{start}..{end}"
            );
            let index = boundaries
                .binary_search(&end)
                .unwrap_or_else(|_| panic!("{end} lies inside a message"));
            let is_one = index > 0 && boundaries[index - 1] == start;
            assert!(
                batch.data.len() <= page_max || is_one,
                "a page of {} bytes, {page_max} allowed",
                batch.data.len()
            );
            assert_eq!(batch.up_to_date(), end == bytes.len() as u64);
            if batch.up_to_date() {
                break;
            }
            let next = boundaries[index + 1] - start;
            assert!(
                next > page_max as u64,
                "the page {start}..{end} could contain one more message"
            );
            at = batch.next;
        }
        for inside in 0..bytes.len() as u64 {
            let read = log.read(Offset::new(inside).unwrap(), 1).await;
            let is_boundary = boundaries.contains(&inside);
            assert_eq!(
                matches!(read, Err(ReadError::InsideMessage { .. })),
                !is_boundary,
                "at {inside}: {read:?}"
            );
        }
    }

    /// At the end everything can be read, and deleting all streams frees all bytes.
    async fn end(&mut self) {
        self.check_all().await;
        for it in self.models.keys().cloned().collect::<Vec<_>>() {
            self.delete(&it).await;
        }
        assert_eq!(self.streams.count(), 0);
        if let ForkStore::Memory(store) = &self.store {
            assert_eq!(store.kept_bytes(), 0);
        }
    }

    async fn check_all(&mut self) {
        for it in self.models.keys().cloned().collect::<Vec<_>>() {
            self.check(&it).await;
        }
        assert_eq!(self.streams.count(), self.models.len());
    }
}
