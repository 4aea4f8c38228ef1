//! The number of forks that a stream has, and its deletion, which waits for them.

use super::lock;
use std::sync::{Mutex, MutexGuard};

/// Counts the forks that read a stream's messages, and says how far the stream's deletion has come. Both change under one lock, so
/// that no fork is made of a stream that is being deleted, and nothing is deleted that a fork needs.
///
/// The number of forks is never stored: it follows from which forks there are.
#[derive(Debug, Default)]
pub(crate) struct ForkRefs(Mutex<ForkRefsState>);

#[derive(Debug, Default)]
struct ForkRefsState {
    forks: usize,
    deletion: DeletionState,
}

/// How far the deletion of a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum DeletionState {
    /// It exists.
    #[default]
    Alive,
    /// Its deletion is under way.
    Deleting,
    /// It was deleted and is kept for its forks.
    Hidden,
    /// Its last fork has gone, and what was kept for it is being deleted.
    Collected,
}

/// What a deletion does to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeletionKind {
    /// The stream is deleted.
    Delete,
    /// The stream is kept for its forks.
    Hide,
}

/// Proof that a stream has no forks; none can be made while it is held.
#[derive(Debug)]
pub(crate) struct NoForksGuard<'a>(
    #[allow(dead_code, reason = "held, not looked at")] MutexGuard<'a, ForkRefsState>,
);

impl ForkRefs {
    /// Of a stream that a store knew when it opened.
    pub(crate) fn recovered(hidden: bool) -> Self {
        let deletion = if hidden {
            DeletionState::Hidden
        } else {
            DeletionState::Alive
        };
        Self(Mutex::new(ForkRefsState { forks: 0, deletion }))
    }

    /// How many forks there are, those that are being made included.
    pub(crate) fn forks(&self) -> usize {
        lock(&self.0).forks
    }

    /// Whether the stream was deleted and is kept for its forks only.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(
            lock(&self.0).deletion,
            DeletionState::Hidden | DeletionState::Collected
        )
    }

    /// Counts a fork that is being made; `false` when the stream is deleted or being deleted.
    pub(crate) fn add(&self) -> bool {
        let mut inner = lock(&self.0);
        let is_alive = inner.deletion == DeletionState::Alive;
        inner.forks += usize::from(is_alive);
        is_alive
    }

    /// Counts a fork that a store knew when it opened.
    pub(crate) fn add_recovered(&self) {
        lock(&self.0).forks += 1;
    }

    /// Counts a fork no more. `true` when it was the last of a hidden stream: then the caller deletes that.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        let mut inner = lock(&self.0);
        inner.forks = inner.forks.saturating_sub(1);
        inner.collect()
    }

    /// Begins the deletion: `None` when it has begun already; otherwise whether the stream is deleted, or hidden for its forks.
    pub(crate) fn begin_delete(&self) -> Option<DeletionKind> {
        let mut inner = lock(&self.0);
        if inner.deletion != DeletionState::Alive {
            return None;
        }
        inner.deletion = DeletionState::Deleting;
        Some(if inner.forks == 0 {
            DeletionKind::Delete
        } else {
            DeletionKind::Hide
        })
    }

    /// The stream was hidden. `true` when its last fork went meanwhile: then the caller deletes it.
    #[must_use]
    pub(crate) fn hide(&self) -> bool {
        let mut inner = lock(&self.0);
        inner.deletion = DeletionState::Hidden;
        inner.collect()
    }

    /// A deletion or collection that was begun failed: all is as before.
    pub(crate) fn rollback_delete(&self) {
        let mut inner = lock(&self.0);
        inner.deletion = match inner.deletion {
            DeletionState::Alive | DeletionState::Deleting => DeletionState::Alive,
            DeletionState::Hidden | DeletionState::Collected => DeletionState::Hidden,
        };
    }

    /// Begins to delete a hidden stream that has no forks; `false` when it is none, or that has begun already.
    #[must_use]
    pub(crate) fn collect(&self) -> bool {
        lock(&self.0).collect()
    }

    /// A guard if there are no forks; none is made before it is dropped.
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
