//! What keys do, on each page, outside of fields.

use leptos::prelude::*;

use super::{Shell, Step};
use crate::app::place::Place;
use crate::browser;

/// Keys without modifiers, outside of fields; Space does what the focused control does with it.
pub(super) fn on_key(shell: Shell, event: &web_sys::KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
        return;
    }
    let focused = document()
        .active_element()
        .map(|element| element.tag_name().to_ascii_lowercase());
    let focused = focused.as_deref().unwrap_or("body");
    if matches!(focused, "input" | "textarea" | "select") || shell.help.get_untracked() {
        return;
    }
    let key = event.key();
    let is_known = key == "?"
        || if shell.place.with_untracked(|place| *place == Place::Race) {
            on_race(shell, &key, focused)
        } else {
            on_streams(shell, &key)
        };
    if key == "?" {
        shell.help.set(true);
    }
    if is_known {
        event.prevent_default();
    }
}

/// Whether the key means something on the Race page.
fn on_race(shell: Shell, key: &str, focused: &str) -> bool {
    let Some(feed) = shell.race_feed() else {
        return false;
    };
    match key {
        " " if !matches!(focused, "button" | "summary" | "a") => feed.toggle_pause(),
        "s" => feed.step(true),
        "S" => feed.step(false),
        "p" => browser::focus("publish-text"),
        "/" => browser::focus("stream-name"),
        key => match key.parse::<usize>() {
            Ok(lane @ 1..=5) => {
                shell.change(|settings| settings.lanes[lane - 1] = !settings.lanes[lane - 1]);
            }
            _ => return false,
        },
    }
    true
}

/// Whether the key means something on the Streams page.
fn on_streams(shell: Shell, key: &str) -> bool {
    match key {
        "/" => browser::focus("stream-search"),
        "a" => browser::focus("append-text"),
        "n" => {
            shell.open(Step::Recorded, |shelf| shelf.stream = None);
            // Once it is there.
            request_animation_frame(|| browser::focus("create-name"));
        }
        _ => return false,
    }
    true
}
