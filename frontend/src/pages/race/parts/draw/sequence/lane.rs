//! One lane of the sequence diagram: its requests, responses, waits, events and faults.

use super::super::{LaneView, MinimumGap, NARROW};
use super::{Detail, DrawnEvent, LaneBand, leaves_ms};
use crate::pages::race::model::trace::RequestMark;
use crate::widgets::canvas::axis::TimeAxis;
use crate::widgets::canvas::columns::{Columns, share_of_height};
use crate::widgets::canvas::palette::Ink;
use crate::widgets::canvas::scene::{Align, Dash, Label, Scene, SeriesId, SeriesKind, Style};

/// Radius of shapes on the client line, on the server line, and in a narrow drawing, pixels.
const LANDED: f64 = 4.5;
const BEAD: f64 = 3.2;
const SMALL: f64 = 2.2;
/// Height of the band of a held request.
const HELD: f64 = 6.0;
const ARROW: f64 = 4.0;

/// A lane during layout.
pub(super) struct LaneDrawing<'a> {
    pub(super) view: &'a LaneView<'a>,
    pub(super) band: LaneBand,
    pub(super) axis: TimeAxis,
    pub(super) detail: Detail,
}

impl LaneDrawing<'_> {
    fn hue(&self) -> Ink {
        Ink::Hue(self.view.technique)
    }

    /// Draws requests, their bands while held, responses, chunks, and the waits between them.
    pub(super) fn requests(&self, scene: &mut Scene) {
        let (from, to) = (self.axis.from_ms, self.axis.to_ms);
        let held = scene.open(Style::new(SeriesKind::Boxes, self.hue()).alpha(0.3));
        let wires = scene.open(
            Style::new(SeriesKind::Lines, Ink::Soft).alpha(if self.is_plain() { 0.9 } else { 0.5 }),
        );
        let pieces = scene.open(Style::new(SeriesKind::Lines, self.hue()).alpha(0.4));
        let empty = scene.open(Style::new(SeriesKind::Lines, Ink::Soft).dash(Dash::Dashed));
        let hollow = scene.open(Style::new(
            SeriesKind::Hollow(self.view.technique),
            Ink::Soft,
        ));
        let mut gap = MinimumGap::new(if self.is_plain() { 0.75 } else { 3.0 });
        for request in self.view.trace.requests(from, to + self.view.down_ms) {
            let transit = DrawnTransit::of(request, self.view);
            self.held(scene, held, request, &transit);
            if !gap.accepts(self.axis.x(request.sent_ms)) && self.axis.holds(request.sent_ms) {
                continue;
            }
            let up = (
                (request.sent_ms, self.band.client_y),
                (request.sent_ms + transit.up, self.band.server_y),
            );
            self.arrow(scene, wires, up);
            let Some(head) = request.head_ms else {
                continue;
            };
            let down = (
                (head - transit.down, self.band.server_y),
                (head, self.band.client_y),
            );
            match request.end_ms {
                Some(end) if request.responds_once() && !request.filled && !request.failed => {
                    self.arrow(scene, empty, down);
                    if self.axis.holds(end) {
                        scene.add(
                            hollow,
                            [
                                self.axis.x(end),
                                self.band.client_y,
                                self.size(LANDED - 1.0),
                                0.0,
                            ],
                        );
                    }
                }
                _ => self.arrow(scene, wires, down),
            }
        }
        self.pieces(scene, pieces);
        self.waits(scene);
    }

    /// Whether single items are distinguishable.
    fn is_plain(&self) -> bool {
        self.detail == Detail::Shapes
    }

    fn size(&self, radius: f64) -> f64 {
        match self.is_plain() {
            true if self.axis.right < NARROW => radius * 0.85,
            true => radius,
            false => SMALL,
        }
    }

    /// Draws a request at the server as a band on its line. Neighbours without a visible gap are merged.
    fn held(
        &self,
        scene: &mut Scene,
        held: SeriesId,
        request: &RequestMark,
        transit: &DrawnTransit,
    ) {
        let ends = match (request.responds_once(), request.head_ms, request.end_ms) {
            (true, Some(head), _) => head - transit.down,
            (_, _, Some(end)) => (end - transit.down).max(request.sent_ms + transit.up),
            (_, _, None) => f64::INFINITY,
        };
        let across = (self.band.server_y - HELD / 2.0, HELD);
        let Some(span) = self
            .axis
            .span(request.sent_ms + transit.up, ends, across, 1.5)
        else {
            return;
        };
        match scene.last_mut(held) {
            Some(last) if span[0] - (last[0] + last[2]) < 0.6 => {
                last[2] = (span[0] + span[2] - last[0]).max(last[2]);
            }
            _ => scene.add(held, span),
        }
    }

    /// Draws chunks in transit. This is the only trace of chunks without an event (a heartbeat, a part).
    fn pieces(&self, scene: &mut Scene, pieces: SeriesId) {
        if !self.is_plain() {
            return;
        }
        let down = self.view.down_ms;
        let mut gap = MinimumGap::new(2.0);
        for run in self
            .view
            .trace
            .chunks(self.axis.from_ms, self.axis.to_ms + down)
        {
            if gap.accepts(self.axis.x(run.at_ms)) {
                let wire = self.axis.wire(
                    (run.at_ms - down, self.band.server_y),
                    (run.at_ms, self.band.client_y),
                );
                scene.add_some(pieces, wire);
            }
        }
    }

    /// Draws the client's waits as dots on its line; as dashes after a fault.
    fn waits(&self, scene: &mut Scene) {
        let interval = scene.open(
            Style::new(SeriesKind::Lines, self.hue())
                .alpha(0.7)
                .dash(Dash::Dotted),
        );
        let pause = scene.open(
            Style::new(SeriesKind::Lines, Ink::Danger)
                .width(2.0)
                .dash(Dash::Dashed),
        );
        let y = self.band.client_y;
        for wait in self.view.trace.waits(self.axis.from_ms, self.axis.to_ms) {
            let series = if wait.after_fault { pause } else { interval };
            scene.add_some(
                series,
                self.axis.wire((wait.since_ms, y), (wait.until_ms, y)),
            );
        }
    }

    /// Draws each event.
    pub(super) fn events(&self, scene: &mut Scene, known_events: &[DrawnEvent]) {
        let (technique, hue) = (self.view.technique, self.hue());
        let trails = scene.open(Style::new(SeriesKind::Lines, hue).width(1.75));
        let wires = scene.open(
            Style::new(SeriesKind::Lines, hue).width(if self.is_plain() { 1.75 } else { 1.0 }),
        );
        let beads = scene.open(Style::new(SeriesKind::Hollow(technique), hue).width(1.5));
        let landed = scene.open(Style::new(SeriesKind::Filled(technique), hue));
        let small = scene.open(Style::new(SeriesKind::Boxes, hue));
        let mut merged = MergedEvents {
            y: self.band.client_y + LANDED + 8.0,
            labelled: self.is_plain(),
            x: f64::NEG_INFINITY,
            count: 0,
            labels: MinimumGap::new(20.0),
        };
        for run in self
            .view
            .trace
            .events(self.axis.from_ms, self.axis.to_ms + self.view.down_ms)
        {
            let leaves = leaves_ms(self.view, run);
            let (server, client) = (self.band.server_y, self.band.client_y);
            if let Some(due) = run.due_ms.filter(|_| self.is_plain()) {
                self.hang(scene, (trails, beads), due, leaves);
            }
            scene.add_some(wires, self.axis.wire((leaves, server), (run.at_ms, client)));
            if leaves < self.axis.to_ms && run.at_ms > self.axis.to_ms {
                // It is in transit now: its shape is on the line between server and client.
                let way = (self.axis.to_ms - leaves) / (run.at_ms - leaves);
                scene.add(
                    landed,
                    [
                        self.axis.right,
                        server + (client - server) * way,
                        self.size(LANDED),
                        0.0,
                    ],
                );
            }
            if self.axis.holds(run.at_ms) {
                let x = self.axis.x(run.at_ms);
                match merged.add(scene, x, run.count) {
                    true if self.is_plain() => {
                        scene.add(landed, [x, client, self.size(LANDED), 0.0]);
                    }
                    true => scene.add(small, [x - 1.0, client - SMALL, 2.0, 2.0 * SMALL]),
                    false => {}
                }
            }
        }
        merged.label(scene);
        self.pending(scene, (trails, beads), known_events);
    }

    /// Draws events that only other lanes have received: in this lane they are waiting at the server.
    fn pending(
        &self,
        scene: &mut Scene,
        (trails, beads): (SeriesId, SeriesId),
        known_events: &[DrawnEvent],
    ) {
        let Some(newest) = self.view.trace.newest_event() else {
            return;
        };
        for event in known_events
            .iter()
            .filter(|event| event.seq > newest.last_seq)
        {
            self.hang(scene, (trails, beads), event.due_ms, f64::INFINITY);
        }
    }

    /// Draws an event at the server from its due time `until` it is sent.
    fn hang(&self, scene: &mut Scene, (trails, beads): (SeriesId, SeriesId), due: f64, until: f64) {
        let y = self.band.server_y;
        if (until - due) * self.axis.scale() > 2.0 {
            scene.add_some(trails, self.axis.wire((due, y), (until, y)));
        }
        if self.axis.holds(due) {
            scene.add(beads, [self.axis.x(due), y, self.size(BEAD), 0.0]);
        }
    }

    /// Draws the columns of waiting events, below the server line.
    pub(super) fn waiting(&self, scene: &mut Scene, waiting: &Columns, most: f64) {
        let area = scene.open(Style::new(SeriesKind::Area, self.hue()).alpha(0.45));
        let (base, full) = (self.band.server_y + HELD / 2.0 + 1.0, self.room() * 0.5);
        waiting.outline(scene, area, &self.axis, base, |count| -full * count / most);
    }

    /// Draws the columns of arrivals, above the client line.
    pub(super) fn arriving(&self, scene: &mut Scene, arriving: &mut Columns) {
        let runs = self.view.trace.events(self.axis.from_ms, self.axis.to_ms);
        arriving.count(&self.axis, runs.map(|run| (run.at_ms, run.count)));
        let area = scene.open(Style::new(SeriesKind::Area, self.hue()).alpha(0.85));
        let full = self.room() * 0.7;
        arriving.outline(scene, area, &self.axis, self.band.client_y, |count| {
            full * share_of_height(count)
        });
    }

    /// Height between the held band and the client line.
    fn room(&self) -> f64 {
        self.band.client_y - self.band.server_y - HELD
    }

    /// Draws changes of technique and faults.
    pub(super) fn rare(&self, scene: &mut Scene) {
        let (from, to) = (self.axis.from_ms, self.axis.to_ms);
        let turns = scene.open(Style::new(SeriesKind::Lines, Ink::Text));
        for change in self.view.trace.changes(from, to) {
            let x = self.axis.x(change.at_ms);
            scene.add(
                turns,
                [x, self.band.server_y - 10.0, x, self.band.client_y + 6.0],
            );
            scene.label(Label {
                x: x + 4.0,
                y: self.band.server_y - 9.0,
                text: change.to.letter().to_string().into(),
                ink: if change.forced {
                    Ink::Danger
                } else {
                    Ink::Text
                },
                align: Align::Start,
                size: 11.0,
                bold: true,
            });
        }
        let faults = scene.open(Style::new(SeriesKind::Crosses, Ink::Danger).width(2.0));
        for fault in self.view.trace.faults(from, to) {
            scene.add(
                faults,
                [self.axis.x(fault.at_ms), self.band.client_y, 4.0, 0.0],
            );
        }
    }

    fn arrow(&self, scene: &mut Scene, series: SeriesId, (start, end): ((f64, f64), (f64, f64))) {
        let Some(wire) = self.axis.wire(start, end) else {
            return;
        };
        scene.add(series, wire);
        if !self.is_plain() || end.0 > self.axis.to_ms {
            return;
        }
        let [x0, y0, x1, y1] = wire;
        let length = (x1 - x0).hypot(y1 - y0).max(1e-6);
        let (dx, dy) = ((x1 - x0) / length * ARROW, (y1 - y0) / length * ARROW);
        scene.add(series, [x1, y1, x1 - dx - dy * 0.6, y1 - dy + dx * 0.6]);
        scene.add(series, [x1, y1, x1 - dx + dy * 0.6, y1 - dy - dx * 0.6]);
    }
}

