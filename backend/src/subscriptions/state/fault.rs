//! Why a worker's request about a wake is refused.

use tailwater_core::StreamName;
use tailwater_protocol::StreamOffset;

/// Why a request about a wake is refused; nothing has changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscriptionFault {
    /// The wake is over, or never was (409).
    #[error("the wake is no longer this subscription's current one")]
    Fenced,
    /// Somebody holds the lease (409).
    #[error("`{holder}` holds the lease of generation {generation}")]
    Claimed {
        /// Who.
        holder: String,
        /// Of which wake.
        generation: u64,
    },
    /// There is nothing to be claimed (409).
    #[error("the subscription has no pending work")]
    NothingPending,
    /// An ack for a stream that is not linked (409).
    #[error("the ack names `{0}`, which is not linked to this subscription")]
    NotLinked(String),
    /// An ack at an offset of another stream of that name (409).
    #[error(
        "the ack of `{stream}` at {received} names an offset of another stream of that name, which was deleted"
    )]
    AckOfOtherLife {
        /// Which stream.
        stream: StreamName,
        /// What came.
        received: StreamOffset,
    },
    /// An ack before what was acked already (409).
    #[error(
        "the ack of `{stream}` at {received} goes back before {acked}, which was acked already"
    )]
    AckGoesBack {
        /// Which stream.
        stream: StreamName,
        /// What came.
        received: StreamOffset,
        /// What was acked.
        acked: StreamOffset,
    },
    /// An ack beyond the stream's end (409).
    #[error("the ack of `{stream}` at {received} lies beyond the stream's tail {tail}")]
    AckBeyondTail {
        /// Which stream.
        stream: StreamName,
        /// What came.
        received: StreamOffset,
        /// Where the stream ends.
        tail: StreamOffset,
    },
    /// More streams than a subscription may have (507).
    #[error("the subscription would have {received} streams, the limit is {limit}")]
    TooManyStreams {
        /// Streams that it would have.
        received: usize,
        /// Streams allowed.
        limit: usize,
    },
}
