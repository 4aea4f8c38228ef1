//! The drawings of the lanes: sequence diagram, waterfall and latency distribution.
//!
//! Each drawing is a plain layout (numbers in, [`Scene`] out, tested natively) and one call that paints the scene
//! into a 2D canvas. None has a loop or a clock: the page calls `draw` with the `now` to show.
//!
//! - Times at the client are measured. Times at the server are estimated: a due time was converted by the estimated clock
//!   offset, arrivals and departures at the server are client times plus or minus the estimated transits of [`LaneView`].
//! - Nothing later than `now` is drawn, so a paused trace can be drawn at any earlier moment.
//! - A technique has a hue, a shape and a letter; the gutter of every lane shows all three.

pub mod distribution;
pub mod sequence;
pub mod waterfall;

use crate::language::Language;
use crate::pages::race::model::trace::Trace;
use crate::techniques::look;
use crate::widgets::canvas::axis::TimeAxis;
use crate::widgets::canvas::palette::Ink;
use crate::widgets::canvas::scene::{Align, Label, Scene, SeriesKind, Style};
use tailwater_protocol::Technique;

/// The input of the drawings for one lane.
#[derive(Debug, Clone, Copy)]
pub struct LaneView<'a> {
    /// The technique, which determines hue, shape and letter.
    pub technique: Technique,
    /// The marks.
    pub trace: &'a Trace,
    /// Estimated transit of a request to the server, ms.
    pub up_ms: f64,
    /// Estimated transit of a response to the client, ms.
    pub down_ms: f64,
}

/// The interval of time that is drawn, and the width of the drawing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// Width of the drawing, CSS pixels.
    pub width: f64,
    /// Length of the interval, ms.
    pub span_ms: f64,
    /// The right end, on the client's clock. About one transit before the current time, responses are visible in transit.
    pub now_ms: f64,
    /// The language of the labels.
    pub language: Language,
}

/// Space at the left for the lanes' badges, pixels.
pub const GUTTER: f64 = 30.0;
const RIGHT_MARGIN: f64 = 10.0;
/// Below this width a drawing shows less detail.
const NARROW: f64 = 480.0;

impl View {
    /// The time axis between gutter and right margin.
    pub fn axis(&self) -> TimeAxis {
        let (left, right) = axis_ends(self.width);
        TimeAxis {
            from_ms: self.now_ms - self.span_ms.max(1.0),
            to_ms: self.now_ms,
            left,
            right,
        }
    }
}

/// The left and the right end of the time axis in a drawing of this width, pixels.
pub fn axis_ends(width: f64) -> (f64, f64) {
    (GUTTER, (width - RIGHT_MARGIN).max(GUTTER + 1.0))
}

/// The width from which drawings are also higher.
const WIDE: f64 = 1_600.0;

/// Whether a drawing of this width is narrow.
fn is_narrow(width: f64) -> bool {
    width < NARROW
}

/// Whether a drawing of this width is wide, and therefore higher.
pub fn is_wide(width: f64) -> bool {
    width >= WIDE
}

/// The technique's shape with its letter, at the left end of a lane.
fn badge(scene: &mut Scene, technique: Technique, x: f64, y: f64) {
    let shape = scene.open(Style::new(
        SeriesKind::Filled(technique),
        Ink::Hue(technique),
    ));
    scene.add(shape, [x, y, 9.0, 0.0]);
    scene.label(Label {
        x,
        y: y + look(technique).shape.letter_drop(),
        text: technique.letter().to_string().into(),
        ink: Ink::Ground,
        align: Align::Middle,
        size: 10.0,
        bold: true,
    });
}

/// Selects items that are at least `gap` pixels to the right of the previous one.
#[derive(Debug, Clone, Copy)]
struct MinimumGap {
    gap: f64,
    last: f64,
}

impl MinimumGap {
    fn new(gap: f64) -> Self {
        Self {
            gap,
            last: f64::NEG_INFINITY,
        }
    }

    fn accepts(&mut self, x: f64) -> bool {
        let far = x - self.last >= self.gap;
        if far {
            self.last = x;
        }
        far
    }
}
