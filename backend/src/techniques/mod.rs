//! The techniques: thin ways to read one log. None keeps state beyond its position, and none drops anything.

pub mod long_poll;
pub mod ndjson;
pub mod poll;
pub mod sse;
pub mod websocket;

use crate::cursor::Cursors;
use crate::log::{Batch, Log, ReadError, ReaderGuard, State};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::{Control, Offset, Technique, Token};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::{Instant, sleep_until};

/// What a live answer needs to know beside its log.
#[derive(Debug)]
pub struct Terms {
    /// Largest page in bytes.
    pub page_max: usize,
    /// Silence after which a heartbeat leaves.
    pub heartbeat: Duration,
    /// When the answer ends although nothing is wrong; `None` for techniques that need no recycling.
    pub life: Option<Duration>,
    /// Turns true when the server stops.
    pub stop: watch::Receiver<bool>,
    /// The reader's cursors.
    pub cursors: Cursors,
    /// The reader's place among the live readers, given back when the answer ends.
    pub permit: OwnedSemaphorePermit,
}

/// A live reader: everything from its position on, then everything that comes.
#[derive(Debug)]
pub struct Follow {
    log: Arc<Log>,
    from: Offset,
    terms: Terms,
    tail: watch::Receiver<crate::log::Tail>,
    greeted: bool,
    ended: bool,
    quiet_until: Instant,
    recycle_at: Option<Instant>,
    counted: ReaderGuard,
}

/// What a live reader gets next.
#[derive(Debug)]
pub enum Step {
    /// Messages, or at the beginning the news that there are none; the last one when the stream is closed.
    Batch(Batch),
    /// Nothing happened for a while.
    Heartbeat,
    /// The answer ends cleanly: its life is over, the server stops, or the stream was deleted. The reader may come back.
    Leave,
}

impl Follow {
    /// A reader of `log` from `from` on.
    pub fn new(log: Arc<Log>, from: Offset, technique: Technique, terms: Terms) -> Self {
        let tail = log.tail();
        let now = Instant::now();
        let recycle_at = terms.life.map(|life| now + life);
        let counted = ReaderGuard::new(Arc::clone(&log), technique, from);
        let quiet_until = now + terms.heartbeat;
        Self { log, from, terms, tail, greeted: false, ended: false, quiet_until, recycle_at, counted }
    }

    /// The log that is read.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The next step, or `None` after the last. May be dropped while it waits and asked again.
    pub async fn next(&mut self) -> Option<Step> {
        if self.ended {
            return None;
        }
        let step = self.step().await;
        self.ended = matches!(&step, Step::Leave) || matches!(&step, Step::Batch(batch) if batch.closed());
        self.quiet_until = Instant::now() + self.terms.heartbeat;
        Some(step)
    }

    async fn step(&mut self) -> Step {
        loop {
            if *self.terms.stop.borrow() || self.recycle_at.is_some_and(|at| Instant::now() >= at && self.greeted) {
                return Step::Leave;
            }
            let batch = match self.log.read(self.from, self.terms.page_max).await {
                Ok(batch) => batch,
                Err(ReadError::Store(error)) => {
                    tracing::error!("stream {}: a live answer ends at {}: {error}", self.log.name(), self.from);
                    return Step::Leave;
                }
                Err(ReadError::Gone { .. } | ReadError::InsideMessage { .. } | ReadError::Deleted) => {
                    return Step::Leave;
                }
            };
            if !self.greeted || !batch.data.is_empty() || batch.closed() {
                self.greeted = true;
                self.from = batch.next;
                self.counted.is_at(self.from);
                return Step::Batch(batch);
            }
            let from = self.from;
            tokio::select! {
                biased;
                _ = self.terms.stop.wait_for(|stop| *stop) => return Step::Leave,
                moved = self.tail.wait_for(|tail| tail.has_news(from)) => match moved {
                    Ok(tail) if tail.state != State::Deleted => {}
                    _ => return Step::Leave,
                },
                () = sleep_until_some(self.recycle_at) => return Step::Leave,
                () = sleep_until(self.quiet_until) => return Step::Heartbeat,
            }
        }
    }

    /// The control information that goes with a batch.
    pub fn control(&self, batch: &Batch) -> Control {
        let closed = batch.closed();
        Control {
            next: Token::from(batch.next),
            cursor: (!closed).then(|| self.terms.cursors.now()),
            up_to_date: batch.up_to_date(),
            closed,
        }
    }

    /// The body of a streaming answer: each step as `write` puts it, in one piece each.
    pub fn into_body(self, write: fn(&Self, &Step) -> Bytes) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold(self, move |mut follow| async move {
            let step = follow.next().await?;
            let piece = write(&follow, &step);
            Some((Ok(piece), follow))
        })
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// The data of a batch, or `None` when it only says where the tail is.
fn data_of(batch: &Batch) -> Option<&[u8]> {
    (!batch.data.is_empty()).then_some(&batch.data[..])
}
