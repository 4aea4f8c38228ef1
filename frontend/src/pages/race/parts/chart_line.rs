//! The line that pointer and keys move over a chart, with the values at its place below the chart.

use leptos::prelude::*;
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast, JsValue};

use super::readout;
use crate::browser;
use crate::numbers::px;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::race::RaceState;
use crate::reactive;

/// While a chart runs, its values are held for this long after a key, so that they can be read aloud.
const HOLD_MS: f64 = 3_000.0;

/// The values of a race at the right end of an axis, ms, and a place, 0 to 1; see [`readout`].
pub type ChartValues = fn(&RaceState, f64, f64, RaceContext) -> String;

/// The left and the right end of the axis in a drawing of a width, pixels.
type AxisEnds = fn(f64) -> (f64, f64);

/// The line of one chart.
#[derive(Debug, Clone, Copy)]
pub struct ChartLine {
    page: RaceContext,
    width: RwSignal<f64>,
    ends: AxisEnds,
    values: ChartValues,
    /// 0 at the left end of the axis to 1 at its right end; NaN without a line, as another type of signal would weigh more.
    place: RwSignal<f64>,
    written: RwSignal<String>,
    held_until_ms: RwSignal<f64>,
}

impl ChartLine {
    /// A chart without a line.
    ///
    /// - `width`: of the drawing.
    /// - `ends`: of its axis.
    /// - `changes`: whenever it changes, so do the values at a place, also of a picture that does not run.
    pub fn new(
        page: RaceContext,
        (width, ends): (RwSignal<f64>, AxisEnds),
        changes: RwSignal<f64>,
        values: ChartValues,
    ) -> Self {
        let line = Self {
            page,
            width,
            ends,
            values,
            place: RwSignal::new(f64::NAN),
            written: RwSignal::new(String::new()),
            held_until_ms: RwSignal::new(0.0),
        };
        // A running chart moves below its line.
        reactive::effect(move || {
            page.summary.with(|summary| summary.run_s);
            changes.get();
            page.language.get();
            if !line.runs() || !line.is_held() {
                line.write();
            }
        });
        line
    }

    /// Handles the events of the canvas.
    pub fn listen(self, canvas: &web_sys::HtmlCanvasElement) {
        // The browser drops it with the canvas.
        let on_event = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| {
            self.handle(event.unchecked_ref());
        });
        let on_event = on_event.into_js_value();
        for event in ["mousemove", "mouseleave", "blur", "keydown"] {
            // Fails for no event.
            drop(canvas.add_event_listener_with_callback(event, on_event.unchecked_ref()));
        }
    }

    fn handle(self, event: &web_sys::Event) {
        if let Some(event) = event.dyn_ref::<web_sys::KeyboardEvent>() {
            self.press(event);
        } else if event.type_() == "mousemove" {
            self.point(event.unchecked_ref::<web_sys::MouseEvent>().offset_x());
        } else {
            self.leave(event);
        }
    }

    /// The place, if there is a line.
    fn place(self) -> Option<f64> {
        Some(self.place.get_untracked()).filter(|place| !place.is_nan())
    }

    /// Whether the chart is of a race that is not paused.
    fn runs(self) -> bool {
        !self.page.paused.get_untracked() && !self.page.only_saved.get_untracked()
    }

    fn is_held(self) -> bool {
        browser::now_ms() < self.held_until_ms.get_untracked()
    }

    fn write(self) {
        let Some(place) = self.place() else {
            return;
        };
        let controller = self.page.controller();
        let values = controller.with_shown(browser::now_ms(), |race, now_ms| {
            (self.values)(race, now_ms, place, self.page)
        });
        self.written.set(values);
    }

    fn move_to(self, place: f64, held_ms: f64) {
        self.held_until_ms.set(browser::now_ms() + held_ms);
        self.place.set(place);
        self.write();
    }

    /// Moves the line to a pointer `x` pixels from the left of the drawing.
    fn point(self, x: i32) {
        let (left, right) = (self.ends)(self.width.get_untracked());
        let place = (f64::from(x) - left) / (right - left);
        self.move_to(place.clamp(0.0, 1.0), 0.0);
    }

    /// Moves or removes the line by a key that the canvas gets.
    fn press(self, event: &web_sys::KeyboardEvent) {
        if event.ctrl_key() || event.meta_key() || event.alt_key() {
            return;
        }
        let key = event.key();
        if key == "Escape" {
            self.place.set(f64::NAN);
        } else if let Some(place) = readout::moved(self.place(), &key, event.shift_key()) {
            event.prevent_default();
            self.move_to(place, HOLD_MS);
        }
    }

    /// Removes the line when pointer or focus leave the canvas, unless the other is still there. A chart that does not run
    /// keeps it, so that its values can be copied.
    fn leave(self, event: &web_sys::Event) {
        let canvas = event
            .target()
            .map(JsCast::unchecked_into::<web_sys::Element>);
        let is_used = canvas.is_some_and(|it| it.matches(":focus,:hover").unwrap_or_default());
        if !is_used && self.runs() {
            self.place.set(f64::NAN);
        }
    }

    /// The line, on top of the canvas.
    pub fn line(self) -> AnyView {
        let left = move || {
            let (left, right) = (self.ends)(self.width.get());
            format!(
                "left:{}",
                px(left + self.place.get().max(0.0) * (right - left))
            )
        };
        view! { <i class="line" hidden=move || self.place.get().is_nan() style=left></i> }
            .into_any()
    }

    /// The values; those that follow the pointer, or a running chart, are not read aloud.
    pub fn output(self, id: &'static str) -> AnyView {
        let live = move || {
            self.written.get();
            if self.is_held() { "polite" } else { "off" }
        };
        let text = move || {
            if self.place.get().is_nan() {
                self.page.text().value_hint.to_owned()
            } else {
                self.written.get()
            }
        };
        view! { <output class="hint" id=id aria-live=live>{text}</output> }.into_any()
    }
}
