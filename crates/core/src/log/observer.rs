//! Who wants to know that a stream moved, whichever it is.

use crate::model::StreamName;
use std::fmt;
use std::sync::{Arc, OnceLock};

/// Hears of every stream that was created, grew, was closed or was deleted, after it can be seen.
///
/// It is called on the way of every append, so it must neither block nor wait.
pub trait StreamObserver: fmt::Debug + Send + Sync + 'static {
    /// Something about this stream is new; what, [`super::Streams::find`] tells.
    fn moved(&self, name: &StreamName);
}

/// A place for one observer, shared by all logs; empty until somebody observes.
#[derive(Debug, Clone, Default)]
pub(crate) struct ObserverSlot(Arc<OnceLock<Arc<dyn StreamObserver>>>);

impl ObserverSlot {
    /// Puts `observer` there, if the place is still empty.
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
