//! Whether the store can still write: the reason why not, once there is one, shared by its threads.

use super::super::StoreError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// The first reason for which nothing can be written until the store is opened again.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: OnceLock<String>,
}

impl Health {
    /// Ends all writing; only the first reason counts.
    pub(super) fn end_writing(&self, reason: &str) {
        let told =
            format!("{reason}. What is there can be read; restart the server to write again");
        if self.broken.set(told).is_ok() {
            tracing::error!("the disk store can't write any more: {reason}");
        }
    }

    /// Why nothing can be written any more; `None` while it can.
    pub(super) fn refusal(&self) -> Option<StoreError> {
        self.broken
            .get()
            .map(|reason| StoreError::Unwritable(reason.clone()))
    }

    /// Runs something; a panic in it ends all writing.
    ///
    /// - Returns `None` after a panic.
    pub(super) fn watch<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        caught(run)
            .map_err(|text| self.end_writing(&format!("a bug in the store: {text}")))
            .ok()
    }
}

/// What something returns, or the text of the panic in which it ended.
pub(super) fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without words".to_owned())
}
