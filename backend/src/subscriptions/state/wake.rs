//! A wake, its lease, and the attempts to deliver it.

use super::{Moment, StreamInfo};
use tailwater_core::StreamName;

/// Identifies one wake: requests about any other are fenced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WakeKey {
    /// Increases with every wake of a subscription.
    pub generation: u64,
    /// Unique.
    pub wake_id: String,
}

/// A wake in progress.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wake {
    /// Its id, unique besides the generation.
    pub id: String,
    /// The first stream with pending data.
    pub stream: StreamName,
    /// The lease, if there is one.
    pub lease: Option<Lease>,
    /// The progress of its delivery.
    pub step: WakeStage,
}

/// Progress of a wake's delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WakeStage {
    /// To be delivered, now or after the pause that follows a failure.
    Due,
    /// Being delivered.
    InProgress,
    /// The webhook accepted it, or the event is on the wake stream.
    Delivered,
}

/// The exclusive right of a worker to process a wake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker's name; webhooks have none.
    pub holder: Option<String>,
    /// When it expires.
    pub until: Moment,
}

/// State after failed attempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// Consecutive failures, at least 1.
    pub failures: u32,
    /// The moment of the next attempt.
    pub at: Moment,
    /// The last failure's reason.
    pub reason: String,
}

/// A wake to be delivered, with the linked streams at its moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The wake.
    pub key: WakeKey,
    /// The first stream with pending data.
    pub stream: StreamName,
    /// The linked streams.
    pub streams: Vec<StreamInfo>,
    /// When the lease expires: a later response is ignored.
    pub until: Option<Moment>,
}

/// Outcome of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The wake was accepted, and these streams are processed up to their tails.
    Done(Vec<StreamInfo>),
    /// The wake was accepted.
    Accepted,
    /// Nothing was sent, because the subscription was paused meanwhile; it is repeated at once when
    /// the pause ends.
    NotSent,
    /// The attempt failed; it is repeated after a pause.
    Failed {
        /// The reason, for people.
        reason: String,
        /// Random change of the pause, in thousandths; at most
        /// [`super::JITTER_PERMILLE`] either way.
        jitter_permille: i32,
    },
}
