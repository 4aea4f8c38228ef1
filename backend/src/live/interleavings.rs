//! Every interleaving of readers and their group with an append, a close, a deletion, a stop, a
//! disconnect and a stall, one interruption point after the other.
//!
//! The steps are the calls that read the log. For k = 0, 1, 2, ... the event happens at the k-th
//! step, on a paused clock. Whatever k is, every reader must see it without any time passing: a
//! lost wake-up would only show when a hold or a heartbeat ends.

use super::encoding::Encoding;
use super::{AnswerReader, Groups, Inlet, LiveTerms};
use crate::api::{Budget, Cursors, FREE_BYTES, LiveAnswer, LongPollWait, Presence};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::StatusCode;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tailwater_core::store::MemoryStore;
use tailwater_core::{Append, Log, Payload, ReaderGuard, StreamConfig, StreamName, Streams};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Data, Frame, Offset, Technique, ndjson};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::Instant;

const HOLD: Duration = Duration::from_secs(25);
const HEARTBEAT: Duration = Duration::from_secs(15);
const RECYCLE: Duration = Duration::from_secs(59);
/// More steps than all readers together take; the event then happens when all of them wait.
const STEPS_MAX: usize = 40;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Interference {
    Append,
    Close,
    AppendAndClose,
    Delete,
    Stop,
}

const EVENTS: [Interference; 5] = [
    Interference::Append,
    Interference::Close,
    Interference::AppendAndClose,
    Interference::Delete,
    Interference::Stop,
];

impl Interference {
    fn run(self, streams: &Streams, stop: &watch::Sender<bool>) {
        let news = || Payload::parse(ContentKind::Text, Bytes::from_static(b"news")).ok();
        let (payload, close) = match self {
            Self::Append => (news(), false),
            Self::Close => (None, true),
            Self::AppendAndClose => (news(), true),
            Self::Delete => {
                let deleted = streams.delete(&name()).now_or_never();
                assert!(matches!(deleted, Some(Ok(true))), "{deleted:?}");
                return;
            }
            Self::Stop => {
                stop.send_replace(true);
                return;
            }
        };
        append_now(
            &streams.find(&name()).unwrap(),
            Append {
                payload,
                close,
                ..Append::default()
            },
        );
    }
}

/// Appends without waiting, as a store in memory does.
fn append_now(log: &Arc<Log>, append: Append) {
    let appended = log.append(append).now_or_never();
    assert!(matches!(appended, Some(Ok(_))), "{appended:?}");
}

fn name() -> StreamName {
    StreamName::parse("one").unwrap()
}

struct GroupFixture {
    streams: Streams,
    log: Arc<Log>,
    groups: Rc<Groups>,
    stop: Arc<watch::Sender<bool>>,
}

impl GroupFixture {
    async fn new() -> Self {
        let streams = Streams::new(Arc::new(MemoryStore::new(1 << 20)), 1);
        let first = Payload::parse(ContentKind::Text, Bytes::from_static(b"old")).ok();
        let log = streams
            .create(&name(), StreamConfig::new("text/plain"), first, false)
            .await
            .unwrap()
            .log;
        let (stop, stopping) = watch::channel(false);
        let terms = LiveTerms {
            page_max: 1024,
            message_max: 1024,
            heartbeat: HEARTBEAT,
            stalled_max: HOLD,
            unfinished_max: HOLD,
            budget: Budget::new(1 << 20),
            stop: stopping,
        };
        Self {
            streams,
            log,
            groups: Groups::new(terms),
            stop: Arc::new(stop),
        }
    }

    fn presence(&self, technique: Technique, from: Offset) -> Presence {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Presence::new(
            ReaderGuard::new(Arc::clone(&self.log), technique, from),
            permit,
        )
    }

    /// A reader from `from` on, whose body is not polled between its first piece and `resume`.
    fn read(&self, from: Offset, resume: Option<Rc<Notify>>) -> Rc<RefCell<ReceivedPieces>> {
        let live = LiveAnswer {
            log: Arc::clone(&self.log),
            from,
            technique: Technique::Ndjson,
            cursors: Cursors::common(),
            recycle_at: Some(Instant::now() + RECYCLE),
            presence: self.presence(Technique::Ndjson, from),
        };
        let body = AnswerReader::body(
            Rc::clone(&self.groups),
            live,
            Encoding::Ndjson,
            Inlet::Nothing,
        );
        let got = Rc::new(RefCell::new(ReceivedPieces::default()));
        let filled = Rc::clone(&got);
        spawn_local(async move {
            let (mut body, mut decoder, mut resume) =
                (Box::pin(body), ndjson::NdjsonDecoder::default(), resume);
            let start = Instant::now();
            while let Some(Ok(piece)) = body.next().await {
                let mut frames = Vec::new();
                decoder.push(&piece, &mut frames).unwrap();
                filled.borrow_mut().take(start.elapsed(), frames);
                if let Some(resume) = resume.take() {
                    resume.notified().await;
                }
            }
            filled.borrow_mut().has_ended = true;
        });
        got
    }

    /// A long-poll at the tail.
    fn wait(&self) -> Rc<RefCell<Option<(StatusCode, Bytes)>>> {
        let at = self.log.tail_now().next;
        let wait = Box::new(LongPollWait::at_tail(
            &self.log,
            HOLD,
            self.presence(Technique::LongPoll, at),
        ));
        let got = Rc::new(RefCell::new(None));
        let (filled, groups) = (Rc::clone(&got), Rc::clone(&self.groups));
        spawn_local(async move {
            let answer = super::wait(&groups, wait).await;
            let body = answer
                .content
                .map_or(Bytes::new(), |content| content.parts.concat().into());
            *filled.borrow_mut() = Some((answer.status, body));
        });
        got
    }

    fn plan(&self, step: usize, event: Interference) {
        let (streams, stop) = (self.streams.clone(), Arc::clone(&self.stop));
        self.log
            .interruption
            .plan(step, move || event.run(&streams, &stop));
    }
}

/// What a reader received.
#[derive(Debug, Default)]
struct ReceivedPieces {
    text: String,
    is_closed: bool,
    is_up_to_date: bool,
    has_ended: bool,
    /// The second in which each piece arrived, and whether it held no object.
    times: Vec<(u64, bool)>,
}

impl ReceivedPieces {
    fn take(&mut self, after: Duration, frames: Vec<Frame>) {
        self.times.push((after.as_secs(), frames.is_empty()));
        for frame in frames {
            if let Some(Data::Text(text)) = frame.data {
                self.text.push_str(&text);
            }
            self.is_closed |= frame.closed;
            self.is_up_to_date = frame.up_to_date;
        }
    }
}

/// Runs everything that is ready without time passing.
async fn run_until_idle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}

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
