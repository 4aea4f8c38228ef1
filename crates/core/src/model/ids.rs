//! What a stream is called inside: a number.

/// A stream's number, never used again, not even for the next stream of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);
