//! Expiry and retention on a controlled clock.

mod opening;

use crate::{fork_of, name};
use bytes::Bytes;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tailwater_core::StreamId;
use tailwater_core::clock::WallClock;
use tailwater_core::store::{
    Change, Commit, MemoryStore, Recovered, Recovery, Store, StoreError, StreamCreation,
    WriterProgress,
};
use tailwater_core::{Absent, CreateError, ForkPoint, ForkRequest, Streams};
use tailwater_core::{Append, AppendError, Log, ReadError, ReadStart, ReaderGuard};
use tailwater_core::{Expiry, Fork, Payload, StreamConfig};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, StreamOffset, Technique};
use tokio::sync::watch;
use tokio::time::advance;

const SECOND: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);

/// An offset of the first stream of a name.
fn first_generation(bytes: u64) -> StreamOffset {
    StreamOffset {
        generation: 0,
        position: at(bytes),
    }
}

fn at(bytes: u64) -> Offset {
    Offset::new(bytes).unwrap()
}

/// Streams with a sweep every second, on a controlled clock.
fn streams() -> (Streams, WallClock) {
    let wall = WallClock::tokio();
    let store = Arc::new(MemoryStore::new(1 << 20));
    let streams = Streams::open_with(store, &mut Recovery::default(), 100, wall);
    sweep(&streams);
    (streams, wall)
}

fn sweep(streams: &Streams) {
    let streams = streams.clone();
    tokio::spawn(async move {
        let (_stop, stopping) = watch::channel(false);
        streams.sweep_until(SECOND, stopping).await;
    });
}

async fn create(streams: &Streams, it: &str, change: impl FnOnce(&mut StreamConfig)) -> Arc<Log> {
    let mut config = StreamConfig::new("text/plain");
    change(&mut config);
    streams
        .create(&name(it), config, None, false)
        .await
        .unwrap()
        .log
}

fn idle(time: Duration) -> impl FnOnce(&mut StreamConfig) {
    move |config| config.expiry = Some(Expiry::Idle(time))
}

fn data(text: &'static str) -> Append {
    Append {
        payload: Payload::parse(ContentKind::Text, Bytes::from_static(text.as_bytes())).ok(),
        ..Append::default()
    }
}

async fn append(log: &Arc<Log>, text: &'static str) -> Offset {
    log.append(data(text)).await.unwrap().tail.next
}

async fn text(log: &Log) -> String {
    String::from_utf8(
        log.read_from(ReadStart::Beginning, 1 << 20)
            .await
            .unwrap()
            .data
            .to_vec(),
    )
    .unwrap()
}

