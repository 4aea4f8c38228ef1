//! The context of the Race page.

use std::rc::Rc;

use leptos::prelude::*;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use super::PAGE;
use super::controller::RaceController;
use super::frames::{self, Canvas};
use super::model::saved_result::{FRAGMENT, SavedResult};
use super::model::settings::RaceSettings;
use super::model::summary::Summary;
use super::text::RaceText;
use crate::app::{HistoryChange, Shell};
use crate::browser;
use crate::language::Language;
use crate::reactive;

/// Seconds that the drawings show on a phone by default.
const NARROW_WINDOW_S: f64 = 4.0;

/// The context of the Race page, for all of its parts.
#[derive(Clone, Copy, Debug)]
pub struct RaceContext {
    /// The state shared by all pages.
    pub shell: Shell,
    controller: StoredValue<Rc<RaceController>, LocalStorage>,
    canvas: StoredValue<Canvas, LocalStorage>,
    /// The settings; change them with [`RaceContext::change`].
    pub settings: RwSignal<RaceSettings>,
    /// The figures to show.
    pub summary: RwSignal<Summary>,
    /// Whether the picture is paused.
    pub paused: RwSignal<bool>,
    /// How far the paused picture has been stepped, ms.
    pub stepped_ms: RwSignal<f64>,
    /// Whether the result of the link that was opened is shown.
    pub shows_saved: RwSignal<bool>,
    /// Whether it is shown without a race.
    pub only_saved: RwSignal<bool>,
    /// Whether the result of the link can't be read.
    pub link_is_broken: bool,
    /// The language in use.
    pub language: Memo<Language>,
}

impl RaceContext {
    /// Starts the page's controller, which ends when the page is left.
    pub fn start(shell: Shell) -> Self {
        let fragment = browser::fragment();
        let link = fragment.strip_prefix(FRAGMENT);
        let saved = link.and_then(SavedResult::decode);
        let link_is_broken = link.is_some() && saved.is_none();
        if link_is_broken {
            browser::drop_fragment();
        }
        let mut settings = match &saved {
            Some(saved) => saved.settings(),
            None => untrack(|| RaceSettings::from_query(&shell.query(PAGE.name))),
        };
        if browser::is_narrow() && settings.window_s == RaceSettings::default().window_s {
            settings.window_s = NARROW_WINDOW_S;
        }
        shell.remember(PAGE.name, settings.to_query());
        let controller = RaceController::start(settings.clone(), saved);
        let canvas = Canvas::default();
        let race = Self {
            shell,
            controller: StoredValue::new_local(controller.clone()),
            canvas: StoredValue::new_local(canvas.clone()),
            settings: RwSignal::new(settings),
            summary: controller.summary.clone().into(),
            paused: controller.paused.clone().into(),
            stepped_ms: controller.stepped_ms.clone().into(),
            shows_saved: controller.shows_saved.clone().into(),
            only_saved: controller.only_saved.clone().into(),
            link_is_broken,
            language: shell.language,
        };
        race.follow_shell();
        race.follow_window();
        follow_links();
        let running = frames::run(controller.clone(), canvas.clone());
        let leaving = StoredValue::new_local((controller, canvas, running));
        on_cleanup(move || {
            leaving.with_value(|(controller, canvas, running)| {
                running.set(false);
                canvas.borrow_mut().take();
                controller.end();
            });
        });
        race
    }

    /// Applies changes of the address and of the colours.
    fn follow_shell(self) {
        reactive::effect(move || {
            let query = self.shell.query(PAGE.name);
            if query != self.settings.with_untracked(RaceSettings::to_query) {
                let settings = RaceSettings::from_query(&query);
                self.controller().apply(&settings);
                self.settings.set(settings);
            }
        });
        reactive::effect(move || {
            self.shell.colours.track();
            if let Some(stage) = self.canvas().borrow_mut().as_mut() {
                stage.repaint();
            }
        });
    }

    /// Notifies the controller when the window is left, hidden or shown.
    fn follow_window(self) {
        let controller = self.controller();
        let leaving = window_event_listener(leptos::ev::pagehide, move |_| controller.leave());
        let controller = self.controller();
        let on_change = Closure::<dyn Fn()>::new(move || {
            controller.set_hidden(browser::is_hidden());
        });
        let event = "visibilitychange";
        document()
            .add_event_listener_with_callback(event, on_change.as_ref().unchecked_ref())
            .ok();
        let on_change = StoredValue::new_local(on_change);
        on_cleanup(move || {
            leaving.remove();
            on_change.with_value(|on_change| {
                document()
                    .remove_event_listener_with_callback(event, on_change.as_ref().unchecked_ref())
                    .ok();
            });
        });
    }

    /// Reads the saved result while it is shown; reactive.
    pub fn with_saved<T>(self, read: impl FnOnce(&SavedResult) -> Option<T>) -> Option<T> {
        let is_shown = self.shows_saved.get();
        self.controller.with_value(|controller| {
            let saved = controller.saved.as_ref();
            saved.filter(|_| is_shown).and_then(read)
        })
    }

    /// Measures with the settings of the saved result, which stays for comparison.
    pub fn measure(self) {
        self.controller().measure();
        browser::drop_fragment();
    }

    /// The texts of the page, in the language in use; reactive when read in a view.
    pub fn text(&self) -> &'static RaceText {
        RaceText::of(self.language.get())
    }

    /// A text of the page, as a signal that follows the language.
    pub fn localized(&self, text: fn(&'static RaceText) -> &'static str) -> Signal<&'static str> {
        let language = self.language;
        Signal::derive(move || text(RaceText::of(language.get())))
    }

    /// The page's controller.
    pub fn controller(&self) -> Rc<RaceController> {
        self.controller.get_value()
    }

    /// The canvases of the animation loop.
    pub fn canvas(&self) -> Canvas {
        self.canvas.get_value()
    }

    /// Changes the settings, and applies them to the controller and the address bar.
    pub fn change(&self, change: impl FnOnce(&mut RaceSettings)) {
        let mut settings = self.settings.get_untracked();
        change(&mut settings);
        if settings == self.settings.get_untracked() {
            return;
        }
        let query = settings.to_query();
        self.controller().apply(&settings);
        self.settings.set(settings);
        self.shell.go(PAGE.name, query, HistoryChange::Replace);
    }
}

/// Opens a link to a result that was entered into the address bar of this page.
fn follow_links() {
    let entered = window_event_listener(leptos::ev::popstate, |_| {
        if browser::fragment().starts_with(FRAGMENT) {
            browser::window().location().reload().ok();
        }
    });
    on_cleanup(move || entered.remove());
}
