//! What is counted in a lane, and what is left out of its measurement.

/// What is counted within a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LaneTally {
    /// Messages that arrived, repeats not included.
    pub events: u64,
    /// Their own bytes.
    pub payload_bytes: u64,
    /// Requests by the lane's technique that left (for WebSocket: connections).
    pub requests: u64,
    /// Requests for what was there before.
    pub catch_up_requests: u64,
    /// Answers without news.
    pub empty: u64,
    /// Pieces of bodies; reads are not events.
    pub chunks: u64,
    /// Body bytes as the page sees them; heads are invisible to a page.
    pub body_bytes: u64,
    /// Answers that did not end as they should.
    pub faults: u64,
}

/// Samples that were not counted, and why.
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
