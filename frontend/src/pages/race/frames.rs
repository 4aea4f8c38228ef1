//! The only animation-frame loop of the page: drawings at most 30 times a second, the distribution five times, figures once,
//! none of them while hidden.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use tailwater_lab::clock::WallWatch;
use wasm_bindgen::JsCast;
use wasm_bindgen::closure::Closure;

use crate::browser;
use crate::pages::race::controller::RaceController;
use crate::pages::race::parts::canvases::RaceCanvases;

/// Interval of drawings: 30 a second, minus a tolerance for early frames.
const FRAME_MS: f64 = 1_000.0 / 30.0 - 4.0;
/// Interval of drawings for people who prefer reduced motion.
const STEP_MS: f64 = 1_000.0;
/// Interval of the distribution and of checks whether figures are due, and at the beginning of a run.
const FIGURES_MS: f64 = 200.0;
const FRESH_FIGURES_MS: f64 = 100.0;
/// A visible page without a frame for this long did not run.
const STALL_MS: f64 = 1_000.0;

/// The canvases of the loop; empty until the page is built.
pub type Canvas = Rc<RefCell<Option<RaceCanvases>>>;

/// The callback of each frame, which requests the next one.
type OnFrame = RefCell<Option<Closure<dyn FnMut(f64)>>>;

/// Weight of a new interval in the mean interval between frames.
const PACE_SHARE: f64 = 0.1;

#[derive(Debug, Default)]
struct FramePace {
    /// Mean interval between the browser's frames, ms: if it is long, drawings are made less often.
    pace_ms: Cell<f64>,
    drawn_ms: Cell<f64>,
    shown_ms: Cell<f64>,
    ran_ms: Cell<f64>,
    wall: RefCell<WallWatch>,
}

/// Runs the loop until the returned cell is set to false.
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
        // Fails only while the window is being closed.
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
            let (saved, only_saved) = controller.shown_saved();
            controller.with_shown(now_ms, |race, at_ms| {
                stage.draw_distribution(race, at_ms, saved, only_saved);
            });
        }
    }
    // Drawing in every second frame of the browser leaves half of the time for received data. The second frame is due after
    // more than one and a half intervals; waiting for two whole ones would skip it whenever it is a little early.
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
