//! Streaming as newline-delimited JSON: one line a batch, complete in itself; an empty line is a heartbeat.

use super::{Follow, Step, data_of};
use bytes::Bytes;
use tailwater_protocol::ndjson;

/// The media type of the answer.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// What a step looks like on the wire.
pub fn write(follow: &Follow, step: &Step) -> Bytes {
    match step {
        Step::Batch(batch) => {
            let mut line = Vec::with_capacity(batch.data.len() + 128);
            ndjson::encode(&mut line, follow.log().config().kind(), data_of(batch), &follow.control(batch));
            line.into()
        }
        Step::Heartbeat | Step::Leave => Bytes::from_static(ndjson::HEARTBEAT),
    }
}
