//! Axes: the position of a time, and ticks at round numbers with their units.

use super::palette::Ink;
use super::scene::{Align, Label, Scene, SeriesId};
use crate::language::Language;
use crate::numbers::{Unit, span_ms, trimmed};
use std::borrow::Cow;

/// Height that a row of tick labels takes, pixels.
pub const AXIS_HEIGHT: f64 = 22.0;
const TICK: f64 = 4.0;
const LABEL_SIZE: f64 = 11.0;
const TICKS_MAX: f64 = 12.0;

/// Maps an interval of time to an interval of pixels, from left to right.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TimeAxis {
    /// The time at the left end, ms.
    pub from_ms: f64,
    /// The time at the right end, ms: nothing later is drawn.
    pub to_ms: f64,
    /// The left end, pixels.
    pub left: f64,
    /// The right end, pixels.
    pub right: f64,
}

impl TimeAxis {
    /// Pixels per millisecond.
    pub fn scale(&self) -> f64 {
        (self.right - self.left) / (self.to_ms - self.from_ms)
    }

    /// The position of `at_ms`, which may be outside of the axis.
    pub fn x(&self, at_ms: f64) -> f64 {
        self.left + (at_ms - self.from_ms) * self.scale()
    }

    /// Whether `at_ms` is on the axis.
    pub fn holds(&self, at_ms: f64) -> bool {
        (self.from_ms..=self.to_ms).contains(&at_ms)
    }

    /// The part of the line from `(t0, y0)` to `(t1, y1)` that is on the axis.
    pub fn wire(&self, (t0, y0): (f64, f64), (t1, y1): (f64, f64)) -> Option<[f64; 4]> {
        if t1 < self.from_ms || t0 > self.to_ms {
            return None;
        }
        let y_at = |t: f64| {
            if t1 > t0 {
                y0 + (y1 - y0) * (t - t0) / (t1 - t0)
            } else {
                y0
            }
        };
        let (start, end) = (t0.max(self.from_ms), t1.min(self.to_ms));
        let start_y = if start > t0 { y_at(start) } else { y0 };
        let end_y = if end < t1 { y_at(end) } else { y1 };
        Some([self.x(start), start_y, self.x(end), end_y])
    }

    /// The part of an interval of time that is on the axis, as a box at least `least` pixels wide.
    pub fn span(
        &self,
        from_ms: f64,
        to_ms: f64,
        (top, height): (f64, f64),
        least: f64,
    ) -> Option<[f64; 4]> {
        if to_ms < self.from_ms || from_ms > self.to_ms {
            return None;
        }
        let left = self.x(from_ms.max(self.from_ms));
        let width = self.x(to_ms.min(self.to_ms)) - left;
        Some([
            left,
            top,
            width.max(least).min(self.right - left).max(0.0),
            height,
        ])
    }

    /// Ticks at round seconds before the right end, with labels (`−2 s`), into `ticks`, below `y`.
    pub fn ticks(&self, scene: &mut Scene, ticks: SeriesId, y: f64, language: Language) {
        let span = self.to_ms - self.from_ms;
        let step = step_for(span, ((self.right - self.left) / 60.0).min(TICKS_MAX));
        let say = |ago: f64| {
            if span < 1_000.0 {
                span_ms(ago, language)
            } else {
                Unit::Second.of(&trimmed(ago / 1_000.0), language)
            }
        };
        for (ago, x) in steps(0.0, span, step).map(|ago| (ago, self.x(self.to_ms - ago))) {
            scene.add(ticks, [x, y, x, y + TICK]);
            let label = if ago == 0.0 {
                tick_label(x + TICK, y + TICK + 9.0, say(0.0), Align::End)
            } else {
                tick_label(
                    x,
                    y + TICK + 9.0,
                    format!("\u{2212}{}", say(ago)),
                    Align::Middle,
                )
            };
            scene.label(label);
        }
    }
}

