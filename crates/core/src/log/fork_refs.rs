//! The number of forks of a stream, and the state of its deletion, which depends on it.

use super::lock;
use std::sync::{Mutex, MutexGuard};

/// The number of forks that read a stream's messages, and the state of the stream's deletion.
///
/// Both change under one lock, so that a stream that is being deleted cannot be forked, and messages
/// that a fork needs are not deleted. The number of forks is not stored; it is counted again when
/// the store is opened.
#[derive(Debug, Default)]
pub(crate) struct ForkRefs(Mutex<ForkRefsState>);

#[derive(Debug, Default)]
struct ForkRefsState {
    forks: usize,
    deletion: DeletionState,
}

/// The state of a stream's deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum DeletionState {
    /// The stream is not being deleted.
    #[default]
    Active,
    /// A deletion is pending.
    Deleting,
    /// The stream was deleted and is retained for its forks.
    Hidden,
    /// The last fork of the hidden stream was deleted, and the stream itself is being deleted.
    Collected,
}

/// The effect of a deletion on a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeletionKind {
    /// The stream is deleted.
    Delete,
    /// The stream is hidden and retained for its forks.
    Hide,
}

/// Proof that a stream has no forks. No fork can be created while it is held.
#[derive(Debug)]
pub(crate) struct NoForksGuard<'a>(
    #[allow(dead_code, reason = "held for its lock only")] MutexGuard<'a, ForkRefsState>,
);

impl ForkRefs {
    /// The state of a recovered stream, without its forks.
    pub(crate) fn recovered(hidden: bool) -> Self {
        let deletion = if hidden {
            DeletionState::Hidden
        } else {
            DeletionState::Active
        };
        Self(Mutex::new(ForkRefsState { forks: 0, deletion }))
    }

    /// The number of forks, including those that are being created.
    pub(crate) fn forks(&self) -> usize {
        lock(&self.0).forks
    }

    /// Whether the stream was deleted and is retained only for its forks.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(
            lock(&self.0).deletion,
            DeletionState::Hidden | DeletionState::Collected
        )
    }

    /// Adds a fork that is being created; `false` if the stream is deleted or being deleted.
    pub(crate) fn add(&self) -> bool {
        let mut inner = lock(&self.0);
        let is_active = inner.deletion == DeletionState::Active;
        inner.forks += usize::from(is_active);
        is_active
    }

    /// Adds a recovered fork.
    pub(crate) fn add_recovered(&self) {
        lock(&self.0).forks += 1;
    }

    /// Removes a fork. `true` if it was the last fork of a hidden stream, which the caller must delete.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        let mut inner = lock(&self.0);
        inner.forks = inner.forks.saturating_sub(1);
        inner.collect()
    }

    /// Starts a deletion. Returns its kind, which depends on the number of forks, or `None` if the
    /// stream is already deleted or being deleted.
    pub(crate) fn begin_delete(&self) -> Option<DeletionKind> {
        let mut inner = lock(&self.0);
        if inner.deletion != DeletionState::Active {
            return None;
        }
        inner.deletion = DeletionState::Deleting;
        Some(if inner.forks == 0 {
            DeletionKind::Delete
        } else {
            DeletionKind::Hide
        })
    }

    /// Marks the stream as hidden. `true` if it has no forks any more, so that the caller must delete it.
    #[must_use]
    pub(crate) fn hide(&self) -> bool {
        let mut inner = lock(&self.0);
        inner.deletion = DeletionState::Hidden;
        inner.collect()
    }

    /// Restores the previous state after a deletion or collection failed.
    pub(crate) fn rollback_delete(&self) {
        let mut inner = lock(&self.0);
        inner.deletion = match inner.deletion {
            DeletionState::Active | DeletionState::Deleting => DeletionState::Active,
            DeletionState::Hidden | DeletionState::Collected => DeletionState::Hidden,
        };
    }

    /// Starts to delete a hidden stream without forks; `false` if the stream is not hidden, has forks,
    /// or is already being deleted.
    #[must_use]
    pub(crate) fn collect(&self) -> bool {
        lock(&self.0).collect()
    }

    /// A guard that prevents forks; `None` if there are forks.
    pub(crate) fn no_forks(&self) -> Option<NoForksGuard<'_>> {
        let inner = lock(&self.0);
        (inner.forks == 0).then_some(NoForksGuard(inner))
    }
}

impl ForkRefsState {
    fn collect(&mut self) -> bool {
        let is_last = self.deletion == DeletionState::Hidden && self.forks == 0;
        if is_last {
            self.deletion = DeletionState::Collected;
        }
        is_last
    }
}
