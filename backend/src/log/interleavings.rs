//! For tests: something else happens at the n-th look at a log, so that every interleaving can be tried one after another.

use std::fmt;
use std::sync::Mutex;

/// What happens at which step.
#[derive(Default)]
pub(crate) struct Interruption(Mutex<Option<(usize, Happening)>>);

type Happening = Box<dyn FnOnce() + Send>;

impl Interruption {
    pub(super) fn step(&self) {
        let mut planned = self.0.lock().unwrap();
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
    pub(crate) fn plan(&self, step: usize, happen: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some((step, Box::new(happen)));
    }

    /// Lets the event happen now if it has not yet.
    pub(crate) fn overdue(&self) {
        let planned = self.0.lock().unwrap().take();
        if let Some((_, happen)) = planned {
            happen();
        }
    }
}

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Interruption")
    }
}
