//! Idempotent producers: what they call themselves, and how far they came.

use super::value::{MARK_BYTES_MAX, ValueError, check_mark};
use std::fmt;
use std::sync::Arc;

/// What a producer calls itself, the same across its restarts.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(Arc<str>);

impl ProducerId {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = MARK_BYTES_MAX;

    /// The identifier that `text` spells: 1 to 256 bytes of visible ASCII.
    ///
    /// - `field`: what the one who sent it calls it.
    ///
    /// # Errors
    /// [`ValueError`] when it is empty, too long or not visible ASCII (400).
    pub fn parse(field: &'static str, text: &str) -> Result<Self, ValueError> {
        check_mark(field, text, 1).map(|()| Self(text.into()))
    }

    /// The identifier that a store kept, however long it was taken at the time; `None` when it is empty.
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

/// How far a producer came on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Accepted {
    /// Its epoch, `0..2^53`: each restart of the producer has a higher one.
    pub epoch: u64,
    /// The last sequence number accepted in that epoch, `0..2^53`.
    pub seq: u64,
}

impl Accepted {
    /// The largest epoch and sequence number: what JavaScript counts exactly.
    pub const MAX: u64 = (1 << 53) - 1;
}

/// Who sent an append, and which of its appends it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Producer {
    /// The producer.
    pub id: ProducerId,
    /// Its epoch and the append's number in it.
    pub at: Accepted,
}
