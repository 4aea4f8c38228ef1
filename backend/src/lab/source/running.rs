//! A running or stopped source: its lease, its holders, and its thread.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use tailwater_core::Log;
use tokio::sync::watch;
use tokio::time::timeout;

/// Maximum number of holders stored for a source. With more, the source stops at the end of its lease
/// and not when its holders release it.
const HOLDERS_MAX: usize = 256;

/// A running or stopped source, shared with its thread.
#[derive(Debug)]
pub(super) struct RunningSource {
    pub(super) log: Arc<Log>,
    pub(super) lease: SourceLease,
    thread: OnceLock<Thread>,
    /// Closed when the thread has ended.
    running: watch::Receiver<()>,
}

impl RunningSource {
    /// A source whose thread owns the sender of `running`.
    pub(super) fn new(log: Arc<Log>, lease: SourceLease, running: watch::Receiver<()>) -> Self {
        Self {
            log,
            lease,
            thread: OnceLock::new(),
            running,
        }
    }

    /// Stores the handle of the thread that runs it.
    pub(super) fn set_thread(&self, thread: &Thread) {
        // Each source has one thread, so this is the first call.
        let _first = self.thread.set(thread.clone());
    }

    /// Whether its thread is running.
    pub(super) fn is_running(&self) -> bool {
        self.running.has_changed().is_ok()
    }

    /// Stops it even if its lease is valid. Its thread may complete an append.
    pub(super) fn stop(&self, now_us: u64) {
        self.lease.end(now_us);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Waits until its thread has ended, for at most `limit`; returns whether it has.
    pub(super) async fn has_ended_within(&self, limit: Duration) -> bool {
        let mut running = self.running.clone();
        let ending = async { while running.changed().await.is_ok() {} };
        timeout(limit, ending).await.is_ok()
    }
}

/// The time until which a source runs, and its holders.
#[derive(Debug)]
pub(super) struct SourceLease(Mutex<LeaseState>);

#[derive(Debug)]
struct LeaseState {
    /// On the server's clock.
    until_us: u64,
    /// An ended lease can't be renewed.
    has_ended: bool,
    holders: Holders,
}

/// The clients that have requested a source and not released it.
#[derive(Debug, Default)]
struct Holders {
    named: HashSet<String>,
    /// Whether there are clients without a holder name, or more than [`HOLDERS_MAX`]. They can't release
    /// the source.
    has_unnamed: bool,
}

impl Holders {
    fn add(&mut self, holder: Option<&str>) {
        match holder {
            Some(holder) if self.named.contains(holder) => {}
            Some(holder) if self.named.len() < HOLDERS_MAX => {
                self.named.insert(holder.to_owned());
            }
            _ => self.has_unnamed = true,
        }
    }
}

impl SourceLease {
    /// A lease until `until_us` with its first holder; `None` is a client without a name.
    pub(super) fn new(until_us: u64, holder: Option<&str>) -> Self {
        let mut holders = Holders::default();
        holders.add(holder);
        Self(Mutex::new(LeaseState {
            until_us,
            has_ended: false,
            holders,
        }))
    }

    /// Renews the lease and adds a holder; returns `false` if the lease has ended.
    pub(super) fn renew(&self, until_us: u64, holder: Option<&str>) -> bool {
        let mut state = self.state();
        if !state.has_ended {
            state.until_us = state.until_us.max(until_us);
            state.holders.add(holder);
        }
        !state.has_ended
    }

    /// Extends the lease, for a reader of the stream.
    pub(super) fn extend(&self, until_us: u64) {
        let mut state = self.state();
        state.until_us = state.until_us.max(until_us);
    }

    /// Removes a holder; returns whether it was the last one.
    pub(super) fn release(&self, holder: &str) -> bool {
        let holders = &mut self.state().holders;
        holders.named.remove(holder) && holders.named.is_empty() && !holders.has_unnamed
    }

    /// Ends the lease.
    pub(super) fn end(&self, now_us: u64) {
        let mut state = self.state();
        state.has_ended = true;
        state.until_us = state.until_us.min(now_us);
    }

    /// Whether the lease is valid. It ends when its time has passed.
    pub(super) fn is_valid(&self, now_us: u64) -> bool {
        let mut state = self.state();
        state.has_ended |= state.until_us <= now_us;
        !state.has_ended
    }

    /// The time of its end, on the server's clock.
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
        assert!(!lease.is_valid(0), "an ended lease stays ended");
    }

    #[test]
    fn only_the_last_holder_to_release_gets_true() {
        let lease = SourceLease::new(10, Some("a"));
        assert!(lease.renew(10, Some("a")) && lease.renew(10, Some("b")));
        assert!(!lease.release("a"));
        assert!(!lease.release("a"), "released before");
        assert!(!lease.release("c"), "not a holder");
        assert!(lease.release("b"));
    }

    #[test]
    fn clients_without_a_name_or_beyond_the_limit_do_not_release() {
        let lease = SourceLease::new(10, None);
        assert!(lease.renew(10, Some("a")));
        assert!(!lease.release("a"));
        let lease = SourceLease::new(10, Some("0"));
        for holder in 1..=HOLDERS_MAX {
            assert!(lease.renew(10, Some(&holder.to_string())));
        }
        assert!((0..=HOLDERS_MAX).all(|holder| !lease.release(&holder.to_string())));
    }
}
