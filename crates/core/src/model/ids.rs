//! The internal identifier of a stream.

/// The identifier of a stream. It is never reused, not even for the next stream of the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub u64);
