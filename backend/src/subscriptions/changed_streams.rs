//! Collects the names of streams that have changed, as reported by appends.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering, fence};
use std::sync::{Mutex, PoisonError};
use tailwater_core::{StreamName, StreamObserver};
use tokio::sync::Notify;

/// Streams that changed and have not been processed; each at most once, so there are never more
/// than streams.
#[derive(Debug)]
pub(super) struct ChangedStreams {
    /// Number of subscriptions; without any, changes are ignored.
    subscriptions: AtomicUsize,
    names: Mutex<HashSet<StreamName>>,
    notify: Notify,
}

impl ChangedStreams {
    /// No changes yet, and this number of subscriptions.
    pub(super) fn new(subscriptions: usize) -> Self {
        Self {
            subscriptions: AtomicUsize::new(subscriptions),
            names: Mutex::default(),
            notify: Notify::new(),
        }
    }

    /// Sets the number of subscriptions. Streams that are read afterwards can't be missed.
    pub(super) fn set_subscriptions(&self, subscriptions: usize) {
        self.subscriptions.store(subscriptions, Ordering::Relaxed);
        // Pairs with the fence in `moved`: either the read sees the append, or the append sees this
        // count.
        fence(Ordering::SeqCst);
    }

    /// Waits for a change.
    pub(super) async fn changed(&self) {
        self.notify.notified().await;
    }

    /// The changes since the last call.
    pub(super) fn take(&self) -> HashSet<StreamName> {
        std::mem::take(&mut self.names.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl StreamObserver for ChangedStreams {
    fn changed(&self, name: &StreamName) {
        fence(Ordering::SeqCst);
        if self.subscriptions.load(Ordering::Relaxed) == 0 {
            return;
        }
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        if !names.contains(name) {
            names.insert(name.clone());
        }
        drop(names);
        self.notify.notify_one();
    }
}
