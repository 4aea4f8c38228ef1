//! How many forks a stream has, and what becomes of it when it is deleted before they are.

use super::lock;
use std::sync::{Mutex, MutexGuard};

/// The forks that live on a stream's messages, and the stream's own fate: decided together, under one lock, so that no
/// fork is made of a stream that is going, and nothing goes that a fork needs.
///
/// The number of forks is never stored: it follows from which forks there are.
#[derive(Debug, Default)]
pub(crate) struct Kin(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    forks: usize,
    fate: Fate,
}

/// How far the end of a stream has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Fate {
    /// It is there.
    #[default]
    Alive,
    /// Its deletion is under way.
    Going,
    /// It was deleted and lives on for its forks.
    Hidden,
    /// Its last fork has gone, and what was kept for it is being deleted.
    Collected,
}

/// What a deletion does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The stream goes.
    Gone,
    /// The stream lives on for its forks.
    Hidden,
}

/// That a stream has no forks, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Childless<'a>(
    #[allow(dead_code, reason = "held, not looked at")] MutexGuard<'a, Inner>,
);

impl Kin {
    /// Of a stream that a store knew when it opened.
    pub(crate) fn recovered(hidden: bool) -> Self {
        let fate = if hidden { Fate::Hidden } else { Fate::Alive };
        Self(Mutex::new(Inner { forks: 0, fate }))
    }

    /// How many forks there are, those that are being made included.
    pub(crate) fn forks(&self) -> usize {
        lock(&self.0).forks
    }

    /// Whether the stream was deleted and lives on for its forks only.
    pub(crate) fn is_hidden(&self) -> bool {
        matches!(lock(&self.0).fate, Fate::Hidden | Fate::Collected)
    }

    /// Counts a fork that is being made; `false` when the stream is going or gone.
    pub(crate) fn adopt(&self) -> bool {
        let mut inner = lock(&self.0);
        let is_alive = inner.fate == Fate::Alive;
        inner.forks += usize::from(is_alive);
        is_alive
    }

    /// Counts a fork that a store knew when it opened.
    pub(crate) fn recover(&self) {
        lock(&self.0).forks += 1;
    }

    /// Counts a fork no more. `true` when it was the last of a hidden stream: then the caller deletes that.
    #[must_use]
    pub(crate) fn release(&self) -> bool {
        let mut inner = lock(&self.0);
        inner.forks = inner.forks.saturating_sub(1);
        inner.collect()
    }

    /// Begins the deletion: `None` when it has begun already; otherwise whether the stream goes, or is hidden for its forks.
    pub(crate) fn doom(&self) -> Option<Ending> {
        let mut inner = lock(&self.0);
        if inner.fate != Fate::Alive {
            return None;
        }
        inner.fate = Fate::Going;
        Some(if inner.forks == 0 {
            Ending::Gone
        } else {
            Ending::Hidden
        })
    }

    /// The stream was hidden. `true` when its last fork went meanwhile: then the caller deletes it.
    #[must_use]
    pub(crate) fn hide(&self) -> bool {
        let mut inner = lock(&self.0);
        inner.fate = Fate::Hidden;
        inner.collect()
    }

    /// A deletion or collection that was begun failed: all is as before.
    pub(crate) fn spare(&self) {
        let mut inner = lock(&self.0);
        inner.fate = match inner.fate {
            Fate::Alive | Fate::Going => Fate::Alive,
            Fate::Hidden | Fate::Collected => Fate::Hidden,
        };
    }

    /// Begins to delete a hidden stream that has no forks; `false` when it is none, or that has begun already.
    #[must_use]
    pub(crate) fn collect(&self) -> bool {
        lock(&self.0).collect()
    }

    /// That there are no forks, and none will be made before the answer is dropped.
    pub(crate) fn childless(&self) -> Option<Childless<'_>> {
        let inner = lock(&self.0);
        (inner.forks == 0).then_some(Childless(inner))
    }
}

impl Inner {
    fn collect(&mut self) -> bool {
        let is_last = self.fate == Fate::Hidden && self.forks == 0;
        if is_last {
            self.fate = Fate::Collected;
        }
        is_last
    }
}
