//! Requests that arrive while appends are pending: no response depends on an append that may still
//! fail.

use crate::delaying_store::DelayingStore;
use crate::name;
use bytes::Bytes;
use futures_util::FutureExt;
use std::sync::Arc;
use tailwater_core::Streams;
use tailwater_core::store::{Store, StoreError};
use tailwater_core::{Accepted, Payload, Producer, ProducerId, StreamConfig};
use tailwater_core::{Append, AppendError, Appended, Log};
use tailwater_protocol::StreamOffset;
use tailwater_protocol::headers::ContentKind;

/// An empty stream whose changes are held back from now on.
async fn held() -> (Arc<DelayingStore>, Arc<Log>) {
    let store = DelayingStore::new();
    let streams = Streams::new(Arc::clone(&store) as Arc<dyn Store>, 1);
    let log = streams
        .create(&name("one"), StreamConfig::new("text/plain"), None, false)
        .await
        .unwrap()
        .log;
    store.hold();
    (store, log)
}

fn data(text: &'static str) -> Append {
    Append {
        payload: Payload::parse(ContentKind::Text, Bytes::from_static(text.as_bytes())).ok(),
        ..Append::default()
    }
}

fn by_producer(seq: u64) -> Append {
    let producer = Producer {
        id: ProducerId::parse("producer-id", "p").unwrap(),
        at: Accepted { epoch: 0, seq },
    };
    Append {
        producer: Some(producer),
        ..data("x")
    }
}

fn close() -> Append {
    Append {
        close: true,
        ..Append::default()
    }
}

/// Appends `first`, and `second` while the first is pending; returns both outcomes.
///
/// - `succeeds`: whether the first append succeeds.
async fn both(first: Append, second: Append, succeeds: bool) -> [Result<Appended, AppendError>; 2] {
    let (store, log) = held().await;
    let mut one = Box::pin(log.append(first));
    assert!((&mut one).now_or_never().is_none());
    let mut two = Box::pin(log.append(second));
    assert!(
        (&mut two).now_or_never().is_none(),
        "answered while it depends on an append that is not durable yet"
    );
    store.release(succeeds);
    let one = one.await;
    // At most two commits: an empty one that waits for the first append, then the second append.
    for _ in 0..2 {
        if let Some(two) = (&mut two).now_or_never() {
            return [one, two];
        }
        store.release(true);
    }
    [one, two.now_or_never().expect("an outcome")]
}

fn unwritable() -> Result<Appended, AppendError> {
    Err(AppendError::Store(StoreError::Unwritable("a test".into())))
}

#[tokio::test]
async fn a_retry_of_a_pending_append_waits_until_it_is_durable() {
    let [first, retry] = both(by_producer(0), by_producer(0), true).await;
    let (first, retry) = (first.unwrap(), retry.unwrap());
    assert!(first.is_new && !retry.is_new);
    assert_eq!(
        (retry.tail, retry.producer),
        (first.tail, Some(Accepted { epoch: 0, seq: 0 }))
    );
}

#[tokio::test]
async fn a_retry_of_a_failed_append_is_appended() {
    let [first, retry] = both(by_producer(0), by_producer(0), false).await;
    assert_eq!(first, unwritable());
    let retry = retry.unwrap();
    assert!(retry.is_new);
    assert_eq!(retry.tail.next.bytes(), 1);
}

#[tokio::test]
async fn a_second_close_waits_until_the_first_is_durable() {
    let [first, again] = both(close(), close(), true).await;
    assert!(first.unwrap().is_new);
    let again = again.unwrap();
    assert!(!again.is_new && again.tail.closed());
}

#[tokio::test]
async fn a_failed_close_refuses_no_append() {
    let [first, append] = both(close(), data("more"), false).await;
    assert_eq!(first, unwritable());
    let append = append.unwrap();
    assert_eq!((append.tail.next.bytes(), append.tail.closed()), (4, false));
    let [first, append] = both(close(), data("more"), true).await;
    assert_eq!(
        append,
        Err(AppendError::Closed {
            tail: first.unwrap().tail
        })
    );
}

#[tokio::test]
async fn if_match_is_decided_after_the_append_before_it() {
    let at_start = || Append {
        only_at: Some(StreamOffset::default()),
        ..data("more")
    };
    let [_, second] = both(data("x"), at_start(), true).await;
    assert!(
        matches!(second, Err(AppendError::NotAtTail { tail, .. }) if tail.next.bytes() == 1),
        "{second:?}"
    );
    let [_, second] = both(data("x"), at_start(), false).await;
    assert_eq!(second.unwrap().tail.next.bytes(), 4);
}
