//! The text field of all forms.

use leptos::prelude::*;

/// A text field without completion and spell checking, which do not suit names and numbers.
#[component]
pub fn TextField(
    /// Its id, for its label and for tests.
    id: &'static str,
    /// Its text.
    value: RwSignal<String>,
    /// Shown while it is empty.
    #[prop(into)]
    placeholder: Signal<String>,
    /// Its accessible name, if it has no label element.
    #[prop(optional, into)]
    label: Option<Signal<&'static str>>,
    /// Whether it is for numbers.
    #[prop(optional)]
    numeric: bool,
    /// A class, if it has one.
    #[prop(optional)]
    class: &'static str,
    /// Called when its text has changed.
    #[prop(optional, into)]
    typed: Option<Callback<()>>,
) -> impl IntoView {
    view! {
        <input
            id=id
            data-testid=id
            class=class
            type="text"
            inputmode=if numeric { "numeric" } else { "text" }
            autocomplete="off"
            autocapitalize="off"
            spellcheck="false"
            aria-label=label
            placeholder=placeholder
            prop:value=move || value.get()
            on:input=move |event| {
                value.set(event_target_value(&event));
                if let Some(typed) = typed {
                    typed.run(());
                }
            }
        />
    }
}
