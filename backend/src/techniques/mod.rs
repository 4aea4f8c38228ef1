//! The techniques: thin ways to read one log. None keeps state beyond its position, and none drops anything.

pub mod long_poll;
pub mod ndjson;
pub mod poll;
pub mod sse;
pub mod websocket;

use crate::cursor::Cursors;
use crate::dialect::Dialect;
use crate::log::{Batch, Log, ReadError, ReaderGuard, State, Tail};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use std::convert::Infallible;
use std::future::pending;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::{Offset, Technique};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

/// What a log is followed with.
#[derive(Debug, Clone)]
pub struct Terms {
    /// Largest page in bytes.
    pub page_max: usize,
    /// Silence after which a heartbeat leaves.
    pub heartbeat: Duration,
    /// Turns true when the server stops.
    pub stop: watch::Receiver<bool>,
}

/// What a live reader has for itself.
#[derive(Debug)]
pub struct Place {
    /// That it is there, and where it is.
    pub counted: ReaderGuard,
    /// Its cursors.
    pub cursors: Cursors,
    /// When its answer ends although nothing is wrong; `None` for techniques that need no recycling.
    pub recycle_at: Option<Instant>,
    /// Its place among the live readers, given back when the answer ends.
    pub permit: OwnedSemaphorePermit,
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

impl Step {
    /// Whether nothing comes after it.
    pub fn is_last(&self) -> bool {
        match self {
            Self::Batch(batch) => batch.closed(),
            Self::Heartbeat => false,
            Self::Leave => true,
        }
    }
}

/// Everything in a log from a position on, then everything that comes: for one reader, or for many that are at the same position.
#[derive(Debug)]
pub struct Follow {
    log: Arc<Log>,
    from: Offset,
    terms: Terms,
    tail: watch::Receiver<Tail>,
    greets: bool,
    ended: bool,
    quiet_until: Instant,
    /// Fires when the silence is over or before it; setting it anew for each step would cost more than to look again.
    timer: Pin<Box<Sleep>>,
}

impl Follow {
    /// `log` from `from` on.
    ///
    /// - `greets`: whether the first step is a batch in any case, an empty one at the tail.
    pub fn new(log: Arc<Log>, from: Offset, greets: bool, terms: Terms) -> Self {
        let tail = log.tail();
        let quiet_until = Instant::now() + terms.heartbeat;
        let timer = Box::pin(sleep_until(quiet_until));
        Self { log, from, terms, tail, greets, ended: false, quiet_until, timer }
    }

    /// The log that is followed.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }

    /// The position after what was given.
    pub fn at(&self) -> Offset {
        self.from
    }

    /// Whether the next step is there.
    fn has_news(&self) -> bool {
        self.tail.borrow().has_news(self.from) || *self.terms.stop.borrow()
    }

    /// The next step, or `None` after the last. May be dropped while it waits and asked again.
    pub async fn next(&mut self) -> Option<Step> {
        if self.ended {
            return None;
        }
        let step = self.step().await;
        self.ended = step.is_last();
        self.quiet_until = Instant::now() + self.terms.heartbeat;
        Some(step)
    }

