//! Keys: `?` opens the help, Escape removes the focus from a field, all others are defined by the current page.
//!
//! Single keys can be switched off, as speech input types them by accident (WCAG 2.1.4).

use leptos::prelude::*;

use super::Shell;
use super::page::KeyPress;
use wasm_bindgen::JsCast;

/// Handles a key, unless it has a modifier or a field has the focus.
pub(super) fn on_key(shell: Shell, event: &web_sys::KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
        return;
    }
    let element = document().active_element();
    let focused = element.as_ref().map_or_else(
        || "body".to_owned(),
        |it| it.tag_name().to_ascii_lowercase(),
    );
    if shell.help_is_open.get_untracked() {
        return;
    }
    if matches!(&*focused, "input" | "textarea" | "select") {
        if event.key() == "Escape"
            && let Some(field) = element.and_then(|it| it.dyn_into::<web_sys::HtmlElement>().ok())
        {
            // The position for Tab is kept.
            field.blur().ok();
        }
        return;
    }
    if !shell.shortcuts.get_untracked() {
        return;
    }
    let press = KeyPress {
        key: event.key(),
        focused,
    };
    if press.key == "?" {
        shell.help_is_open.set(true);
        event.prevent_default();
    } else if shell.press(&press) {
        event.prevent_default();
    }
}
