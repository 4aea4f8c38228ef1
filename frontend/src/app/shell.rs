//! The frame: the current page, what is open on it, language and theme, and their effects on the document.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::address::Address;
use super::keys;
use super::not_found::{self, NOT_FOUND};
use super::page::{DashboardPage, KeyPress};
use super::pages::PAGES;
use super::preferences::Preferences;
use super::query::Query;
use super::text::SharedText;
use crate::browser;
use crate::language::Language;
use crate::reactive;
use crate::theme::Theme;
use crate::widgets::command::CopyLabels;

const LANGUAGE_KEY: &str = "tailwater.language";
const THEME_KEY: &str = "tailwater.theme";
const SHORTCUTS_KEY: &str = "tailwater.shortcuts";
/// The stored value while single-key shortcuts are off.
const OFF: &str = "off";

/// State shared by all pages: the current page, what is open on each page, theme and language.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    page: RwSignal<&'static DashboardPage>,
    /// What is open on each page, in the order of the table.
    queries: RwSignal<Vec<Query>>,
    /// Theme and language of the address, which apply to this visit.
    from_address: RwSignal<Preferences>,
    /// The theme and language that the user selected, which are stored for later visits.
    stored: RwSignal<Preferences>,
    /// The theme in use.
    pub theme: Memo<Theme>,
    /// The language in use.
    pub language: Memo<Language>,
    /// Whether single-key shortcuts are on; change it with [`Shell::use_shortcuts`].
    pub shortcuts: RwSignal<bool>,
    /// Whether the help is open.
    pub help_is_open: RwSignal<bool>,
    /// Notifies when colours have changed, after the style sheet applies them.
    pub colours: RwSignal<()>,
    /// The reactive owner of the current page, which has its contexts.
    owner: StoredValue<Option<Owner>>,
}

/// How a change of the address affects the browser's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryChange {
    /// Adds an entry, which the Back button undoes.
    Push,
    /// Replaces the current entry, as while typing.
    Replace,
}

impl Shell {
    /// All pages, in the order of the navigation.
    pub fn pages(&self) -> &'static [DashboardPage] {
        &PAGES
    }

    /// The current page; reactive when read in a view.
    pub fn page(&self) -> &'static DashboardPage {
        self.page.get()
    }

    /// The texts of all pages, in the language in use; reactive when read in a view.
    pub fn text(&self) -> &'static SharedText {
        SharedText::of(self.language.get())
    }

    /// A text of all pages, as a signal that follows the language.
    pub fn localized(&self, text: fn(&'static SharedText) -> &'static str) -> Signal<&'static str> {
        let language = self.language;
        Signal::derive(move || text(SharedText::of(language.get())))
    }

    /// What is open on a page; reactive when read in a view.
    pub fn query(&self, page: &str) -> Query {
        self.queries
            .with(|queries| queries.get(index(page)).cloned().unwrap_or_default())
    }

    /// What a link to a page opens on it.
    pub fn reopened(&self, page: &DashboardPage) -> Query {
        if page.resumes {
            self.query(page.name)
        } else {
            Query::default()
        }
    }

    /// The URL of a page with `query` open on it.
    pub fn href(&self, page: &str, query: &Query) -> String {
        let address = Address {
            page: index(page),
            query: query.clone(),
            preferences: self.from_address.get(),
        };
        browser::address(&address.to_search(&names()))
    }

    /// Shows a page with `query` open on it, and updates the address bar.
    pub fn go(&self, page: &str, query: Query, change: HistoryChange) {
        let now = untrack(|| (self.page().name == page, self.query(page)));
        if now == (true, query.clone()) {
            return;
        }
        self.remember(page, query);
        let page = &PAGES[index(page)];
        self.show(page, change);
        self.set_page(page);
    }

    /// Records what is open on a page without changing the address bar.
    pub fn remember(&self, page: &str, query: Query) {
        self.queries.update(|queries| {
            if let Some(open) = queries.get_mut(index(page)) {
                *open = query;
            }
        });
    }

    /// Selects a theme or a language, stores it, and includes it in links from now on.
    pub fn choose(&self, chosen: Preferences) {
        if let Some(theme) = chosen.theme {
            browser::store(THEME_KEY, theme.name());
        }
        if let Some(language) = chosen.language {
            browser::store(LANGUAGE_KEY, language.name());
        }
        self.stored.update(|stored| *stored = chosen.or(*stored));
        self.from_address
            .update(|linked| *linked = chosen.or(*linked));
        let page = self.page.get_untracked();
        if page != &NOT_FOUND {
            self.show(page, HistoryChange::Replace);
        }
    }

    /// Switches single-key shortcuts on or off, and stores the choice for later visits.
    pub fn use_shortcuts(&self, on: bool) {
        browser::store(SHORTCUTS_KEY, if on { "on" } else { OFF });
        self.shortcuts.set(on);
    }

    /// Runs the current page's action for a key, and returns whether there is one.
    pub(super) fn press(&self, press: &KeyPress) -> bool {
        let Some(owner) = self.owner.get_value() else {
            return false;
        };
        let keys = self.page.get_untracked().keys;
        owner.with(|| keys.iter().any(|key| (key.press)(press)))
    }

    /// Writes a page and what is open on it to the address bar.
    fn show(&self, page: &DashboardPage, change: HistoryChange) {
        let address = untrack(|| Address {
            page: index(page.name),
            query: self.query(page.name),
            preferences: self.from_address.get(),
        });
        let search = address.to_search(&names());
        match change {
            HistoryChange::Push => browser::push_query(&search),
            HistoryChange::Replace => browser::show_query(&search),
        }
    }

    fn set_page(&self, page: &'static DashboardPage) {
        if self.page.get_untracked() != page {
            self.page.set(page);
            // The link that was activated was removed with its page.
            browser::refocus("page-name");
        }
    }

    /// Applies an address that Back, Forward or typing changed.
    fn follow_address(&self) {
        let address = Address::parse(&browser::query(), &names());
        let page = page_at(&address);
        self.from_address.set(address.preferences);
        if page != &NOT_FOUND {
            self.remember(page.name, address.query);
        }
        self.set_page(page);
    }
}

