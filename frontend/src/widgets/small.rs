//! Boxes around handlers and changing views: Leptos compiles its machinery once for each type, and this keeps the types few.

use leptos::ev::{Event, KeyboardEvent, MouseEvent, SubmitEvent};
use leptos::prelude::*;
use std::any::Any;
use std::marker::PhantomData;
use std::sync::Arc;

/// A view that changes with what it reads.
pub fn changing<V: IntoAny>(
    mut view: impl FnMut() -> V + Send + 'static,
) -> Box<dyn FnMut() -> AnyView + Send> {
    Box::new(move || view().into_any())
}

/// A view that is there only sometimes.
pub fn maybe<V: IntoAny>(
    mut view: impl FnMut() -> Option<V> + Send + 'static,
) -> Box<dyn FnMut() -> AnyView + Send> {
    Box::new(move || view().map_or_else(|| ().into_any(), IntoAny::into_any))
}

/// Entries that stay the same elements as long as their keys do, so that they keep the focus.
pub fn keyed(
    keys: impl Fn() -> Vec<String> + Send + Sync + 'static,
    entry: impl Fn(String) -> AnyView + Send + Sync + 'static,
) -> AnyView {
    list(Box::new(keys), Arc::new(entry))
}

/// Compiled once for all lists.
fn list(
    keys: Box<dyn Fn() -> Vec<String> + Send + Sync>,
    entry: Arc<dyn Fn(String) -> AnyView + Send + Sync>,
) -> AnyView {
    view! { <For each=keys key=String::clone children=move |key| entry(key) /> }.into_any()
}

/// What a click does.
pub fn click(handle: impl FnMut(MouseEvent) + 'static) -> Box<dyn FnMut(MouseEvent)> {
    Box::new(handle)
}

/// What typing, choosing or closing does.
pub fn change(handle: impl FnMut(Event) + 'static) -> Box<dyn FnMut(Event)> {
    Box::new(handle)
}

/// What sending a form does.
pub fn submit(handle: impl FnMut(SubmitEvent) + 'static) -> Box<dyn FnMut(SubmitEvent)> {
    Box::new(handle)
}

/// What a key does.
pub fn key(handle: impl FnMut(KeyboardEvent) + 'static) -> Box<dyn FnMut(KeyboardEvent)> {
    Box::new(handle)
}

/// Does something whenever what it reads changes.
pub fn whenever(act: impl FnMut() + 'static) {
    let act: Box<dyn FnMut()> = Box::new(act);
    Effect::new(act);
}

/// What follows from what it reads.
pub fn derived<T: Send + Sync + 'static>(
    value: impl Fn() -> T + Send + Sync + 'static,
) -> Signal<T> {
    let value: Box<dyn Fn() -> T + Send + Sync> = Box::new(value);
    Signal::derive(value)
}

/// What follows from what it reads, told on only when it changes.
pub fn memo<T: PartialEq + Send + Sync + 'static>(
    value: impl Fn() -> T + Send + Sync + 'static,
) -> Computed<T> {
    memo_after(move |_| value())
}

/// The same for what also follows from its former value.
pub fn memo_after<T: PartialEq + Send + Sync + 'static>(
    value: impl Fn(Option<&T>) -> T + Send + Sync + 'static,
) -> Computed<T> {
    let value = move |before: Option<&Held>| Held(Arc::new(value(before.map(Held::value))));
    Computed {
        memo: held_memo(Box::new(value)),
        kind: PhantomData,
    }
}

/// What makes a memo's value from the former one.
type Make = Box<dyn Fn(Option<&Held>) -> Held + Send + Sync>;

/// Compiled once for all memos.
fn held_memo(make: Make) -> Memo<Held> {
    Memo::new(make)
}

/// A [`Memo`] of any type, whose machinery is one and the same for all of them.
#[derive(Debug)]
pub struct Computed<T> {
    memo: Memo<Held>,
    kind: PhantomData<fn() -> T>,
}

impl<T> Clone for Computed<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Computed<T> {}

impl<T: Clone + 'static> Computed<T> {
    /// The value; who reads it in a view or in an effect follows it.
    pub fn get(self) -> T {
        self.with(T::clone)
    }

    /// The value as it is now.
    pub fn get_untracked(self) -> T {
        self.memo.get_untracked().value::<T>().clone()
    }
}

impl<T: 'static> Computed<T> {
    /// Hands the value to `look`; who does so in a view or in an effect follows it.
    pub fn with<U>(self, look: impl FnOnce(&T) -> U) -> U {
        look(self.memo.get().value())
    }

    /// Hands the value as it is now to `look`.
    pub fn with_untracked<U>(self, look: impl FnOnce(&T) -> U) -> U {
        look(self.memo.get_untracked().value())
    }

    /// Follows it without looking.
    pub fn track(self) {
        self.memo.track();
    }
}

/// A value of any type that can be compared with another one.
#[derive(Clone)]
struct Held(Arc<dyn Comparable>);

impl Held {
    /// The value, of the type of the memo that holds it.
    fn value<T: 'static>(&self) -> &T {
        let value: &dyn Any = &*self.0;
        // A memo's values are made by one function, the one that `memo_after` was given.
        value
            .downcast_ref()
            .unwrap_or_else(|| unreachable!("a memo holds values of one type"))
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.0.equals(&*other.0)
    }
}

trait Comparable: Any + Send + Sync {
    fn equals(&self, other: &dyn Any) -> bool;
}

impl<T: PartialEq + Send + Sync + 'static> Comparable for T {
    fn equals(&self, other: &dyn Any) -> bool {
        other.downcast_ref() == Some(self)
    }
}
