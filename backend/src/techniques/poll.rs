//! Polling: what is there now, at once.

use crate::log::{Batch, Log, ReadError};
use tailwater_protocol::Offset;

/// One page from `from` on; empty at the tail.
///
/// # Errors
/// As [`Log::read`].
///
/// Source: Durable Streams protocol, section 5.6.
pub async fn read(log: &Log, from: Offset, page_max: usize) -> Result<Batch, ReadError> {
    log.readers().note_plain_read();
    log.read(from, page_max).await
}
