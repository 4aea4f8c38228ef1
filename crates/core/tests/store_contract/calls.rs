//! Calls of a store that wait for their outcome, with a deadline.

use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, SystemTime};
use tailwater_core::StreamId;
use tailwater_core::store::{
    Change, Commit, Cut, Store, StoreError, StoredMessage, StreamCreation, WriterProgress,
};
use tailwater_core::{Payload, StreamConfig, StreamName};
use tailwater_protocol::Offset;
use tailwater_protocol::headers::ContentKind;

/// The longest wait.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// The time of every change in tests where it does not matter.
pub(crate) const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Stream ids are unique across all checks, as in a server.
pub(crate) static NEXT_ID: AtomicU64 = AtomicU64::new(1);

pub(crate) fn json(body: &str) -> Payload {
    Payload::parse(ContentKind::Json, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

pub(crate) fn offset(bytes: u64) -> Offset {
    Offset::new(bytes).unwrap()
}

pub(crate) fn last_messages(
    store: &dyn Store,
    stream: StreamId,
    until: u64,
    count: usize,
) -> Result<Vec<StoredMessage>, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(DEADLINE, store.last_messages(stream, offset(until), count))
            .await
            .expect("messages")
    })
}

/// Submits a change; the receiver gets its outcome exactly once.
pub(crate) fn submit(
    store: &dyn Store,
    stream: StreamId,
    change: Change,
) -> mpsc::Receiver<Result<(), StoreError>> {
    let (send, outcome) = mpsc::channel();
    store.commit(
        Commit { stream, change },
        Box::new(move |result| send.send(result).unwrap()),
    );
    outcome
}

pub(crate) fn outcome(of: &mpsc::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    let result = of.recv_timeout(DEADLINE).expect("`done` is called");
    assert!(
        of.recv_timeout(Duration::ZERO).is_err(),
        "`done` was called twice"
    );
    result
}

pub(crate) fn commit(
    store: &dyn Store,
    stream: StreamId,
    change: Change,
) -> Result<(), StoreError> {
    outcome(&submit(store, stream, change))
}

pub(crate) fn creation(first: Option<&str>) -> Change {
    let name = StreamName::parse("a/b").unwrap();
    let config = StreamConfig::new("application/json");
    Change::Create(Box::new(StreamCreation {
        name,
        generation: 0,
        config,
        first: first.map(json),
        closed: false,
        at: NOW,
    }))
}

pub(crate) fn create(store: &dyn Store, first: Option<&str>) -> StreamId {
    let id = StreamId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    commit(store, id, creation(first)).unwrap();
    id
}

pub(crate) fn append(
    store: &dyn Store,
    stream: StreamId,
    at: Offset,
    body: &str,
) -> Result<(), StoreError> {
    commit(store, stream, addition(at, Some(json(body)), false))
}

pub(crate) fn addition(at: Offset, payload: Option<Payload>, close: bool) -> Change {
    Change::Append {
        at,
        payload,
        close,
        progress: WriterProgress::default(),
        now: NOW,
    }
}

pub(crate) fn seek(store: &dyn Store, stream: StreamId, cut: Cut) -> Result<Offset, StoreError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(DEADLINE, store.cut(stream, cut))
            .await
            .expect("a position")
    })
}

pub(crate) fn read(
    store: &dyn Store,
    stream: StreamId,
    from: u64,
    until: u64,
    max: usize,
) -> Result<String, StoreError> {
    let reading = store.read(stream, offset(from), offset(until), max);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let page = runtime.block_on(async {
        tokio::time::timeout(DEADLINE, reading)
            .await
            .expect("a page")
    })?;
    Ok(String::from_utf8(page.to_vec()).unwrap())
}
