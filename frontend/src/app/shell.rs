//! The dashboard as a whole: place and settings from the URL, language, theme, and the page that is shown.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use crate::app::place::{Place, Shelf};
use crate::browser;
use crate::pages::race::controller::Feed;
use crate::pages::race::frames::{self, Canvas};
use crate::pages::race::model::settings::{Settings, Theme};
use crate::pages::race::model::summary::Summary;
use crate::pages::race::text::{Language, Text};
use crate::pages::race::view::RacePage;
use crate::pages::streams::view::StreamsPage;

const LANGUAGE_KEY: &str = "tailwater.language";
const THEME_KEY: &str = "tailwater.theme";

/// Seconds that a telephone shows at first: more would crowd.
const NARROW_WINDOW_S: f64 = 4.0;

/// What every page of the dashboard shares: where one is, how it looks, and in which language.
#[derive(Clone, Copy, Debug)]
pub struct Shell {
    /// Which page is shown, with what is open on it; change it with [`Shell::go`].
    pub place: RwSignal<Place>,
    /// What is chosen; change it with [`Shell::change`].
    pub settings: RwSignal<Settings>,
    /// The language in use.
    pub language: Memo<Language>,
    /// Whether the help is open.
    pub help: RwSignal<bool>,
    /// The race, while its page is shown.
    race: StoredValue<Option<Rc<Feed>>, LocalStorage>,
    canvas: StoredValue<Canvas, LocalStorage>,
}

/// Whether a change of place is a step that the browser's way back undoes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is.
    Recorded,
    /// It goes on from what was there, as while typing.
    Silent,
}

impl Shell {
    /// What the page says, in the language in use; following it when read in a view.
    pub fn text(&self) -> &'static Text {
        self.language.get().text()
    }

    /// A text, following the language. One type for all of them keeps the page small.
    pub fn say(&self, what: fn(&'static Text) -> &'static str) -> Signal<&'static str> {
        let language = self.language;
        Signal::derive(move || what(language.get().text()))
    }

    /// Changes settings: the race, the address bar and the page follow.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.settings.get_untracked();
        change(&mut settings);
        if settings == self.settings.get_untracked() {
            return;
        }
        browser::show_query(&self.place.with_untracked(|place| place.to_query(&settings)));
        if let Some(feed) = self.race.get_value() {
            feed.apply(&settings);
        }
        self.settings.set(settings);
    }

    /// Goes to another place; the address bar follows.
    pub fn go(&self, place: Place, step: Step) {
        if self.place.with_untracked(|now| *now == place) {
            return;
        }
        let query = self
            .settings
            .with_untracked(|settings| place.to_query(settings));
        match step {
            Step::Recorded => browser::push_query(&query),
            Step::Silent => browser::show_query(&query),
        }
        self.place.set(place);
    }

    /// Goes to the Streams page, or to something on it.
    pub fn open(&self, step: Step, change: impl FnOnce(&mut Shelf)) {
        let mut shelf = self.shelf_untracked();
        change(&mut shelf);
        self.go(Place::Streams(shelf), step);
    }

    fn shelf_untracked(&self) -> Shelf {
        self.place.with_untracked(|place| match place {
            Place::Streams(shelf) => shelf.clone(),
            Place::Race => Shelf::default(),
        })
    }

    /// The address leads elsewhere: back, forward, or typed.
    fn follow_address(&self) {
        let (place, mut settings) = Place::read(&browser::query());
        if place != Place::Race {
            let now = self.settings.get_untracked();
            settings = Settings {
                theme: settings.theme,
                language: settings.language,
                ..now
            };
        }
        if let Some(feed) = self.race.get_value() {
            feed.apply(&settings);
        }
        self.settings.set(settings);
        self.place.set(place);
    }

    pub(super) fn race_feed(&self) -> Option<Rc<Feed>> {
        self.race.get_value()
    }
}

/// What every part of the Race page can reach.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    shell: Shell,
    feed: StoredValue<Rc<Feed>, LocalStorage>,
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
}

impl Page {
    /// What the page says, in the language in use; following it when read in a view.
    pub fn text(&self) -> &'static Text {
        self.shell.text()
    }

    /// A text, following the language.
    pub fn say(&self, what: fn(&'static Text) -> &'static str) -> Signal<&'static str> {
        self.shell.say(what)
    }

    /// The work behind the page.
    pub fn feed(&self) -> Rc<Feed> {
        self.feed.get_value()
    }

    /// What the animation loop draws on.
    pub fn canvas(&self) -> Canvas {
        self.shell.canvas.get_value()
    }

    /// Changes settings: the feed, the address bar and the page follow.
    pub fn change(&self, change: impl FnOnce(&mut Settings)) {
        self.shell.change(change);
    }
}

