//! A shell command with a button that copies it.

use leptos::prelude::*;

use crate::browser;

/// How long a button shows that something was copied, ms.
const COPIED_MS: f64 = 2_000.0;

/// The texts of the button, in the language in use: a context that the frame of the pages provides.
#[derive(Debug, Clone, Copy)]
pub struct CopyLabels {
    /// Before a click.
    pub copy: Signal<&'static str>,
    /// For a moment after the command was copied.
    pub copied: Signal<&'static str>,
}

/// Copies a text; for a moment, `copied` says so.
pub fn copy(text: String, copied: RwSignal<bool>) {
    wasm_bindgen_futures::spawn_local(async move {
        if browser::copy(&text).await {
            copied.try_set(true);
            browser::sleep(COPIED_MS).await;
            copied.try_set(false);
        }
    });
}

/// A shell command with a button that copies it.
#[component]
pub fn CommandLine(
    /// The command.
    line: String,
) -> impl IntoView {
    let labels = expect_context::<CopyLabels>();
    let shown = line.clone();
    view! {
        <div class="command">
            <code tabindex="0">{shown}</code>
            <CopyButton content=move |()| line.clone() label=labels.copy id="copy" />
        </div>
    }
}

/// A button that copies a text.
#[component]
pub fn CopyButton(
    /// Makes the text.
    #[prop(into)]
    content: Callback<(), String>,
    /// Its label before a click.
    label: Signal<&'static str>,
    /// Its id for tests.
    id: &'static str,
    /// Whether there is nothing to copy.
    #[prop(optional, into)]
    disabled: Signal<bool>,
) -> impl IntoView {
    let labels = expect_context::<CopyLabels>();
    let copied = RwSignal::new(false);
    view! {
        <button class="tool wide" data-testid=id disabled=disabled on:click=move |_| copy(content.run(()), copied)>
            {move || if copied.get() { labels.copied.get() } else { label.get() }}
        </button>
    }
}
