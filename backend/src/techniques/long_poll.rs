//! Long-polling: what is there now or, at the tail, the first thing to come.

use crate::log::{Batch, Log, ReadError, ReaderGuard, Start};
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::Technique;
use tokio::sync::watch;
use tokio::time::sleep;

/// One page from `start` on. At the tail of an open stream waits for an append, a close, a deletion, the end of `hold`, or
/// `stop`; then answers what is there, which may be nothing.
///
/// # Errors
/// As [`Log::read`].
///
/// Source: Durable Streams protocol, section 5.7.
pub async fn read(
    log: &Arc<Log>,
    start: Start,
    page_max: usize,
    hold: Duration,
    mut stop: watch::Receiver<bool>,
) -> Result<Batch, ReadError> {
    let mut tail = log.tail();
    let batch = log.read_from(start, page_max).await?;
    if !batch.data.is_empty() || batch.closed() {
        return Ok(batch);
    }
    let from = batch.next;
    let _counted = ReaderGuard::new(Arc::clone(log), Technique::LongPoll, from);
    tokio::select! {
        biased;
        _ = tail.wait_for(|tail| tail.has_news(from)) => {}
        _ = stop.wait_for(|stop| *stop) => {}
        () = sleep(hold) => {}
    }
    log.read(from, page_max).await
}
