//! The frame: the current page, what is open on it, language and theme, and their effects on the document.

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::address::Address;
use super::keys;
use super::page::{DashboardPage, KeyPress};
use super::pages::PAGES;
use super::preferences::Preferences;
use super::query::Query;
use super::text::SharedText;
use crate::browser;
use crate::language::Language;
use crate::theme::Theme;
use crate::widgets::command::CopyLabels;

const LANGUAGE_KEY: &str = "tailwater.language";
const THEME_KEY: &str = "tailwater.theme";

/// State shared by all pages: the current page, what is open on each page, theme and language.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    page: RwSignal<&'static DashboardPage>,
    /// What is open on each page, in the order of the table.
    queries: RwSignal<Vec<Query>>,
    /// Theme and language as chosen; change them with [`Shell::choose`].
    pub preferences: RwSignal<Preferences>,
    /// The language in use.
    pub language: Memo<Language>,
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
            preferences: self.preferences.get(),
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

    /// Changes theme or language.
    pub fn choose(&self, change: impl FnOnce(&mut Preferences)) {
        let mut preferences = self.preferences.get_untracked();
        change(&mut preferences);
        if preferences != self.preferences.get_untracked() {
            self.preferences.set(preferences);
            self.show(self.page.get_untracked(), HistoryChange::Replace);
        }
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
            preferences: self.preferences.get(),
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
        }
    }

    /// Applies an address that Back, Forward or typing changed.
    fn follow_address(&self) {
        let address = Address::parse(&browser::query(), &names());
        let page = &PAGES[address.page];
        self.preferences.set(address.preferences);
        self.remember(page.name, address.query);
        self.set_page(page);
    }
}

fn names() -> [&'static str; PAGES.len()] {
    PAGES.each_ref().map(|page| page.name)
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
    let Address {
        page,
        query,
        mut preferences,
    } = Address::parse(&browser::query(), &names());
    if preferences.theme == Theme::Auto {
        preferences.theme = browser::stored(THEME_KEY)
            .and_then(|name| Theme::from_name(&name))
            .unwrap_or_default();
    }
    let usual = browser::stored(LANGUAGE_KEY).and_then(|name| Language::from_name(&name));
    let usual = usual
        .unwrap_or_else(|| Language::first_of(browser::languages().iter().map(String::as_str)));
    let preferences = RwSignal::new(preferences);
    let language = move || preferences.with(|chosen| chosen.language).unwrap_or(usual);
    let shell = Shell {
        page: RwSignal::new(&PAGES[page]),
        queries: RwSignal::new(vec![Query::default(); PAGES.len()]),
        preferences,
        language: Memo::new(move |_| language()),
        help_is_open: RwSignal::new(false),
        colours: RwSignal::new(()),
        owner: StoredValue::new(None),
    };
    shell.remember(PAGES[page].name, query);
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

/// Keeps the title, `<html lang>` and the next visit in step with the language.
fn follow_language(shell: Shell) {
    Effect::new(move || {
        let language = shell.language.get();
        document().set_title((shell.page().title)(language));
        if let Some(root) = document().document_element() {
            root.set_attribute("lang", language.name()).ok();
        }
        if shell
            .preferences
            .with_untracked(|chosen| chosen.language.is_some())
        {
            browser::store(LANGUAGE_KEY, language.name());
        }
    });
}

/// Keeps `<html data-theme>` and the next visit in step with the theme.
fn follow_theme(shell: Shell) {
    let theme = Memo::new(move |_| shell.preferences.with(|chosen| chosen.theme));
    Effect::new(move |before: Option<()>| {
        let theme = theme.get();
        if let Some(root) = document().document_element() {
            root.set_attribute("data-theme", theme.name()).ok();
        }
        if before.is_some() {
            browser::store(THEME_KEY, theme.name());
        }
        shell.colours.notify();
    });
    // `auto` follows the system while the page is open.
    if let Ok(Some(dark)) = browser::window().match_media("(prefers-color-scheme: dark)") {
        let on_change = Closure::<dyn Fn()>::new(move || shell.colours.notify());
        dark.add_event_listener_with_callback("change", on_change.as_ref().unchecked_ref())
            .ok();
        // As long as the page lives.
        on_change.forget();
    }
}
