//! With a slow store: a submitted change completes even if its client disconnects, and locks the name until
//! it completes.

use crate::delaying_store::DelayingStore;
use crate::{fork_of, name};
use bytes::Bytes;
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::store::{Store, StoreError};
use tailwater_core::{Absent, CreateError, Created, ForkError, ForkPoint, ForkRequest, Streams};
use tailwater_core::{Append, Log, ReadStart};
use tailwater_core::{Payload, StreamConfig};
use tailwater_protocol::headers::ContentKind;

const TEXT: &str = "text/plain";

/// An empty set of streams, on a store that does not hold back changes yet.
fn streams() -> (Arc<DelayingStore>, Streams) {
    let store = DelayingStore::new();
    let streams = Streams::new(Arc::clone(&store) as Arc<dyn Store>, 10);
    (store, streams)
}

async fn make(streams: &Streams, it: &str) -> Result<Created, CreateError> {
    let first = Payload::parse(ContentKind::Text, Bytes::from_static(b"data")).ok();
    streams
        .create(&name(it), StreamConfig::new(TEXT), first, false)
        .await
}

async fn text(log: &Log) -> Bytes {
    log.read_from(ReadStart::Beginning, 1 << 20)
        .await
        .unwrap()
        .data
}

fn broken() -> StoreError {
    StoreError::Unwritable("a test".into())
}

#[tokio::test]
async fn a_creation_completes_without_its_client_and_locks_the_name() {
    for works in [true, false] {
        let (store, streams) = streams();
        store.hold();
        assert!(
            make(&streams, "it").now_or_never().is_none(),
            "answered before the store was done"
        );
        let mut second = Box::pin(make(&streams, "it"));
        assert!((&mut second).now_or_never().is_none());
        assert_eq!(store.held(), 1, "the second creation waits for the first");
        assert_eq!(
            streams.lookup(&name("it")).unwrap_err(),
            Absent::Unknown,
            "not visible before it is committed"
        );
        store.release(works);
        if works {
            let second = second.await.unwrap();
            assert!(!second.is_new, "the first was committed");
            assert_eq!(text(&second.log).await, "data");
        } else {
            assert!((&mut second).now_or_never().is_none());
            store.release(true);
            assert!(second.await.unwrap().is_new, "the first failed");
        }
        assert_eq!(streams.count(), 1);
    }
}

#[tokio::test]
async fn a_deletion_completes_without_its_client_and_locks_the_name() {
    for works in [true, false] {
        let (store, streams) = streams();
        let log = make(&streams, "it").await.unwrap().log;
        store.hold();
        assert!(streams.delete(&name("it")).now_or_never().is_none());
        let mut again = Box::pin(make(&streams, "it"));
        assert!((&mut again).now_or_never().is_none());
        assert_eq!(store.held(), 1, "the creation waits for the deletion");
        assert_eq!(
            text(&log).await,
            "data",
            "readable until the deletion is committed"
        );
        store.release(works);
        if works {
            assert!((&mut again).now_or_never().is_none());
            store.release(true);
            let again = again.await.unwrap();
            assert!(again.is_new);
            assert_ne!(again.log.id(), log.id());
            assert!(
                log.read(log.earliest(), 9).await.is_err(),
                "the deleted stream cannot be read"
            );
        } else {
            assert!(!again.await.unwrap().is_new, "the deletion failed");
            assert_eq!(text(&log).await, "data");
        }
    }
}

#[tokio::test]
async fn after_a_failed_deletion_a_stream_can_be_forked_and_deleted() {
    let (store, streams) = streams();
    let (it, other) = (name("it"), name("fork"));
    make(&streams, "it").await.unwrap();
    store.hold();
    let mut deletion = Box::pin(streams.delete(&it));
    assert!((&mut deletion).now_or_never().is_none());
    let refusal = streams
        .fork(&other, fork_of("it"))
        .now_or_never()
        .map(Result::unwrap_err);
    assert_eq!(
        refusal.expect("an immediate error"),
        CreateError::Fork(ForkError::NoSource(name("it"))),
        "a stream that is being deleted cannot be forked"
    );
    store.release(false);
    assert_eq!(deletion.await, Err(broken()));
    let mut fork = Box::pin(streams.fork(&other, fork_of("it")));
    assert!((&mut fork).now_or_never().is_none());
    store.release(true);
    assert_eq!(text(&fork.await.unwrap().log).await, "data");
    let mut deletion = Box::pin(streams.delete(&it));
    assert!((&mut deletion).now_or_never().is_none());
    store.release(true);
    assert_eq!(deletion.await, Ok(true));
    assert_eq!(streams.lookup(&name("it")).unwrap_err(), Absent::Hidden);
}

