//! The keys of the Streams page.

use leptos::prelude::*;

use super::context::StreamsContext;
use super::text::StreamsText;
use crate::app::page::{KeyPress, PageKey};

/// In the order of the help.
pub(super) const KEYS: [PageKey; 3] = [
    PageKey {
        label: "/",
        help: |language| StreamsText::of(language).key_search,
        press: |press| press.moves_focus("/", "stream-search"),
    },
    PageKey {
        label: "N",
        help: |language| StreamsText::of(language).key_new,
        press: open_create_form,
    },
    PageKey {
        label: "A",
        help: |language| StreamsText::of(language).key_append,
        press: |press| press.moves_focus("a", "append-text"),
    },
];

fn open_create_form(press: &KeyPress) -> bool {
    let is_new = press.key == "n";
    if is_new {
        expect_context::<StreamsContext>().open_create_form();
    }
    is_new
}
