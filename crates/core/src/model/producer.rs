//! Idempotent producers: identifiers and positions.

use super::value::{ValueError, WRITER_TEXT_BYTES_MAX, check_writer_text};
use std::fmt;
use std::sync::Arc;

/// The identifier of a producer, which stays the same when the producer restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(Arc<str>);

impl ProducerId {
    /// The maximum length in bytes.
    pub const BYTES_MAX: usize = WRITER_TEXT_BYTES_MAX;

    /// Parses an identifier: 1 to 256 bytes of visible ASCII.
    ///
    /// - `field`: the name of the field in the request, for the error.
    ///
    /// # Errors
    /// [`ValueError`]: the text is empty, too long or not visible ASCII (400).
    pub fn parse(field: &'static str, text: &str) -> Result<Self, ValueError> {
        check_writer_text(field, text, 1).map(|()| Self(text.into()))
    }

    /// An identifier from a store, which may exceed the current length limit; `None` if it is empty.
    pub(crate) fn kept(text: &str) -> Option<Self> {
        (!text.is_empty()).then(|| Self(text.into()))
    }

    /// The identifier as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProducerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The position of a producer: the last append of it that the stream accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accepted {
    /// The epoch, `0..2^53`, which is higher after each restart of the producer.
    pub epoch: u64,
    /// The last accepted sequence number of that epoch, `0..2^53`.
    pub seq: u64,
}

impl Accepted {
    /// The largest epoch and sequence number: the largest integer that JavaScript represents exactly.
    pub const MAX: u64 = (1 << 53) - 1;
}

/// The producer of an append, and the epoch and sequence number of the append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The identifier of the producer.
    pub id: ProducerId,
    /// The epoch of the producer and the sequence number of the append.
    pub at: Accepted,
}
