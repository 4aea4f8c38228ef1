//! How a reader is asked to follow a stream.

use std::time::Duration;
use tailwater_protocol::{Technique, Token};

/// How long a live connection may say nothing, unless told otherwise: two and a half of the server's heartbeats of 15 s.
const SILENCE_MAX: Duration = Duration::from_millis(37_500);

/// How to follow a stream.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowOptions {
    /// The technique wanted.
    pub technique: Technique,
    /// Where to begin.
    pub from: Token,
    /// Time between polls, counted from request to request.
    pub poll_interval: Duration,
    /// How long the server should hold a long-poll (`hold=` in seconds; the server caps it); `None`: the server's default.
    pub hold: Option<Duration>,
    /// Whether another technique may step in while the wanted one keeps failing.
    pub fallback: bool,
    /// Silence after which a live connection counts as dead.
    pub silence_max: Duration,
    /// Seed of the jitter in pauses; different readers should have different ones.
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
