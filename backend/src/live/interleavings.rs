//! Every interleaving of readers and their group with an append, a close, a deletion, a stop, and
//! a reader that leaves or stalls, one interruption point after the other.
//!
//! The steps are the calls that read the log. For k = 0, 1, 2, ... the event happens at the k-th
//! step, on a paused clock. Whatever k is, every reader must see it without any time passing: a
//! lost wake-up would only show when a hold or a heartbeat ends.

mod fixture;

use crate::api::FREE_BYTES;
use bytes::Bytes;
use fixture::{
    EVENTS, GroupFixture, HEARTBEAT, HOLD, Interference, append_now, on_one_thread, run_until_idle,
};
use http::StatusCode;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tailwater_core::{Append, Payload};
use tailwater_protocol::Offset;
use tailwater_protocol::headers::ContentKind;
use tokio::sync::Notify;
use tokio::time::Instant;

/// More steps than all readers together take; the event then happens when all of them wait.
const STEPS_MAX: usize = 40;

#[test]
fn no_reader_loses_or_repeats_an_event_at_any_step() {
    on_one_thread(async {
        for event in EVENTS {
            for step in 0..STEPS_MAX {
                let fixture = GroupFixture::new().await;
                let tail = fixture.log.tail_now().next;
                fixture.plan(step, event);
                let readers = [
                    (fixture.read(Offset::ZERO, None), "old"),
                    (fixture.read(tail, None), ""),
                ];
                let waiting = fixture.wait();
                let (third, start) = (fixture.read(Offset::ZERO, None), Instant::now());
                run_until_idle().await;
                fixture.log.interruption.run_now();
                run_until_idle().await;
                assert_eq!(start.elapsed(), Duration::ZERO);
                let closes = matches!(event, Interference::Close | Interference::AppendAndClose);
                for (got, old) in readers.iter().chain([&(third, "old")]) {
                    let (got, at) = (got.borrow(), format!("{event:?} at step {step}"));
                    let news =
                        if matches!(event, Interference::Append | Interference::AppendAndClose) {
                            "news"
                        } else {
                            ""
                        };
                    // A reader that began after a stop or a deletion may have received nothing.
                    let may_be_cut = matches!(event, Interference::Delete | Interference::Stop)
                        && got.text.is_empty();
                    assert!(
                        got.text == format!("{old}{news}") || may_be_cut,
                        "{at}: {got:?}"
                    );
                    assert_eq!(got.is_closed, closes, "{at}: {got:?}");
                    assert_eq!(
                        got.has_ended,
                        event != Interference::Append,
                        "{at}: {got:?}"
                    );
                    assert!(
                        got.is_up_to_date || may_be_cut || got.has_ended,
                        "{at}: {got:?}"
                    );
                }
                let waited = waiting.borrow().clone();
                let Some((status, body)) = waited else {
                    panic!("{event:?} at step {step} woke no long-poll")
                };
                match event {
                    Interference::Append | Interference::AppendAndClose => {
                        assert_eq!((status, &body[..]), (StatusCode::OK, &b"news"[..]));
                    }
                    Interference::Close | Interference::Stop => {
                        assert_eq!(status, StatusCode::NO_CONTENT);
                    }
                    Interference::Delete => assert_eq!(status, StatusCode::NOT_FOUND),
                }
            }
        }
    });
}

#[test]
fn readers_that_leave_or_stall_at_any_step_affect_no_other() {
    on_one_thread(async {
        for (leaves, is_at_tail) in [(true, true), (true, false), (false, true), (false, false)] {
            for step in 0..STEPS_MAX {
                let (fixture, start) = (GroupFixture::new().await, Instant::now());
                let tail = fixture.log.tail_now().next;
                let (from, has_stalled) = (
                    if is_at_tail { tail } else { Offset::ZERO },
                    Arc::new(AtomicBool::new(false)),
                );
                let (lost, handle) = fixture.reader(from, None, Arc::clone(&has_stalled));
                let others = [
                    (fixture.read(Offset::ZERO, None), "old"),
                    (fixture.read(tail, None), ""),
                ];
                let waiting = fixture.wait();
                fixture.log.interruption.plan(step, move || {
                    if leaves {
                        handle.abort();
                    } else {
                        has_stalled.store(true, Ordering::Relaxed);
                    }
                });
                for _ in 0..3 {
                    run_until_idle().await;
                    Interference::Append.run(&fixture.streams, &fixture.stop);
                }
                run_until_idle().await;
                fixture.log.interruption.run_now();
                Interference::AppendAndClose.run(&fixture.streams, &fixture.stop);
                run_until_idle().await;
                assert_eq!(start.elapsed(), Duration::ZERO);
                let at = format!("leaves: {leaves}, at the tail: {is_at_tail}, step {step}");
                for (got, old) in &others {
                    let got = got.borrow();
                    assert_eq!(got.text, format!("{old}newsnewsnewsnews"), "{at}: {got:?}");
                    assert!(got.is_closed && got.has_ended, "{at}: {got:?}");
                }
                let waited = waiting.borrow().clone();
                assert_eq!(
                    waited,
                    Some((StatusCode::OK, Bytes::from_static(b"news"))),
                    "{at}"
                );
                let all = if is_at_tail { "" } else { "old" }.to_owned() + "newsnewsnewsnews";
                let lost = lost.borrow();
                assert!(all.starts_with(&lost.text), "{at}: {lost:?}");
            }
        }
    });
}

