//! How long a client is silent between two requests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep};

/// The idle time of a connection.
#[derive(Debug)]
pub(super) struct Idle {
    limit: Duration,
    /// Fires when that is over or before it; setting it anew for each request would cost more than to look again.
    timer: Pin<Box<Sleep>>,
}

impl Idle {
    /// One of at most `limit`.
    pub(super) fn new(limit: Duration) -> Self {
        Self {
            limit,
            timer: Box::pin(sleep(limit)),
        }
    }

    /// Ready when the client has been silent for longer than it may.
    ///
    /// - `since`: when its last answer was sent.
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
