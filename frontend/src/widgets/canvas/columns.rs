//! Thousands of events: how many arrive, or are waiting, in each column of a few pixels.

use super::axis::TimeAxis;
use super::scene::{Scene, SeriesId};

/// Width of a column, pixels.
pub const COLUMN: f64 = 2.0;
/// The count that has the full height. Fixed, so that heights do not jump when a burst appears or disappears.
const FULL: f64 = 4_096.0;
/// The height of the smallest count, as a share of the full height.
const LEAST: f64 = 0.15;

/// A number per column. Columns are aligned to the clock, not to the window, so that they scroll without flicker.
#[derive(Debug, Clone, Default)]
pub struct Columns {
    values: Vec<f64>,
    first: f64,
    column_ms: f64,
}

impl Columns {
    /// Counts the items in each column: `(time, count)`, in any order; items outside of the axis are left out.
    pub fn count(&mut self, axis: &TimeAxis, items: impl Iterator<Item = (f64, u32)>) {
        self.begin(axis);
        for (at_ms, count) in items.filter(|(at_ms, _)| axis.holds(*at_ms)) {
            self.add(at_ms, f64::from(count));
        }
    }

    /// The level at the end of each column: `(from, until, count)`, in any order.
    pub fn level(&mut self, axis: &TimeAxis, stays: impl Iterator<Item = (f64, f64, u32)>) {
        self.begin(axis);
        let seen = |(from_ms, to_ms, _): &(f64, f64, u32)| {
            *from_ms <= axis.to_ms && *to_ms >= axis.from_ms
        };
        for (from_ms, to_ms, count) in stays.filter(seen) {
            self.add(from_ms.max(axis.from_ms), f64::from(count));
            if to_ms <= axis.to_ms {
                self.add(to_ms.max(from_ms), -f64::from(count));
            }
        }
        let mut level = 0.0;
        for value in &mut self.values {
            level += *value;
            *value = level;
        }
    }

    /// The largest number.
    pub fn most(&self) -> f64 {
        self.values.iter().copied().fold(0.0, f64::max)
    }

    /// Adds the outline of all columns to an area with its lower edge at `base`; `height` converts a number to pixels.
    pub fn outline(
        &self,
        scene: &mut Scene,
        area: SeriesId,
        axis: &TimeAxis,
        base: f64,
        height: impl Fn(f64) -> f64,
    ) {
        let mut end = None;
        for (column, value) in (0_u32..).zip(&self.values) {
            let left = axis.x((self.first + f64::from(column)) * self.column_ms);
            let (left, right) = (left.max(axis.left), (left + COLUMN).min(axis.right));
            if *value <= 0.0 || right <= left {
                close(scene, area, &mut end, base);
                continue;
            }
            let top = base - height(*value);
            if end.is_none() {
                scene.point(area, left, base);
            }
            scene.point(area, left, top);
            scene.point(area, right, top);
            end = Some(right);
        }
        close(scene, area, &mut end, base);
    }

    fn begin(&mut self, axis: &TimeAxis) {
        self.column_ms = COLUMN / axis.scale();
        self.first = (axis.from_ms / self.column_ms).floor();
        self.values.clear();
        self.values
            .resize(index((axis.right - axis.left) / COLUMN) + 2, 0.0);
    }

    fn add(&mut self, at_ms: f64, count: f64) {
        let column = index((at_ms / self.column_ms).floor() - self.first);
        if let Some(value) = self.values.get_mut(column) {
            *value += count;
        }
    }
}

/// Closes an open outline at the base.
fn close(scene: &mut Scene, area: SeriesId, end: &mut Option<f64>, base: f64) {
    if let Some(right) = end.take() {
        scene.point(area, right, base);
        scene.lift(area);
    }
}

/// The height of a column with `count` items, as a share of the full height: logarithmic, from a visible minimum to 1.
pub fn share_of_height(count: f64) -> f64 {
    LEAST + (1.0 - LEAST) * (count.ln_1p() / FULL.ln_1p()).min(1.0)
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a pixel position: saturates, and NaN is 0"
)]
fn index(position: f64) -> usize {
    position as usize
}

#[cfg(test)]
mod tests {
    use super::super::palette::Ink;
    use super::super::scene::{SeriesKind, Style};
    use super::*;

    fn axis(now_ms: f64) -> TimeAxis {
        TimeAxis {
            from_ms: now_ms - 10_000.0,
            to_ms: now_ms,
            left: 30.0,
            right: 1_030.0,
        }
    }

    #[test]
    fn no_event_is_lost_and_none_is_counted_twice() {
        let mut columns = Columns::default();
        columns.count(
            &axis(20_000.0),
            (0..30_000_u32).map(|at| (f64::from(at), 1)),
        );
        assert_eq!(columns.values.iter().sum::<f64>(), 10_001.0);
    }

    #[test]
    fn scrolling_moves_columns_without_changing_them() {
        let events = || (0..40_000_u32).map(|at| (f64::from(at * at % 40_000), 1));
        let (mut before, mut after) = (Columns::default(), Columns::default());
        before.count(&axis(20_000.0), events());
        after.count(&axis(20_333.3), events());
        let shift = index(after.first - before.first);
        assert!(shift > 0);
        let whole = before.values.len() - 4;
        assert_eq!(
            before.values[shift + 1..whole],
            after.values[1..whole - shift]
        );
    }

    #[test]
    fn an_outline_stays_within_its_axis_and_its_height() {
        let (mut scene, mut columns) = (Scene::default(), Columns::default());
        let axis = axis(20_001.7);
        columns.count(&axis, (0..30_000_u32).map(|at| (f64::from(at), at % 7)));
        let area = scene.open(Style::new(SeriesKind::Area, Ink::Rule));
        columns.outline(&mut scene, area, &axis, 100.0, |count| {
            40.0 * share_of_height(count)
        });
        let items = &scene.series().next().unwrap().items;
        let inside = |[x, y, ..]: &[f64; 4]| {
            x.is_nan() || ((30.0..=1_030.0).contains(x) && (60.0..=100.0).contains(y))
        };
        assert!(items.len() > 1_000 && items.iter().all(inside));
    }

    #[test]
    fn a_level_rises_with_arrivals_and_falls_with_departures() {
        let (mut columns, axis) = (Columns::default(), axis(20_000.0));
        let stays = (0..1_000_u32).map(|n| (11_000.0 + f64::from(n), 12_000.0, 1));
        columns.level(
            &axis,
            stays.chain([
                (5_000.0, f64::INFINITY, 7),
                (0.0, 9_999.0, 5),
                (20_001.0, 21_000.0, 5),
            ]),
        );
        let at = |ms: f64| columns.values[index((ms / columns.column_ms).floor() - columns.first)];
        assert_eq!((at(10_500.0), at(12_100.0), at(19_990.0)), (7.0, 7.0, 7.0));
        assert!((480.0..560.0).contains(&at(11_500.0)), "{}", at(11_500.0));
        assert!((columns.most() - 1_007.0).abs() < 30.0);
    }

    #[test]
    fn one_event_is_visible_and_ten_thousand_fit() {
        assert!(share_of_height(1.0) > 0.2);
        assert!(share_of_height(10_000.0) <= 1.0);
    }
}
