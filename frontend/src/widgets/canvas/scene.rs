//! A drawing as numbers: series of lines, boxes, shapes, and a few labels, in CSS pixels.
//!
//! A layout fills a scene, the canvas paints it. Series are painted in the order in which they were opened. A scene keeps
//! its memory from frame to frame.

use super::palette::Ink;
use std::borrow::Cow;
use tailwater_protocol::Technique;

/// What the four numbers of one item of a series mean, and how items are painted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesKind {
    /// Stroked lines: `x0, y0, x1, y1`.
    Lines,
    /// Filled boxes: `x, y, width, height`.
    Boxes,
    /// One stroked line through points: `x, y, 0, 0`; a NaN `x` interrupts it.
    Path,
    /// One filled outline through points: `x, y, 0, 0`; a NaN `x` begins another.
    Area,
    /// The technique's shape, filled, with a halo in the background's colour: `x, y, radius, 0`.
    Filled(Technique),
    /// The outline of the technique's shape, filled with the background's colour: `x, y, radius, 0`.
    Hollow(Technique),
    /// Stroked crosses: `x, y, radius, 0`.
    Crosses,
}

/// The dash pattern of lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dash {
    /// An unbroken line.
    Solid,
    /// Fine dots: time passes without traffic.
    Dotted,
    /// Dashes: a prediction, or a fault.
    Dashed,
}

/// The style of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Style {
    /// The kind of its items.
    pub kind: SeriesKind,
    /// Its colour.
    pub ink: Ink,
    /// Opacity, 0 to 1.
    pub alpha: f64,
    /// Line width in pixels.
    pub width: f64,
    /// The dash pattern of its lines.
    pub dash: Dash,
}

impl Style {
    /// A solid, opaque style with lines of one pixel.
    pub fn new(kind: SeriesKind, ink: Ink) -> Self {
        Self {
            kind,
            ink,
            alpha: 1.0,
            width: 1.0,
            dash: Dash::Solid,
        }
    }

    /// Sets the opacity.
    pub fn alpha(self, alpha: f64) -> Self {
        Self { alpha, ..self }
    }

    /// Sets the line width.
    pub fn width(self, width: f64) -> Self {
        Self { width, ..self }
    }

    /// Sets the dash pattern.
    pub fn dash(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }
}

/// Items of one style.
#[derive(Debug, Clone)]
pub struct Series {
    /// Their style.
    pub style: Style,
    /// Four numbers each, see [`SeriesKind`].
    pub items: Vec<[f64; 4]>,
}

/// The alignment of a label relative to its point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// A short text at a point, vertically centred.
#[derive(Debug, Clone, PartialEq)]
pub struct Label {
    /// Pixels from the left.
    pub x: f64,
    /// Pixels from the top.
    pub y: f64,
    /// The text.
    pub text: Cow<'static, str>,
    /// Its colour.
    pub ink: Ink,
    /// The horizontal alignment.
    pub align: Align,
    /// Height of its font in pixels.
    pub size: f64,
    /// Whether it is bold.
    pub bold: bool,
}

/// Identifies a series of a scene during layout.
#[derive(Debug, Clone, Copy)]
pub struct SeriesId(usize);

/// All series and labels of one drawing.
#[derive(Debug, Clone, Default)]
pub struct Scene {
    series: Vec<Series>,
    used: usize,
    labels: Vec<Label>,
}

impl Scene {
    /// Removes all series and labels; the memory is kept.
    pub fn clear(&mut self) {
        self.used = 0;
        self.labels.clear();
    }

    /// Opens a series on top of those before it.
    pub fn open(&mut self, style: Style) -> SeriesId {
        match self.series.get_mut(self.used) {
            Some(series) => {
                series.style = style;
                series.items.clear();
            }
            None => self.series.push(Series {
                style,
                items: Vec::new(),
            }),
        }
        self.used += 1;
        SeriesId(self.used - 1)
    }

    /// Adds an item, see [`SeriesKind`] for its numbers.
    pub fn add(&mut self, id: SeriesId, item: [f64; 4]) {
        self.series[id.0].items.push(item);
    }

    /// Adds a point to a path or an area.
    pub fn point(&mut self, id: SeriesId, x: f64, y: f64) {
        self.add(id, [x, y, 0.0, 0.0]);
    }

    /// Interrupts a path, or begins another outline of an area.
    pub fn lift(&mut self, id: SeriesId) {
        self.add(id, [f64::NAN; 4]);
    }

    /// Adds a line or box if there is one.
    pub fn add_some(&mut self, id: SeriesId, item: Option<[f64; 4]>) {
        if let Some(item) = item {
            self.add(id, item);
        }
    }

    /// The last item of a series.
    pub fn last_mut(&mut self, id: SeriesId) -> Option<&mut [f64; 4]> {
        self.series[id.0].items.last_mut()
    }

    /// Adds a label.
    pub fn label(&mut self, label: Label) {
        self.labels.push(label);
    }

    /// The series from bottom to top; empty ones are left out.
    pub fn series(&self) -> impl Iterator<Item = &Series> {
        self.series[..self.used]
            .iter()
            .filter(|series| !series.items.is_empty())
    }

    /// The labels, above all series.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }
}
