//! The server's clocks: a monotonic one in microseconds since it started, and the time of day.

use std::time::{Instant, SystemTime};

/// Microseconds since this server started; never steps, never goes back.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that reads zero now.
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

/// The time of day, for streams that end at a date and messages that are kept by age.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wall {
    /// What the clock read at a moment of tokio's, which it follows from then on.
    driven: Option<(SystemTime, tokio::time::Instant)>,
}

impl Wall {
    /// The machine's time of day.
    pub fn system() -> Self {
        Self::default()
    }

    /// A clock that reads the machine's time now and then goes as tokio's clock does, which tests pause and advance.
    pub fn driven() -> Self {
        Self {
            driven: Some((SystemTime::now(), tokio::time::Instant::now())),
        }
    }

    /// The time of day now.
    pub fn now(&self) -> SystemTime {
        self.driven
            .map_or_else(SystemTime::now, |(base, since)| base + since.elapsed())
    }
}
