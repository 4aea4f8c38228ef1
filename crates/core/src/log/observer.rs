//! Notifies one observer whenever any stream changes.

use crate::model::StreamName;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Is notified of every stream that was created, grew, was closed or was deleted, after the change can be read.
///
/// It is called on the way of every append, so it must neither block nor wait.
pub trait StreamObserver: fmt::Debug + Send + Sync + 'static {
    /// This stream changed; [`Streams::find`](crate::Streams::find) returns its state.
    fn moved(&self, name: &StreamName);
}

/// The observer, shared by all logs; empty until one is set.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObserverSlot(Arc<OnceLock<Arc<dyn StreamObserver>>>);

impl ObserverSlot {
    /// Sets the observer, if there is none yet.
    pub(crate) fn set(&self, observer: Arc<dyn StreamObserver>) {
        // The first stays: there is one of it per server.
        let _taken = self.0.set(observer);
    }

    /// Tells the observer, if there is one.
    pub(crate) fn tell(&self, name: &StreamName) {
        if let Some(observer) = self.0.get() {
            observer.moved(name);
        }
    }
}
