//! The waterfall: how long each request is held open, when bytes arrive, and which of them are events.
//!
//! One row per lane. A low bar is a request or a response in transit, a high light bar a request held open, a dark bar is
//! where bytes arrive: a tick per chunk, higher for more bytes. The technique's shape above is an event; a hollow one is an
//! empty response. Long-polling has a row of bars, a streaming technique one long bar with ticks.

use super::{LaneView, MinimumGap, View, badge, is_narrow, is_wide};
use crate::pages::race::model::trace::RequestMark;
use crate::widgets::canvas::axis::{AXIS_HEIGHT, TimeAxis};
use crate::widgets::canvas::palette::Ink;
use crate::widgets::canvas::scene::{Scene, SeriesId, SeriesKind, Style};

const BAR: f64 = 14.0;
const TRANSIT: f64 = 5.0;
/// Distance of shapes above the middle of the bar.
const ABOVE: f64 = 12.0;
const TICK_WIDTH: f64 = 1.5;
/// Bytes of a chunk whose tick is as high as the bar.
const FULL_BYTES: f64 = 65_536.0;

/// The vertical positions, pixels from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct WaterfallGeometry {
    /// The middle of each lane's bar, from top to bottom.
    pub middles: Vec<f64>,
    /// Height of one row.
    pub row: f64,
    /// The top of the axis.
    pub axis_y: f64,
    /// Height of the whole drawing.
    pub height: f64,
}

impl WaterfallGeometry {
    /// The geometry for a number of lanes at this width.
    pub fn new(width: f64, lanes: usize) -> Self {
        let row = if is_narrow(width) {
            30.0
        } else if is_wide(width) {
            40.0
        } else {
            32.0
        };
        let middles: Vec<f64> = (0_u32..)
            .take(lanes)
            .map(|lane| f64::from(lane) * row + row / 2.0 + 5.0)
            .collect();
        let axis_y = middles.last().map_or(0.0, |last| last + row / 2.0 - 2.0);
        Self {
            middles,
            row,
            axis_y,
            height: axis_y + AXIS_HEIGHT,
        }
    }
}

/// The waterfall with its buffers.
#[derive(Debug, Clone, Default)]
pub struct WaterfallChart {
    scene: Scene,
}

impl WaterfallChart {
    /// Lays out the lanes, from top to bottom in their order, in the coordinates of [`WaterfallGeometry`].
    pub fn layout(&mut self, lanes: &[LaneView<'_>], view: &View) -> &Scene {
        let axis = view.axis();
        let geometry = WaterfallGeometry::new(view.width, lanes.len());
        self.scene.clear();
        let ticks = self.scene.open(Style::new(SeriesKind::Lines, Ink::Rule));
        axis.ticks(&mut self.scene, ticks, geometry.axis_y, view.language);
        for (view, middle) in lanes.iter().zip(&geometry.middles) {
            badge(&mut self.scene, view.technique, 14.0, *middle);
            let row = WaterfallRow {
                view,
                axis,
                middle: *middle,
            };
            row.bars(&mut self.scene);
            row.bytes(&mut self.scene);
            row.events(&mut self.scene);
        }
        &self.scene
    }

    /// Lays out and paints on a cleared canvas; the units of `context` are CSS pixels.
    #[cfg(target_arch = "wasm32")]
    pub fn draw(
        &mut self,
        context: &web_sys::CanvasRenderingContext2d,
        lanes: &[LaneView<'_>],
        view: &View,
        palette: &crate::widgets::canvas::palette::Palette,
    ) {
        crate::widgets::canvas::surface::paint(context, self.layout(lanes, view), palette);
    }
}

struct WaterfallRow<'a> {
    view: &'a LaneView<'a>,
    axis: TimeAxis,
    middle: f64,
}

impl WaterfallRow<'_> {
    fn bars(&self, scene: &mut Scene) {
        let hue = Ink::Hue(self.view.technique);
        let transit = scene.open(Style::new(SeriesKind::Boxes, hue).alpha(0.55));
        let open = scene.open(Style::new(SeriesKind::Boxes, hue).alpha(0.3));
        let (low, high) = (
            (self.middle - TRANSIT / 2.0, TRANSIT),
            (self.middle - BAR / 2.0, BAR),
        );
        for request in self.view.trace.requests(self.axis.from_ms, self.axis.to_ms) {
            let (there, back) = self.at_server(request);
            let over = request.end_ms.unwrap_or(f64::INFINITY);
            self.bar(scene, transit, (request.sent_ms, there), low);
            self.bar(scene, open, (there, back), high);
            self.bar(scene, transit, (back, over), low);
        }
    }

