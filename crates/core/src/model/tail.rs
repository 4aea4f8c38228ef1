//! Where a stream ends.

use tailwater_protocol::Offset;

/// Where a log ends: a state that can be looked at and watched, not an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tail {
    /// The position after the last byte.
    pub next: Offset,
    /// Which of the streams that its name has had this is; see [`Log::life`](crate::Log::life).
    pub life: u32,
    /// Whether more can come.
    pub state: TailState,
}

/// Whether more can come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TailState {
    /// More can come.
    Open,
    /// Nothing more will come; what is there stays.
    Closed,
    /// The stream was deleted.
    Deleted,
}

impl Tail {
    /// Whether a reader at `from` has something to do: data, the end, or the stream's deletion.
    pub fn has_news(&self, from: Offset) -> bool {
        self.next > from || self.state != TailState::Open
    }

    /// Whether the stream is closed.
    pub fn closed(&self) -> bool {
        self.state == TailState::Closed
    }
}