    async fn step(&mut self) -> Step {
        loop {
            if *self.terms.stop.borrow() {
                return Step::Leave;
            }
            if self.greets || self.tail.borrow().has_news(self.from) {
                let batch = match self.log.read(self.from, self.terms.page_max).await {
                    Ok(batch) => batch,
                    Err(ReadError::Store(error)) => {
                        tracing::error!("stream {}: a live answer ends at {}: {error}", self.log.name(), self.from);
                        return Step::Leave;
                    }
                    Err(
                        ReadError::Gone { .. }
                        | ReadError::OtherLife { .. }
                        | ReadError::InsideMessage { .. }
                        | ReadError::Deleted,
                    ) => {
                        return Step::Leave;
                    }
                };
                if self.greets || !batch.data.is_empty() || batch.closed() {
                    self.greets = false;
                    self.from = batch.next;
                    return Step::Batch(batch);
                }
            }
            let from = self.from;
            tokio::select! {
                biased;
                _ = self.terms.stop.wait_for(|stop| *stop) => return Step::Leave,
                moved = self.tail.wait_for(|tail| tail.has_news(from)) => match moved {
                    Ok(tail) if tail.state != State::Deleted => {}
                    _ => return Step::Leave,
                },
                () = &mut self.timer => {
                    if self.quiet_until <= Instant::now() {
                        return Step::Heartbeat;
                    }
                    self.timer.as_mut().reset(self.quiet_until);
                    continue;
                }
            }
            // Whoever appends at this moment comes first, so that one write brings what they all appended.
            yield_now().await;
        }
    }
}

/// A live reader: what it follows, and what it has for itself.
#[derive(Debug)]
pub struct Live {
    follow: Follow,
    place: Place,
    technique: Technique,
    dialect: &'static Dialect,
}

/// What somebody needs to go on with a live reader.
#[derive(Debug)]
pub struct LiveParts {
    /// The log that is read.
    pub log: Arc<Log>,
    /// The position after what was given.
    pub at: Offset,
    /// What the reader has for itself.
    pub place: Place,
    /// How it reads.
    pub technique: Technique,
    /// What that looks like.
    pub dialect: &'static Dialect,
}

/// Takes a live reader over once it is at the tail.
pub type TakeOver = Box<dyn FnOnce(Live)>;

impl Live {
    /// A reader by `technique`; `None` when that has no live answer.
    pub fn new(follow: Follow, place: Place, technique: Technique) -> Option<Self> {
        Some(Self { follow, place, technique, dialect: Dialect::of(technique)? })
    }

    /// What it consists of.
    pub fn into_parts(self) -> LiveParts {
        let Follow { log, from, .. } = self.follow;
        LiveParts { log, at: from, place: self.place, technique: self.technique, dialect: self.dialect }
    }

    /// Whether somebody else may go on with it from here: it has been given everything up to the tail.
    fn may_be_taken_over(&self) -> bool {
        !self.follow.greets && !self.follow.ended && !self.follow.has_news()
    }

    /// The log that is read.
    pub fn log(&self) -> &Arc<Log> {
        &self.follow.log
    }

    /// Whether the last step was given.
    pub fn has_ended(&self) -> bool {
        self.follow.ended
    }

    /// The next step, or `None` after the last. May be dropped while it waits and asked again.
    pub async fn next(&mut self) -> Option<Step> {
        if self.follow.ended {
            return None;
        }
        let step = tokio::select! {
            biased;
            () = sleep_until_some(self.place.recycle_at), if !self.follow.greets => Step::Leave,
            step = self.follow.next() => step?,
        };
        self.follow.ended |= step.is_last();
        self.place.counted.is_at(self.follow.from);
        Some(step)
    }

    /// What a step looks like on the wire, the end of the answer included when it is the last.
    pub fn piece(&self, step: &Step) -> Bytes {
        let kind = self.log().kind();
        let piece = self.dialect.piece(kind, step, self.place.cursors.now());
        let closing = if step.is_last() { self.dialect.closing(step) } else { Bytes::new() };
        match (piece.is_empty(), closing.is_empty()) {
            (_, true) => piece,
            (true, _) => closing,
            (false, false) => [piece, closing].concat().into(),
        }
    }

    /// The body of a streaming answer, a step in one piece each.
    ///
    /// - `take_over`: who goes on at the tail, if anybody; the body then stays pending.
    pub fn into_body(self, take_over: Option<TakeOver>) -> impl Stream<Item = Result<Bytes, Infallible>> {
        stream::unfold((self, take_over), async |(mut live, mut take_over)| {
            if live.may_be_taken_over()
                && let Some(take_over) = take_over.take()
            {
                take_over(live);
                return pending().await;
            }
            let step = live.next().await?;
            let piece = live.piece(&step);
            Some((Ok(piece), (live, take_over)))
        })
    }
}

async fn sleep_until_some(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => pending().await,
    }
}
