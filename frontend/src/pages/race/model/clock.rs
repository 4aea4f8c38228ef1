//! How the server's clock maps to the page's.

/// The server's clock as seen from the page: one offset, and how far it can be wrong.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClockMapping {
    /// Server's milliseconds minus the page's at the same instant.
    pub ahead_ms: f64,
    /// The offset is wrong by no more than this, ms.
    pub bound_ms: f64,
    /// Least round trip of a probe, ms, without the server's own time.
    pub round_trip_ms: f64,
    /// Probes behind it.
    pub probes: usize,
}

impl ClockMapping {
    /// A moment of the server's clock (µs) on the page's (ms).
    pub fn to_page_ms(&self, server_us: u64) -> f64 {
        server_us as f64 / 1_000.0 - self.ahead_ms
    }

    /// A moment of the page's clock (ms) on the server's (µs); 0 before the server began.
    pub fn to_server_us(&self, page_ms: f64) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "never below zero, far from 2^64"
        )]
        let server_us = ((page_ms + self.ahead_ms) * 1_000.0).max(0.0).round() as u64;
        server_us
    }
}
