//! How readers are served: sizes, timeouts, and the server's stop signal.

use crate::api::{App, Budget};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Maximum page of a live response in bytes: writing to one reader delays all others. With half of
/// it, a reader as fast as the server is woken for each write, and waking costs more than the page;
/// from 128 KiB on, actix reallocates its buffer for each.
const LIVE_PAGE_MAX: usize = 120 << 10;

/// How readers are served.
#[derive(Debug, Clone)]
pub struct LiveTerms {
    /// Maximum page in bytes.
    pub page_max: usize,
    /// Maximum message from a client in bytes.
    pub message_max: usize,
    /// Time without data after which a heartbeat is sent.
    pub heartbeat: Duration,
    /// Time after which a client that accepts no data is disconnected.
    pub stalled_max: Duration,
    /// Time for which a client's message may stay incomplete.
    pub unfinished_max: Duration,
    /// Limits the memory held for clients.
    pub budget: Arc<Budget>,
    /// Becomes true when the server stops.
    pub stop: watch::Receiver<bool>,
}

impl LiveTerms {
    /// How long a live response waits for budget: no longer than a heartbeat interval.
    pub(super) fn budget_wait_max(&self) -> Duration {
        self.stalled_max.min(self.heartbeat)
    }

    /// The terms of a server.
    pub fn of(app: &App) -> Self {
        Self {
            page_max: app.page_max().min(LIVE_PAGE_MAX),
            message_max: app.message_max(),
            heartbeat: app.config.heartbeat,
            stalled_max: app.config.write_silence_max,
            unfinished_max: app.config.body_silence_max,
            budget: Arc::clone(&app.budget),
            stop: app.stop.clone(),
        }
    }
}
