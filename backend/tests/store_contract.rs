//! What every store must do: one `check` for all of them, by cases and by random operations against a simple model.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing, in its helpers too"
)]

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};
use tailwater::log::{Payload, StreamConfig, StreamName};
use tailwater::store::{
    Change, Commit, Cut, DiskOptions, DiskStore, Done, Marks, MemoryStore, NewStream, Reading,
    Seeking, Store, StoreError, StreamId, SyncMode,
};
use tailwater_protocol::Offset;
use tailwater_protocol::headers::ContentKind;

/// What no wait may exceed.
const DEADLINE: Duration = Duration::from_secs(20);

/// The time of every change, where none matters.
const NOW: SystemTime = SystemTime::UNIX_EPOCH;

/// Streams are numbered through all checks, as a server would.
static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// A store, and how to get an empty one that holds at most so many bytes.
type Open<'a> = &'a dyn Fn(u64) -> Arc<dyn Store>;

#[test]
fn the_memory_store_keeps_the_contract() {
    check(&|limit_bytes| Arc::new(MemoryStore::new(limit_bytes)));
}

#[test]
fn the_memory_store_gives_back_every_byte_however_appends_and_deletions_race() {
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
fn the_disk_store_keeps_the_contract() {
    let store: Arc<dyn Store> = Arc::new(Temporary::open());
    check_all_but_limits(&|_| Arc::clone(&store));
}

/// A disk store in a directory that goes with it.
#[derive(Debug)]
struct Temporary {
    store: DiskStore,
    _directory: tempfile::TempDir,
}

impl Temporary {
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

impl Store for Temporary {
    fn commit(&self, commit: Commit, done: Done) {
        self.store.commit(commit, done);
    }

    fn read(&self, stream: StreamId, from: Offset, until: Offset, max_bytes: usize) -> Reading<'_> {
        self.store.read(stream, from, until, max_bytes)
    }

    fn cut(&self, stream: StreamId, cut: Cut) -> Seeking<'_> {
        self.store.cut(stream, cut)
    }

    fn note(&self, key: &str, value: Option<Bytes>, done: Done) {
        self.store.note(key, value, done);
    }
}

/// Everything that the contract in `store/mod.rs` promises.
fn check(open: Open<'_>) {
    a_full_store_changes_nothing_and_frees_on_delete_and_trim(&*open(20_000));
    check_all_but_limits(open);
}

/// The same for a store whose room is that of a medium.
fn check_all_but_limits(open: Open<'_>) {
    appends_take_effect_in_the_order_of_submission(&*open(1 << 20));
    an_append_out_of_step_changes_nothing(&*open(1 << 20));
    a_page_is_whole_messages_within_its_bounds(&*open(1 << 20));
    what_is_trimmed_is_gone_and_the_rest_stays(&*open(1 << 20));
    a_deleted_stream_is_gone_and_its_number_stays_unused(&*open(1 << 20));
    streams_do_not_touch_each_other(&open(1 << 24));
    what_is_cut_lies_between_appends(&*open(1 << 20));
    random_operations_agree_with_the_model(open);
}

fn json(body: &str) -> Payload {
    Payload::parse(ContentKind::Json, Bytes::copy_from_slice(body.as_bytes())).unwrap()
}

fn offset(bytes: u64) -> Offset {
    Offset::new(bytes).unwrap()
}

