//! Notifies one observer of the changes of all streams.

use crate::model::StreamName;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Is notified when a stream was created, appended to, closed or deleted, after the change is visible to readers.
///
/// The methods are called for every append, so they must not block.
pub trait StreamObserver: fmt::Debug + Send + Sync + 'static {
    /// Called after a stream changed; [`Streams::find`](crate::Streams::find) returns its state.
    fn changed(&self, name: &StreamName);
}

/// The observer, shared by all logs; initially empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObserverSlot(Arc<OnceLock<Arc<dyn StreamObserver>>>);

impl ObserverSlot {
    /// Sets the observer, if there is none yet.
    pub(crate) fn set(&self, observer: Arc<dyn StreamObserver>) {
        // A second observer is ignored: there is one per server.
        let _taken = self.0.set(observer);
    }

    /// Notifies the observer, if there is one.
    pub(crate) fn notify(&self, name: &StreamName) {
        if let Some(observer) = self.0.get() {
            observer.changed(name);
        }
    }
}
