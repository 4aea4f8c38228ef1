//! The server's clocks: monotonic time in microseconds since the start, and the time of day.

use std::time::{Instant, SystemTime};

/// A monotonic clock in microseconds since the server started.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Creates a clock that starts at zero.
    pub fn new() -> Self {
        Self {
            start: Instant::now(),
        }
    }

    /// Microseconds since the start.
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// The time of day, for the expiry of streams and the retention of messages.
#[derive(Debug, Clone, Copy, Default)]
pub struct WallClock {
    /// The system time at a tokio instant; from there on the clock follows tokio's time.
    tokio_base: Option<(SystemTime, tokio::time::Instant)>,
}

impl WallClock {
    /// The system's time of day.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that starts at the system's time and then follows tokio's time, which tests can pause
    /// and advance.
    pub fn tokio() -> Self {
        Self {
            tokio_base: Some((SystemTime::now(), tokio::time::Instant::now())),
        }
    }

    /// The time of day now.
    pub fn now(&self) -> SystemTime {
        self.tokio_base
            .map_or_else(SystemTime::now, |(base, since)| base + since.elapsed())
    }
}