/// The transit times of one request, shortened if both together took less than estimated.
struct DrawnTransit {
    up: f64,
    down: f64,
}

impl DrawnTransit {
    fn of(request: &RequestMark, view: &LaneView<'_>) -> Self {
        let (up, down) = (view.up_ms.max(0.0), view.down_ms.max(0.0));
        let both = request
            .head_ms
            .map_or(f64::INFINITY, |head| head - request.sent_ms);
        let share = if up + down > both {
            (both / (up + down)).max(0.0)
        } else {
            1.0
        };
        Self {
            up: up * share,
            down: down * share,
        }
    }
}

/// Events that arrive at the same pixel: they share one shape with their number.
struct MergedEvents {
    y: f64,
    labelled: bool,
    x: f64,
    count: u32,
    labels: MinimumGap,
}

impl MergedEvents {
    /// Adds `count` events that arrive at `x`, and returns whether they need a new shape.
    fn add(&mut self, scene: &mut Scene, x: f64, count: u32) -> bool {
        let begins = x - self.x > 1.0;
        if begins {
            self.label(scene);
            self.x = x;
            self.count = 0;
        }
        self.count += count;
        begins
    }

    fn label(&mut self, scene: &mut Scene) {
        if self.labelled && self.count > 1 && self.labels.accepts(self.x) {
            let text = format!("\u{d7}{}", self.count).into();
            let (x, y) = (self.x, self.y);
            scene.label(Label {
                x,
                y,
                text,
                ink: Ink::Soft,
                align: Align::Middle,
                size: 10.0,
                bold: false,
            });
        }
    }
}
