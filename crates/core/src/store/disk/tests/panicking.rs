//! Panics in the store: pending and later changes fail with the reason, and reads work.

use super::*;
use std::time::Instant;

fn opened(directory: &Path, fault: &str) -> DiskStore {
    let always = DiskOptions {
        sync: SyncMode::Always,
        ..options()
    };
    let (store, _) = DiskStore::open_with(directory, &always, Faults::parse(fault)).unwrap();
    commit(&store, StreamId(1), creation("a", Some("1"))).unwrap();
    store
}

/// Checks that further changes are refused with the reason, and that reads work.
fn check_refuses(store: &DiskStore, reason: &str) {
    let refusals = [
        commit(store, StreamId(1), append(2, "2")),
        commit(store, StreamId(9), creation("b", None)),
        commit(store, StreamId(1), Change::delete()),
        note(store, "n", Some("1")),
    ];
    for refusal in refusals {
        let Err(StoreError::Unwritable(why)) = &refusal else {
            panic!("{refusal:?}")
        };
        assert!(why.contains(reason) && why.contains("restart"), "{why}");
    }
    assert_eq!(read(store, StreamId(1), 0, 2, 10).as_deref(), Ok("1,"));
}

#[test]
fn a_panic_in_a_commit_fails_waiting_and_later_changes() {
    for point in [
        "before_write",
        "after_write",
        "before_sync",
        "after_sync",
        "before_done",
    ] {
        let directory = tempfile::tempdir().unwrap();
        // The creation reaches the point first.
        let store = opened(directory.path(), &format!("{point}:2:panic"));
        let waiting: Vec<_> = (0..20)
            .map(|_| submit(&store, StreamId(1), append(2, "2")))
            .collect();
        for outcome in waiting {
            let result = outcome
                .recv_timeout(DEADLINE)
                .unwrap_or_else(|error| panic!("{point}: no callback: {error}"));
            assert!(result.is_err(), "{point}: {result:?}");
        }
        check_refuses(&store, "planned fault");
        drop(store);
        let (store, recovery) = open(directory.path()).unwrap();
        let text = whole(&store, &recovery.streams[0]).unwrap();
        // The interrupted append may be there, as it is unknown how much was written.
        assert!(text == "1," || text == "1,2,", "{point}: {text}");
    }
}

#[test]
fn a_panic_in_a_deferred_sync_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let soon = DiskOptions {
        sync: SyncMode::Within(Duration::from_millis(1)),
        ..options()
    };
    let (store, _) = DiskStore::open_with(
        directory.path(),
        &soon,
        Faults::parse("before_sync:1:panic"),
    )
    .unwrap();
    commit(&store, StreamId(1), creation("a", Some("1"))).unwrap();
    let (begun, mut position) = (Instant::now(), 2);
    while commit(&store, StreamId(1), append(position, "2")).is_ok() {
        position += 2;
        assert!(begun.elapsed() < DEADLINE, "never refused");
    }
    check_refuses(&store, "planned fault");
}

#[test]
fn a_panic_in_one_callback_does_not_skip_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path(), "");
    let change = || Commit {
        stream: StreamId(1),
        change: append(2, "2"),
    };
    store.commit(change(), Box::new(|_| panic!("a test")));
    let result = submit(&store, StreamId(1), append(2, "3")).recv_timeout(DEADLINE);
    assert!(result.is_ok(), "no callback");
    let refusal = commit(&store, StreamId(1), append(4, "4")).unwrap_err();
    assert!(refusal.to_string().contains("a test"), "{refusal}");
}

#[test]
fn a_panic_of_the_sweeper_fails_later_changes() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path(), "in_sweep:1:panic");
    commit(&store, StreamId(2), creation("b", Some("1"))).unwrap();
    commit(&store, StreamId(2), Change::delete()).unwrap();
    let begun = Instant::now();
    while note(&store, "n", Some("1")).is_ok() {
        assert!(begun.elapsed() < DEADLINE, "never refused");
    }
    check_refuses(&store, "planned fault");
}

#[test]
fn a_change_the_engine_refuses_does_not_stop_the_store() {
    let directory = tempfile::tempdir().unwrap();
    let store = opened(directory.path(), "");
    let marked = |name: &str, close| Change::Append {
        at: offset(2),
        payload: Some(json("2")),
        close,
        progress: WriterProgress {
            seq: None,
            producer: Some(producer(name, 0, 0)),
        },
        now: at(0),
    };
    // A key is the stream's id, a kind, and the name: 9 bytes and at most 65,526.
    for (length, fits) in [(65_527, false), (1 << 20, false), (65_526, true)] {
        for close in [false, true] {
            let outcome = commit(
                &store,
                StreamId(1),
                marked(&"p".repeat(length), close && !fits),
            );
            if fits {
                assert!(outcome.is_ok() || close, "{length}: {outcome:?}");
            } else {
                let text = outcome.unwrap_err().to_string();
                assert!(
                    text.contains("producer") && text.contains("65535"),
                    "{length}: {text}"
                );
            }
        }
    }
    for (key, fits) in [
        ("", false),
        (&*"k".repeat(65_536), false),
        (&*"k".repeat(65_535), true),
    ] {
        let outcome = note(&store, key, Some("1"));
        assert_eq!(outcome.is_ok(), fits, "{}: {outcome:?}", key.len());
        assert_eq!(note(&store, key, None).is_ok(), fits, "{}", key.len());
    }
    assert_eq!(
        commit(&store, StreamId(1), append(4, "4")),
        Ok(()),
        "no refused change took effect"
    );
    drop(store);
    let (store, recovery) = open(directory.path()).unwrap();
    assert_eq!(whole(&store, &recovery.streams[0]).as_deref(), Ok("1,2,4,"));
}
