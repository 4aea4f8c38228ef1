//! What a follower tells its owner: every request, answer, chunk and batch, each with its time.

use serde::{Deserialize, Serialize};
use tailwater_protocol::{Data, Technique, Token};

/// Messages that arrived together, and where to go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBatch {
    /// What arrived; may be empty (an answer without data).
    pub data: Data,
    /// The position after `data`.
    pub next: Token,
    /// Whether that position was the tail when the answer was made.
    pub up_to_date: bool,
    /// Whether the stream is closed and this is its end.
    pub closed: bool,
}

/// One thing that happened while following a stream, in the order in which it happened.
///
/// `at_ms` is milliseconds on the follower's own monotonic clock (`performance.now()` in a browser). `id` counts requests
/// (for WebSocket: connections) from 0. `B` is what has become of the messages: as they arrived, or what an owner makes of
/// them with [`FollowReport::map_batch`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FollowReport<B = ReceivedBatch> {
    /// A request left.
    Requested {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// The technique it serves; catching up before a live technique is a `Poll` request.
        technique: Technique,
    },
    /// Its answer's head arrived (for WebSocket: the connection opened).
    Answered {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// HTTP status; 101 for an opened WebSocket.
        status: u16,
    },
    /// A piece of the answer's body arrived (one read, one WebSocket frame). Reads are not events.
    Chunk {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// How many body bytes.
        bytes: usize,
    },
    /// Messages, complete and in order; `at_ms` is the arrival of the piece that completed them.
    Batch {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// What arrived.
        batch: B,
    },
    /// The answer ended.
    Ended {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// Why, if it did not end as it should: what went wrong, in words.
        fault: Option<String>,
    },
    /// Nothing is under way until the time has passed: the poll interval, or a pause after a fault.
    Waiting {
        /// Since when.
        at_ms: f64,
        /// How long.
        for_ms: f64,
        /// Whether this is a pause after a fault.
        after_fault: bool,
    },
    /// The technique changed, by wish or because the former one kept failing.
    Changed {
        /// When.
        at_ms: f64,
        /// The former technique.
        from: Technique,
        /// The technique from now on.
        to: Technique,
        /// Why, in words; `None` when asked for.
        fault: Option<String>,
    },
    /// The end: the stream is closed and read whole, or can't be read (gone, refused).
    Finished {
        /// When.
        at_ms: f64,
        /// What made reading impossible; `None` for a closed stream read to its end.
        fault: Option<String>,
    },
}

impl<B> FollowReport<B> {
    /// The same report with another kind of batch.
    pub fn map_batch<C>(self, map: impl FnOnce(B) -> C) -> FollowReport<C> {
        match self {
            Self::Batch { id, at_ms, batch } => FollowReport::Batch {
                id,
                at_ms,
                batch: map(batch),
            },
            Self::Requested {
                id,
                at_ms,
                technique,
            } => FollowReport::Requested {
                id,
                at_ms,
                technique,
            },
            Self::Answered { id, at_ms, status } => FollowReport::Answered { id, at_ms, status },
            Self::Chunk { id, at_ms, bytes } => FollowReport::Chunk { id, at_ms, bytes },
            Self::Ended { id, at_ms, fault } => FollowReport::Ended { id, at_ms, fault },
            Self::Waiting {
                at_ms,
                for_ms,
                after_fault,
            } => FollowReport::Waiting {
                at_ms,
                for_ms,
                after_fault,
            },
            Self::Changed {
                at_ms,
                from,
                to,
                fault,
            } => FollowReport::Changed {
                at_ms,
                from,
                to,
                fault,
            },
            Self::Finished { at_ms, fault } => FollowReport::Finished { at_ms, fault },
        }
    }
}
