//! A row of the table of pages: everything that the frame uses of a page.

use leptos::prelude::AnyView;

use super::query::Query;
use crate::browser;
use crate::language::Language;

/// A text of a page, in a language.
pub type PageText = fn(Language) -> &'static str;

/// A page of the dashboard.
#[derive(Debug)]
pub struct DashboardPage {
    /// Its name in the address (`?page=streams`) and in the ids that tests use; empty for the page for unknown addresses.
    pub name: &'static str,
    /// The text of a link to it.
    pub label: PageText,
    /// The title of the window, which may contain the name of the open stream.
    pub title: fn(Language, &Query) -> String,
    /// Whether a link opens what was last open on the page, instead of its start.
    pub resumes: bool,
    /// How other pages link to a stream on this one, if it can show one.
    pub stream_link: Option<StreamLink>,
    /// Its keys, which work outside of fields.
    pub keys: &'static [PageKey],
    /// The title of its help.
    pub help_title: PageText,
    /// Its help, above the keys.
    pub help: fn() -> AnyView,
    /// Builds the page. The tasks that it starts end with it (`on_cleanup`).
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
    /// The text of the link.
    pub label: PageText,
    /// The query to open, given the page's current query and the name of the stream.
    pub query: fn(&Query, &str) -> Query,
}

/// A key of a page.
#[derive(Debug)]
pub struct PageKey {
    /// Its name in the help.
    pub label: &'static str,
    /// Its description in the help.
    pub help: PageText,
    /// Runs its action if this key was pressed, and returns whether it was. The page's contexts can be used.
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
    /// Moves the focus to the element `id` if `key` was pressed, and returns whether it was.
    pub fn moves_focus(&self, key: &str, id: &str) -> bool {
        let is_pressed = self.key == key;
        if is_pressed {
            browser::focus(id);
        }
        is_pressed
    }
}
