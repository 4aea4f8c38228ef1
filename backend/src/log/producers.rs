//! Idempotent producers: which appends are new, duplicates, gaps or stale. Pure.

use std::fmt;
use std::sync::Arc;

/// What a producer calls itself, the same across its restarts; not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProducerId(Arc<str>);

impl ProducerId {
    /// The identifier `text`, or `None` when it is empty.
    pub fn new(text: &str) -> Option<Self> {
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
