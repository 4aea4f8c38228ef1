//! The sequence diagram: requests go up, responses and events come down, with a row for each lane and one time axis.
//!
//! Time runs from left to right. Every lane has a server line above and a client line below. The detail depends on the
//! number of events:
//!
//! - a few events: each has a line of its own. It begins with a hollow shape on the server line at the due time, follows the
//!   server line while the event waits, and comes down with the response to a filled shape on the client line. Its length is
//!   the latency. A guide through all lanes marks the due time;
//! - more: lines and small marks, and below the server line columns with the number of waiting events;
//! - thousands: only columns, those of arrivals above the client line.

mod lane;
#[cfg(test)]
mod tests;

use super::{LaneView, View, badge, is_narrow, is_wide};
use crate::language::Language;
use crate::pages::race::model::trace::EventRun;
use crate::widgets::canvas::axis::{AXIS_HEIGHT, TimeAxis};
use crate::widgets::canvas::columns::Columns;
use crate::widgets::canvas::palette::Ink;
use crate::widgets::canvas::scene::{Scene, SeriesKind, Style};
use lane::LaneDrawing;

/// The vertical positions of one lane, pixels from the top.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LaneBand {
    /// The lane's upper end.
    pub top: f64,
    /// The server's lifeline.
    pub server_y: f64,
    /// The client's lifeline.
    pub client_y: f64,
    /// The lane's lower end.
    pub bottom: f64,
}

/// The vertical positions, which the page also uses for its texts (lane names, "server", "client").
#[derive(Debug, Clone, PartialEq)]
pub struct SequenceGeometry {
    /// One per lane, from top to bottom.
    pub lanes: Vec<LaneBand>,
    /// The top of the axis.
    pub axis_y: f64,
    /// Height of the whole drawing.
    pub height: f64,
}

impl SequenceGeometry {
    /// The geometry for a number of lanes at this width.
    pub fn new(width: f64, lanes: usize) -> Self {
        let (above, between, below) = if is_narrow(width) {
            (15.5, 34.0, 17.5)
        } else if is_wide(width) {
            (18.5, 78.0, 17.5)
        } else {
            (18.5, 46.0, 17.5)
        };
        let mut top = 0.0;
        let mut bands = Vec::with_capacity(lanes);
        for _ in 0..lanes {
            let (server_y, client_y) = (top + above, top + above + between);
            bands.push(LaneBand {
                top,
                server_y,
                client_y,
                bottom: client_y + below,
            });
            top = client_y + below;
        }
        Self {
            lanes: bands,
            axis_y: top,
            height: top + AXIS_HEIGHT,
        }
    }
}

/// The number of waiting events that has the full height is at least this.
const WAITING_LEAST: f64 = 16.0;

/// The detail of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Detail {
    /// Each event has its shape, its due time and its line.
    #[default]
    Shapes,
    /// Each event has its line and a small mark.
    Wires,
    /// Counts per column.
    Columns,
}

impl Detail {
    /// The detail for a number of pixels per event; with hysteresis, so that it does not flicker.
    pub fn next(self, room: f64) -> Self {
        let stay = |here: bool| if here { 0.8 } else { 1.25 };
        if room >= 13.0 * stay(self == Self::Shapes) {
            Self::Shapes
        } else if room >= 4.0 * stay(self != Self::Columns) {
            Self::Wires
        } else {
            Self::Columns
        }
    }
}

/// The due time of an event that at least one lane has received.
#[derive(Debug, Clone, Copy, PartialEq)]
struct DrawnEvent {
    seq: u64,
    due_ms: f64,
}

/// The sequence diagram with its buffers and the detail of the previous frame.
#[derive(Debug, Clone, Default)]
pub struct SequenceDiagram {
    scene: Scene,
    detail: Detail,
    known_events: Vec<DrawnEvent>,
    waiting: Vec<Columns>,
    arriving: Columns,
}

