//! Options for following a stream.

use std::time::Duration;
use tailwater_protocol::{Technique, Token};

/// Default timeout of a live connection without data: two and a half heartbeats of the server (15 s each).
const SILENCE_MAX: Duration = Duration::from_millis(37_500);

/// Options for following a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowOptions {
    /// The preferred technique.
    pub technique: Technique,
    /// The offset to begin at.
    pub from: Token,
    /// Time between polls, from request to request; at least 1 ms.
    pub poll_interval: Duration,
    /// How long the server should hold a long-poll (`hold=` in seconds, limited by the server); `None` for its default.
    pub hold: Option<Duration>,
    /// Whether another technique may be used while the preferred one keeps failing.
    pub fallback: bool,
    /// Timeout of a live connection on which nothing is received.
    pub silence_max: Duration,
    /// Seed for the jitter of the backoff; should differ between readers.
    pub seed: u64,
}

impl Default for FollowOptions {
    fn default() -> Self {
        Self {
            technique: Technique::Sse,
            from: Token::beginning(),
            poll_interval: Duration::from_secs(1),
            hold: None,
            fallback: true,
            silence_max: SILENCE_MAX,
            seed: 0,
        }
    }
}