    /// Adds a bar. There is a gap of a pixel between neighbours, so that they can be counted, unless they are too narrow.
    fn bar(&self, scene: &mut Scene, series: SeriesId, (from, to): (f64, f64), across: (f64, f64)) {
        if to <= from {
            return;
        }
        let Some(span) = self.axis.span(from, to, across, 0.0) else {
            return;
        };
        match scene.last_mut(series) {
            Some(last)
                if span[0] - (last[0] + last[2]) < 0.5 && span[2] < 3.0 && last[0] <= span[0] =>
            {
                last[2] = (span[0] + span[2] - last[0]).max(last[2]);
            }
            _ => {
                let gap = if span[2] > 3.0 { 1.0 } else { 0.0 };
                scene.add(series, [span[0] + gap, span[1], span[2] - gap, span[3]]);
            }
        }
    }

    /// When the request was at the server: from its arrival until the last chunk of the response was sent; estimated.
    fn at_server(&self, request: &RequestMark) -> (f64, f64) {
        let over = request.end_ms.unwrap_or(f64::INFINITY);
        let (up, down) = (self.view.up_ms.max(0.0), self.view.down_ms.max(0.0));
        let share = if up + down > 0.0 {
            ((over - request.sent_ms) / (up + down)).min(1.0)
        } else {
            1.0
        };
        (request.sent_ms + up * share, over - down * share)
    }

    fn bytes(&self, scene: &mut Scene) {
        let ticks = scene.open(Style::new(SeriesKind::Boxes, Ink::Hue(self.view.technique)));
        let mut gap = MinimumGap::new(TICK_WIDTH + 0.5);
        for run in self.view.trace.chunks(self.axis.from_ms, self.axis.to_ms) {
            let x = self.axis.x(run.at_ms);
            if !self.axis.holds(run.at_ms) {
                continue;
            }
            let height = tick_height(run.bytes);
            if gap.accepts(x) {
                scene.add(
                    ticks,
                    [
                        (x - TICK_WIDTH).max(self.axis.left),
                        self.middle - height / 2.0,
                        TICK_WIDTH,
                        height,
                    ],
                );
            } else if let Some(last) = scene.last_mut(ticks).filter(|last| last[3] < height) {
                (last[1], last[3]) = (self.middle - height / 2.0, height);
            }
        }
    }

    fn events(&self, scene: &mut Scene) {
        let technique = self.view.technique;
        let empty = scene.open(Style::new(SeriesKind::Hollow(technique), Ink::Soft));
        let events = scene.open(Style::new(
            SeriesKind::Filled(technique),
            Ink::Hue(technique),
        ));
        let failed = scene.open(Style::new(SeriesKind::Crosses, Ink::Danger).width(2.0));
        let (from, to) = (self.axis.from_ms, self.axis.to_ms);
        let room = 9.0;
        let mut gap = MinimumGap::new(room);
        for request in self.view.trace.requests(from, to) {
            let Some(end) = request.end_ms.filter(|end| self.axis.holds(*end)) else {
                continue;
            };
            let x = self.axis.x(end);
            if request.failed {
                scene.add(failed, [x, self.middle - ABOVE, 4.0, 0.0]);
            } else if request.responds_once() && !request.filled && gap.accepts(x) {
                scene.add(empty, [x, self.middle - ABOVE, 3.2, 0.0]);
            }
        }
        // Where shapes would overlap, there are only ticks.
        let crowded = self.view.trace.events(from, to).map(|run| run.at_ms);
        let mut gap = MinimumGap::new(room);
        let apart = crowded.filter(|at| gap.accepts(self.axis.x(*at))).count();
        let arrivals = || {
            self.view
                .trace
                .events(from, to)
                .map(|run| run.at_ms)
                .filter(|at| self.axis.holds(*at))
        };
        if f64::from(u32::try_from(apart).unwrap_or(u32::MAX)) * room * 1.8
            > self.axis.right - self.axis.left
        {
            return;
        }
        let mut gap = MinimumGap::new(3.0);
        for x in arrivals()
            .map(|at| self.axis.x(at))
            .filter(|x| gap.accepts(*x))
        {
            scene.add(events, [x, self.middle - ABOVE, 4.0, 0.0]);
        }
    }
}

