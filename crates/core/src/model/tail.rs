//! The tail of a stream.

use tailwater_protocol::Offset;

/// The end and the state of a stream. It is a value that can be read and watched, not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The position after the last byte.
    pub next: Offset,
    /// The generation of the stream; see [`Log::generation`](crate::Log::generation).
    pub generation: u32,
    /// Whether the stream is open, closed or deleted.
    pub state: TailState,
}

/// The state of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TailState {
    /// The stream can be appended to.
    Open,
    /// The stream can be read but not appended to.
    Closed,
    /// The stream was deleted.
    Deleted,
}

impl Tail {
    /// Whether a reader at `from` need not wait: there is data, or the stream is closed or deleted.
    pub fn is_ready_at(&self, from: Offset) -> bool {
        self.next > from || self.state != TailState::Open
    }

    /// Whether the stream is closed.
    pub fn closed(&self) -> bool {
        self.state == TailState::Closed
    }
}
