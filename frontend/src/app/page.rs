//! What the frame has to know of a page: one row of the table of pages.

use leptos::prelude::AnyView;

use super::language::Language;
use super::query::Query;
use crate::browser;

/// A text of a page, in a language.
pub type PageText = fn(Language) -> &'static str;

/// A page of the dashboard.
#[derive(Debug)]
pub struct DashboardPage {
    /// Its name in the address (`?page=streams`) and in the ids that tests use; the page for unknown addresses has none.
    pub name: &'static str,
    /// What a link to it says.
    pub label: PageText,
    /// The title of the window, which may name what is open.
    pub title: fn(Language, &Query) -> String,
    /// Whether a link leads back to what was open there last, and not to its beginning.
    pub resumes: bool,
    /// How other pages link to a stream on this one, if it can show one.
    pub stream_link: Option<StreamLink>,
    /// Its keys, which work outside of fields.
    pub keys: &'static [PageKey],
    /// The title of its help.
    pub help_title: PageText,
    /// Its help, above the keys.
    pub help: fn() -> AnyView,
    /// The page itself. What it starts ends with it (`on_cleanup`).
    pub view: fn() -> AnyView,
}

impl PartialEq for DashboardPage {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// How other pages link to a stream on this one.
#[derive(Debug, Clone, Copy)]
pub struct StreamLink {
    /// What the link says.
    pub label: PageText,
    /// What is to be open on the page: made of what is open there now, and the name of the stream.
    pub query: fn(&Query, &str) -> Query,
}

/// A key of a page.
#[derive(Debug)]
pub struct PageKey {
    /// How the help names it.
    pub label: &'static str,
    /// What it does, in the help.
    pub help: PageText,
    /// Does it, if this key was pressed, and returns whether it was. The page's contexts can be used.
    pub press: fn(&KeyPress) -> bool,
}

/// A key that was pressed, without Ctrl, Meta and Alt.
#[derive(Debug, Clone)]
pub struct KeyPress {
    /// As `KeyboardEvent.key` names it.
    pub key: String,
    /// Name of the focused element, in lower case.
    pub focused: String,
}

impl KeyPress {
    /// If `key` was pressed, moves the focus to the element of that id; whether it was.
    pub fn moves_focus(&self, key: &str, id: &str) -> bool {
        let is_pressed = self.key == key;
        if is_pressed {
            browser::focus(id);
        }
        is_pressed
    }
}
