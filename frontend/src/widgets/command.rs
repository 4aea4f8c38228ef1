//! A shell command with a button that copies it.

use leptos::prelude::*;

use crate::browser;

/// How long the button shows that the command was copied, ms.
const COPIED_MS: f64 = 2_000.0;

/// The texts of the button, in the language in use: a context that the frame of the pages provides.
#[derive(Debug, Clone, Copy)]
pub struct CopyLabels {
    /// Before a click.
    pub copy: Signal<&'static str>,
    /// For a moment after the command was copied.
    pub copied: Signal<&'static str>,
}

/// A shell command with a button that copies it.
#[component]
pub fn CommandLine(
    /// The command.
    line: String,
) -> impl IntoView {
    let labels = expect_context::<CopyLabels>();
    let copied = RwSignal::new(false);
    let shown = line.clone();
    let on_copy = move |_| {
        let line = line.clone();
        wasm_bindgen_futures::spawn_local(async move {
            if browser::copy(&line).await {
                copied.try_set(true);
                browser::sleep(COPIED_MS).await;
                copied.try_set(false);
            }
        });
    };
    view! {
        <div class="command">
            <code tabindex="0">{shown}</code>
            <button class="tool wide" on:click=on_copy>
                {move || if copied.get() { labels.copied.get() } else { labels.copy.get() }}
            </button>
        </div>
    }
}