/// Builds the page in place of its loading state.
pub fn mount() {
    if let Some(loading) = document().get_element_by_id("loading") {
        loading.remove();
    }
    mount_to_body(App);
}

/// The dashboard.
#[component]
fn App() -> impl IntoView {
    let (place, mut settings) = Place::read(&browser::query());
    if browser::is_narrow() && settings.window_s == Settings::default().window_s {
        settings.window_s = NARROW_WINDOW_S;
    }
    if settings.theme == Theme::Auto {
        settings.theme = browser::stored(THEME_KEY)
            .and_then(|name| Theme::from_name(&name))
            .unwrap_or_default();
    }
    let usual = browser::stored(LANGUAGE_KEY).and_then(|name| Language::from_name(&name));
    let usual = usual
        .unwrap_or_else(|| Language::first_of(browser::languages().iter().map(String::as_str)));
    let settings = RwSignal::new(settings);
    let shell = Shell {
        place: RwSignal::new(place),
        settings,
        language: Memo::new(move |_| settings.with(|settings| settings.language).unwrap_or(usual)),
        help: RwSignal::new(false),
        race: StoredValue::new_local(None),
        canvas: StoredValue::new_local(Canvas::default()),
    };
    provide_context(shell);
    follow_choices(shell);
    watch_visibility(shell);
    window_event_listener(leptos::ev::popstate, move |_| shell.follow_address());
    window_event_listener(leptos::ev::pagehide, move |_| {
        if let Some(feed) = shell.race_feed() {
            feed.leave();
        }
    });
    window_event_listener(leptos::ev::keydown, move |event| {
        super::keys::on_key(shell, &event);
    });
    let is_race = Memo::new(move |_| shell.place.with(|place| *place == Place::Race));
    view! { {move || if is_race.get() { view! { <Racing /> }.into_any() } else { view! { <StreamsPage /> }.into_any() }} }
}

/// The Race page with the work behind it, which ends when the page is left.
#[component]
fn Racing() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let feed = Feed::start(shell.settings.get_untracked());
    let canvas = shell.canvas.get_value();
    shell.race.set_value(Some(feed.clone()));
    provide_context(Page {
        shell,
        feed: StoredValue::new_local(feed.clone()),
        settings: shell.settings,
        summary: feed.summary.clone().into(),
        paused: feed.paused.clone().into(),
        stepped_ms: feed.stepped_ms.clone().into(),
        language: shell.language,
    });
    let running = frames::run(feed.clone(), canvas.clone());
    let leaving = StoredValue::new_local((feed, canvas, running));
    on_cleanup(move || {
        leaving.with_value(|(feed, canvas, running)| {
            running.set(false);
            canvas.borrow_mut().take();
            feed.end();
        });
        shell.race.set_value(None);
    });
    view! { <RacePage /> }
}

/// Keeps `<html>` and the next visit in step with language and theme.
fn follow_choices(shell: Shell) {
    Effect::new(move || {
        let language = shell.language.get();
        let text = language.text();
        let is_race = shell.place.with(|place| *place == Place::Race);
        document().set_title(if is_race {
            text.title
        } else {
            text.streams.title
        });
        if let Some(root) = document().document_element() {
            root.set_attribute("lang", language.name()).ok();
        }
        if shell
            .settings
            .with_untracked(|settings| settings.language.is_some())
        {
            browser::store(LANGUAGE_KEY, language.name());
        }
    });
    let theme = Memo::new(move |_| shell.settings.with(|settings| settings.theme));
    Effect::new(move |before: Option<()>| {
        let theme = theme.get();
        if let Some(root) = document().document_element() {
            root.set_attribute("data-theme", theme.name()).ok();
        }
        if before.is_some() {
            browser::store(THEME_KEY, theme.name());
        }
        if let Some(stage) = shell.canvas.get_value().borrow_mut().as_mut() {
            stage.repaint();
        }
    });
    // `auto` follows the system while the page is open.
    if let Ok(Some(wish)) = browser::window().match_media("(prefers-color-scheme: dark)") {
        let on_change = Closure::<dyn Fn()>::new(move || {
            if let Some(stage) = shell.canvas.get_value().borrow_mut().as_mut() {
                stage.repaint();
            }
        });
        wish.add_event_listener_with_callback("change", on_change.as_ref().unchecked_ref())
            .ok();
        // As long as the page lives.
        on_change.forget();
    }
}

fn watch_visibility(shell: Shell) {
    let on_change = Closure::<dyn Fn()>::new(move || {
        if let Some(feed) = shell.race_feed() {
            feed.look_away(browser::is_hidden());
        }
    });
    document()
        .add_event_listener_with_callback("visibilitychange", on_change.as_ref().unchecked_ref())
        .ok();
    // As long as the page lives.
    on_change.forget();
}
