//! A source that runs or has stopped: its lease, the clients that hold it, and its thread.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use tailwater_core::Log;
use tokio::sync::watch;
use tokio::time::timeout;

/// Clients of one source that are told apart. With more, it stops when its lease ends, not when they
/// leave.
const HOLDERS_MAX: usize = 256;

/// A running or stopped source, shared with its thread.
#[derive(Debug)]
pub(super) struct RunningSource {
    pub(super) log: Arc<Log>,
    pub(super) lease: SourceLease,
    thread: OnceLock<Thread>,
    /// Closed once the thread has ended.
    alive: watch::Receiver<()>,
}

impl RunningSource {
    /// A source whose thread will hold the sender of `alive` as long as it runs.
    pub(super) fn new(log: Arc<Log>, lease: SourceLease, alive: watch::Receiver<()>) -> Self {
        Self {
            log,
            lease,
            thread: OnceLock::new(),
            alive,
        }
    }

    /// The thread that runs it.
    pub(super) fn runs_on(&self, thread: &Thread) {
        // There is one thread for each source, so nothing was set before.
        let _first = self.thread.set(thread.clone());
    }

    /// Whether its thread has not ended.
    pub(super) fn is_running(&self) -> bool {
        self.alive.has_changed().is_ok()
    }

    /// Stops it, also if its lease is valid; its thread may complete an append.
    pub(super) fn stop(&self, now_us: u64) {
        self.lease.end(now_us);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until its thread has ended; whether it did within `limit`.
    pub(super) async fn has_ended_within(&self, limit: Duration) -> bool {
        let mut alive = self.alive.clone();
        let ending = async { while alive.changed().await.is_ok() {} };
        timeout(limit, ending).await.is_ok()
    }
}

/// The time until which a source runs, and who holds it.
#[derive(Debug)]
pub(super) struct SourceLease(Mutex<LeaseState>);

#[derive(Debug)]
struct LeaseState {
    /// On the server's clock.
    until_us: u64,
    /// Whether it has ended; an ended lease can't be renewed.
    is_over: bool,
    holders: Holders,
}

/// The clients that asked for a source and have not left.
#[derive(Debug, Default)]
struct Holders {
    named: HashSet<String>,
    /// Whether there are others: without a name, or beyond the limit. They never leave.
    has_others: bool,
}

impl Holders {
    fn add(&mut self, holder: Option<&str>) {
        match holder {
            Some(holder) if self.named.contains(holder) => {}
            Some(holder) if self.named.len() < HOLDERS_MAX => {
                self.named.insert(holder.to_owned());
            }
            _ => self.has_others = true,
        }
    }
}

impl SourceLease {
    /// A lease until `until_us`, held by its first client.
    pub(super) fn new(until_us: u64, holder: Option<&str>) -> Self {
        let mut holders = Holders::default();
        holders.add(holder);
        Self(Mutex::new(LeaseState {
            until_us,
            is_over: false,
            holders,
        }))
    }

    /// Renews it for a client; `false` if it has ended.
    pub(super) fn renew(&self, until_us: u64, holder: Option<&str>) -> bool {
        let mut state = self.state();
        if !state.is_over {
            state.until_us = state.until_us.max(until_us);
            state.holders.add(holder);
        }
        !state.is_over
    }

    /// Renews it because somebody reads.
    pub(super) fn extend(&self, until_us: u64) {
        let mut state = self.state();
        state.until_us = state.until_us.max(until_us);
    }

    /// Removes a client; whether it was the only one left.
    pub(super) fn leave(&self, holder: &str) -> bool {
        let holders = &mut self.state().holders;
        holders.named.remove(holder) && holders.named.is_empty() && !holders.has_others
    }

    /// Ends it.
    pub(super) fn end(&self, now_us: u64) {
        let mut state = self.state();
        state.is_over = true;
        state.until_us = state.until_us.min(now_us);
    }

    /// Whether it is valid; otherwise it has ended.
    pub(super) fn is_valid(&self, now_us: u64) -> bool {
        let mut state = self.state();
        state.is_over |= state.until_us <= now_us;
        !state.is_over
    }

    /// When it ends or has ended.
    pub(super) fn until_us(&self) -> u64 {
        self.state().until_us
    }

    fn state(&self) -> MutexGuard<'_, LeaseState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_that_has_ended_is_not_renewed() {
        let lease = SourceLease::new(10, Some("a"));
        assert!(lease.is_valid(9));
        assert!(lease.renew(20, Some("a")));
        assert!(lease.is_valid(19));
        assert!(!lease.is_valid(20));
        assert!(!lease.renew(30, Some("a")));
        assert!(!lease.is_valid(0), "it never begins again");
    }

    #[test]
    fn the_last_client_to_leave_is_told_so() {
        let lease = SourceLease::new(10, Some("a"));
        assert!(lease.renew(10, Some("a")) && lease.renew(10, Some("b")));
        assert!(!lease.leave("a"));
        assert!(!lease.leave("a"), "it has left before");
        assert!(!lease.leave("c"), "it never came");
        assert!(lease.leave("b"));
    }

    #[test]
    fn clients_without_a_name_or_beyond_the_limit_never_leave() {
        let lease = SourceLease::new(10, None);
        assert!(lease.renew(10, Some("a")));
        assert!(!lease.leave("a"));
        let lease = SourceLease::new(10, Some("0"));
        for holder in 1..=HOLDERS_MAX {
            assert!(lease.renew(10, Some(&holder.to_string())));
        }
        assert!((0..=HOLDERS_MAX).all(|holder| !lease.leave(&holder.to_string())));
    }
}
