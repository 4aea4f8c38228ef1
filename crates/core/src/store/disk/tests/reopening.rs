//! A reopened store contains exactly what was committed.

use super::*;
use crate::model::{Expiry, Fork};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::sync::atomic::Ordering;

/// One step of the random check; numbers are taken modulo the number of possibilities.
#[derive(Debug, Clone)]
enum ReopeningStep {
    Create {
        config: usize,
        first: Option<Vec<usize>>,
        closed: bool,
    },
    Append {
        stream: usize,
        lengths: Option<Vec<usize>>,
        close: bool,
        seq: Option<u8>,
        producer: Option<(u8, u64)>,
    },
    Trim {
        stream: usize,
        boundary: usize,
    },
    Hide {
        stream: usize,
    },
    Delete {
        stream: usize,
    },
    Note {
        key: u8,
        value: Option<&'static str>,
    },
    Reopen,
    Flush,
}

fn steps() -> impl Strategy<Value = Vec<ReopeningStep>> {
    let lengths = || prop::collection::vec(1_usize..40, 1..5);
    let any = any::<usize>;
    let step = prop_oneof![
        3 => (any(), prop::option::of(lengths()), prop::bool::weighted(0.1))
            .prop_map(|(config, first, closed)| ReopeningStep::Create { config, first, closed }),
        10 => (
            any(),
            prop::option::weighted(0.9, lengths()),
            prop::bool::weighted(0.05),
            prop::option::weighted(0.3, 0_u8..9),
            prop::option::weighted(0.5, (0_u8..3, 0_u64..9)),
        )
            .prop_map(|(stream, lengths, close, seq, producer)| ReopeningStep::Append { stream, lengths, close, seq, producer }),
        2 => (any(), any()).prop_map(|(stream, boundary)| ReopeningStep::Trim { stream, boundary }),
        1 => any().prop_map(|stream| ReopeningStep::Hide { stream }),
        1 => any().prop_map(|stream| ReopeningStep::Delete { stream }),
        1 => (0_u8..3, prop::option::of(Just("value"))).prop_map(|(key, value)| ReopeningStep::Note { key, value }),
        1 => Just(ReopeningStep::Reopen),
        1 => Just(ReopeningStep::Flush),
    ];
    prop::collection::vec(step, 1..80)
}

#[test]
fn a_reopened_store_contains_exactly_what_was_committed() {
    // `PROPTEST_CASES` sets the number of cases; a failure prints its shrunk steps and its seed.
    let cases = std::env::var("PROPTEST_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(24);
    let config = ProptestConfig {
        failure_persistence: None,
        cases,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let directory = tempfile::tempdir().unwrap();
            let mut run = ReopeningRun::new(directory.path());
            steps.into_iter().for_each(|step| run.take(step));
            run.take(ReopeningStep::Reopen);
            Ok(())
        })
        .unwrap();
}

struct ReopeningRun<'a> {
    directory: &'a Path,
    store: Option<DiskStore>,
    model: DiskModel,
    /// The ends of messages, by stream.
    boundaries: BTreeMap<StreamId, Vec<u64>>,
    next_id: u64,
}

impl<'a> ReopeningRun<'a> {
    fn new(directory: &'a Path) -> Self {
        let (store, _) = open(directory).unwrap();
        Self {
            directory,
            store: Some(store),
            model: DiskModel::default(),
            boundaries: BTreeMap::new(),
            next_id: 1,
        }
    }

    fn take(&mut self, step: ReopeningStep) {
        match step {
            ReopeningStep::Create {
                config,
                first,
                closed,
            } => self.create(config, first, closed),
            ReopeningStep::Append {
                stream,
                lengths,
                close,
                seq,
                producer: by,
            } => self.append(stream, lengths, close, seq, by),
            ReopeningStep::Trim { stream, boundary } => {
                let Some(id) = self.pick(stream) else { return };
                let boundaries = &self.boundaries[&id];
                let before = boundaries[boundary % boundaries.len()];
                self.commit(
                    id,
                    Change::Trim {
                        before: offset(before),
                    },
                );
            }
            ReopeningStep::Hide { stream } => {
                let Some(id) = self.pick(stream) else { return };
                self.commit(id, Change::Hide);
            }
            ReopeningStep::Delete { stream } => {
                let Some(id) = self.pick(stream) else { return };
                self.commit(id, Change::delete());
            }
            ReopeningStep::Note { key, value } => {
                let key = format!("n/{key}");
                note(self.store.as_ref().unwrap(), &key, value).unwrap();
                match value {
                    Some(value) => drop(self.model.notes.insert(key, Bytes::from(value))),
                    None => drop(self.model.notes.remove(&key)),
                }
            }
            ReopeningStep::Reopen => {
                drop(self.store.take());
                let (store, recovery) = open(self.directory).unwrap();
                assert_eq!(
                    DiskModel::of(&store, recovery),
                    Ok(self.model.clone().kept())
                );
                self.store = Some(store);
            }
            ReopeningStep::Flush => {
                let engine = self.store.as_ref().unwrap().current.get().unwrap();
                engine.data.rotate_memtable_and_wait().unwrap();
                engine.metadata.rotate_memtable_and_wait().unwrap();
            }
        }
    }

