//! The help: the current page's own help, its keys, and the switch for single-key shortcuts.

use leptos::html::Dialog;
use leptos::prelude::*;

use super::Shell;
use crate::reactive;
use crate::widgets::views::CollectAny;

/// A modal dialog; Escape closes it.
#[component]
pub fn Help() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let dialog = NodeRef::<Dialog>::new();
    reactive::effect(move || {
        let open = shell.help_is_open.get();
        let Some(dialog) = dialog.get() else { return };
        if open && !dialog.open() {
            // Fails only while it is open already.
            dialog.show_modal().ok();
        } else if !open && dialog.open() {
            dialog.close();
        }
    });
    let keys = move || {
        let language = shell.language.get();
        let of_page = shell
            .page()
            .keys
            .iter()
            .map(move |key| (key.label, (key.help)(language)));
        of_page
            .chain([("?", shell.text().key_help)])
            .map(|(key, what)| view! { <div><dt><kbd>{key}</kbd></dt><dd>{what}</dd></div> })
            .collect_any()
    };
    view! {
        <dialog class="help" node_ref=dialog aria-labelledby="help-title" on:close=move |_| shell.help_is_open.set(false)>
            <header>
                <h2 id="help-title">{move || (shell.page().help_title)(shell.language.get())}</h2>
                <button class="tool wide" on:click=move |_| shell.help_is_open.set(false)>{shell.localized(|text| text.close)}</button>
            </header>
            {move || (shell.page().help)()}
            <h3>{shell.localized(|text| text.keys_title)}</h3>
            <label class="choice">
                <input
                    type="checkbox"
                    role="switch"
                    class="switch"
                    data-testid="shortcuts"
                    prop:checked=move || shell.shortcuts.get()
                    on:change=move |event| shell.use_shortcuts(event_target_checked(&event))
                />
                {shell.localized(|text| text.shortcuts)}
            </label>
            <dl class="keys" hidden=move || !shell.shortcuts.get()>{move || keys()}</dl>
        </dialog>
    }
}
