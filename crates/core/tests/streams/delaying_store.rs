//! A store for tests that delays its commits.

use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tailwater_core::StreamId;
use tailwater_core::store::{
    Commit, CommitCallback, Cut, CutFuture, MemoryStore, ReadFuture, Store, StoreError,
};
use tailwater_protocol::Offset;
use tokio::sync::watch;

/// A memory store that delays commits until `release`.
#[derive(Debug)]
pub(crate) struct DelayingStore {
    store: MemoryStore,
    held: Mutex<Option<VecDeque<HeldCommit>>>,
    /// Whether searches for a position are answered.
    answers: watch::Sender<bool>,
}

struct HeldCommit(Commit, CommitCallback);

impl std::fmt::Debug for HeldCommit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl DelayingStore {
    /// An empty store that delays no commits yet.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            store: MemoryStore::new(1 << 20),
            held: Mutex::new(None),
            answers: watch::Sender::new(true),
        })
    }

    /// Delays every commit from now on.
    pub(crate) fn hold(&self) {
        *self.held.lock().unwrap() = Some(VecDeque::new());
    }

    /// Sets whether searches for a position are answered or wait.
    pub(crate) fn answer(&self, answers: bool) {
        self.answers.send_replace(answers);
    }

    /// The number of delayed commits.
    pub(crate) fn held(&self) -> usize {
        self.held.lock().unwrap().as_ref().map_or(0, VecDeque::len)
    }

    /// Performs the first delayed commit, or makes it fail.
    pub(crate) fn release(&self, works: bool) {
        let HeldCommit(commit, done) = self
            .held
            .lock()
            .unwrap()
            .as_mut()
            .unwrap()
            .pop_front()
            .expect("a change is held");
        if works {
            self.store.commit(commit, done);
        } else {
            done(Err(StoreError::Unwritable("a test".into())));
        }
    }
}

impl Store for DelayingStore {
    fn commit(&self, commit: Commit, done: CommitCallback) {
        let mut held = self.held.lock().unwrap();
        if let Some(held) = &mut *held {
            return held.push_back(HeldCommit(commit, done));
        }
        // The lock is released, because the callback may submit the next change.
        drop(held);
        self.store.commit(commit, done);
    }

    fn read(
        &self,
        stream: StreamId,
        from: Offset,
        until: Offset,
        max_bytes: usize,
    ) -> ReadFuture<'_> {
        self.store.read(stream, from, until, max_bytes)
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> CutFuture<'_> {
        let mut answers = self.answers.subscribe();
        Box::pin(async move {
            answers.wait_for(|answers| *answers).await.unwrap();
            self.store.cut(stream, cut).await
        })
    }

    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback) {
        self.store.note(key, value, done);
    }
}
