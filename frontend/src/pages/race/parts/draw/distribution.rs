//! The latency distribution: the share of events that arrived within a time, with the predicted curve behind it.
//!
//! Polling is a straight line, a streaming technique a step. The prediction is broad, pale and dashed, so that it is visible
//! on both sides of a measurement that agrees with it. With few samples each is a dot, without a line
//! between them. Each curve has its technique's shape and letter at a different height, so that curves
//! that coincide are distinguishable.

use crate::language::Language;
use crate::numbers::{percent, span_ms};
use crate::pages::race::model::curve::{CurvePoints, time_of};
use crate::techniques::look;
use crate::widgets::canvas::axis::{by_factors, decade, step_for, steps, tick_label};
use crate::widgets::canvas::palette::Ink;
use crate::widgets::canvas::scene::{Align, Dash, Label, Scene, SeriesId, SeriesKind, Style};
use tailwater_protocol::Technique;

/// With fewer samples, each is drawn as a dot.
const DOTS_BELOW: u64 = 200;
/// The least time on a logarithmic axis, ms: the resolution of browsers' clocks.
const LEAST_MS: f64 = 0.1;
const LEFT: f64 = 46.5;
const RIGHT: f64 = 22.0;
const TOP: f64 = 12.5;
const BOTTOM: f64 = 26.0;

/// One technique's distribution.
#[derive(Debug, Clone)]
pub struct Curve {
    /// The technique.
    pub technique: Technique,
    /// Measured.
    pub measured: CurvePoints,
    /// What the points of `measured` are.
    pub kind: PointKind,
    /// Predicted; empty without a prediction.
    pub theory: CurvePoints,
}

/// What the points of a measured curve are, and so how they are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointKind {
    /// One sample each, or quantiles of few samples: dots.
    Samples,
    /// The buckets of a histogram: steps.
    Buckets,
    /// Quantiles: joined by straight lines.
    Quantiles,
}

impl PointKind {
    /// Dots for few samples, `otherwise` for many.
    pub fn of_samples(samples: u64, otherwise: Self) -> Self {
        if samples < DOTS_BELOW {
            Self::Samples
        } else {
            otherwise
        }
    }
}

/// The scale of the horizontal axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// Linear, from 0: a uniform distribution is a straight line.
    #[default]
    Linear,
    /// Logarithmic.
    Log,
}

/// The distribution with its buffers and the range of the previous frame, so that the axis is stable.
#[derive(Debug, Clone, Default)]
pub struct DistributionChart {
    scene: Scene,
    range: LatencyRange,
    /// The curves of the techniques.
    pub curves: Vec<Curve>,
    /// The curves of a saved result; the measured ones are drawn thin behind the others.
    pub saved: Vec<Curve>,
    /// The scale of the last layout.
    scale: Scale,
}

/// The left and the right end of the axis in a drawing of this width, pixels.
pub fn axis_ends(width: f64) -> (f64, f64) {
    (LEFT, (width - RIGHT).max(LEFT + 1.0))
}

/// The range of the axis, ms; its lower end applies to the logarithmic scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct LatencyRange {
    least_ms: f64,
    most_ms: f64,
}

impl DistributionChart {
    /// Lays out the curves in `width` times `height` pixels, with labels in `language`.
    pub fn layout(
        &mut self,
        scale: Scale,
        (width, height): (f64, f64),
        language: Language,
    ) -> &Scene {
        let curves = &self.curves;
        let ends = curves
            .iter()
            .flat_map(|curve| [&curve.measured, &curve.theory])
            .chain(self.saved.iter().map(|curve| &curve.measured))
            .filter_map(|points| middle_99(points));
        let wanted = ends.fold((f64::INFINITY, LEAST_MS * 10.0), |all, one| {
            (all.0.min(one.0), all.1.max(one.1))
        });
        self.range = self.range.keep(wanted);
        self.scale = scale;
        let plot = Plot::new(scale, self.range, width, height);
        self.scene.clear();
        plot.axes(&mut self.scene, language);
        for curve in &self.saved {
            let style = Style::new(SeriesKind::Path, Ink::Hue(curve.technique)).alpha(0.55);
            plot.line(&mut self.scene, style, &curve.measured);
        }
        for curve in curves {
            plot.theory(&mut self.scene, curve);
        }
        for curve in curves {
            plot.measured(&mut self.scene, curve);
        }
        for curve in curves {
            plot.tag(&mut self.scene, curve);
        }
        &self.scene
    }

