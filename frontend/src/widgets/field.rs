//! A line of text to type, the same everywhere.

use leptos::prelude::*;

/// A field without the browser's own help, as names and numbers want none.
#[component]
pub fn TextField(
    /// Its id, for its label and for tests.
    id: &'static str,
    /// What is typed.
    value: RwSignal<String>,
    /// What stands in it while it is empty.
    #[prop(into)]
    placeholder: Signal<String>,
    /// Its name for readers of text, where no label stands beside it.
    #[prop(optional, into)]
    label: Option<Signal<&'static str>>,
    /// Whether it takes digits.
    #[prop(optional)]
    numeric: bool,
    /// A class, if it has one.
    #[prop(optional)]
    class: &'static str,
    /// What happens when something is typed.
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
