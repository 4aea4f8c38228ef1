//! Every interleaving of a reader with an append, a close or a deletion, one interruption point after the other.
//!
//! A reader's steps are the calls at which it looks at its log. For k = 0, 1, 2, ... the event happens at the k-th step,
//! on a paused clock. Whatever k is, the reader must have it without any time passing: a lost wake-up would only show
//! when the hold or the heartbeat ends.

use super::{Append, Log, Payload, ReaderGuard, Start, StreamConfig, StreamName, Streams};
use crate::cursor::Cursors;
use crate::store::MemoryStore;
use crate::techniques::{Follow, Live, Place, Step, Terms, long_poll};
use bytes::Bytes;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, Technique};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

const HOLD: Duration = Duration::from_secs(25);
/// More steps than any of these readers takes; the event then happens only when the reader waits.
const STEPS_MAX: usize = 12;

/// What happens at which step.
#[derive(Default)]
pub(super) struct Interruption(Mutex<Option<(usize, Happening)>>);

type Happening = Box<dyn FnOnce() + Send>;

impl Interruption {
    pub(super) fn step(&self) {
        let mut planned = self.0.lock().unwrap();
        match planned.take() {
            Some((0, happen)) => {
                drop(planned);
                happen();
            }
            Some((steps, happen)) => *planned = Some((steps - 1, happen)),
            None => {}
        }
    }

    fn plan(&self, step: usize, happen: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some((step, Box::new(happen)));
    }

    /// Lets the event happen now if it has not yet.
    fn overdue(&self) {
        let planned = self.0.lock().unwrap().take();
        if let Some((_, happen)) = planned {
            happen();
        }
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Append,
    Close,
    AppendAndClose,
    Delete,
}

const EVENTS: [Event; 4] = [Event::Append, Event::Close, Event::AppendAndClose, Event::Delete];

impl Event {
    fn happen(self, log: &Arc<Log>) {
        let payload = || Payload::parse(ContentKind::Text, Bytes::from_static(b"news")).ok();
        let (payload, close) = match self {
            Self::Append => (payload(), false),
            Self::Close => (None, true),
            Self::AppendAndClose => (payload(), true),
            Self::Delete => return log.end(),
        };
        log.submit(&mut Append { payload, close, ..Append::default() }).unwrap();
    }
}

async fn log_with(content: &'static str) -> Arc<Log> {
    let streams = Streams::new(Arc::new(MemoryStore::new(1 << 20)), 1);
    let first = Payload::parse(ContentKind::Text, Bytes::from_static(content.as_bytes())).ok();
    let name = StreamName::parse("one").unwrap();
    streams.create(&name, StreamConfig::new("text/plain"), first, false).await.unwrap().log
}

/// Runs `reader` while `event` happens at step `k`, or once the reader waits; returns what it got and after how long.
async fn interrupted<T>(log: &Arc<Log>, event: Event, k: usize, reader: impl Future<Output = T>) -> (T, Duration) {
    let target = Arc::clone(log);
    log.interruption.plan(k, move || event.happen(&target));
    let start = Instant::now();
    let late = async {
        // On one thread this runs only when the reader has gone to sleep.
        tokio::task::yield_now().await;
        log.interruption.overdue();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        got = reader => (got, start.elapsed()),
        () = late => unreachable!("it never ends"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_poll_loses_no_event_at_any_step() {
    for event in EVENTS {
        for k in 0..STEPS_MAX {
            let log = log_with("old").await;
            let tail = log.tail_now().next;
            let (_stop, stopping) = watch::channel(false);
            let (got, waited) =
                interrupted(&log, event, k, long_poll::read(&log, Start::At(tail), 1024, HOLD, stopping)).await;
            assert_eq!(waited, Duration::ZERO, "{event:?} at step {k} woke nobody");
            match (event, got) {
                (Event::Delete, got) => assert!(got.is_err(), "{event:?} at step {k}: {got:?}"),
                (Event::Close, Ok(batch)) => assert!(batch.closed() && batch.data.is_empty(), "{event:?} at step {k}"),
                (_, Ok(batch)) => {
                    assert_eq!(batch.data, "news", "{event:?} at step {k}");
                    assert_eq!(batch.closed(), event == Event::AppendAndClose, "{event:?} at step {k}");
                }
                (_, Err(error)) => panic!("{event:?} at step {k}: {error}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_live_reader_loses_no_event_at_any_step_and_repeats_none() {
    for event in EVENTS {
        for k in 0..STEPS_MAX {
            let log = log_with("old").await;
            let (_stop, stopping) = watch::channel(false);
            let follow = follow(&log, stopping);
            let ((text, last), waited) = interrupted(&log, event, k, all_until_news(follow, event)).await;
            assert_eq!(waited, Duration::ZERO, "{event:?} at step {k} woke nobody");
            let expected = match event {
                Event::Append | Event::AppendAndClose => "oldnews",
                // A reader may learn of the deletion before or after it has read what was there.
                Event::Delete if text.is_empty() => "",
                Event::Close | Event::Delete => "old",
            };
            assert_eq!(text, expected, "{event:?} at step {k}");
            let closes = matches!(event, Event::Close | Event::AppendAndClose);
            assert_eq!(
                matches!(&last, Step::Batch(batch) if batch.closed()),
                closes,
                "{event:?} at step {k}: {last:?}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_waiting_reader_at_once() {
    let log = log_with("old").await;
    let (stop, stopping) = watch::channel(false);
    let mut follow = follow(&log, stopping);
    assert!(matches!(follow.next().await, Some(Step::Batch(_))));
    let start = Instant::now();
    let (step, ()) = tokio::join!(follow.next(), async {
        tokio::task::yield_now().await;
        stop.send_replace(true);
    });
    assert!(matches!(step, Some(Step::Leave)));
    assert_eq!(start.elapsed(), Duration::ZERO);
    assert!(follow.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn silence_brings_heartbeats_and_then_the_end_of_the_answer() {
    let log = log_with("old").await;
    let (_stop, stopping) = watch::channel(false);
    let mut follow = follow(&log, stopping);
    let start = Instant::now();
    let mut steps = Vec::new();
    while let Some(step) = follow.next().await {
        steps.push((start.elapsed().as_secs(), matches!(step, Step::Heartbeat)));
    }
    assert_eq!(steps, [(0, false), (15, true), (30, true), (45, true), (60, false)]);
}

fn follow(log: &Arc<Log>, stop: watch::Receiver<bool>) -> Live {
    let place = Place {
        counted: ReaderGuard::new(Arc::clone(log), Technique::Ndjson, Offset::ZERO),
        cursors: Cursors::common(),
        recycle_at: Some(Instant::now() + Duration::from_secs(60)),
        permit: Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap(),
    };
    let terms = Terms { page_max: 1024, heartbeat: Duration::from_secs(15), stop };
    Live::new(Follow::new(Arc::clone(log), Offset::ZERO, true, terms), place, Technique::Ndjson).unwrap()
}

/// Everything that a reader gets up to and with the news of `event`, and its last step.
async fn all_until_news(mut follow: Live, event: Event) -> (String, Step) {
    let mut text = String::new();
    while let Some(step) = follow.next().await {
        if let Step::Batch(batch) = &step {
            text.push_str(std::str::from_utf8(&batch.data).unwrap());
            if event == Event::Append && text.contains("news") || batch.closed() {
                return (text, step);
            }
        } else {
            return (text, step);
        }
    }
    panic!("the reader ended without news, after `{text}`");
}
