//! The page as a whole: settings from the URL, language, theme, keys, and the one feed behind it all.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use crate::browser;
use crate::feed::Feed;
use crate::frames::{self, Canvas};
use crate::model::settings::{Settings, Theme};
use crate::model::summary::Summary;
use crate::pages::race::RacePage;
use crate::text::{Language, Text};

const LANGUAGE_KEY: &str = "tailwater.language";
const THEME_KEY: &str = "tailwater.theme";

/// Seconds that a telephone shows at first: more would crowd.
const NARROW_WINDOW_S: f64 = 4.0;

/// What every part of the page can reach.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    feed: StoredValue<Rc<Feed>, LocalStorage>,
    canvas: StoredValue<Canvas, LocalStorage>,
    /// What is chosen; change it with [`Page::change`].
    pub settings: RwSignal<Settings>,
    /// What is shown in figures.
    pub summary: RwSignal<Summary>,
    /// Whether the picture is stopped.
    pub paused: RwSignal<bool>,
    /// How far the stopped picture has been stepped, ms.
    pub stepped_ms: RwSignal<f64>,
    /// The language in use.
    pub language: Memo<Language>,
    /// Whether the help is open.
    pub help: RwSignal<bool>,
}

impl Page {
    /// What the page says, in the language in use; following it when read in a view.
    pub fn text(&self) -> &'static Text {
        self.language.get().text()
    }

    /// The work behind the page.
    pub fn feed(&self) -> Rc<Feed> {
        self.feed.get_value()
    }

    /// What the animation loop draws on.
    pub fn canvas(&self) -> Canvas {
        self.canvas.get_value()
    }

    /// Changes settings: the feed, the address bar and the page follow.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.get_untracked();
        change(&mut settings);
        if settings == self.settings.get_untracked() {
            return;
        }
        browser::show_query(&settings.to_query());
        self.feed().apply(&settings);
        self.settings.set(settings);
    }
}

/// Builds the page in place of its loading state.
pub fn mount() {
    if let Some(loading) = document().get_element_by_id("loading") {
        loading.remove();
    }
    mount_to_body(App);
}

/// The page.
#[component]
fn App() -> impl IntoView {
    let mut settings = Settings::from_query(&browser::query());
    if browser::is_narrow() && settings.window_s == Settings::default().window_s {
        settings.window_s = NARROW_WINDOW_S;
    }
    if settings.theme == Theme::Auto {
        settings.theme = browser::stored(THEME_KEY).and_then(|name| Theme::from_name(&name)).unwrap_or_default();
    }
    let usual = browser::stored(LANGUAGE_KEY).and_then(|name| Language::from_name(&name));
    let usual = usual.unwrap_or_else(|| Language::first_of(browser::languages().iter().map(String::as_str)));
    let feed = Feed::start(settings.clone());
    let canvas = Canvas::default();
    let settings = RwSignal::new(settings);
    let page = Page {
        feed: StoredValue::new_local(feed.clone()),
        canvas: StoredValue::new_local(canvas.clone()),
        settings,
        summary: feed.summary.clone().into(),
        paused: feed.paused.clone().into(),
        stepped_ms: feed.stepped_ms.clone().into(),
        language: Memo::new(move |_| settings.with(|settings| settings.language).unwrap_or(usual)),
        help: RwSignal::new(false),
    };
    provide_context(page);
    follow_choices(page);
    watch_visibility(feed.clone());
    let leaving = feed.clone();
    window_event_listener(leptos::ev::pagehide, move |_| leaving.leave());
    frames::run(feed, canvas);
    window_event_listener(leptos::ev::keydown, move |event| on_key(page, &event));
    view! { <RacePage /> }
}

/// Keeps `<html>` and the next visit in step with language and theme.
fn follow_choices(page: Page) {
    Effect::new(move |_| {
        let language = page.language.get();
        document().set_title(language.text().title);
        if let Some(root) = document().document_element() {
            root.set_attribute("lang", language.name()).ok();
        }
        if page.settings.with_untracked(|settings| settings.language.is_some()) {
            browser::store(LANGUAGE_KEY, language.name());
        }
    });
    let theme = Memo::new(move |_| page.settings.with(|settings| settings.theme));
    Effect::new(move |before: Option<()>| {
        let theme = theme.get();
        if let Some(root) = document().document_element() {
            root.set_attribute("data-theme", theme.name()).ok();
        }
        if before.is_some() {
            browser::store(THEME_KEY, theme.name());
        }
        if let Some(stage) = page.canvas().borrow_mut().as_mut() {
            stage.repaint();
        }
    });
    // `auto` follows the system while the page is open.
    if let Ok(Some(wish)) = browser::window().match_media("(prefers-color-scheme: dark)") {
        let on_change = Closure::<dyn Fn()>::new(move || {
            if let Some(stage) = page.canvas().borrow_mut().as_mut() {
                stage.repaint();
            }
        });
        wish.add_event_listener_with_callback("change", on_change.as_ref().unchecked_ref()).ok();
        // As long as the page lives.
        on_change.forget();
    }
}

fn watch_visibility(feed: Rc<Feed>) {
    let on_change = Closure::<dyn Fn()>::new(move || feed.look_away(browser::is_hidden()));
    document().add_event_listener_with_callback("visibilitychange", on_change.as_ref().unchecked_ref()).ok();
    // As long as the page lives.
    on_change.forget();
}

/// Keys without modifiers, outside of fields; Space does what the focused control does with it.
fn on_key(page: Page, event: &web_sys::KeyboardEvent) {
    if event.ctrl_key() || event.meta_key() || event.alt_key() || event.is_composing() {
        return;
    }
    let focused = document().active_element().map(|element| element.tag_name().to_ascii_lowercase());
    let focused = focused.as_deref().unwrap_or("body");
    if matches!(focused, "input" | "textarea" | "select") || page.help.get_untracked() {
        return;
    }
    match event.key().as_str() {
        " " if !matches!(focused, "button" | "summary" | "a") => page.feed().toggle_pause(),
        "?" => page.help.set(true),
        "s" => page.feed().step(true),
        "S" => page.feed().step(false),
        "p" => browser::focus("publish-text"),
        "/" => browser::focus("stream-name"),
        key => match key.parse::<usize>() {
            Ok(lane @ 1..=5) => page.change(|settings| settings.lanes[lane - 1] = !settings.lanes[lane - 1]),
            _ => return,
        },
    }
    event.prevent_default();
}