/// Height of the tick of a chunk, pixels: half the bar for few bytes, the whole bar from 64 KiB.
fn tick_height(bytes: u64) -> f64 {
    // Exact up to 2^53 bytes.
    #[allow(clippy::cast_precision_loss, reason = "a height in pixels")]
    let share = ((bytes as f64).ln_1p() / FULL_BYTES.ln_1p()).min(1.0);
    BAR * (0.4 + 0.6 * share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::pages::race::model::trace::{EventMark, Trace};
    use crate::widgets::canvas::scene::Series;
    use tailwater_client::FollowReport;
    use tailwater_protocol::Technique;

    const VIEW: View = View {
        width: 1_040.0,
        span_ms: 1_000.0,
        now_ms: 1_000.0,
        language: Language::English,
    };

    fn long_poll(ends: impl Iterator<Item = f64>) -> Trace {
        let (mut trace, mut sent) = (Trace::new(), 0.0);
        for (id, end) in (0..).zip(ends) {
            trace.report(&FollowReport::Requested {
                id,
                at_ms: sent,
                technique: Technique::LongPoll,
            });
            trace.report(&FollowReport::Responded {
                id,
                at_ms: end,
                status: 200,
            });
            trace.report(&FollowReport::Chunk {
                id,
                at_ms: end,
                bytes: 64,
            });
            trace.event(EventMark {
                seq: id,
                due_ms: None,
                at_ms: end,
                id,
            });
            trace.report(&FollowReport::Ended {
                id,
                at_ms: end,
                fault: None,
            });
            sent = end;
        }
        trace
    }

    fn items(trace: &Trace, wanted: impl Fn(&Series) -> bool) -> Vec<[f64; 4]> {
        let view = LaneView {
            technique: Technique::LongPoll,
            trace,
            up_ms: 20.0,
            down_ms: 20.0,
        };
        let mut waterfall = WaterfallChart::default();
        let scene = waterfall.layout(&[view], &VIEW);
        scene
            .series()
            .filter(|series| wanted(series))
            .flat_map(|series| series.items.clone())
            .collect()
    }

    fn boxes(alpha: f64) -> impl Fn(&Series) -> bool {
        move |series| {
            series.style.kind == SeriesKind::Boxes && (series.style.alpha - alpha).abs() < 1e-9
        }
    }

    #[test]
    fn long_polling_has_a_gap_at_every_response() {
        let trace = long_poll((1..=5).map(|n| f64::from(n) * 150.0));
        let held = items(&trace, boxes(0.3))
            .into_iter()
            .filter(|item| item[3] > TRANSIT)
            .collect::<Vec<_>>();
        assert_eq!(held.len(), 5);
        for pair in held.windows(2) {
            let gap = pair[1][0] - (pair[0][0] + pair[0][2]);
            assert!(
                (gap - 41.0).abs() < 1e-6,
                "the way back, the way there and a pixel: {gap}"
            );
        }
    }

    #[test]
    fn every_chunk_has_its_tick_and_every_event_its_shape() {
        let trace = long_poll((1..=5).map(|n| f64::from(n) * 150.0));
        assert_eq!(items(&trace, boxes(1.0)).len(), 5);
        let shape = |series: &Series| series.style.kind == SeriesKind::Filled(Technique::LongPoll);
        assert_eq!(items(&trace, shape).len(), 5 + 1, "five and the badge");
    }

    #[test]
    fn a_thousand_responses_a_second_need_fewer_items_than_pixels() {
        let trace = long_poll((1..=1_000).map(f64::from));
        assert!(items(&trace, |_| true).len() < 3_000);
        assert!(!items(&trace, boxes(0.55)).is_empty());
    }

    #[test]
    fn ticks_grow_with_bytes_up_to_the_height_of_the_bar() {
        assert!(tick_height(1) < tick_height(1_000));
        assert!(tick_height(u64::MAX) <= BAR);
    }
}
