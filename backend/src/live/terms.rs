//! What readers are served with: sizes, times, and the server's stop.

use crate::api::{App, Budget};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Pages of live answers at most, in bytes: what is written to one reader keeps all others waiting. With half of it, a
/// reader as quick as the server is woken for each write, and waking costs more than the page; from 128 KiB on, actix
/// allocates its buffer anew for each.
const LIVE_PAGE_MAX: usize = 120 << 10;

/// What readers are served with.
#[derive(Debug, Clone)]
pub struct LiveTerms {
    /// Largest page in bytes.
    pub page_max: usize,
    /// Largest message from a client in bytes.
    pub message_max: usize,
    /// Silence after which a heartbeat leaves.
    pub heartbeat: Duration,
    /// Time for which a client may take nothing of what it is sent.
    pub stalled_max: Duration,
    /// Time for which a client's message may stay unfinished.
    pub unfinished_max: Duration,
    /// What clients make the server hold.
    pub budget: Arc<Budget>,
    /// Turns true when the server stops.
    pub stop: watch::Receiver<bool>,
}

impl LiveTerms {
    /// How long a live answer waits for room in the budget: it must not be silent for longer.
    pub(super) fn patience(&self) -> Duration {
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
