//! Names of streams that moved, left at the door by whoever appends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use tailwater_core::{Observer, StreamName};
use tokio::sync::Notify;

/// Streams that moved and that nobody has looked at since; each at most once, so there are never more than streams.
#[derive(Debug)]
pub(super) struct ChangedStreams {
    /// Subscriptions; without any there is no news.
    expected_by: AtomicUsize,
    names: Mutex<HashSet<StreamName>>,
    received: Notify,
}

impl ChangedStreams {
    /// No news yet, for so many subscriptions.
    pub(super) fn new(expected_by: usize) -> Self {
        Self {
            expected_by: AtomicUsize::new(expected_by),
            names: Mutex::default(),
            received: Notify::new(),
        }
    }

    /// There are so many subscriptions now. Whoever looks at streams after this misses nothing.
    pub(super) fn expected_by(&self, subscriptions: usize) {
        self.expected_by.store(subscriptions, Ordering::Relaxed);
        // Against the one in `moved`: either that append is seen by looking, or this count by the append.
        fence(Ordering::SeqCst);
    }

    /// Done when there is news.
    pub(super) async fn come(&self) {
        self.received.notified().await;
    }

    /// What came since the last time.
    pub(super) fn take(&self) -> HashSet<StreamName> {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for ChangedStreams {
    fn moved(&self, name: &StreamName) {
        fence(Ordering::SeqCst);
        if self.expected_by.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            names.insert(name.clone());
        }
        drop(names);
        self.received.notify_one();
    }
}
