//! Streaming as newline-delimited JSON: one line a batch, complete in itself; an empty line is a heartbeat.

use crate::dialect::{Dialect, Framing};
use tailwater_protocol::ndjson;

/// The media type of the answer.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// What its steps look like on the wire.
pub const DIALECT: Dialect = Dialect {
    encode: ndjson::encode,
    framing: Framing::Bare,
    heartbeat: ndjson::HEARTBEAT,
    farewell: ndjson::HEARTBEAT,
    end: b"",
};
