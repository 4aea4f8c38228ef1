//! Keys outside of fields: `?` opens the help, all others are those of the page that is shown.

use leptos::prelude::*;

use super::Shell;
use super::page::KeyPress;

/// Handles a key, unless it has a modifier or a field has the focus.
pub(super) fn on_key(shell: Shell, event: &web_sys::KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
        return;
    }
    let focused = document().active_element().map_or_else(
        || "body".to_owned(),
        |it| it.tag_name().to_ascii_lowercase(),
    );
    if matches!(&*focused, "input" | "textarea" | "select") || shell.help_is_open.get_untracked() {
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
