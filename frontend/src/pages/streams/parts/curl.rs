//! The curl command of an action, which a click shows and copies, and the fault of an action.

use leptos::prelude::*;

use crate::pages::streams::context::StreamsContext;
use crate::widgets::command::copy;

/// A button that copies the command and shows it until it is clicked again.
#[component]
pub fn CurlButton(
    /// The command; empty while the fields are invalid.
    #[prop(into)]
    line: Signal<String>,
    /// The id of the button for tests.
    id: &'static str,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let shown = RwSignal::new(false);
    let copied = RwSignal::new(false);
    let on_click = move |_| {
        if shown.get_untracked() {
            shown.set(false);
            return;
        }
        shown.set(true);
        copy(line.get_untracked(), copied);
    };
    view! {
        <span class="curl">
            <button
                class="tool wide quiet"
                type="button"
                data-testid=id
                aria-expanded=move || shown.get().to_string()
                disabled=move || line.with(String::is_empty)
                on:click=on_click
            >
                {move || if copied.get() { streams.shell.text().copied } else { "curl" }}
            </button>
            {move || shown.get().then(|| view! { <code tabindex="0">{line}</code> }.into_any())}
        </span>
    }
}

/// The fault of an action, which screen readers announce at once.
#[component]
pub fn FieldFault(
    /// The fault; empty if there is none.
    #[prop(into)]
    fault: Signal<String>,
) -> impl IntoView {
    view! { <p class="fault" role="alert">{fault}</p> }
}
