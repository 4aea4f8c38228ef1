//! For tests: runs a call at the n-th access to a log, so that every interleaving can be tested.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The planned call, and the step at which it runs.
#[derive(Default)]
pub struct Interruption(Mutex<Option<(usize, PlannedCall)>>);

type PlannedCall = Box<dyn FnOnce() + Send>;

impl Interruption {
    pub(super) fn step(&self) {
        let mut planned = self.planned();
        match planned.take() {
            Some((0, call)) => {
                drop(planned);
                call();
            }
            Some((steps, call)) => *planned = Some((steps - 1, call)),
            None => {}
        }
    }

    /// Plans a call for the access after `step` other accesses.
    pub fn plan(&self, step: usize, call: impl FnOnce() + Send + 'static) {
        *self.planned() = Some((step, Box::new(call)));
    }

    /// Runs the planned call now if it has not run yet.
    pub fn run_now(&self) {
        let planned = self.planned().take();
        if let Some((_, call)) = planned {
            call();
        }
    }
}

impl Interruption {
    fn planned(&self) -> MutexGuard<'_, Option<(usize, PlannedCall)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}