#[test]
fn a_stalled_or_lost_reader_does_not_delay_others() {
    on_one_thread(async {
        for step in 0..STEPS_MAX {
            let fixture = GroupFixture::new().await;
            let resume = Rc::new(Notify::new());
            let (stalled, quick) = (
                fixture.read(Offset::ZERO, Some(Rc::clone(&resume))),
                fixture.read(Offset::ZERO, None),
            );
            let leaving = fixture.read(Offset::ZERO, Some(Rc::new(Notify::new())));
            fixture.plan(step, Interference::Append);
            let mut expected = "old".to_owned();
            for _ in 0..5 {
                run_until_idle().await;
                Interference::Append.run(&fixture.streams, &fixture.stop);
                expected.push_str("news");
            }
            drop(leaving);
            run_until_idle().await;
            fixture.log.interruption.run_now();
            expected.push_str("news");
            run_until_idle().await;
            assert_eq!(quick.borrow().text, expected, "step {step}");
            assert_ne!(stalled.borrow().text, expected, "step {step}");
            resume.notify_one();
            run_until_idle().await;
            assert_eq!(stalled.borrow().text, expected, "step {step}");
            Interference::Close.run(&fixture.streams, &fixture.stop);
            run_until_idle().await;
            for got in [&stalled, &quick] {
                assert!(
                    got.borrow().has_ended && got.borrow().text == expected,
                    "step {step}: {got:?}"
                );
            }
        }
    });
}

#[test]
fn a_reader_that_stalled_is_told_when_it_is_up_to_date() {
    on_one_thread(async {
        for appends in 1..6 {
            let fixture = GroupFixture::new().await;
            let (tail, resume) = (fixture.log.tail_now().next, Rc::new(Notify::new()));
            let (stalled, quick) = (
                fixture.read(tail, Some(Rc::clone(&resume))),
                fixture.read(tail, None),
            );
            run_until_idle().await;
            assert!(stalled.borrow().is_up_to_date && quick.borrow().is_up_to_date);
            // The reader accepts this one, and then stalls.
            Interference::Append.run(&fixture.streams, &fixture.stop);
            run_until_idle().await;
            // More than a page each, so that members are reported behind before they are up to
            // date again.
            for _ in 0..appends {
                for _ in 0..4 {
                    let payload =
                        Payload::parse(ContentKind::Text, Bytes::from(vec![b'x'; 400])).ok();
                    append_now(
                        &fixture.log,
                        Append {
                            payload,
                            ..Append::default()
                        },
                    );
                }
                run_until_idle().await;
            }
            resume.notify_one();
            run_until_idle().await;
            for got in [&stalled, &quick] {
                let got = got.borrow();
                assert_eq!(
                    (got.text.len(), got.is_up_to_date),
                    (4 + appends * 1_600, true),
                    "{appends} appends"
                );
            }
        }
    });
}

#[test]
fn an_exhausted_budget_unseats_readers_until_it_has_room() {
    on_one_thread(async {
        let fixture = GroupFixture::new().await;
        let tail = fixture.log.tail_now().next;
        let readers = [fixture.read(Offset::ZERO, None), fixture.read(tail, None)];
        run_until_idle().await;
        let budget = &fixture.groups.terms().budget;
        let mut held = budget.charge();
        held.grow((1 << 20) - 1_000).unwrap();
        let long = Payload::parse(ContentKind::Text, Bytes::from(vec![b'x'; 2 * FREE_BYTES])).ok();
        append_now(
            &fixture.log,
            Append {
                payload: long,
                ..Append::default()
            },
        );
        Interference::Append.run(&fixture.streams, &fixture.stop);
        run_until_idle().await;
        assert!(readers.iter().all(|got| !got.borrow().text.contains('x')));
        drop(held);
        run_until_idle().await;
        for (got, old) in readers.iter().zip(["old", ""]) {
            let (got, expected) = (
                got.borrow(),
                format!("{old}{}news", "x".repeat(2 * FREE_BYTES)),
            );
            assert!(
                got.text == expected && got.is_up_to_date,
                "{} bytes, {:?}",
                got.text.len(),
                got.times
            );
        }
        assert_eq!(budget.held(), 0);
    });
}

#[test]
fn a_quiet_stream_sends_heartbeats_until_the_response_ends() {
    on_one_thread(async {
        let fixture = GroupFixture::new().await;
        let got = fixture.read(Offset::ZERO, None);
        tokio::time::sleep(5 * HEARTBEAT).await;
        assert_eq!(
            got.borrow().times,
            [(0, false), (15, true), (30, true), (45, true), (59, true)]
        );
        assert!(got.borrow().has_ended);
    });
}

#[test]
fn a_hold_ends_on_time() {
    on_one_thread(async {
        let fixture = GroupFixture::new().await;
        let (waiting, start) = (fixture.wait(), Instant::now());
        tokio::time::sleep(HOLD - Duration::from_millis(1)).await;
        assert!(waiting.borrow().is_none());
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(
            waiting.borrow().as_ref().map(|(status, _)| *status),
            Some(StatusCode::NO_CONTENT),
            "{:?}",
            start.elapsed()
        );
    });
}
