//! The page's one animation-frame loop: drawings at 30 frames a second at most, figures five times; none while hidden.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tailwater_lab::clock::WallWatch;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use crate::browser;
use crate::pages::race::controller::RaceController;
use crate::pages::race::parts::canvases::RaceCanvases;

/// Between two drawings: 30 a second, with room for frames that come a little early.
const FRAME_MS: f64 = 1_000.0 / 30.0 - 4.0;
/// Between two drawings for who asked for less motion.
const STEP_MS: f64 = 1_000.0;
/// Between two looks at the figures, and while a run has just begun.
const FIGURES_MS: f64 = 200.0;
const FRESH_FIGURES_MS: f64 = 100.0;
/// A visible page that did not run for so long was stopped by something else.
const STALL_MS: f64 = 1_000.0;

/// What the loop draws on; empty until the page stands.
pub type Canvas = Rc<RefCell<Option<RaceCanvases>>>;

/// What the browser calls for each frame; it asks for the next one itself.
type OnFrame = RefCell<Option<Closure<dyn FnMut(f64)>>>;

/// How much a new interval between frames counts in their mean.
const PACE_SHARE: f64 = 0.1;

#[derive(Debug, Default)]
struct FramePace {
    /// Mean interval between the browser's frames, ms: where they come late, drawing takes its share of the blame.
    pace_ms: Cell<f64>,
    drawn_ms: Cell<f64>,
    shown_ms: Cell<f64>,
    ran_ms: Cell<f64>,
    wall: RefCell<WallWatch>,
}

/// Runs the loop until what is returned is set to false.
pub fn run(controller: Rc<RaceController>, canvas: Canvas) -> Rc<Cell<bool>> {
    let running = Rc::new(Cell::new(true));
    let runs = running.clone();
    let calm = browser::wants_less_motion();
    let frames = FramePace::default();
    let frame: Rc<OnFrame> = Rc::default();
    let again = frame.clone();
    *frame.borrow_mut() = Some(Closure::new(move |_| {
        if runs.get() {
            on_frame(&controller, &canvas, &frames, calm);
            request_frame(&again);
        }
    }));
    request_frame(&frame);
    running
}

fn request_frame(frame: &OnFrame) {
    if let Some(closure) = frame.borrow().as_ref() {
        // Refused only by a window that is being closed.
        browser::window()
            .request_animation_frame(closure.as_ref().unchecked_ref())
            .ok();
    }
}

fn on_frame(controller: &RaceController, canvas: &Canvas, frames: &FramePace, calm: bool) {
    let now_ms = browser::now_ms();
    let stalled = frames.ran_ms.get() > 0.0 && now_ms - frames.ran_ms.get() > STALL_MS;
    let jumped = frames
        .wall
        .borrow_mut()
        .look(js_sys::Date::now(), now_ms)
        .is_some();
    if stalled || jumped {
        controller.stalled();
    }
    if frames.ran_ms.get() > 0.0 && !stalled {
        let pace_ms = frames.pace_ms.get();
        frames
            .pace_ms
            .set(pace_ms + PACE_SHARE * (now_ms - frames.ran_ms.get() - pace_ms));
    }
    frames.ran_ms.set(now_ms);
    let figures_ms = if controller.is_fresh(now_ms) {
        FRESH_FIGURES_MS
    } else {
        FIGURES_MS
    };
    if now_ms - frames.shown_ms.get() >= figures_ms {
        frames.shown_ms.set(now_ms);
        controller.summarise();
        if let Some(stage) = canvas.borrow_mut().as_mut() {
            stage.measure();
            controller.with_shown(now_ms, |race, at_ms| stage.draw_distribution(race, at_ms));
        }
    }
    // Two frames of the browser for each of ours leave the other half to what arrives. The second one is due after more than
    // one and a half intervals; waiting for two whole ones would miss it whenever it comes a little early, and take the third.
    let frame_ms = if calm {
        STEP_MS
    } else {
        FRAME_MS.max(1.5 * frames.pace_ms.get())
    };
    if now_ms - frames.drawn_ms.get() >= frame_ms {
        frames.drawn_ms.set(now_ms);
        if let Some(stage) = canvas.borrow_mut().as_mut() {
            controller.with_shown(now_ms, |race, at_ms| stage.draw(race, at_ms));
        }
    }
}