    /// The latency at a place of the axis of the last layout, ms.
    ///
    /// - `place`: 0 at the left end to 1 at the right end.
    pub fn latency_at(&self, place: f64) -> f64 {
        let LatencyRange { least_ms, most_ms } = self.range;
        match self.scale {
            Scale::Linear => place * most_ms,
            Scale::Log => by_factors(least_ms, most_ms, place),
        }
    }

    /// Lays out and paints on a cleared canvas; the units of `context` are CSS pixels.
    #[cfg(target_arch = "wasm32")]
    pub fn draw(
        &mut self,
        context: &web_sys::CanvasRenderingContext2d,
        scale: Scale,
        size: (f64, f64),
        language: Language,
        palette: &crate::widgets::canvas::palette::Palette,
    ) {
        crate::widgets::canvas::surface::paint(
            context,
            self.layout(scale, size, language),
            palette,
        );
    }
}

/// The range of a curve without its first and its last half percent; `None` for an empty curve.
fn middle_99(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    Some((time_of(points, 0.005)?, time_of(points, 0.995)?))
}

impl LatencyRange {
    /// The range for `(least, most)`: each end is kept as long as it fits well, else it becomes a round number.
    fn keep(self, (least, most): (f64, f64)) -> Self {
        let least = least.max(LEAST_MS).min(most);
        let least_fits = least >= self.least_ms && least < self.least_ms * 20.0;
        let most_fits = most <= self.most_ms && most > self.most_ms * 0.5;
        let step = step_for(most, 10.0);
        Self {
            least_ms: if least_fits {
                self.least_ms
            } else {
                decade(least * (1.0 + 1e-9))
            },
            most_ms: if most_fits {
                self.most_ms
            } else {
                (most * 1.04 / step).ceil() * step
            },
        }
    }
}

struct Plot {
    scale: Scale,
    range: LatencyRange,
    left: f64,
    right: f64,
    top: f64,
    bottom: f64,
}

impl Plot {
    fn new(scale: Scale, range: LatencyRange, width: f64, height: f64) -> Self {
        let bottom = (height - BOTTOM).floor() + 0.5;
        let (left, right) = axis_ends(width);
        Self {
            scale,
            range,
            left,
            right,
            top: TOP,
            bottom,
        }
    }