/// A label of an axis.
pub fn tick_label(x: f64, y: f64, text: impl Into<Cow<'static, str>>, align: Align) -> Label {
    Label {
        x,
        y,
        text: text.into(),
        ink: Ink::Soft,
        align,
        size: LABEL_SIZE,
        bold: false,
    }
}

/// The smallest of 1, 2, 5, 10, ... that cuts `span` into no more than `most` parts (at least 1).
pub fn step_for(span: f64, most: f64) -> f64 {
    let least = span / most.max(1.0);
    let decade = decade(least);
    let step = [1.0, 2.0, 5.0]
        .into_iter()
        .map(|digit| digit * decade)
        .find(|step| *step >= least * 0.999_999);
    step.unwrap_or(decade * 10.0)
}

/// The power of ten at or below `value`, which is above zero.
pub fn decade(value: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, reason = "from -324 to 308")]
    let power = value.log10().floor() as i32;
    10_f64.powi(power)
}

/// Interpolates geometrically between `start` and `end`, both above zero; `share` is 0 to 1.
pub fn by_factors(start: f64, end: f64, share: f64) -> f64 {
    start * ((end / start).ln() * share).exp()
}

/// `from`, `from + step`, ... up to and including `to`.
pub fn steps(from: f64, to: f64, step: f64) -> impl Iterator<Item = f64> {
    (0..1_000_u32)
        .map(move |count| from + f64::from(count) * step)
        .take_while(move |at| *at <= to + step * 1e-6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const AXIS: TimeAxis = TimeAxis {
        from_ms: 1_000.0,
        to_ms: 2_000.0,
        left: 10.0,
        right: 110.0,
    };

    #[test]
    fn axis_steps_are_round_and_few() {
        for (span, most, step) in [
            (10_000.0, 10.0, 1_000.0),
            (10_000.0, 4.0, 5_000.0),
            (7.0, 5.0, 2.0),
            (1.0, 0.2, 1.0),
        ] {
            assert!(
                (step_for(span, most) - step).abs() < 1e-9,
                "{span} in {most}"
            );
        }
    }

    #[test]
    fn decades_and_factors_are_powers() {
        for (value, expected) in [
            (0.01, 0.01),
            (0.5, 0.1),
            (1.0, 1.0),
            (9.99, 1.0),
            (250.0, 100.0),
        ] {
            assert_eq!(decade(value), expected);
        }
        assert!((by_factors(2.0, 200.0, 0.5) - 20.0).abs() < 1e-9);
        assert!((by_factors(2.0, 200.0, 1.0) - 200.0).abs() < 1e-9);
    }

    #[test]
    fn lines_are_clipped_at_the_end_of_the_axis() {
        assert_eq!(
            AXIS.wire((1_900.0, 0.0), (2_100.0, 40.0)),
            Some([100.0, 0.0, 110.0, 20.0])
        );
        assert_eq!(
            AXIS.wire((900.0, 40.0), (1_100.0, 0.0)),
            Some([10.0, 20.0, 20.0, 0.0])
        );
        assert_eq!(AXIS.wire((2_001.0, 0.0), (2_100.0, 40.0)), None);
        assert_eq!(
            AXIS.wire((1_500.0, 0.0), (1_500.0, 40.0)),
            Some([60.0, 0.0, 60.0, 40.0])
        );
    }

    #[test]
    fn a_span_never_leaves_the_axis() {
        assert_eq!(
            AXIS.span(0.0, 9_000.0, (1.0, 2.0), 2.0),
            Some([10.0, 1.0, 100.0, 2.0])
        );
        assert_eq!(
            AXIS.span(2_000.0, 2_000.0, (1.0, 2.0), 2.0),
            Some([110.0, 1.0, 0.0, 2.0])
        );
        assert_eq!(
            AXIS.span(1_500.0, 1_500.0, (1.0, 2.0), 2.0),
            Some([60.0, 1.0, 2.0, 2.0])
        );
        assert_eq!(AXIS.span(0.0, 999.0, (1.0, 2.0), 2.0), None);
    }
}