    fn append(
        &mut self,
        stream: usize,
        lengths: Option<Vec<usize>>,
        close: bool,
        seq: Option<u8>,
        by: Option<(u8, u64)>,
    ) {
        let Some(id) = self.pick(stream) else { return };
        let end = self.model.streams[&id].0.next;
        let payload = lengths.map(|lengths| self.payload(id, end.bytes(), &lengths));
        let producer = by.map(|(name, seq)| producer(&format!("p{name}"), 1, seq));
        let progress = WriterProgress {
            seq: seq.map(|seq| seq.to_string()),
            producer,
        };
        self.commit(
            id,
            Change::Append {
                at: end,
                payload,
                close,
                progress,
                now: at(end.bytes()),
            },
        );
    }

    fn create(&mut self, config: usize, first: Option<Vec<usize>>, closed: bool) {
        let id = StreamId(self.next_id);
        self.next_id += 1;
        let source_name = StreamName::parse("source").unwrap();
        let fork = Fork {
            source: StreamId(7),
            source_name,
            at: offset(300),
            sub: 2,
        };
        let plain = StreamConfig::new("application/json");
        let config = match config % 5 {
            0 => StreamConfig {
                fork: Some(fork),
                ..plain
            },
            1 => StreamConfig {
                expiry: Some(Expiry::Idle(Duration::from_secs(1))),
                ..plain
            },
            2 => StreamConfig {
                keep_age: Some(Duration::from_millis(1)),
                keep_bytes: Some(9),
                ..plain
            },
            _ => plain,
        };
        let begins = config.begins().bytes();
        self.boundaries.insert(id, vec![begins]);
        let first = first.map(|lengths| self.payload(id, begins, &lengths));
        let name = StreamName::parse(&format!("s/{}", id.0)).unwrap();
        self.commit(
            id,
            Change::Create(Box::new(StreamCreation {
                name,
                generation: 0,
                config,
                first,
                closed,
                at: at(id.0),
            })),
        );
    }

    fn payload(&mut self, id: StreamId, begin: u64, lengths: &[usize]) -> Payload {
        let mut end = begin;
        let boundaries = self.boundaries.get_mut(&id).unwrap();
        let messages: Vec<_> = lengths
            .iter()
            .map(|length| {
                end += *length as u64 + 1;
                boundaries.push(end);
                // Digits that differ at each position.
                (0..*length as u64)
                    .map(|digit| char::from(b'1' + u8::try_from((end + digit) % 9).unwrap()))
                    .collect()
            })
            .collect::<Vec<String>>();
        json(&format!("[{}]", messages.join(",")))
    }

    fn commit(&mut self, id: StreamId, change: Change) {
        self.model.apply(id, &change);
        commit(self.store.as_ref().unwrap(), id, change).unwrap();
    }

    fn pick(&self, stream: usize) -> Option<StreamId> {
        let count = self.model.streams.len().max(1);
        self.model.streams.keys().nth(stream % count).copied()
    }
}

#[test]
fn a_stream_trimmed_to_its_end_continues_from_there() {
    let directory = tempfile::tempdir().unwrap();
    let id = StreamId(5);
    let (store, _) = open(directory.path()).unwrap();
    commit(&store, id, creation("a", Some("[1,2,3]"))).unwrap();
    commit(&store, id, Change::Trim { before: offset(6) }).unwrap();
    store
        .current
        .get()
        .unwrap()
        .data
        .rotate_memtable_and_wait()
        .unwrap();
    drop(store);
    let (store, recovery) = open(directory.path()).unwrap();
    assert_eq!(
        (recovery.streams[0].earliest, recovery.streams[0].next),
        (offset(6), offset(6))
    );
    commit(&store, id, append(6, "4")).unwrap();
    drop(store);
    let (store, recovery) = open(directory.path()).unwrap();
    assert_eq!(whole(&store, &recovery.streams[0]).unwrap(), "4,");
}

