//! Opening a store with expired streams and with forks.

use super::*;

/// A stream as a store reports it after a restart.
fn known(id: u64, it: &str, fork: Option<(u64, &str, u64)>, next: u64) -> Recovered {
    let fork = fork.map(|(source, source_name, position)| Fork {
        source: StreamId(source),
        source_name: name(source_name),
        at: at(position),
        sub: 0,
    });
    let config = StreamConfig {
        fork,
        ..StreamConfig::new("text/plain")
    };
    Recovered {
        stream: StreamId(id),
        name: name(it),
        generation: 0,
        earliest: config.begins(),
        config,
        created: SystemTime::UNIX_EPOCH,
        next: at(next),
        closed: None,
        hidden: false,
        seq: None,
        producers: Vec::new(),
    }
}

/// Writes the stream `known` into a memory store, with messages of one byte that name the stream.
async fn fill(store: &Arc<MemoryStore>, known: &Recovered) {
    let new = StreamCreation {
        name: known.name.clone(),
        generation: known.generation,
        config: known.config.clone(),
        first: None,
        closed: false,
        at: known.created,
    };
    commit(store, known.stream, Change::Create(Box::new(new))).await;
    for own in known.config.begins().bytes()..known.next.bytes() {
        let letter = known.name.as_str().as_bytes()[..1].to_vec();
        let payload = Payload::parse(ContentKind::Text, letter.into()).ok();
        let progress = WriterProgress::default();
        commit(
            store,
            known.stream,
            Change::Append {
                at: at(own),
                payload,
                close: false,
                progress,
                now: known.created,
            },
        )
        .await;
    }
}

async fn commit(store: &Arc<MemoryStore>, stream: StreamId, change: Change) {
    let (done, outcome) = tokio::sync::oneshot::channel();
    store.commit(
        Commit { stream, change },
        Box::new(move |result| done.send(result).unwrap()),
    );
    outcome.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn opening_counts_forks_and_deletes_unneeded_sources() {
    let hidden = |known: Recovered| Recovered {
        hidden: true,
        ..known
    };
    let known = vec![
        known(5, "e", Some((3, "c", 6)), 8),
        hidden(known(3, "c", Some((1, "a", 2)), 9)),
        hidden(known(1, "a", None, 4)),
        hidden(known(2, "b", None, 4)),
        hidden(known(4, "d", Some((2, "b", 4)), 5)),
    ];
    let store = Arc::new(MemoryStore::new(1 << 20));
    for known in &known {
        fill(&store, known).await;
    }
    let mut recovery = Recovery {
        streams: known,
        ..Recovery::default()
    };
    recovery.notes.insert("import/77".to_owned(), Bytes::new());
    recovery.notes.insert("other".to_owned(), Bytes::new());
    let streams = Streams::open_with(
        Arc::clone(&store) as Arc<dyn Store>,
        &mut recovery,
        100,
        WallClock::tokio(),
    );
    assert_eq!(
        recovery.notes.keys().collect::<Vec<_>>(),
        ["other"],
        "notes about streams are removed, others stay"
    );
    let e = streams.find(&name("e")).unwrap();
    assert_eq!(text(&e).await, "aaccccee");
    assert_eq!(
        streams.count(),
        3,
        "d and then b were deleted, a and c are kept for e"
    );
    for (it, absent) in [
        ("a", Absent::Hidden),
        ("b", Absent::Unknown),
        ("c", Absent::Hidden),
        ("d", Absent::Unknown),
    ] {
        assert_eq!(streams.lookup(&name(it)).unwrap_err(), absent, "{it}");
    }
    let new = create(&streams, "new", |_| {}).await;
    assert!(new.id() > StreamId(77), "ids are never used again");
    streams.delete(&name("e")).await.unwrap();
    assert_eq!(streams.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn opening_restarts_idle_times_and_keeps_expiry_dates() {
    let wall = WallClock::tokio();
    let lasting = |id, it, expiry| {
        let mut known = known(id, it, None, 0);
        known.config.expiry = Some(expiry);
        known
    };
    let known = vec![
        lasting(1, "idle", Expiry::Idle(2 * SECOND)),
        lasting(2, "over", Expiry::At(wall.now())),
        lasting(3, "dated", Expiry::At(wall.now() + SECOND)),
    ];
    let store = Arc::new(MemoryStore::new(1 << 20));
    for known in &known {
        fill(&store, known).await;
    }
    let streams = Streams::open_with(
        store,
        &mut Recovery {
            streams: known,
            ..Recovery::default()
        },
        100,
        wall,
    );
    sweep(&streams);
    let there = |it: &str| streams.find(&name(it)).is_some();
    assert_eq!(["idle", "over", "dated"].map(there), [true, false, true]);
    pass(1_900 * MS).await;
    assert_eq!(["idle", "over", "dated"].map(there), [true, false, false]);
    pass(1_200 * MS).await;
    assert_eq!(streams.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fork_without_its_source_is_damaged_only_where_it_inherits() {
    let store = Arc::new(MemoryStore::new(1 << 20));
    let orphan = known(5, "e", Some((3, "c", 6)), 8);
    fill(&store, &orphan).await;
    let mut recovery = Recovery {
        streams: vec![orphan],
        ..Recovery::default()
    };
    let streams = Streams::open_with(store, &mut recovery, 100, WallClock::tokio());
    let log = streams.find(&name("e")).unwrap();
    assert_eq!(log.read(at(6), 99).await.unwrap().data, "ee");
    let damaged = log.read(Offset::ZERO, 99).await.unwrap_err();
    assert!(
        matches!(&damaged, ReadError::Store(StoreError::Damaged(what)) if what.contains('3')),
        "{damaged}"
    );
}
