//! Streaming as server-sent events: a data event and its control event in one piece; a comment is a heartbeat.

use crate::dialect::{Dialect, Framing};
use tailwater_protocol::sse;

/// The media type of the answer.
pub const CONTENT_TYPE: &str = "text/event-stream";

/// What its steps look like on the wire.
pub const DIALECT: Dialect = Dialect {
    encode: sse::encode,
    framing: Framing::Bare,
    heartbeat: sse::HEARTBEAT,
    farewell: b": come back\n\n",
    end: b"",
};
