//! Follows a stream at its tail: batches, heartbeats, or the end.

use super::terms::LiveTerms;
use std::pin::Pin;
use std::sync::Arc;
use tailwater_core::{Batch, Log, ReadError, Tail, TailState};
use tailwater_protocol::Offset;
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep, sleep_until};

#[derive(Debug)]
pub(super) enum NextStep {
    /// Messages; the last ones, or none, when the stream is closed.
    Batch(Batch),
    /// Nothing was appended for a heartbeat interval.
    Heartbeat,
    /// The server stops, the stream was deleted, or the position can no longer be read.
    End,
}

/// Reads a log from a position on, then follows its tail.
#[derive(Debug)]
pub(super) struct Follow {
    log: Arc<Log>,
    from: Offset,
    terms: LiveTerms,
    tail: watch::Receiver<Tail>,
    heartbeat_at: Instant,
    /// Fires at the heartbeat or before: checking again then is cheaper than a reset for each step.
    timer: Pin<Box<Sleep>>,
}

impl Follow {
    pub(super) fn new(log: Arc<Log>, from: Offset, terms: LiveTerms) -> Self {
        let tail = log.tail();
        let heartbeat_at = Instant::now() + terms.heartbeat;
        let timer = Box::pin(sleep_until(heartbeat_at));
        Self {
            log,
            from,
            terms,
            tail,
            heartbeat_at,
            timer,
        }
    }

    /// The position after the last batch.
    pub(super) fn at(&self) -> Offset {
        self.from
    }

    /// The next step. Cancel safe.
    pub(super) async fn next(&mut self) -> NextStep {
        let step = self.step().await;
        self.heartbeat_at = Instant::now() + self.terms.heartbeat;
        step
    }

    async fn step(&mut self) -> NextStep {
        loop {
            if *self.terms.stop.borrow() {
                return NextStep::End;
            }
            if self.tail.borrow().is_ready_at(self.from) {
                match self.log.read(self.from, self.terms.page_max).await {
                    Ok(batch) if !batch.data.is_empty() || batch.closed() => {
                        self.from = batch.next;
                        return NextStep::Batch(batch);
                    }
                    Ok(_) => {}
                    Err(error) => {
                        log_read_error(&self.log, self.from, &error);
                        return NextStep::End;
                    }
                }
            }
            let from = self.from;
            tokio::select! {
                biased;
                _ = self.terms.stop.wait_for(|stop| *stop) => return NextStep::End,
                moved = self.tail.wait_for(|tail| tail.is_ready_at(from)) => match moved {
                    Ok(tail) if tail.state != TailState::Deleted => {}
                    _ => return NextStep::End,
                },
                () = &mut self.timer => {
                    if self.heartbeat_at <= Instant::now() {
                        return NextStep::Heartbeat;
                    }
                    self.timer.as_mut().reset(self.heartbeat_at);
                    continue;
                }
            }
            // Lets concurrent appends finish first, so that one read returns them all.
            yield_now().await;
        }
    }
}

/// Logs that live responses end because a read failed, if the store is at fault.
pub(super) fn log_read_error(log: &Log, at: Offset, error: &ReadError) {
    match error {
        ReadError::Store(error) => {
            tracing::error!(
                "stream {}: live responses end at offset {at}: {error}",
                log.name()
            );
        }
        ReadError::Gone { .. }
        | ReadError::OtherGeneration { .. }
        | ReadError::InsideMessage { .. }
        | ReadError::Deleted => {}
    }
}
