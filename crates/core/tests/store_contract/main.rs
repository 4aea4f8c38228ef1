//! The contract of stores: one `check` for all stores, with test cases, and with random operations
//! that are compared with a simple model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod calls;
mod clauses;
mod model;

use bytes::Bytes;
use calls::{append, commit, create};
use clauses::{
    a_cut_lies_between_appends, a_deleted_stream_is_gone_and_its_id_is_not_reused,
    a_full_store_changes_nothing_and_frees_on_delete_and_trim,
    a_page_has_whole_messages_within_its_bounds, an_append_out_of_step_changes_nothing,
    appends_take_effect_in_the_order_of_submission, last_messages_have_positions_and_times,
    streams_do_not_affect_each_other, trimmed_messages_are_gone_and_the_rest_stays,
};
use model::random_operations_agree_with_the_model;
use std::sync::Arc;
use tailwater_core::StreamId;
use tailwater_core::store::{
    Change, Commit, CommitCallback, Cut, CutFuture, DiskOptions, DiskStore, MemoryStore,
    MessagesFuture, ReadFuture, Store, SyncMode,
};
use tailwater_protocol::Offset;

/// Opens an empty store that holds at most this number of bytes.
type OpenStore<'a> = &'a dyn Fn(u64) -> Arc<dyn Store>;

#[test]
fn the_memory_store_fulfils_the_contract() {
    check(&|limit_bytes| Arc::new(MemoryStore::new(limit_bytes)));
}

#[test]
fn the_memory_store_frees_all_bytes_when_changes_race() {
    let store = Arc::new(MemoryStore::new(u64::MAX / 2));
    for _ in 0..150 {
        let id = create(&*store, None);
        let appending = {
            let store = Arc::clone(&store);
            std::thread::spawn(move || {
                let mut at = Offset::ZERO;
                while append(&*store, id, at, "[1,22,333]").is_ok() {
                    at = at.advance(9).unwrap();
                }
            })
        };
        while store.kept_bytes() == 0 {
            std::thread::yield_now();
        }
        commit(&*store, id, Change::delete()).unwrap();
        appending.join().unwrap();
        assert_eq!(store.kept_bytes(), 0, "bytes of a deleted stream");
    }
}

#[test]
fn the_disk_store_fulfils_the_contract() {
    let store: Arc<dyn Store> = Arc::new(TemporaryStore::open());
    check_all_but_limits(&|_| Arc::clone(&store));
}

/// A disk store in a temporary directory.
#[derive(Debug)]
struct TemporaryStore {
    store: DiskStore,
    _directory: tempfile::TempDir,
}

impl TemporaryStore {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let options = DiskOptions {
            sync: SyncMode::Never,
            hot_max: 400,
            reserve: 1,
        };
        let (store, recovery) = DiskStore::open(directory.path(), &options).unwrap();
        assert!(recovery.streams.is_empty() && recovery.notes.is_empty());
        Self {
            store,
            _directory: directory,
        }
    }
}

impl Store for TemporaryStore {
    fn commit(&self, commit: Commit, done: CommitCallback) {
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
        self.store.cut(stream, cut)
    }

    fn last_messages(&self, stream: StreamId, until: Offset, count: usize) -> MessagesFuture<'_> {
        self.store.last_messages(stream, until, count)
    }

    fn note(&self, key: &str, value: Option<Bytes>, done: CommitCallback) {
        self.store.note(key, value, done);
    }
}

/// Checks the guarantees of the contract in `store/mod.rs`.
fn check(open: OpenStore<'_>) {
    a_full_store_changes_nothing_and_frees_on_delete_and_trim(&*open(20_000));
    check_all_but_limits(open);
}

/// The same for a store whose limit is the free disk space.
fn check_all_but_limits(open: OpenStore<'_>) {
    appends_take_effect_in_the_order_of_submission(&*open(1 << 20));
    an_append_out_of_step_changes_nothing(&*open(1 << 20));
    a_page_has_whole_messages_within_its_bounds(&*open(1 << 20));
    trimmed_messages_are_gone_and_the_rest_stays(&*open(1 << 20));
    a_deleted_stream_is_gone_and_its_id_is_not_reused(&*open(1 << 20));
    streams_do_not_affect_each_other(&open(1 << 24));
    a_cut_lies_between_appends(&*open(1 << 20));
    last_messages_have_positions_and_times(&*open(1 << 20));
    random_operations_agree_with_the_model(open);
}
