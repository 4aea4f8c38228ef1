//! Reused names: an offset of one stream is not valid in the next stream of its name.

use crate::name;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::StreamLimits;
use tailwater_core::clock::WallClock;
use tailwater_core::store::{DiskOptions, DiskStore, MemoryStore, Recovery, Store, SyncMode};
use tailwater_core::{Append, AppendError, Log, ReadError};
use tailwater_core::{CreateError, ForkPoint, ForkRequest, Streams};
use tailwater_core::{Expiry, Payload, StreamConfig};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, StreamOffset};

fn offset(generation: u32, bytes: u64) -> StreamOffset {
    StreamOffset {
        generation,
        position: Offset::new(bytes).unwrap(),
    }
}

fn in_memory() -> Streams {
    Streams::new(Arc::new(MemoryStore::new(1 << 20)), 100)
}

fn on_disk(directory: &std::path::Path, deleted_names_max: usize) -> Streams {
    let options = DiskOptions {
        sync: SyncMode::Never,
        reserve: 1,
        ..DiskOptions::default()
    };
    let (store, mut recovery) = DiskStore::open(directory, &options).unwrap();
    Streams::open(
        Arc::new(store),
        &mut recovery,
        StreamLimits {
            deleted_names_max,
            ..StreamLimits::default()
        },
    )
}

/// A stream with the content `text`.
async fn make(streams: &Streams, it: &str, text: &'static str) -> Arc<Log> {
    let first = Payload::parse(ContentKind::Text, Bytes::from_static(text.as_bytes())).ok();
    streams
        .create(&name(it), StreamConfig::new("text/plain"), first, false)
        .await
        .unwrap()
        .log
}

async fn delete(streams: &Streams, it: &str) {
    assert!(streams.delete(&name(it)).await.unwrap());
}

fn fork_of(source: &str, at: Option<StreamOffset>) -> ForkRequest {
    ForkRequest {
        at: at.map(ForkPoint::Offset),
        ..crate::fork_of(source)
    }
}

async fn fork(streams: &Streams, it: &str, request: ForkRequest) -> Arc<Log> {
    streams.fork(&name(it), request).await.unwrap().log
}

/// Whether `log` accepts an offset.
fn accepts(log: &Log, generation: u32, bytes: u64) -> bool {
    match log.position(offset(generation, bytes)) {
        Ok(position) => {
            assert_eq!(position.bytes(), bytes);
            true
        }
        Err(error) => {
            assert_eq!(
                error,
                ReadError::OtherGeneration {
                    requested: offset(generation, bytes),
                    generation: log.generation()
                }
            );
            false
        }
    }
}

#[tokio::test]
async fn each_stream_of_a_name_accepts_only_its_own_offsets() {
    let streams = in_memory();
    for generation in 0..4 {
        let log = make(&streams, "a", "text").await;
        assert_eq!(
            (log.generation(), log.tail_now().offset()),
            (generation, offset(generation, 4))
        );
        for other in 0..5 {
            assert_eq!(
                accepts(&log, other, 4),
                other == generation,
                "{other} in {generation}"
            );
        }
        let only_at = Some(offset(generation.wrapping_sub(1), 4));
        let refused = log
            .append(Append {
                only_at,
                ..payload()
            })
            .await;
        assert!(
            matches!(refused, Err(AppendError::NotAtTail { .. })),
            "{refused:?}"
        );
        let only_at = Some(offset(generation, 4));
        assert_eq!(
            log.append(Append {
                only_at,
                ..payload()
            })
            .await
            .unwrap()
            .tail
            .offset(),
            offset(generation, 7)
        );
        delete(&streams, "a").await;
    }
    assert_eq!(make(&streams, "b", "").await.generation(), 0);
}

fn payload() -> Append {
    Append {
        payload: Payload::parse(ContentKind::Text, Bytes::from_static(b"abc")).ok(),
        ..Append::default()
    }
}

#[tokio::test(start_paused = true)]
async fn the_stream_after_an_expired_one_has_the_next_generation() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new(1 << 20));
    let streams = Streams::open_with(store, &mut Recovery::default(), 10, WallClock::tokio());
    for generation in 0..3 {
        let expiry = Some(Expiry::Idle(Duration::from_secs(1)));
        let config = StreamConfig {
            expiry,
            ..StreamConfig::new("text/plain")
        };
        let log = streams
            .create(&name("a"), config, None, false)
            .await
            .unwrap()
            .log;
        assert_eq!(log.generation(), generation);
        tokio::time::advance(Duration::from_secs(2)).await;
        if generation == 1 {
            streams.delete_expired().await;
        }
    }
}

