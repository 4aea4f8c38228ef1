//! A stream with a group of readers, and what happens to it in the interleaving tests.

use super::super::encoding::Encoding;
use super::super::{AnswerReader, Groups, Inlet, LiveTerms};
use crate::api::{Budget, Cursors, LiveAnswer, LongPollWait, Presence};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use http::StatusCode;
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tailwater_core::store::MemoryStore;
use tailwater_core::{Append, Log, Payload, ReaderGuard, StreamConfig, StreamName, Streams};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Data, Frame, Offset, Technique, ndjson};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::{AbortHandle, LocalSet, spawn_local};
use tokio::time::Instant;

pub(super) const HOLD: Duration = Duration::from_secs(25);
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);
pub(super) const RECYCLE: Duration = Duration::from_secs(59);

/// What happens to the stream while readers follow it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Interference {
    Append,
    Close,
    AppendAndClose,
    Delete,
    Stop,
}

pub(super) const EVENTS: [Interference; 5] = [
    Interference::Append,
    Interference::Close,
    Interference::AppendAndClose,
    Interference::Delete,
    Interference::Stop,
];

impl Interference {
    pub(super) fn run(self, streams: &Streams, stop: &watch::Sender<bool>) {
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
pub(super) fn append_now(log: &Arc<Log>, append: Append) {
    let appended = log.append(append).now_or_never();
    assert!(matches!(appended, Some(Ok(_))), "{appended:?}");
}

pub(super) fn name() -> StreamName {
    StreamName::parse("one").unwrap()
}

pub(super) struct GroupFixture {
    pub(super) streams: Streams,
    pub(super) log: Arc<Log>,
    pub(super) groups: Rc<Groups>,
    pub(super) stop: Arc<watch::Sender<bool>>,
}

impl GroupFixture {
    pub(super) async fn new() -> Self {
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

    pub(super) fn presence(&self, technique: Technique, from: Offset) -> Presence {
        let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
        Presence::new(
            ReaderGuard::new(Arc::clone(&self.log), technique, from),
            permit,
        )
    }

    /// A reader from `from` on, whose body is not polled between its first piece and `resume`.
    pub(super) fn read(
        &self,
        from: Offset,
        resume: Option<Rc<Notify>>,
    ) -> Rc<RefCell<ReceivedPieces>> {
        self.reader(from, resume, Arc::default()).0
    }

    /// As [`GroupFixture::read`]; the body is not polled any more once `has_stalled` is set, and
    /// dropped when the handle aborts the reader.
    pub(super) fn reader(
        &self,
        from: Offset,
        resume: Option<Rc<Notify>>,
        has_stalled: Arc<AtomicBool>,
    ) -> (Rc<RefCell<ReceivedPieces>>, AbortHandle) {
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
        let task = spawn_local(async move {
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
                if has_stalled.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
            }
            filled.borrow_mut().has_ended = true;
        });
        (got, task.abort_handle())
    }

    /// A long-poll at the tail.
    pub(super) fn wait(&self) -> Rc<RefCell<Option<(StatusCode, Bytes)>>> {
        let at = self.log.tail_now().next;
        let wait = Box::new(LongPollWait::at_tail(
            &self.log,
            HOLD,
            self.presence(Technique::LongPoll, at),
        ));
        let got = Rc::new(RefCell::new(None));
        let (filled, groups) = (Rc::clone(&got), Rc::clone(&self.groups));
        spawn_local(async move {
            let answer = super::super::wait(&groups, wait).await;
            let body = answer
                .content
                .map_or(Bytes::new(), |content| content.parts.concat().into());
            *filled.borrow_mut() = Some((answer.status, body));
        });
        got
    }

    pub(super) fn plan(&self, step: usize, event: Interference) {
        let (streams, stop) = (self.streams.clone(), Arc::clone(&self.stop));
        self.log
            .interruption
            .plan(step, move || event.run(&streams, &stop));
    }
}

/// What a reader received.
#[derive(Debug, Default)]
pub(super) struct ReceivedPieces {
    pub(super) text: String,
    pub(super) is_closed: bool,
    pub(super) is_up_to_date: bool,
    pub(super) has_ended: bool,
    /// The second in which each piece arrived, and whether it held no object.
    pub(super) times: Vec<(u64, bool)>,
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
pub(super) async fn run_until_idle() {
    for _ in 0..200 {
        tokio::task::yield_now().await;
    }
}

pub(super) fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    LocalSet::new().block_on(&runtime, test);
}