#[tokio::test]
async fn a_source_deleted_during_a_fork_is_kept_unless_the_fork_fails() {
    for works in [true, false] {
        let (store, streams) = streams();
        make(&streams, "it").await.unwrap();
        store.hold();
        assert!(
            streams
                .fork(&name("fork"), fork_of("it"))
                .now_or_never()
                .is_none()
        );
        assert!(streams.delete(&name("it")).now_or_never().is_none());
        store.release(works);
        store.release(true);
        if works {
            assert_eq!(streams.lookup(&name("it")).unwrap_err(), Absent::Hidden);
            assert_eq!(text(&streams.find(&name("fork")).unwrap()).await, "data");
            assert_eq!(store.held(), 0);
        } else {
            assert_eq!(store.held(), 1, "the hidden source is not needed any more");
            assert_eq!(streams.lookup(&name("it")).unwrap_err(), Absent::Hidden);
            store.release(true);
            assert_eq!(streams.lookup(&name("it")).unwrap_err(), Absent::Unknown);
            assert_eq!(streams.count(), 0);
        }
    }
}

#[tokio::test]
async fn a_fork_cancelled_early_is_not_counted_at_its_source() {
    let (store, streams) = streams();
    make(&streams, "it").await.unwrap();
    let refused = ForkRequest {
        sub: 5,
        at: Some(ForkPoint::Position(tailwater_protocol::Offset::ZERO)),
        ..fork_of("it")
    };
    assert!(matches!(
        streams.fork(&name("fork"), refused).await.unwrap_err(),
        CreateError::Fork(ForkError::SubBeyond {
            requested: 5,
            available: 4,
            ..
        })
    ));
    assert_eq!(streams.find(&name("it")).unwrap().forks(), 0);
    assert!(streams.delete(&name("it")).await.unwrap());
    assert_eq!(streams.lookup(&name("it")).unwrap_err(), Absent::Unknown);
    assert_eq!(store.held(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_failed_collection_is_tried_again() {
    let (store, streams) = streams();
    make(&streams, "a").await.unwrap();
    streams.fork(&name("b"), fork_of("a")).await.unwrap();
    streams.fork(&name("c"), fork_of("b")).await.unwrap();
    streams.delete(&name("a")).await.unwrap();
    streams.delete(&name("b")).await.unwrap();
    store.hold();
    assert!(streams.delete(&name("c")).now_or_never().is_none());
    store.release(true);
    assert_eq!(store.held(), 1, "the last fork of b is gone");
    store.release(false);
    assert_eq!(streams.lookup(&name("b")).unwrap_err(), Absent::Hidden);
    let (_running, stop) = tokio::sync::watch::channel(false);
    let sweeps = streams.sweep_until(Duration::from_secs(60), stop);
    let one = tokio::time::timeout(Duration::from_secs(1), sweeps).await;
    assert!(one.is_err(), "sweeps ended by themselves");
    store.release(true);
    assert_eq!(store.held(), 1, "with b the last fork of a is gone");
    store.release(true);
    assert_eq!((streams.count(), store.held()), (0, 0));
}

#[tokio::test]
async fn a_fork_created_during_a_trim_keeps_the_old_messages() {
    for is_forked in [true, false] {
        let (store, streams) = streams();
        let config = StreamConfig {
            keep_bytes: Some(4),
            ..StreamConfig::new(TEXT)
        };
        let log = streams
            .create(&name("it"), config, None, false)
            .await
            .unwrap()
            .log;
        let append = |text: &'static str| Append {
            payload: Payload::parse(ContentKind::Text, Bytes::from_static(text.as_bytes())).ok(),
            ..Append::default()
        };
        log.append(append("old ")).await.unwrap();
        store.answer(false);
        let mut appending = Box::pin(log.append(append("new ")));
        assert!(
            (&mut appending).now_or_never().is_none(),
            "the trim has begun"
        );
        if is_forked {
            streams.fork(&name("fork"), fork_of("it")).await.unwrap();
        }
        store.answer(true);
        appending.await.unwrap();
        assert_eq!(
            text(&log).await,
            if is_forked { "old new " } else { "new " }
        );
        if is_forked {
            assert_eq!(
                text(&streams.find(&name("fork")).unwrap()).await,
                "old new "
            );
        }
    }
}