/// Submits a change; what comes back says what became of it, exactly once.
fn submit(
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

fn outcome(of: &mpsc::Receiver<Result<(), StoreError>>) -> Result<(), StoreError> {
    let result = of.recv_timeout(DEADLINE).expect("`done` is called");
    assert!(
        of.recv_timeout(Duration::ZERO).is_err(),
        "`done` was called twice"
    );
    result
}

fn commit(store: &dyn Store, stream: StreamId, change: Change) -> Result<(), StoreError> {
    outcome(&submit(store, stream, change))
}

fn creation(first: Option<&str>) -> Change {
    let name = StreamName::parse("a/b").unwrap();
    let config = StreamConfig::new("application/json");
    Change::Create(Box::new(NewStream {
        name,
        life: 0,
        config,
        first: first.map(json),
        closed: false,
        at: NOW,
    }))
}

fn create(store: &dyn Store, first: Option<&str>) -> StreamId {
    let id = StreamId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    commit(store, id, creation(first)).unwrap();
    id
}

fn append(store: &dyn Store, stream: StreamId, at: Offset, body: &str) -> Result<(), StoreError> {
    commit(store, stream, addition(at, Some(json(body)), false))
}

fn addition(at: Offset, payload: Option<Payload>, close: bool) -> Change {
    Change::Append {
        at,
        payload,
        close,
        marks: Marks::default(),
        now: NOW,
    }
}

fn seek(store: &dyn Store, stream: StreamId, cut: Cut) -> Result<Offset, StoreError> {
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

fn read(
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

fn appends_take_effect_in_the_order_of_submission(store: &dyn Store) {
    let id = create(store, None);
    let (send, done) = mpsc::channel();
    let mut at = Offset::ZERO;
    for number in 0..500 {
        let payload = json(&number.to_string());
        let next = at.advance(payload.len()).unwrap();
        let change = addition(at, Some(payload), number == 499);
        let send = send.clone();
        store.commit(
            Commit { stream: id, change },
            Box::new(move |result| send.send(result.map(|()| number)).unwrap()),
        );
        at = next;
    }
    drop(send);
    let order: Vec<_> = std::iter::from_fn(|| done.recv_timeout(DEADLINE).ok()).collect();
    assert_eq!(
        order,
        (0..500).map(Ok).collect::<Vec<_>>(),
        "each is told once, in the order of submission"
    );
    let whole: String = (0..500).map(|number| format!("{number},")).collect();
    assert_eq!(read(store, id, 0, at.bytes(), usize::MAX).unwrap(), whole);
}

fn an_append_out_of_step_changes_nothing(store: &dyn Store) {
    let id = create(store, Some("[1,2]"));
    for wrong in [0, 2, 5, 9_999_999_999_999_999] {
        assert_eq!(
            append(store, id, offset(wrong), "7"),
            Err(StoreError::OutOfStep),
            "at {wrong}"
        );
        let close = addition(offset(wrong), None, true);
        assert_eq!(
            commit(store, id, close),
            Err(StoreError::OutOfStep),
            "a close at {wrong}"
        );
    }
    // One fails, those submitted after it fail with it, and the next that is in step goes on.
    let submitted: Vec<_> = [(5, "8"), (7, "9")]
        .map(|(at, body)| submit(store, id, addition(offset(at), Some(json(body)), false)))
        .into();
    assert!(
        submitted
            .iter()
            .all(|it| outcome(it) == Err(StoreError::OutOfStep))
    );
    append(store, id, offset(4), "3").unwrap();
    assert_eq!(read(store, id, 0, 6, 100).unwrap(), "1,2,3,");
}

fn a_full_store_changes_nothing_and_frees_on_delete_and_trim(store: &dyn Store) {
    let id = create(store, None);
    let message = format!("\"{}\"", "x".repeat(497)); // 500 bytes as kept
    let mut end = 0;
    let refusal = loop {
        match append(store, id, offset(end), &message) {
            Ok(()) => end += 500,
            Err(refusal) => break refusal,
        }
        assert!(end < 100_000, "never full");
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
        kept <= limit && kept + needed > limit && needed >= 500,
        "{kept} + {needed} of {limit}"
    );
    let whole = format!("{message},").repeat(usize::try_from(end / 500).unwrap());
    assert_eq!(
        read(store, id, 0, end, usize::MAX).unwrap(),
        whole,
        "nothing acknowledged is lost"
    );
    let huge = format!("\"{}\"", "x".repeat(30_000));
    let refused = StreamId(NEXT_ID.fetch_add(1, Ordering::Relaxed));
    assert!(matches!(
        commit(store, refused, creation(Some(&huge))),
        Err(StoreError::Full { .. })
    ));
    assert_eq!(
        read(store, refused, 0, 1, 1),
        Err(StoreError::NoStream),
        "a refused creation leaves nothing"
    );

    commit(
        store,
        id,
        Change::Trim {
            before: offset(end - 500),
        },
    )
    .unwrap();
    for _ in 0..5 {
        append(store, id, offset(end), &message).expect("trimming frees");
        end += 500;
    }
    assert_eq!(
        read(store, id, end - 500, end, 1).unwrap(),
        format!("{message},")
    );
    commit(store, id, Change::delete()).unwrap();
    let other = create(store, Some(&format!("\"{}\"", "x".repeat(15_000))));
    assert_eq!(
        read(store, other, 0, 15_003, 1).unwrap().len(),
        15_003,
        "deleting frees"
    );
}

fn a_page_is_whole_messages_within_its_bounds(store: &dyn Store) {
    let id = create(store, Some("[1,22]")); // "1," "22," "333," "4," "55," "6,": ends at 2, 5, 9, 11, 14, 16
    append(store, id, offset(5), "333").unwrap();
    append(store, id, offset(9), "[4,55]").unwrap();
    append(store, id, offset(14), "6").unwrap();
    for (from, until, max, page) in [
        (0, 16, usize::MAX, "1,22,333,4,55,6,"),
        (0, 16, 16, "1,22,333,4,55,6,"),
        (0, 16, 15, "1,22,333,4,55,"),
        (0, 16, 13, "1,22,333,4,"),
        (0, 16, 4, "1,"),
        (0, 16, 1, "1,"),
        (2, 16, 1, "22,"),
        (5, 16, 1, "333,"),
        (5, 16, 6, "333,4,"),
        (2, 16, 8, "22,333,"),
        (11, 16, 100, "55,6,"),
        (0, 14, 100, "1,22,333,4,55,"),
        (0, 5, 100, "1,22,"),
        (0, 9, 100, "1,22,333,"),
        (9, 11, 100, "4,"),
        (0, 2, 100, "1,"),
        (0, 11, 100, "1,22,333,4,"),
    ] {
        assert_eq!(
            read(store, id, from, until, max).as_deref(),
            Ok(page),
            "{from}..{until}, at most {max}"
        );
    }
    for inside in [1, 3, 4, 6, 8, 10, 12, 13, 15] {
        assert_eq!(
            read(store, id, inside, 16, 100),
            Err(StoreError::InsideMessage(offset(inside)))
        );
    }
}

fn what_is_trimmed_is_gone_and_the_rest_stays(store: &dyn Store) {
    let id = create(store, None);
    for number in 0..10 {
        append(store, id, offset(number * 2), &number.to_string()).unwrap();
    }
    commit(store, id, Change::Trim { before: offset(8) }).unwrap();
    commit(store, id, Change::Trim { before: offset(4) }).unwrap();
    for gone in [0, 2, 6] {
        let refusal = read(store, id, gone, 20, 100);
        assert_eq!(
            refusal,
            Err(StoreError::Trimmed {
                earliest: offset(8)
            }),
            "{gone}"
        );
    }
    assert_eq!(read(store, id, 8, 20, 100).unwrap(), "4,5,6,7,8,9,");
    commit(store, id, Change::Trim { before: offset(20) }).unwrap();
    assert_eq!(
        read(store, id, 18, 20, 100),
        Err(StoreError::Trimmed {
            earliest: offset(20)
        }),
        "all of it"
    );
    append(store, id, offset(20), "7").unwrap();
    assert_eq!(read(store, id, 20, 22, 100).unwrap(), "7,");
    assert_eq!(
        read(store, id, 0, 22, 100),
        Err(StoreError::Trimmed {
            earliest: offset(20)
        })
    );
}

fn what_is_cut_lies_between_appends(store: &dyn Store) {
    let id = create(store, None);
    let at = |seconds| NOW + Duration::from_secs(seconds);
    // Ends at 4, 6, 10, made at 10, 30, 20.
    for (begin, body, seconds) in [(0, "[1,2]", 10), (4, "3", 30), (6, "[4,5]", 20)] {
        let change = Change::Append {
            at: offset(begin),
            payload: Some(json(body)),
            close: false,
            marks: Marks::default(),
            now: at(seconds),
        };
        commit(store, id, change).unwrap();
    }
    let check = |cut, position| assert_eq!(seek(store, id, cut), Ok(offset(position)), "{cut:?}");
    for (most, position) in [
        (0, 0),
        (3, 0),
        (4, 4),
        (5, 4),
        (6, 6),
        (9, 6),
        (10, 10),
        (99, 10),
    ] {
        check(Cut::AtMost(offset(most)), position);
    }
    for (seconds, position) in [(5, 0), (10, 0), (15, 4), (25, 4), (31, 10)] {
        check(Cut::OlderThan(at(seconds)), position);
    }
    commit(store, id, Change::Trim { before: offset(4) }).unwrap();
    for (most, position) in [(0, 4), (5, 4), (6, 6)] {
        check(Cut::AtMost(offset(most)), position);
    }
    check(Cut::OlderThan(at(5)), 4);
    commit(store, id, Change::delete()).unwrap();
    assert_eq!(
        seek(store, id, Cut::AtMost(offset(4))),
        Err(StoreError::NoStream)
    );
}

fn a_deleted_stream_is_gone_and_its_number_stays_unused(store: &dyn Store) {
    let id = create(store, Some("1"));
    commit(store, id, Change::delete()).unwrap();
    assert_eq!(read(store, id, 0, 2, 100), Err(StoreError::NoStream));
    assert_eq!(append(store, id, offset(2), "2"), Err(StoreError::NoStream));
    assert_eq!(
        commit(store, id, Change::Trim { before: offset(2) }),
        Err(StoreError::NoStream)
    );
    assert_eq!(
        commit(store, id, Change::delete()),
        Err(StoreError::NoStream)
    );
    let reborn = create(store, None);
    assert_ne!(reborn, id);
    append(store, reborn, Offset::ZERO, "9").unwrap();
    assert_eq!(read(store, reborn, 0, 2, 100).unwrap(), "9,");
}

fn streams_do_not_touch_each_other(store: &Arc<dyn Store>) {
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let store = Arc::clone(store);
            std::thread::spawn(move || {
                let id = create(&*store, None);
                let mut whole = String::new();
                for number in 0..300 {
                    append(&*store, id, offset(whole.len() as u64), &number.to_string()).unwrap();
                    whole += &format!("{number},");
                    let page = read(&*store, id, 0, whole.len() as u64, usize::MAX).unwrap();
                    assert_eq!(page, whole, "what was acknowledged can be read at once");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}

/// One step of the random check; numbers are taken modulo what there is.
#[derive(Debug, Clone)]
enum Step {
    Append {
        lengths: Vec<usize>,
        out_of_step: bool,
    },
    Trim {
        boundary: usize,
    },
    Read {
        from: usize,
        until: usize,
        max: usize,
    },
    Recreate {
        first: Option<Vec<usize>>,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let lengths = || prop::collection::vec(1_usize..40, 1..6);
    let step = prop_oneof![
        4 => (lengths(), prop::bool::weighted(0.1)).prop_map(|(lengths, out_of_step)| Step::Append { lengths, out_of_step }),
        1 => any::<usize>().prop_map(|boundary| Step::Trim { boundary }),
        6 => (any::<usize>(), any::<usize>(), prop_oneof![1_usize..150, Just(usize::MAX)])
            .prop_map(|(from, until, max)| Step::Read { from, until, max }),
        1 => prop::option::of(lengths()).prop_map(|first| Step::Recreate { first }),
    ];
    prop::collection::vec(step, 1..60)
}

/// A stream as it should be: its messages as kept, and what may have been forgotten.
#[derive(Debug, Default)]
struct Model {
    messages: Vec<String>,
    /// The message before which everything may have been forgotten.
    trimmed_before: usize,
}

impl Model {
    fn boundary(&self, index: usize) -> usize {
        self.messages[..index].iter().map(String::len).sum()
    }

    fn end(&self) -> usize {
        self.boundary(self.messages.len())
    }

    fn add(&mut self, lengths: &[usize]) -> String {
        let new: Vec<_> = lengths.iter().map(|length| "7".repeat(*length)).collect();
        self.messages
            .extend(new.iter().map(|message| format!("{message},")));
        format!("[{}]", new.join(","))
    }

    /// Whole messages in `from..until`, at least one, at most `max` bytes.
    fn page(&self, from: usize, until: usize, max: usize) -> String {
        let mut page = String::new();
        for message in &self.messages[from..until] {
            if !page.is_empty() && page.len() + message.len() > max {
                break;
            }
            page += message;
        }
        page
    }
}

fn random_operations_agree_with_the_model(open: Open<'_>) {
    // `PROPTEST_CASES` asks for more; a failure prints its steps, shrunk, and its seed.
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    TestRunner::new(config)
        .run(&steps(), |steps| {
            let store = open(1 << 24);
            let (mut id, mut model) = (create(&*store, None), Model::default());
            for step in steps {
                take(&*store, &mut id, &mut model, step);
            }
            Ok(())
        })
        .unwrap();
}

fn take(store: &dyn Store, id: &mut StreamId, model: &mut Model, step: Step) {
    match step {
        Step::Append {
            out_of_step: true, ..
        } => {
            let result = append(store, *id, offset(model.end() as u64 + 1), "1");
            assert_eq!(result, Err(StoreError::OutOfStep));
        }
        Step::Append {
            lengths,
            out_of_step: false,
        } => {
            let at = offset(model.end() as u64);
            append(store, *id, at, &model.add(&lengths)).unwrap();
        }
        Step::Trim { boundary } => {
            let before = boundary % (model.messages.len() + 1);
            commit(
                store,
                *id,
                Change::Trim {
                    before: offset(model.boundary(before) as u64),
                },
            )
            .unwrap();
            model.trimmed_before = model.trimmed_before.max(before);
        }
        Step::Recreate { first } => {
            commit(store, *id, Change::delete()).unwrap();
            *model = Model::default();
            let first = first.map(|lengths| model.add(&lengths));
            *id = create(store, first.as_deref());
        }
        Step::Read { from, until, max } => {
            let from = from % (model.messages.len() + 1);
            let until = from + until % (model.messages.len() + 1 - from);
            if from == until {
                return;
            }
            let (start, end) = (model.boundary(from) as u64, model.boundary(until) as u64);
            match read(store, *id, start, end, max) {
                Ok(page) => assert_eq!(page, model.page(from, until, max)),
                // What was let go of may go in larger pieces or later, but nothing else, and the truth is told about it.
                Err(StoreError::Trimmed { earliest }) => {
                    let kept_from = model.boundary(model.trimmed_before) as u64;
                    assert!(
                        start < earliest.bytes() && earliest.bytes() <= kept_from,
                        "{earliest}, {kept_from}"
                    );
                }
                Err(other) => panic!("{other:?} at {start}"),
            }
        }
    }
}