fn names() -> [&'static str; PAGES.len()] {
    PAGES.each_ref().map(|page| page.name)
}

/// The page that is shown at an address.
fn page_at(address: &Address) -> &'static DashboardPage {
    if not_found::is_known(&browser::path()) {
        &PAGES[address.page]
    } else {
        &NOT_FOUND
    }
}

/// Index of a page in the table; 0 for an unknown name.
fn index(page: &str) -> usize {
    PAGES
        .iter()
        .position(|one| one.name == page)
        .unwrap_or_default()
}

/// Replaces the loading state with the dashboard.
pub fn mount() {
    if let Some(loading) = document().get_element_by_id("loading") {
        loading.remove();
    }
    mount_to_body(DashboardFrame);
}

#[component]
fn DashboardFrame() -> impl IntoView {
    let address = Address::parse(&browser::query(), &names());
    let page = page_at(&address);
    let from_address = RwSignal::new(address.preferences);
    let stored = RwSignal::new(Preferences {
        theme: browser::stored(THEME_KEY).and_then(|name| Theme::from_name(&name)),
        language: browser::stored(LANGUAGE_KEY).and_then(|name| Language::from_name(&name)),
    });
    let of_browser = Language::first_of(browser::languages().iter().map(String::as_str));
    let chosen = move || from_address.get().or(stored.get());
    let shell = Shell {
        page: RwSignal::new(page),
        queries: RwSignal::new(vec![Query::default(); PAGES.len()]),
        from_address,
        stored,
        theme: reactive::memo(move || chosen().theme.unwrap_or_default()),
        language: reactive::memo(move || chosen().language.unwrap_or(of_browser)),
        shortcuts: RwSignal::new(browser::stored(SHORTCUTS_KEY).as_deref() != Some(OFF)),
        help_is_open: RwSignal::new(false),
        colours: RwSignal::new(()),
        owner: StoredValue::new(None),
    };
    if page != &NOT_FOUND {
        shell.remember(page.name, address.query);
    }
    provide_context(shell);
    provide_context(CopyLabels {
        copy: shell.localized(|text| text.copy),
        copied: shell.localized(|text| text.copied),
    });
    follow_language(shell);
    follow_theme(shell);
    window_event_listener(leptos::ev::popstate, move |_| shell.follow_address());
    window_event_listener(leptos::ev::keydown, move |event| {
        keys::on_key(shell, &event);
    });
    move || {
        let page = shell.page();
        shell.owner.set_value(Owner::current());
        (page.view)()
    }
}

/// Updates the title and `<html lang>` when the language or the open page changes.
fn follow_language(shell: Shell) {
    reactive::effect(move || {
        let language = shell.language.get();
        let page = shell.page();
        document().set_title(&(page.title)(language, &shell.query(page.name)));
        if let Some(root) = document().document_element() {
            root.set_attribute("lang", language.name()).ok();
        }
    });
}

/// Updates `<html data-theme>` when the theme changes.
fn follow_theme(shell: Shell) {
    reactive::effect(move || {
        let theme = shell.theme.get();
        if let Some(root) = document().document_element() {
            root.set_attribute("data-theme", theme.name()).ok();
        }
        shell.colours.notify();
    });
    // The system's colour scheme and forced colours can change while the page is open.
    let on_change = Closure::<dyn Fn()>::new(move || shell.colours.notify());
    for media in ["(prefers-color-scheme: dark)", "(forced-colors: active)"] {
        if let Ok(Some(media)) = browser::window().match_media(media) {
            media
                .add_event_listener_with_callback("change", on_change.as_ref().unchecked_ref())
                .ok();
        }
    }
    // Needed until the page is unloaded.
    on_change.forget();
}
