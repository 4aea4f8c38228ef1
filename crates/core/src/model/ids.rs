//! The number by which a stream is identified internally.

/// A stream's number, never used again, not even for the next stream of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);