impl SequenceDiagram {
    /// Lays out the lanes, from top to bottom in their order, in the coordinates of [`SequenceGeometry`].
    pub fn layout(&mut self, lanes: &[LaneView<'_>], view: &View) -> &Scene {
        let axis = view.axis();
        let geometry = SequenceGeometry::new(view.width, lanes.len());
        self.scene.clear();
        self.detail = self
            .detail
            .next((axis.right - axis.left) / busiest(lanes, &axis));
        self.collect_events(lanes, &axis);
        self.frame(&geometry, &axis, view.language);
        let waiting_most = self.count_waiting(lanes, &axis);
        for ((view, band), waiting) in lanes.iter().zip(&geometry.lanes).zip(&self.waiting) {
            badge(
                &mut self.scene,
                view.technique,
                14.0,
                f64::midpoint(band.server_y, band.client_y),
            );
            let lane = LaneDrawing {
                view,
                band: *band,
                axis,
                detail: self.detail,
            };
            lane.requests(&mut self.scene);
            if self.detail != Detail::Shapes {
                lane.waiting(&mut self.scene, waiting, waiting_most);
            }
            if self.detail == Detail::Columns {
                lane.arriving(&mut self.scene, &mut self.arriving);
            } else {
                lane.events(&mut self.scene, &self.known_events);
            }
            lane.rare(&mut self.scene);
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

    /// The detail of the last layout.
    pub fn detail(&self) -> Detail {
        self.detail
    }

    /// Adds lifelines, the axis, and a guide through all lanes at each due time.
    fn frame(&mut self, geometry: &SequenceGeometry, axis: &TimeAxis, language: Language) {
        let scene = &mut self.scene;
        let (Some(first), Some(last)) = (geometry.lanes.first(), geometry.lanes.last()) else {
            return;
        };
        if self.detail == Detail::Shapes {
            let guides = scene.open(Style::new(SeriesKind::Boxes, Ink::Rule).alpha(0.6));
            for x in self.known_events.iter().map(|event| axis.x(event.due_ms)) {
                scene.add(
                    guides,
                    [x - 0.5, first.server_y, 1.0, last.client_y - first.server_y],
                );
            }
        }
        let lines = scene.open(Style::new(SeriesKind::Lines, Ink::Rule));
        for band in &geometry.lanes {
            scene.add(lines, [axis.left, band.server_y, axis.right, band.server_y]);
            scene.add(lines, [axis.left, band.client_y, axis.right, band.client_y]);
        }
        let ticks = scene.open(Style::new(SeriesKind::Lines, Ink::Rule));
        axis.ticks(scene, ticks, geometry.axis_y, language);
    }

    /// Counts the events that wait at the server in each lane, and returns the largest count. Events that the lane with the
    /// latest event has received, and another has not, wait in the other.
    fn count_waiting(&mut self, lanes: &[LaneView<'_>], axis: &TimeAxis) -> f64 {
        self.waiting.resize_with(lanes.len(), Columns::default);
        let latest = |lane: &&LaneView<'_>| {
            lane.trace
                .newest_event()
                .and_then(|run| run.due_ms)
                .unwrap_or(f64::MIN)
        };
        let best = lanes
            .iter()
            .max_by(|one, other| latest(one).total_cmp(&latest(other)));
        let mut most = WAITING_LEAST;
        let Some(best) = best.filter(|_| self.detail != Detail::Shapes) else {
            return most;
        };
        for (lane, waiting) in lanes.iter().zip(&mut self.waiting) {
            let own = lane.trace.events(axis.from_ms, axis.to_ms + lane.down_ms);
            let own =
                own.filter_map(|run| run.due_ms.map(|due| (due, leaves_ms(lane, run), run.count)));
            let last_seq = lane
                .trace
                .newest_event()
                .map_or(u64::MAX, |run| run.last_seq);
            let others = best
                .trace
                .events(axis.from_ms, axis.to_ms)
                .filter(|run| run.first_seq > last_seq);
            let others =
                others.filter_map(|run| run.due_ms.map(|due| (due, f64::INFINITY, run.count)));
            waiting.level(axis, own.chain(others));
            most = most.max(waiting.most());
        }
        most
    }

    fn collect_events(&mut self, lanes: &[LaneView<'_>], axis: &TimeAxis) {
        self.known_events.clear();
        if self.detail != Detail::Shapes {
            return;
        }
        for lane in lanes {
            let runs = lane.trace.events(axis.from_ms, axis.to_ms);
            let known = runs.filter_map(|run| {
                run.due_ms.map(|due_ms| DrawnEvent {
                    seq: run.last_seq,
                    due_ms,
                })
            });
            for event in known.filter(|event| axis.holds(event.due_ms)) {
                // The events are sorted, and most are in several lanes.
                let place = self
                    .known_events
                    .partition_point(|other| other.seq < event.seq);
                if self
                    .known_events
                    .get(place)
                    .is_none_or(|other| other.seq != event.seq)
                {
                    self.known_events.insert(place, event);
                }
            }
        }
    }
}

/// Events in the lane that has most of them, at least 1.
fn busiest(lanes: &[LaneView<'_>], axis: &TimeAxis) -> f64 {
    let events = |lane: &LaneView<'_>| {
        lane.trace
            .events(axis.from_ms, axis.to_ms)
            .map(|run| run.count)
            .fold(0_u32, u32::saturating_add)
    };
    f64::from(lanes.iter().map(events).max().unwrap_or(0).max(1))
}

/// The estimated time at which events left the server: one transit before their arrival, but not before their due time.
fn leaves_ms(lane: &LaneView<'_>, run: &EventRun) -> f64 {
    let leaves = run.at_ms - lane.down_ms;
    run.due_ms
        .map_or(leaves, |due| leaves.max(due))
        .min(run.at_ms)
}
