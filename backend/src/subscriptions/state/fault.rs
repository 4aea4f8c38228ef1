//! Why a worker's request about a wake is refused.

use tailwater_core::StreamName;
use tailwater_protocol::StreamOffset;

/// Why a request about a wake is refused; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionFault {
    /// The wake has ended, or never existed (409).
    #[error("the wake is no longer this subscription's current one")]
    Fenced,
    /// Another worker holds the lease (409).
    #[error("`{holder}` holds the lease of generation {generation}")]
    Claimed {
        /// The worker.
        holder: String,
        /// The wake's generation.
        generation: u64,
    },
    /// The subscription is paused (409).
    #[error("the subscription is paused: it gives no lease until it is resumed")]
    Paused,
    /// There is nothing to claim (409).
    #[error("the subscription has no pending work")]
    NothingPending,
    /// An ack for a stream that is not linked (409).
    #[error("the ack names `{0}`, which is not linked to this subscription")]
    NotLinked(String),
    /// An ack at an offset of an earlier stream with that name (409).
    #[error("the ack of `{stream}` at {received} belongs to a deleted stream with that name")]
    AckOfEarlierStream {
        /// Which stream.
        stream: StreamName,
        /// The offset received.
        received: StreamOffset,
    },
    /// An ack before the last one (409).
    #[error("the ack of `{stream}` at {received} lies before {acked}, which is acked already")]
    AckGoesBack {
        /// Which stream.
        stream: StreamName,
        /// The offset received.
        received: StreamOffset,
        /// The acked offset.
        acked: StreamOffset,
    },
    /// An ack beyond the stream's tail (409).
    #[error("the ack of `{stream}` at {received} lies beyond the stream's tail {tail}")]
    AckBeyondTail {
        /// Which stream.
        stream: StreamName,
        /// The offset received.
        received: StreamOffset,
        /// The stream's tail.
        tail: StreamOffset,
    },
    /// More streams than a subscription may have (507).
    #[error("the subscription would have {received} streams, the limit is {limit}")]
    TooManyStreams {
        /// Streams requested.
        received: usize,
        /// Streams allowed.
        limit: usize,
    },
}
