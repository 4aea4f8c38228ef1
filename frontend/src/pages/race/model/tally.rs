//! The counts of a lane, and of the samples that are excluded from its measurement.

/// The counts of a lane within a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneTally {
    /// Messages received, without repeated ones.
    pub events: u64,
    /// Bytes of these messages, without separators.
    pub payload_bytes: u64,
    /// Requests of the lane's technique (for WebSocket: connections).
    pub requests: u64,
    /// Requests for messages that had been written before.
    pub catch_up_requests: u64,
    /// Responses without new messages.
    pub empty: u64,
    /// Chunks of response bodies.
    pub chunks: u64,
    /// Bytes of response bodies; the browser does not show the bytes of heads to a page.
    pub body_bytes: u64,
    /// Responses that ended with a fault.
    pub faults: u64,
}

/// Numbers of samples that were excluded, by reason.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Discarded {
    /// The tab was hidden or the machine slept.
    pub hidden: u64,
    /// The lane was warming up.
    pub warm_up: u64,
    /// They had been written before the lane began.
    pub catch_up: u64,
    /// They were due before the run began.
    pub before_run: u64,
}
