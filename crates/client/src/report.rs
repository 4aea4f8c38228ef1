//! The reports of a follower: requests, responses, chunks and batches, each with its time.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tailwater_protocol::{Data, Technique, Token};

/// Messages that arrived together, and the offset after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivedBatch {
    /// The messages; empty if the response has no data.
    pub data: Data,
    /// The offset after `data`.
    pub next: Token,
    /// Whether that offset was the tail when the server read it.
    pub up_to_date: bool,
    /// Whether the stream is closed and `next` is its end.
    pub closed: bool,
}

/// An event of following a stream, reported in order.
///
/// `at_ms` is milliseconds on the follower's own monotonic clock (`performance.now()` in a browser). `id` counts requests
/// (for WebSocket: connections) from 0. `B` is the type of a batch,
/// which [`FollowReport::map_batch`] changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum FollowReport<B = ReceivedBatch> {
    /// A request was sent.
    Requested {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// The technique of the request; a plain read that catches up before a live technique is `Poll`.
        technique: Technique,
    },
    /// The head of the response was received (for WebSocket: the connection was opened).
    Responded {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// HTTP status; 101 for an opened WebSocket.
        status: u16,
    },
    /// A piece of the body was received (one read, one WebSocket frame). Its boundaries are independent of messages.
    Chunk {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// Number of body bytes.
        bytes: usize,
    },
    /// Complete messages in order; `at_ms` is the time of the piece that completed them.
    Batch {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// The messages.
        batch: B,
    },
    /// The response ended.
    Ended {
        /// Which request.
        id: u64,
        /// When.
        at_ms: f64,
        /// The error text, if it ended with an error.
        fault: Option<String>,
    },
    /// No request is sent for this time: the poll interval, or the backoff after a fault.
    Waiting {
        /// Since when.
        at_ms: f64,
        /// How long.
        for_ms: f64,
        /// Whether this is the backoff after a fault.
        after_fault: bool,
    },
    /// The technique was changed, by the caller or because the previous one kept failing.
    Changed {
        /// When.
        at_ms: f64,
        /// The previous technique.
        from: Technique,
        /// The new technique.
        to: Technique,
        /// The reason; `None` if the caller changed it.
        fault: Option<String>,
    },
    /// The last report: the stream is closed and was read to its end, or can't be read (gone, refused).
    Finished {
        /// When.
        at_ms: f64,
        /// The error text; `None` for a closed stream that was read to its end.
        fault: Option<String>,
    },
}

impl<B> FollowReport<B> {
    /// Converts the batch of a [`FollowReport::Batch`] with `map`; other reports remain the same.
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
            Self::Responded { id, at_ms, status } => FollowReport::Responded { id, at_ms, status },
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

/// Converts milliseconds to a duration; zero if they are negative or not finite.
pub fn duration_ms(ms: f64) -> Duration {
    Duration::try_from_secs_f64(ms / 1_000.0).unwrap_or_default()
}
