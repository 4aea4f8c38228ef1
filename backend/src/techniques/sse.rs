//! Streaming as server-sent events: a data event and its control event in one piece; a comment is a heartbeat.

use super::{Follow, Step, data_of};
use bytes::Bytes;
use tailwater_protocol::sse;

/// The media type of the answer.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// What a step looks like on the wire.
pub fn write(follow: &Follow, step: &Step) -> Bytes {
    match step {
        Step::Batch(batch) => {
            let mut event = Vec::with_capacity(batch.data.len() + 160);
            sse::encode(&mut event, follow.log().config().kind(), data_of(batch), &follow.control(batch));
            event.into()
        }
        Step::Heartbeat => Bytes::from_static(sse::HEARTBEAT),
        Step::Leave => Bytes::from_static(b": come back\n\n"),
    }
}
