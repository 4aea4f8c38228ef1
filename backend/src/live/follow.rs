//! What comes next at a stream's tail: news, silence, or an end.

use super::terms::LiveTerms;
use std::pin::Pin;
use std::sync::Arc;
use tailwater_core::{Batch, Log, ReadError, Tail, TailState};
use tailwater_protocol::Offset;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

/// What comes next.
#[derive(Debug)]
pub(super) enum NextStep {
    /// Messages; the last ones, or none, when the stream is closed.
    Batch(Batch),
    /// Nothing happened for a while.
    Heartbeat,
    /// Nothing more will come here: the server stops, the stream was deleted, or the position can't be read any more.
    Leave,
}

/// Everything in a log from a position on, then everything that comes.
#[derive(Debug)]
pub(super) struct Follow {
    log: Arc<Log>,
    from: Offset,
    terms: LiveTerms,
    tail: watch::Receiver<Tail>,
    quiet_until: Instant,
    /// Fires when the silence is over or before it; setting it anew for each step would cost more than to look again.
    timer: Pin<Box<Sleep>>,
}

impl Follow {
    pub(super) fn new(log: Arc<Log>, from: Offset, terms: LiveTerms) -> Self {
        let tail = log.tail();
        let quiet_until = Instant::now() + terms.heartbeat;
        let timer = Box::pin(sleep_until(quiet_until));
        Self {
            log,
            from,
            terms,
            tail,
            quiet_until,
            timer,
        }
    }

    /// The position after what was given.
    pub(super) fn at(&self) -> Offset {
        self.from
    }

    /// The next step. May be dropped while it waits and asked again.
    pub(super) async fn next(&mut self) -> NextStep {
        let step = self.step().await;
        self.quiet_until = Instant::now() + self.terms.heartbeat;
        step
    }

    async fn step(&mut self) -> NextStep {
        loop {
            if *self.terms.stop.borrow() {
                return NextStep::Leave;
            }
            if self.tail.borrow().has_news(self.from) {
                match self.log.read(self.from, self.terms.page_max).await {
                    Ok(batch) if !batch.data.is_empty() || batch.closed() => {
                        self.from = batch.next;
                        return NextStep::Batch(batch);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        note(&self.log, self.from, &error);
                        return NextStep::Leave;
                    }
                }
            }
            let from = self.from;
            tokio::select! {
                biased;
                _ = self.terms.stop.wait_for(|stop| *stop) => return NextStep::Leave,
                moved = self.tail.wait_for(|tail| tail.has_news(from)) => match moved {
                    Ok(tail) if tail.state != TailState::Deleted => {}
                    _ => return NextStep::Leave,
                },
                () = &mut self.timer => {
                    if self.quiet_until <= Instant::now() {
                        return NextStep::Heartbeat;
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

/// Notes in the server's log that live answers end because a read failed, where that is the store's fault.
pub(super) fn note(log: &Log, at: Offset, error: &ReadError) {
    match error {
        ReadError::Store(error) => {
            tracing::error!("stream {}: live answers end at {at}: {error}", log.name());
        }
        ReadError::Gone { .. }
        | ReadError::OtherLife { .. }
        | ReadError::InsideMessage { .. }
        | ReadError::Deleted => {}
    }
}
