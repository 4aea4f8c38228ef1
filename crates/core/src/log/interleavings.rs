//! For tests: something else happens at the n-th look at a log, so that every interleaving can be tried one after another.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What happens at which step.
#[derive(Default)]
pub struct Interruption(Mutex<Option<(usize, PlannedCall)>>);

type PlannedCall = Box<dyn FnOnce() + Send>;

impl Interruption {
    pub(super) fn step(&self) {
        let mut planned = self.planned();
        match planned.take() {
            Some((0, happen)) => {
                drop(planned);
                happen();
            }
            Some((steps, happen)) => *planned = Some((steps - 1, happen)),
            None => {}
        }
    }

    /// Lets something happen at the look that follows `step` others.
    pub fn plan(&self, step: usize, happen: impl FnOnce() + Send + 'static) {
        *self.planned() = Some((step, Box::new(happen)));
    }

    /// Makes the planned call now if it has not been made yet.
    pub fn run_now(&self) {
        let planned = self.planned().take();
        if let Some((_, happen)) = planned {
            happen();
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
