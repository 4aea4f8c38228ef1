//! Whether the store can write, or the reason why it cannot; shared by its threads.

use super::super::StoreError;
use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::OnceLock;

/// The first permanent failure, after which the store cannot write until it is opened again.
#[derive(Debug, Default)]
pub(super) struct Health {
    broken: OnceLock<String>,
}

impl Health {
    /// Disables writing; only the first reason is stored.
    pub(super) fn disable_writing(&self, reason: &str) {
        let text = format!("{reason}. Stored data can be read; restart the server to write again");
        if self.broken.set(text).is_ok() {
            tracing::error!("the disk store cannot write any more: {reason}");
        }
    }

    /// The error for all changes after a permanent failure; `None` if there was none.
    pub(super) fn refusal(&self) -> Option<StoreError> {
        self.broken
            .get()
            .map(|reason| StoreError::Unwritable(reason.clone()))
    }

    /// Runs a function; a panic in it disables writing, and `None` is returned.
    pub(super) fn run<T>(&self, run: impl FnOnce() -> T) -> Option<T> {
        catch_panic(run)
            .map_err(|text| self.disable_writing(&format!("a bug in the store: {text}")))
            .ok()
    }
}

/// Runs a function; returns the message if it panics.
pub(super) fn catch_panic<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
