//! How long a client may be idle between two requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The idle timeout of a connection.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    /// Fires at the deadline or before: checking again then is cheaper than a reset for each
    /// request.
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: Box::pin(sleep(limit)),
        }
    }

    /// Ready when the client has been idle for longer than the limit.
    ///
    /// - `since`: when its last response was sent.
    pub(super) fn poll_over(
        &mut self,
        since: impl Fn() -> Instant,
        context: &mut Context<'_>,
    ) -> Poll<()> {
        loop {
            ready!(self.timer.as_mut().poll(context));
            let until = since() + self.limit;
            if until <= Instant::now() {
                return Poll::Ready(());
            }
            self.timer.as_mut().reset(until);
        }
    }
}
