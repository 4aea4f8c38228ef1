//! A file system that is full, or fails to write or sync: acknowledged data stays, reads work, and
//! the reason is reported.

use super::*;

fn opened(directory: &Path, options: &DiskOptions, fault: &str) -> DiskStore {
    let (store, _) = DiskStore::open_with(directory, options, Faults::parse(fault)).unwrap();
    commit(&store, StreamId(1), creation("a", Some("1"))).unwrap();
    store
}

#[test]
fn after_a_write_or_sync_failure_only_reads_work_until_restart() {
    for (sync, point) in [
        (SyncMode::Always, "after_write"),
        (SyncMode::Always, "before_sync"),
        (SyncMode::Always, "after_sync"),
        (SyncMode::Always, "before_done"),
        (SyncMode::Never, "after_write"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let always = DiskOptions { sync, ..options() };
        // The creation reaches the point first.
        let store = opened(directory.path(), &always, &format!("{point}:2:error"));
        for (position, body) in [(2, "2"), (2, "2"), (2, "3")] {
            let refusal = commit(&store, StreamId(1), append(position, body)).unwrap_err();
            let StoreError::Unwritable(why) = &refusal else {
                panic!("{point}: {refusal:?}")
            };
            assert!(
                why.contains("planned fault") && why.contains("restart"),
                "{point}: {why}"
            );
        }
        assert_eq!(
            commit(&store, StreamId(2), creation("b", None)).map_err(|_| ()),
            Err(()),
            "{point}"
        );
        assert!(note(&store, "n", Some("1")).is_err(), "{point}");
        assert_eq!(
            read(&store, StreamId(1), 0, 2, 10).as_deref(),
            Ok("1,"),
            "{point}"
        );
        assert_eq!(
            read(&store, StreamId(1), 2, 4, 10),
            Err(StoreError::Trimmed {
                earliest: offset(2)
            }),
            "{point}"
        );
        drop(store);
        let (store, recovery) = open(directory.path()).unwrap();
        let text = whole(&store, &recovery.streams[0]).unwrap();
        // The failed append may be there, as it is unknown how much was written. The appends that
        // were refused after it are not.
        assert!(text == "1," || text == "1,2,", "{point}: {text}");
        assert_eq!(recovery.streams.len(), 1, "{point}");
    }
}

#[test]
fn writing_resumes_after_a_temporary_failure() {
    for sync in [
        SyncMode::Always,
        SyncMode::Never,
        SyncMode::Within(Duration::from_millis(1)),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(
            directory.path(),
            &DiskOptions { sync, ..options() },
            "before_write:2:error",
        );
        let refusal = commit(&store, StreamId(1), append(2, "2")).unwrap_err();
        let text = refusal.to_string();
        assert!(
            matches!(refusal, StoreError::Unwritable(_)) && text.contains("planned fault"),
            "{text}"
        );
        assert!(
            text.contains("again") && !text.contains("restart"),
            "{text}"
        );
        until_it_writes(&store, || append(2, "3"));
        assert_eq!(read(&store, StreamId(1), 0, 4, 10).as_deref(), Ok("1,3,"));
        note(&store, "n", Some("1")).unwrap();
        drop(store);
        let (store, recovery) = open(directory.path()).unwrap();
        assert_eq!(whole(&store, &recovery.streams[0]).as_deref(), Ok("1,3,"));
        assert_eq!(recovery.notes.len(), 1);
    }
}

#[test]
fn a_failed_commit_publishes_nothing() {
    let mut together = 0;
    for point in ["before_write", "after_write", "after_sync", "before_done"].repeat(10) {
        let directory = tempfile::tempdir().unwrap();
        let store = opened(directory.path(), &options(), &format!("{point}:3:error"));
        // While the first one is written the others queue up, and are written in one commit.
        let outcomes = [
            submit(&store, StreamId(1), append(2, &"2".repeat(1 << 20))),
            submit(&store, StreamId(1), Change::Delete { notes: Vec::new() }),
            submit(&store, StreamId(1), append(3 + (1 << 20), "3")),
        ];
        let [_, deleted, appended] =
            outcomes.map(|outcome| outcome.recv_timeout(DEADLINE).unwrap());
        if deleted.is_err() {
            together += 1;
            assert!(
                matches!(appended, Err(StoreError::Unwritable(_))),
                "{point}: {appended:?}, and {deleted:?}"
            );
        }
    }
    assert!(together > 0, "no deletion failed");
}

fn until_it_writes(store: &DiskStore, change: impl Fn() -> Change) {
    let begun = std::time::Instant::now();
    while let Err(refusal) = commit(store, StreamId(1), change()) {
        let waits = matches!(&refusal, StoreError::Unwritable(why) if why.contains("again"));
        assert!(waits && begun.elapsed() < DEADLINE, "{refusal:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Appends messages with a producer until the file system is completely full.
fn fill_completely(store: &DiskStore, known: &mut DiskModel) {
    let message = format!("\"{}\"", "x".repeat(50_000));
    for seq in 0.. {
        let end = known.streams[&StreamId(1)].0.next.bytes();
        let progress = WriterProgress {
            seq: None,
            producer: Some(producer("p", 0, seq)),
        };
        let change = || {
            let payload = Some(json(&message));
            Change::Append {
                at: offset(end),
                payload,
                close: false,
                progress: progress.clone(),
                now: at(0),
            }
        };
        match commit(store, StreamId(1), change()) {
            Ok(()) => known.apply(StreamId(1), &change()),
            Err(StoreError::Unwritable(_) | StoreError::Full { .. }) => return,
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn after_a_completely_full_disk_only_acknowledged_data_is_kept() {
    for sync in [SyncMode::Always, SyncMode::Never] {
        let Some(medium) = Medium::mount() else {
            return;
        };
        // Other files fill it, including the space reserved for merging.
        let limits = DiskOptions { sync, ..options() };
        let store = opened(&medium.path().join("data"), &limits, "");
        let mut known = DiskModel::default();
        known.apply(StreamId(1), &creation("a", Some("1")));
        std::fs::write(medium.path().join("others"), vec![1; 88 << 20]).unwrap();
        fill_completely(&store, &mut known);
        let end = known.streams[&StreamId(1)].0.next.bytes();
        assert_eq!(
            read(&store, StreamId(1), 0, end, 10).as_deref(),
            Ok("1,"),
            "reads work"
        );
        std::fs::remove_file(medium.path().join("others")).unwrap();
        until_it_writes(&store, || append(end, "2"));
        known.apply(StreamId(1), &append(end, "2"));
        drop(store);
        let (store, recovery) = open(&medium.path().join("data")).unwrap();
        assert!(
            DiskModel::of(&store, recovery).unwrap() == known,
            "{sync:?}: differs from what was acknowledged"
        );
    }
}

#[test]
fn a_failed_deferred_sync_ends_writing_with_the_reason() {
    let directory = tempfile::tempdir().unwrap();
    let soon = DiskOptions {
        sync: SyncMode::Within(Duration::from_millis(1)),
        ..options()
    };
    let store = opened(directory.path(), &soon, "before_sync:1:error");
    let begun = std::time::Instant::now();
    let mut position = 2;
    let why = loop {
        match commit(&store, StreamId(1), append(position, "2")) {
            Ok(()) => position += 2,
            Err(StoreError::Unwritable(why)) => break why,
            Err(other) => panic!("{other:?}"),
        }
        assert!(begun.elapsed() < DEADLINE, "never refused");
    };
    assert!(
        why.contains("planned fault") && why.contains("restart"),
        "{why}"
    );
    assert_eq!(
        read(&store, StreamId(1), position - 2, position, 10).map(|page| page.len()),
        Ok(2)
    );
}

/// The size of a [`Medium`] in bytes, and the reserve that appends must leave free.
const MEDIUM_BYTES: u64 = 96 << 20;
const RESERVE_BYTES: u64 = 48 << 20;

/// Appends one message repeatedly until there is no space; returns the end of the stream and the
/// message.
fn fill(store: &DiskStore) -> (u64, String) {
    let message = format!("\"{}\"", "x".repeat(50_000));
    let mut end = 2;
    let refusal = loop {
        match commit(store, StreamId(1), append(end, &message)) {
            Ok(()) => end += message.len() as u64 + 1,
            Err(refusal) => break refusal,
        }
        assert!(end < MEDIUM_BYTES, "never full");
    };
    let StoreError::Full {
        kept,
        limit,
        needed,
    } = refusal
    else {
        panic!("{refusal:?}")
    };
    assert!(
        kept <= limit && kept + needed > limit,
        "{kept} + {needed} of {limit}"
    );
    assert!(
        limit + RESERVE_BYTES <= MEDIUM_BYTES && end > 4 << 20,
        "{limit}, {end}"
    );
    (end, message)
}

fn until_it_fits(store: &DiskStore, stream: u64, change: impl Fn() -> Change) {
    let begun = std::time::Instant::now();
    while let Err(refusal) = commit(store, StreamId(stream), change()) {
        assert!(
            matches!(refusal, StoreError::Full { .. }) && begun.elapsed() < DEADLINE,
            "{refusal:?}"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_full_disk_refuses_only_growth_and_recovers_with_space() {
    let Some(medium) = Medium::mount() else {
        return;
    };
    let limits = DiskOptions {
        reserve: RESERVE_BYTES,
        ..options()
    };
    let store = opened(&medium.path().join("data"), &limits, "");
    let (end, message) = fill(&store);
    let last = message.len() as u64 + 1;
    assert_eq!(
        read(&store, StreamId(1), end - last, end, 10).map(|page| page.len() as u64),
        Ok(last)
    );
    // A creation needs space, too; how much is left depends on what was merged meanwhile.
    let created = commit(&store, StreamId(2), creation("b", Some(&message)));
    assert!(
        matches!(created, Ok(()) | Err(StoreError::Full { .. })),
        "{created:?}"
    );
    let nothing = Change::Append {
        at: offset(end),
        payload: None,
        close: false,
        progress: WriterProgress::default(),
        now: at(0),
    };
    commit(&store, StreamId(1), nothing).unwrap();
    medium.grow(2 * MEDIUM_BYTES);
    until_it_fits(&store, 1, || append(end, &message));
    drop(store);
    let (_, recovery) = open(&medium.path().join("data")).unwrap();
    let first = recovery
        .streams
        .iter()
        .find(|stream| stream.stream == StreamId(1))
        .unwrap();
    assert_eq!(first.next, offset(end + last));
}

fn long_note(store: &DiskStore, key: &str, bytes: usize) -> Result<(), StoreError> {
    let (send, outcome) = mpsc::channel();
    store.note(
        key,
        Some(Bytes::from(vec![b'n'; bytes])),
        Box::new(move |result| send.send(result).unwrap()),
    );
    outcome.recv_timeout(DEADLINE).expect("`done` is called")
}

#[test]
fn on_a_full_disk_growing_notes_are_refused_and_shrinking_pass() {
    let Some(medium) = Medium::mount() else {
        return;
    };
    let limits = DiskOptions {
        reserve: RESERVE_BYTES,
        ..options()
    };
    let store = opened(&medium.path().join("data"), &limits, "");
    long_note(&store, "kept", 100_000).unwrap();
    long_note(&store, "gone", 1_000_000).unwrap();
    // Other files use the space, so merges do not free enough of it.
    std::fs::write(medium.path().join("others"), vec![1; 76 << 20]).unwrap();
    let end = 2;
    let full = |outcome: Result<(), StoreError>, what: &str| {
        assert!(
            matches!(outcome, Err(StoreError::Full { .. })),
            "{what}: {outcome:?}"
        );
    };
    for number in 0..200 {
        full(
            long_note(&store, &format!("n{number}"), 1_000_000),
            "a new note",
        );
    }
    full(long_note(&store, "kept", 300_000), "a note that grows");
    let progress = WriterProgress {
        seq: None,
        producer: Some(producer(&"p".repeat(60_000), 0, 0)),
    };
    let marked = Change::Append {
        at: offset(end),
        payload: Some(json("1")),
        close: false,
        progress,
        now: at(0),
    };
    full(commit(&store, StreamId(1), marked), "a long producer id");
    // Acknowledgements and leases of a subscription.
    for number in 0..20 {
        assert_eq!(
            long_note(&store, "kept", 100_000 + number * 10),
            Ok(()),
            "{number}"
        );
    }
    assert_eq!(note(&store, "gone", None), Ok(()));
    assert_eq!(long_note(&store, "kept", 10), Ok(()));
    assert_eq!(read(&store, StreamId(1), 0, end, 10).as_deref(), Ok("1,"));
    let close = Change::Append {
        at: offset(end),
        payload: None,
        close: true,
        progress: WriterProgress::default(),
        now: at(0),
    };
    assert_eq!(commit(&store, StreamId(1), close), Ok(()));
    assert_eq!(commit(&store, StreamId(1), Change::delete()), Ok(()));
    drop(store);
    let (_, recovery) = open(&medium.path().join("data")).unwrap();
    assert_eq!(
        recovery
            .notes
            .into_iter()
            .map(|(key, value)| (key, value.len()))
            .collect::<Vec<_>>(),
        [("kept".into(), 10)]
    );
}

#[test]
fn deleting_on_a_full_disk_frees_space() {
    let Some(medium) = Medium::mount() else {
        return;
    };
    let limits = DiskOptions {
        reserve: RESERVE_BYTES,
        ..options()
    };
    let store = opened(&medium.path().join("data"), &limits, "");
    fill(&store);
    commit(&store, StreamId(1), Change::delete()).unwrap();
    until_it_fits(&store, 2, || creation("b", Some("1")));
    let (mut end, message) = (2, format!("\"{}\"", "y".repeat(500_000)));
    for _ in 0..4 {
        until_it_fits(&store, 2, || append(end, &message));
        end += message.len() as u64 + 1;
    }
    assert_eq!(read(&store, StreamId(2), 0, end, 10).as_deref(), Ok("1,"));
}

/// A small temporary file system.
struct Medium {
    directory: tempfile::TempDir,
}

impl Medium {
    /// - Returns `None`, and prints so, where mounting is not permitted.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let mut command = std::process::Command::new("mount");
        command
            .args([
                "-t",
                "tmpfs",
                "-o",
                &format!("size={MEDIUM_BYTES}"),
                "tmpfs",
            ])
            .arg(directory.path());
        if command.status().is_ok_and(|status| status.success()) {
            return Some(Self { directory });
        }
        println!(
            "SKIPPED: a file system cannot be mounted here (this needs root); nothing was tested"
        );
        None
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn grow(&self, bytes: u64) {
        let mut command = std::process::Command::new("mount");
        command
            .args(["-o", &format!("remount,size={bytes}")])
            .arg(self.path());
        assert!(command.status().unwrap().success());
    }
}

impl Drop for Medium {
    fn drop(&mut self) {
        // Lazily, because a store of a failed test may still be open.
        let _gone = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.path())
            .status();
    }
}
