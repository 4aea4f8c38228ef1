//! Test cases for each clause of the contract.

use crate::calls::{
    DEADLINE, NEXT_ID, NOW, addition, append, commit, create, creation, json, last_messages,
    offset, outcome, read, seek, submit,
};
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::Duration;
use tailwater_core::StreamId;
use tailwater_core::store::{
    Change, Commit, Cut, Store, StoreError, StoredMessage, WriterProgress,
};
use tailwater_protocol::Offset;

pub(crate) fn appends_take_effect_in_the_order_of_submission(store: &dyn Store) {
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
        "each callback is called once, in the order of submission"
    );
    let whole: String = (0..500).map(|number| format!("{number},")).collect();
    assert_eq!(read(store, id, 0, at.bytes(), usize::MAX).unwrap(), whole);
}

pub(crate) fn an_append_out_of_step_changes_nothing(store: &dyn Store) {
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
    // One append fails, those submitted after it fail with it, and the next one in step succeeds.
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

pub(crate) fn a_full_store_changes_nothing_and_frees_on_delete_and_trim(store: &dyn Store) {
    let id = create(store, None);
    let message = format!("\"{}\"", "x".repeat(497)); // 500 bytes as stored
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
        "no acknowledged append is lost"
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
        "a refused creation creates nothing"
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

pub(crate) fn a_page_has_whole_messages_within_its_bounds(store: &dyn Store) {
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

pub(crate) fn trimmed_messages_are_gone_and_the_rest_stays(store: &dyn Store) {
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

pub(crate) fn a_cut_lies_between_appends(store: &dyn Store) {
    let id = create(store, None);
    let at = |seconds| NOW + Duration::from_secs(seconds);
    // Ends at 4, 6, 10, written at 10, 30, 20.
    for (begin, body, seconds) in [(0, "[1,2]", 10), (4, "3", 30), (6, "[4,5]", 20)] {
        let change = Change::Append {
            at: offset(begin),
            payload: Some(json(body)),
            close: false,
            progress: WriterProgress::default(),
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

pub(crate) fn last_messages_have_positions_and_times(store: &dyn Store) {
    let id = create(store, None);
    assert_eq!(last_messages(store, id, 0, 9), Ok(Vec::new()));
    // Each append has one to three messages of 100 bytes, commas included; its time is its number.
    let (mut all, mut end) = (Vec::new(), 0);
    for (number, count) in (0..40).zip([1, 2, 3].into_iter().cycle()) {
        let messages = vec!["1".repeat(99); count];
        let change = Change::Append {
            at: offset(end),
            payload: Some(json(&format!("[{}]", messages.join(",")))),
            close: false,
            progress: WriterProgress::default(),
            now: NOW + Duration::from_nanos(number),
        };
        commit(store, id, change).unwrap();
        for _ in messages {
            all.push(StoredMessage {
                at: offset(end),
                end: offset(end + 100),
                time: NOW + Duration::from_nanos(number),
            });
            end += 100;
        }
    }
    let check = |until: u64, count: usize, expected: &[StoredMessage]| {
        let found = last_messages(store, id, until, count);
        assert_eq!(found.as_deref(), Ok(expected), "{count} before {until}");
    };
    for count in [1, 2, 3, 4, 5, 30, all.len(), 999] {
        let first = all.len().saturating_sub(count);
        check(end, count, &all[first..]);
        let first = 50_usize.saturating_sub(count);
        check(5_000, count, &all[first..50]);
    }
    check(end, 0, &[]);
    let mut cut = all[49];
    cut.end = offset(4_950);
    check(4_950, 2, &[all[48], cut]);
    let before = offset(end - 700);
    commit(store, id, Change::Trim { before }).unwrap();
    check(end, 999, &all[all.len() - 7..]);
    check(end - 700, 999, &[]);
    commit(store, id, Change::delete()).unwrap();
    assert_eq!(last_messages(store, id, end, 9), Err(StoreError::NoStream));
}

pub(crate) fn a_deleted_stream_is_gone_and_its_id_is_not_reused(store: &dyn Store) {
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
    let next = create(store, None);
    assert_ne!(next, id);
    append(store, next, Offset::ZERO, "9").unwrap();
    assert_eq!(read(store, next, 0, 2, 100).unwrap(), "9,");
}

pub(crate) fn streams_do_not_affect_each_other(store: &Arc<dyn Store>) {
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
                    assert_eq!(page, whole, "an acknowledged append can be read at once");
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
}
