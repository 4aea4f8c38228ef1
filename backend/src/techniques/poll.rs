//! Polling: what is there now, at once.

use crate::log::{Batch, Log, ReadError, Start};

/// One page from `start` on; empty at the tail.
///
/// # Errors
/// As [`Log::read`].
///
/// Source: Durable Streams protocol, section 5.6.
pub async fn read(log: &Log, start: Start, page_max: usize) -> Result<Batch, ReadError> {
    log.readers().note_plain_read();
    log.read_from(start, page_max).await
}