/// Advances the time in steps, so that tasks with timers run at their time.
async fn pass(time: Duration) {
    let steps = time.as_millis() / 100;
    for _ in 0..steps {
        advance(100 * MS).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_expired_stream_is_gone_at_once_and_deleted_by_a_sweep() {
    let (streams, _) = streams();
    let log = create(&streams, "it", idle(2 * SECOND)).await;
    pass(1_900 * MS).await;
    assert!(streams.find(&name("it")).is_some());
    advance(100 * MS).await;
    assert_eq!(
        streams.lookup(&name("it")).unwrap_err(),
        Absent::Unknown,
        "before the sweep, too"
    );
    assert_eq!(log.append(data("late")).await, Err(AppendError::Deleted));
    pass(SECOND).await;
    assert_eq!(streams.count(), 0);
    assert_eq!(
        log.read(Offset::ZERO, 9).await.unwrap_err(),
        ReadError::Deleted
    );
}

#[tokio::test(start_paused = true)]
async fn appends_and_reads_postpone_expiry_and_inspection_does_not() {
    let (streams, _) = streams();
    let log = create(&streams, "it", idle(2 * SECOND)).await;
    for _ in 0..5 {
        pass(1_500 * MS).await;
        append(&log, "x").await;
    }
    for _ in 0..5 {
        pass(1_500 * MS).await;
        assert!(log.renew());
    }
    for _ in 0..3 {
        pass(600 * MS).await;
        streams.find(&name("it")).unwrap();
    }
    pass(600 * MS).await;
    assert!(streams.find(&name("it")).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_does_not_expire_while_it_is_followed() {
    let (streams, _) = streams();
    let log = create(&streams, "it", idle(2 * SECOND)).await;
    let reader = ReaderGuard::new(Arc::clone(&log), Technique::Sse, Offset::ZERO);
    pass(60 * SECOND).await;
    assert!(streams.find(&name("it")).is_some());
    drop(reader);
    pass(1_900 * MS).await;
    assert!(streams.find(&name("it")).is_some());
    pass(200 * MS).await;
    assert!(streams.find(&name("it")).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_readers_expires_at_its_date_and_wakes_them() {
    let (streams, wall) = streams();
    let log = create(&streams, "it", |config| {
        config.expiry = Some(Expiry::At(wall.now() + 3 * SECOND));
    })
    .await;
    let _reader = ReaderGuard::new(Arc::clone(&log), Technique::Sse, Offset::ZERO);
    let mut tail = log.tail();
    pass(2_900 * MS).await;
    append(&log, "x").await;
    tail.mark_unchanged();
    advance(100 * MS).await;
    assert_eq!(
        log.append(data("late")).await,
        Err(AppendError::Deleted),
        "before any sweep, too"
    );
    pass(1_100 * MS).await;
    assert!(streams.find(&name("it")).is_none());
    assert!(
        tail.has_changed().unwrap(),
        "waiting readers are woken by the sweep"
    );
}

#[tokio::test(start_paused = true)]
async fn an_expired_name_can_be_reused_before_any_sweep() {
    let (streams, _) = streams();
    let old = create(&streams, "it", idle(500 * MS)).await;
    append(&old, "old").await;
    advance(600 * MS).await;
    let new = create(&streams, "it", |_| {}).await;
    assert_ne!(new.id(), old.id());
    assert_eq!(text(&new).await, "");
}

#[tokio::test(start_paused = true)]
async fn an_expired_source_is_hidden_until_its_last_fork_is_gone() {
    let (streams, _) = streams();
    let source = create(&streams, "source", idle(2 * SECOND)).await;
    append(&source, "inherited ").await;
    let request = ForkRequest {
        expiry: Some(Expiry::Idle(10 * SECOND)),
        ..fork_of("source")
    };
    let fork = streams.fork(&name("fork"), request).await.unwrap().log;
    append(&fork, "own").await;
    pass(1_900 * MS).await;
    assert!(
        streams.find(&name("source")).is_some(),
        "a fork does not count as use of its source"
    );
    advance(100 * MS).await;
    assert_eq!(
        streams.lookup(&name("source")).unwrap_err(),
        Absent::Hidden,
        "before the sweep"
    );
    pass(SECOND).await;
    assert_eq!(
        streams.lookup(&name("source")).unwrap_err(),
        Absent::Hidden,
        "after the sweep"
    );
    let taken = streams
        .create(
            &name("source"),
            StreamConfig::new("text/plain"),
            None,
            false,
        )
        .await;
    assert_eq!(taken.unwrap_err(), CreateError::Hidden { forks: 1 });
    assert_eq!(text(&fork).await, "inherited own");
    pass(10 * SECOND).await;
    assert_eq!(streams.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_fork_inherits_settings_that_it_does_not_set() {
    let (streams, wall) = streams();
    let date = Some(Expiry::At(wall.now() + 100 * SECOND));
    let later = Some(Expiry::At(wall.now() + 200 * SECOND));
    let (ttl, other) = (
        Some(Expiry::Idle(50 * SECOND)),
        Some(Expiry::Idle(70 * SECOND)),
    );
    for (number, (source, requested, expected)) in [
        (None, None, None),
        (None, ttl, ttl),
        (None, date, date),
        (ttl, None, ttl),
        (ttl, other, other),
        (ttl, date, date),
        (date, None, date),
        (date, ttl, ttl),
        (date, later, later),
    ]
    .into_iter()
    .enumerate()
    {
        let from = format!("source/{number}");
        create(&streams, &from, |config| {
            config.expiry = source;
            config.keep_bytes = Some(77);
        })
        .await;
        let request = ForkRequest {
            expiry: requested,
            keep_age: Some(9 * SECOND),
            ..fork_of(&from)
        };
        let fork = streams
            .fork(&name(&format!("fork/{number}")), request.clone())
            .await
            .unwrap()
            .log;
        assert_eq!(fork.config().expiry, expected, "{source:?} {requested:?}");
        assert_eq!(
            (fork.config().keep_bytes, fork.config().keep_age),
            (Some(77), Some(9 * SECOND))
        );
        let again = streams
            .fork(&name(&format!("fork/{number}")), request)
            .await
            .unwrap();
        assert!(!again.is_new);
    }
}

#[tokio::test(start_paused = true)]
async fn messages_over_the_age_limit_are_gone_and_others_stay() {
    let (streams, _) = streams();
    let log = create(&streams, "it", |config| config.keep_age = Some(10 * SECOND)).await;
    append(&log, "first ").await;
    pass(6 * SECOND).await;
    append(&log, "second ").await;
    pass(3_900 * MS).await;
    assert_eq!(text(&log).await, "first second ");
    pass(1_300 * MS).await;
    assert_eq!(
        log.read(Offset::ZERO, 99).await.unwrap_err(),
        ReadError::Gone {
            requested: first_generation(0),
            earliest: first_generation(6)
        }
    );
    assert_eq!(text(&log).await, "second ");
    pass(10 * SECOND).await;
    assert_eq!(log.earliest(), at(13));
    assert_eq!(
        log.read_from(ReadStart::Beginning, 99).await.unwrap().next,
        at(13),
        "an empty stream keeps its position"
    );
    append(&log, "third").await;
    assert_eq!(text(&log).await, "third");
}

#[tokio::test(start_paused = true)]
async fn a_source_is_trimmed_only_once_its_forks_are_gone() {
    let (streams, _) = streams();
    let source = create(&streams, "source", |config| {
        config.keep_age = Some(5 * SECOND);
    })
    .await;
    append(&source, "old ").await;
    let request = ForkRequest {
        keep_age: Some(3_600 * SECOND),
        ..fork_of("source")
    };
    let fork = streams.fork(&name("fork"), request).await.unwrap().log;
    pass(8 * SECOND).await;
    append(&source, "new").await;
    assert_eq!(
        (text(&source).await, text(&fork).await),
        ("old new".into(), "old ".into())
    );
    streams.delete(&name("fork")).await.unwrap();
    pass(1_200 * MS).await;
    assert_eq!(text(&source).await, "new");
    let gone = streams
        .fork(
            &name("late"),
            ForkRequest {
                at: Some(ForkPoint::Position(at(0))),
                ..fork_of("source")
            },
        )
        .await
        .unwrap_err();
    let expected = ReadError::Gone {
        requested: first_generation(0),
        earliest: first_generation(4),
    };
    assert_eq!(
        gone,
        CreateError::Fork(tailwater_core::ForkError::Position(expected))
    );
}

#[tokio::test(start_paused = true)]
async fn a_fork_trims_inherited_messages_like_its_own() {
    let (streams, _) = streams();
    let source = create(&streams, "source", |_| {}).await;
    append(&source, "one ").await;
    pass(4 * SECOND).await;
    append(&source, "two ").await;
    let request = ForkRequest {
        keep_age: Some(10 * SECOND),
        ..fork_of("source")
    };
    let fork = streams.fork(&name("fork"), request).await.unwrap().log;
    pass(4 * SECOND).await;
    append(&fork, "three").await;
    pass(3_200 * MS).await;
    assert_eq!((fork.earliest(), &*text(&fork).await), (at(4), "two three"));
    pass(4 * SECOND).await;
    assert_eq!((fork.earliest(), &*text(&fork).await), (at(8), "three"));
    pass(4 * SECOND).await;
    assert_eq!((fork.earliest(), &*text(&fork).await), (at(13), ""));
    assert_eq!(text(&source).await, "one two ");
    let bytes = ForkRequest {
        keep_bytes: Some(6),
        ..fork_of("source")
    };
    let fork = streams.fork(&name("bytes"), bytes).await.unwrap().log;
    append(&fork, "x").await;
    assert_eq!(
        (fork.earliest(), &*text(&fork).await),
        (at(0), "one two x"),
        "between appends only"
    );
    append(&fork, "yz").await;
    assert_eq!((fork.earliest(), &*text(&fork).await), (at(4), "two xyz"));
    append(&fork, "12345").await;
    assert_eq!((fork.earliest(), &*text(&fork).await), (at(9), "yz12345"));
}