    fn x(&self, ms: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => ms / self.range.most_ms,
            Scale::Log => {
                let LatencyRange { least_ms, most_ms } = self.range;
                (ms.max(least_ms) / least_ms).ln() / (most_ms / least_ms).ln()
            }
        };
        self.left + share * (self.right - self.left)
    }

    fn y(&self, share: f64) -> f64 {
        self.bottom - share * (self.bottom - self.top)
    }

    fn axes(&self, scene: &mut Scene, language: Language) {
        let grid = scene.open(Style::new(SeriesKind::Lines, Ink::Rule).alpha(0.6));
        for quarter in 0..=4_u32 {
            let share = f64::from(quarter) / 4.0;
            let y = self.y(share).floor() + 0.5;
            scene.add(grid, [self.left, y, self.right, y]);
            scene.label(tick_label(
                self.left - 8.0,
                y,
                percent(share, language),
                Align::End,
            ));
        }
        let room = ((self.right - self.left) / 76.0).max(1.0);
        match self.scale {
            Scale::Linear => {
                for ms in steps(0.0, self.range.most_ms, step_for(self.range.most_ms, room)) {
                    self.tick(scene, grid, ms, Some(language));
                }
            }
            Scale::Log => self.decades(scene, grid, room, language),
        }
    }

    fn decades(&self, scene: &mut Scene, grid: SeriesId, room: f64, language: Language) {
        let LatencyRange { least_ms, most_ms } = self.range;
        let every_digit = (most_ms / least_ms).log10() * 3.0 <= room;
        for decade in (0..9)
            .map(|power| least_ms * 10_f64.powi(power))
            .take_while(|ms| *ms <= most_ms * 1.000_001)
        {
            for digit in 1..10_u32 {
                let ms = decade * f64::from(digit);
                let labelled = digit == 1 || (every_digit && (digit == 2 || digit == 5));
                if ms <= most_ms * 1.000_001 {
                    self.tick(scene, grid, ms, labelled.then_some(language));
                }
            }
        }
    }

    /// Adds a line of the grid with its label, or a tick without.
    fn tick(&self, scene: &mut Scene, grid: SeriesId, ms: f64, label: Option<Language>) {
        let x = self.x(ms);
        let top = if label.is_some() {
            self.top
        } else {
            self.bottom - 4.0
        };
        scene.add(grid, [x, top, x, self.bottom + 4.0]);
        if let Some(language) = label {
            scene.label(tick_label(
                x,
                self.bottom + 14.0,
                span_ms(ms, language),
                Align::Middle,
            ));
        }
    }

    fn theory(&self, scene: &mut Scene, curve: &Curve) {
        let hue = Ink::Hue(curve.technique);
        let style = Style::new(SeriesKind::Path, hue)
            .width(4.0)
            .alpha(0.5)
            .dash(Dash::Dashed);
        self.line(scene, style, &curve.theory);
    }

    /// Adds a path that rises from 0 at the first point and joins the points.
    fn line(&self, scene: &mut Scene, style: Style, points: &[(f64, f64)]) {
        let path = scene.open(style);
        let Some((first, _)) = points.first() else {
            return;
        };
        let mut before = (*first, 0.0);
        self.vertex(scene, path, before);
        for point in points {
            self.straight(scene, path, before, *point);
            before = *point;
        }
    }

    fn measured(&self, scene: &mut Scene, curve: &Curve) {
        let line = Style::new(SeriesKind::Path, Ink::Hue(curve.technique)).width(2.0);
        match curve.kind {
            PointKind::Samples => self.dots(scene, curve),
            PointKind::Buckets => self.steps(scene, line, &curve.measured),
            PointKind::Quantiles => self.line(scene, line, &curve.measured),
        }
    }

    fn dots(&self, scene: &mut Scene, curve: &Curve) {
        let (kind, hue) = (
            SeriesKind::Filled(curve.technique),
            Ink::Hue(curve.technique),
        );
        let dots = scene.open(Style::new(kind, hue));
        for (ms, share) in &curve.measured {
            if *ms <= self.range.most_ms {
                scene.add(dots, [self.x(*ms), self.y(*share), 2.6, 0.0]);
            }
        }
    }

    fn steps(&self, scene: &mut Scene, style: Style, points: &[(f64, f64)]) {
        let path = scene.open(style);
        let (mut share_before, mut drawn) = (0.0, (f64::NEG_INFINITY, 0.0));
        for (index, (ms, share)) in points.iter().enumerate() {
            let (x, y) = (self.x(*ms), self.y(*share));
            let is_last = index + 1 == points.len();
            // Invisible steps are left out, except for the end.
            if x - drawn.0 < 1.0 && drawn.1 - y < 1.0 && !is_last {
                continue;
            }
            self.vertex(scene, path, (*ms, share_before));
            self.vertex(scene, path, (*ms, *share));
            (share_before, drawn) = (*share, (x, y));
        }
    }

    /// Adds a line that is straight in milliseconds, and so a curve on the logarithmic scale.
    fn straight(
        &self,
        scene: &mut Scene,
        path: SeriesId,
        (ms0, share0): (f64, f64),
        (ms1, share1): (f64, f64),
    ) {
        let pieces = if self.scale == Scale::Log && ms1 > ms0 {
            24_u32
        } else {
            1
        };
        let start = ms0.max(self.range.least_ms).min(ms1);
        for piece in 1..pieces {
            let ms = by_factors(start, ms1, f64::from(piece) / f64::from(pieces));
            self.vertex(
                scene,
                path,
                (ms, share0 + (share1 - share0) * (ms - ms0) / (ms1 - ms0)),
            );
        }
        self.vertex(scene, path, (ms1, share1));
    }

    /// Adds a vertex of a path, at the right end if it is beyond it.
    fn vertex(&self, scene: &mut Scene, path: SeriesId, (ms, share): (f64, f64)) {
        scene.point(
            path,
            self.x(ms.min(self.range.most_ms)),
            self.y(share.clamp(0.0, 1.0)),
        );
    }

    /// Adds the technique's shape and letter to its curve.
    fn tag(&self, scene: &mut Scene, curve: &Curve) {
        let share = look(curve.technique).tag_share;
        let steps = curve
            .measured
            .iter()
            .find(|(_, reached)| *reached >= share)
            .map(|(ms, _)| *ms);
        let Some(ms) = steps.or_else(|| time_of(&curve.theory, share)) else {
            return;
        };
        let (x, y) = (self.x(ms.min(self.range.most_ms)), self.y(share));
        let shape = scene.open(Style::new(
            SeriesKind::Filled(curve.technique),
            Ink::Hue(curve.technique),
        ));
        scene.add(shape, [x, y, 5.0, 0.0]);
        scene.label(Label {
            x: x + 9.0,
            y: y + 0.5,
            text: curve.technique.letter().to_string().into(),
            ink: Ink::Hue(curve.technique),
            align: Align::Start,
            size: 12.0,
            bold: true,
        });
    }
}

#[cfg(test)]
mod tests;