#[tokio::test]
async fn a_fork_accepts_its_sources_offsets_up_to_the_fork_point() {
    let streams = in_memory();
    make(&streams, "source", "0123456789").await;
    delete(&streams, "source").await;
    let source = make(&streams, "source", "0123456789").await;
    assert_eq!(source.generation(), 1);
    let child = fork(&streams, "child", fork_of("source", Some(offset(1, 10)))).await;
    child.append(payload()).await.unwrap();
    for (generation, bytes, expected) in [
        (0, 0, true),
        (0, 13, true),
        (1, 0, true),
        (1, 10, true),
        (1, 11, false),
        (1, 13, false),
        (2, 0, false),
    ] {
        assert_eq!(
            accepts(&child, generation, bytes),
            expected,
            "{generation} {bytes}"
        );
    }
    let condition = Append {
        only_at: Some(offset(1, 10)),
        ..payload()
    };
    assert!(matches!(
        child.append(condition).await,
        Err(AppendError::NotAtTail { .. })
    ));
    // A fork of the fork, after the fork's own messages.
    let grandchild = fork(&streams, "grandchild", fork_of("child", None)).await;
    for (generation, bytes, expected) in [(0, 13, true), (1, 10, true), (1, 11, false)] {
        assert_eq!(
            accepts(&grandchild, generation, bytes),
            expected,
            "{generation} {bytes}"
        );
    }
    let refused = streams
        .fork(&name("other"), fork_of("source", Some(offset(0, 4))))
        .await
        .unwrap_err();
    assert!(matches!(
        refused,
        CreateError::Fork(tailwater_core::ForkError::Position(
            ReadError::OtherGeneration { .. }
        ))
    ));
    let again = streams
        .fork(&name("child"), fork_of("source", Some(offset(1, 10))))
        .await
        .unwrap();
    assert!(!again.is_new);
}

#[tokio::test]
async fn a_fork_on_a_used_name_accepts_old_offsets_at_its_fork_point() {
    let streams = in_memory();
    make(&streams, "source", "0123456789").await;
    make(&streams, "fork", "another text").await;
    delete(&streams, "fork").await;
    let log = fork(&streams, "fork", fork_of("source", Some(offset(0, 10)))).await;
    assert_eq!(log.generation(), 1);
    for (bytes, expected) in [(0, false), (9, false), (10, true), (11, false), (12, false)] {
        assert_eq!(accepts(&log, 0, bytes), expected, "{bytes}");
    }
    assert!(accepts(&log, 1, 0) && accepts(&log, 1, 10));
}

#[tokio::test]
async fn the_stream_after_a_hidden_one_has_the_next_generation() {
    let streams = in_memory();
    make(&streams, "source", "0123456789").await;
    let child = fork(&streams, "child", fork_of("source", None)).await;
    delete(&streams, "source").await;
    assert!(accepts(&child, 0, 10));
    delete(&streams, "child").await;
    assert_eq!(make(&streams, "source", "").await.generation(), 1);
}

#[tokio::test]
async fn an_import_under_a_deleted_name_has_the_next_generation() {
    let streams = in_memory();
    make(&streams, "a", "text").await;
    delete(&streams, "a").await;
    let importing = streams
        .import(&name("a"), StreamConfig::new("text/plain"))
        .await
        .unwrap();
    make(&streams, "a", "text").await;
    delete(&streams, "a").await;
    assert_eq!(
        importing.publish().await.unwrap_err(),
        CreateError::NameReused
    );
    let importing = streams
        .import(&name("a"), StreamConfig::new("text/plain"))
        .await
        .unwrap();
    assert_eq!(importing.publish().await.unwrap().generation(), 2);
}

#[tokio::test]
async fn generations_survive_restarts_and_removed_names() {
    let directory = tempfile::tempdir().unwrap();
    let streams = on_disk(directory.path(), 2);
    make(&streams, "there", "").await;
    for generation in 0..3 {
        assert_eq!(make(&streams, "a", "").await.generation(), generation);
        delete(&streams, "a").await;
    }
    make(&streams, "b", "").await;
    delete(&streams, "b").await;
    close(streams);
    let streams = on_disk(directory.path(), 2);
    assert_eq!(
        (
            make(&streams, "a", "").await.generation(),
            make(&streams, "b", "").await.generation()
        ),
        (3, 1)
    );
    assert_eq!(streams.find(&name("there")).unwrap().generation(), 0);
    close(streams);
    let streams = on_disk(directory.path(), 2);
    assert_eq!(streams.find(&name("a")).unwrap().generation(), 3);
    for it in ["a", "b", "there"] {
        delete(&streams, it).await;
    }
    // The note about `a` was removed, so names without a note start with its next generation.
    for it in ["a", "new"] {
        assert_eq!(make(&streams, it, "").await.generation(), 4);
    }
    close(streams);
    let streams = on_disk(directory.path(), 2);
    assert_eq!(
        (
            make(&streams, "newer", "").await.generation(),
            make(&streams, "b", "").await.generation()
        ),
        (4, 2)
    );
}

fn close(streams: Streams) {
    streams.store().close();
    // The directory can be opened again once the store has been dropped.
    drop(streams);
}
