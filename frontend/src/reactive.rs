//! Effects and memos whose closures are boxed: Leptos compiles what creates and runs them once for each type of closure.

use leptos::prelude::*;

/// Runs `run` now, and again whenever a signal that it read has changed; see [`Effect::new`].
pub fn effect(run: impl FnMut() + 'static) {
    boxed_effect(Box::new(run));
}

fn boxed_effect(run: Box<dyn FnMut()>) {
    Effect::new(run);
}

/// A value that is computed again when a signal that `compute` read has changed; see [`Memo::new`].
pub fn memo<T>(compute: impl Fn() -> T + Send + Sync + 'static) -> Memo<T>
where
    T: PartialEq + Send + Sync + 'static,
{
    memo_of_last(move |_| compute())
}

/// As [`memo()`], for a value that also depends on the last one.
pub fn memo_of_last<T>(compute: impl Fn(Option<&T>) -> T + Send + Sync + 'static) -> Memo<T>
where
    T: PartialEq + Send + Sync + 'static,
{
    boxed_memo(Box::new(compute))
}

/// Computes a value from the last one.
type Compute<T> = Box<dyn Fn(Option<&T>) -> T + Send + Sync>;

fn boxed_memo<T>(compute: Compute<T>) -> Memo<T>
where
    T: PartialEq + Send + Sync + 'static,
{
    Memo::new(compute)
}
