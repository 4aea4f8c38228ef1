//! How the server's clock maps to the page's.

/// The offset between the server's clock and the page's, with its error bound.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ClockMapping {
    /// The server's time minus the page's, ms.
    pub ahead_ms: f64,
    /// The largest possible error of the offset, ms.
    pub bound_ms: f64,
    /// Shortest round trip of a probe, ms, without the time in the server.
    pub round_trip_ms: f64,
    /// Number of probes.
    pub probes: usize,
}

impl ClockMapping {
    /// Converts a time on the server's clock (µs) to the page's (ms).
    pub fn to_page_ms(&self, server_us: u64) -> f64 {
        server_us as f64 / 1_000.0 - self.ahead_ms
    }

    /// Converts a time on the page's clock (ms) to the server's (µs); 0 before the server started.
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
