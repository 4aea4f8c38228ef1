//! Signals that the page sets: Leptos compiles its machinery once for each type, and here it is one type for all of them.

use leptos::prelude::*;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A value of any type.
#[derive(Clone)]
struct Value(Arc<dyn Any + Send + Sync>);

impl Value {
    fn new<T: Send + Sync + 'static>(value: T) -> Self {
        Self(Arc::new(value))
    }

    /// The value, of the type of the signal that holds it.
    fn of<T: 'static>(&self) -> &T {
        // Only the methods below set a signal, and each takes a value of the signal's own type.
        self.0
            .downcast_ref()
            .unwrap_or_else(|| unreachable!("a signal holds values of one type"))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value")
    }
}

/// An [`RwSignal`] of any type, which lives as long as the part of the page that made it.
#[derive(Debug)]
pub struct Kept<T> {
    signal: RwSignal<Value>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Kept<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kept<T> {}

impl<T: Send + Sync + 'static> Kept<T> {
    /// Holds `value` at first.
    pub fn new(value: T) -> Self {
        Self {
            signal: RwSignal::new(Value::new(value)),
            kind: PhantomData,
        }
    }

    /// Holds another value; who follows it is told, also when it is the same.
    pub fn set(self, value: T) {
        self.signal.set(Value::new(value));
    }

    /// The same where the part of the page may be gone already.
    pub fn try_set(self, value: T) {
        self.signal.try_set(Value::new(value));
    }

    /// Follows it without looking.
    pub fn track(self) {
        self.signal.track();
    }

    /// Hands the value to `look`; who does so in a view or in an effect follows it.
    pub fn with<U>(self, look: impl FnOnce(&T) -> U) -> U {
        look(self.signal.get().of())
    }

    /// Hands the value as it is now to `look`.
    pub fn with_untracked<U>(self, look: impl FnOnce(&T) -> U) -> U {
        look(self.signal.get_untracked().of())
    }
}

impl<T: Clone + Send + Sync + 'static> Kept<T> {
    /// The value; who reads it in a view or in an effect follows it.
    pub fn get(self) -> T {
        self.with(T::clone)
    }

    /// The value as it is now.
    pub fn get_untracked(self) -> T {
        self.with_untracked(T::clone)
    }

    /// Changes the value, and returns what `change` does.
    pub fn update<U>(self, change: impl FnOnce(&mut T) -> U) -> U {
        let mut value = self.get_untracked();
        let outcome = change(&mut value);
        self.set(value);
        outcome
    }

    /// Changes the value, unless the part of the page is gone.
    pub fn try_update(self, change: impl FnOnce(&mut T)) {
        if !self.signal.is_disposed() {
            self.update(change);
        }
    }
}

impl<T: Clone + Send + Sync + 'static> From<Kept<T>> for Signal<T> {
    fn from(kept: Kept<T>) -> Self {
        super::small::derived(move || kept.get())
    }
}

/// The same for what lives longer than the part of the page that shows it.
#[derive(Debug)]
pub struct Shared<T> {
    signal: ArcRwSignal<Value>,
    kind: PhantomData<fn() -> T>,
}

impl<T: Default + Send + Sync + 'static> Default for Shared<T> {
    fn default() -> Self {
        Self {
            signal: ArcRwSignal::new(Value::new(T::default())),
            kind: PhantomData,
        }
    }
}

impl<T: Clone + Send + Sync + 'static> Shared<T> {
    /// Holds another value; who follows it is told, also when it is the same.
    pub fn set(&self, value: T) {
        self.signal.set(Value::new(value));
    }

    /// The value as it is now.
    pub fn get_untracked(&self) -> T {
        self.with_untracked(T::clone)
    }

    /// Hands the value as it is now to `look`.
    pub fn with_untracked<U>(&self, look: impl FnOnce(&T) -> U) -> U {
        look(self.signal.get_untracked().of())
    }

    /// Changes the value.
    pub fn update(&self, change: impl FnOnce(&mut T)) {
        let mut value = self.get_untracked();
        change(&mut value);
        self.set(value);
    }

    /// The same signal for a part of the page.
    pub fn kept(&self) -> Kept<T> {
        Kept {
            signal: self.signal.clone().into(),
            kind: PhantomData,
        }
    }
}