#[test]
fn an_interrupted_deletion_is_finished_by_the_next_start() {
    let directory = tempfile::tempdir().unwrap();
    let kept = StreamId(8);
    let faults = Faults::parse("in_sweep:1:error");
    let (store, _) = DiskStore::open_with(directory.path(), &options(), faults).unwrap();
    commit(&store, kept, creation("kept", Some("1"))).unwrap();
    let gone = StreamId(7);
    commit(&store, gone, creation("gone", None)).unwrap();
    let many = format!("[{}]", vec!["1"; 100].join(","));
    (0..30).for_each(|number| commit(&store, gone, append(number * 200, &many)).unwrap());
    commit(&store, gone, Change::delete()).unwrap();
    drop(store);
    for rows in [0, 0] {
        let (store, recovery) = open(directory.path()).unwrap();
        assert_eq!(
            recovery
                .streams
                .iter()
                .map(|known| known.stream)
                .collect::<Vec<_>>(),
            [kept]
        );
        let begun = std::time::Instant::now();
        let metadata = || {
            store
                .current
                .get()
                .unwrap()
                .metadata()
                .filter(|entry| entry.as_ref().unwrap().0 == gone)
                .count()
        };
        while metadata() > 0 && begun.elapsed() < DEADLINE {
            std::thread::yield_now();
        }
        assert_eq!(
            store
                .current
                .get()
                .unwrap()
                .records(gone, Offset::ZERO, Offset::MAX)
                .count()
                + metadata(),
            rows
        );
        assert_eq!(read(&store, kept, 0, 2, 10).as_deref(), Ok("1,"));
    }
}

#[test]
fn deleting_a_large_stream_deletes_its_tables_only() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open(directory.path()).unwrap();
    let (before, large, after) = (StreamId(1), StreamId(2), StreamId(3));
    for (id, name) in [(before, "before"), (large, "large"), (after, "after")] {
        commit(&store, id, creation(name, Some("1"))).unwrap();
    }
    let message = format!("\"{}\"", "x".repeat(1 << 20));
    let step = message.len() as u64 + 1;
    let rows = |store: &DiskStore| {
        store
            .current
            .get()
            .unwrap()
            .records(large, Offset::ZERO, Offset::MAX)
            .count()
    };
    (0..40).for_each(|number| commit(&store, large, append(2 + number * step, &message)).unwrap());
    commit(
        &store,
        large,
        Change::Trim {
            before: offset(2 + 36 * step),
        },
    )
    .unwrap();
    assert_eq!(
        read(&store, large, 2 + 36 * step, 2 + 37 * step, 1).map(|page| page.len() as u64),
        Ok(step)
    );
    commit(&store, large, Change::delete()).unwrap();
    commit(&store, after, append(2, "2")).unwrap();
    let begun = std::time::Instant::now();
    while rows(&store) > 0 {
        assert!(
            begun.elapsed() < DEADLINE,
            "{} appends remain",
            rows(&store)
        );
        std::thread::sleep(Duration::from_millis(5));
    }
    drop(store);
    for _ in 0..2 {
        let (store, recovery) = open(directory.path()).unwrap();
        let held: Vec<_> = recovery
            .streams
            .iter()
            .map(|known| whole(&store, known).unwrap())
            .collect();
        assert_eq!(held, ["1,", "1,2,"]);
        let begun = std::time::Instant::now();
        while rows(&store) > 0 {
            assert!(
                begun.elapsed() < DEADLINE,
                "{} appends were recovered",
                rows(&store)
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn concurrent_changes_share_a_commit_and_one_sync() {
    let directory = tempfile::tempdir().unwrap();
    let always = DiskOptions {
        sync: SyncMode::Always,
        ..options()
    };
    let (store, _) = DiskStore::open(directory.path(), &always).unwrap();
    let counts = || {
        (
            store.counts().commits.load(Ordering::SeqCst),
            store.counts().syncs.load(Ordering::SeqCst),
        )
    };
    commit(&store, StreamId(1), creation("a", None)).unwrap();
    (0..5).for_each(|number| commit(&store, StreamId(1), append(number * 2, "1")).unwrap());
    assert_eq!(counts(), (6, 6));
    let outcomes: Vec<_> = (0..2_000)
        .map(|number| submit(&store, StreamId(1), append(10 + number * 2, "1")))
        .collect();
    for outcome in outcomes {
        assert_eq!(outcome.recv_timeout(DEADLINE), Ok(Ok(())));
    }
    let (commits, syncs) = counts();
    assert!(
        commits == syncs && commits < 1_000,
        "{commits} commits with {syncs} syncs for 2,000 changes"
    );
}

#[test]
fn a_deferred_sync_happens_without_another_change() {
    let directory = tempfile::tempdir().unwrap();
    let soon = DiskOptions {
        sync: SyncMode::Within(Duration::from_millis(5)),
        ..options()
    };
    let (store, _) = DiskStore::open(directory.path(), &soon).unwrap();
    commit(&store, StreamId(1), creation("a", None)).unwrap();
    let begun = std::time::Instant::now();
    while store.counts().syncs.load(Ordering::SeqCst) == 0 {
        assert!(begun.elapsed() < DEADLINE, "never synced");
        std::thread::yield_now();
    }
}
