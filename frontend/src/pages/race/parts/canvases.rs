//! The three canvases of the Race page, and the drawings on them.

mod picture;

use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::draw::distribution::{Curve, DistributionChart, PointKind, Scale};
use super::draw::sequence::{self, Detail, SequenceDiagram};
use super::draw::waterfall::{self, WaterfallChart};
use super::draw::{self, LaneView};
use crate::browser;
use crate::language::Language;
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::race::RaceState;
use crate::pages::race::model::saved_result::SavedResult;
use crate::widgets::canvas::palette::Palette;
use crate::widgets::canvas::surface::Surface;

/// Height of the distribution for a width, CSS pixels.
fn distribution_height(width: f64) -> f64 {
    if draw::is_wide(width) { 420.0 } else { 260.0 }
}

/// The canvases and the drawings on them.
#[derive(Debug)]
pub struct RaceCanvases {
    host: web_sys::Element,
    surfaces: [Surface; 3],
    sequence: SequenceDiagram,
    waterfall: WaterfallChart,
    distribution: DistributionChart,
    palette: Palette,
    width: RwSignal<f64>,
    detail: RwSignal<Detail>,
    middle_ms: RwSignal<f64>,
    language: Memo<Language>,
}

impl RaceCanvases {
    /// The canvases inside `host`.
    ///
    /// - `width`: receives the width of `host`.
    /// - `detail`: receives the detail of events in the sequence diagram.
    /// - `middle_ms`: receives the latency in the middle of the distribution's axis.
    /// - `language`: of the numbers.
    pub fn new(
        host: web_sys::Element,
        surfaces: [Surface; 3],
        (width, detail, middle_ms): (RwSignal<f64>, RwSignal<Detail>, RwSignal<f64>),
        language: Memo<Language>,
    ) -> Self {
        let canvases = Self {
            surfaces,
            sequence: SequenceDiagram::default(),
            waterfall: WaterfallChart::default(),
            distribution: DistributionChart::default(),
            palette: Palette::read(&host),
            host,
            width,
            detail,
            middle_ms,
            language,
        };
        canvases.measure();
        canvases
    }

    /// Reads the colours again, when the theme has changed.
    pub fn repaint(&mut self) {
        self.palette = Palette::read(&self.host);
    }

    /// Reads the width of the stage.
    pub fn measure(&self) {
        let width = f64::from(self.host.client_width());
        if width > 0.0 && (width - self.width.get_untracked()).abs() >= 1.0 {
            self.width.set(width);
        }
    }

    /// The distribution as it was drawn last.
    pub fn distribution(&self) -> &DistributionChart {
        &self.distribution
    }

    /// Draws sequence diagram and waterfall with their right end at `now_ms`.
    pub fn draw(&mut self, race: &RaceState, now_ms: f64) {
        let width = self.width.get_untracked();
        let lanes = lane_views(race);
        if width <= 0.0 || lanes.is_empty() {
            return;
        }
        let density = browser::window().device_pixel_ratio();
        let view = draw::View {
            width,
            span_ms: race.settings.window_s * 1_000.0,
            now_ms,
            language: self.language.get_untracked(),
        };
        let height = sequence::SequenceGeometry::new(width, lanes.len()).height;
        let context = self.surfaces[0].begin(width, height, density);
        self.sequence.draw(context, &lanes, &view, &self.palette);
        let detail = self.sequence.detail();
        if detail != self.detail.get_untracked() {
            self.detail.set(detail);
        }
        let height = waterfall::WaterfallGeometry::new(width, lanes.len()).height;
        let context = self.surfaces[1].begin(width, height, density);
        self.waterfall.draw(context, &lanes, &view, &self.palette);
    }

    /// Draws the latency distribution at `now_ms`.
    ///
    /// - `saved`: the saved result whose curves are drawn, too.
    /// - `only_saved`: draws only those.
    pub fn draw_distribution(
        &mut self,
        race: &RaceState,
        now_ms: f64,
        saved: Option<&SavedResult>,
        only_saved: bool,
    ) {
        let width = self.width.get_untracked();
        if width <= 0.0 {
            return;
        }
        let saved = saved.map(saved_curves).unwrap_or_default();
        (self.distribution.curves, self.distribution.saved) = if only_saved {
            (saved, Vec::new())
        } else {
            (race_curves(race, now_ms), saved)
        };
        let scale = if race.settings.log {
            Scale::Log
        } else {
            Scale::Linear
        };
        let height = distribution_height(width);
        let context = self.surfaces[2].begin(width, height, browser::window().device_pixel_ratio());
        self.distribution.draw(
            context,
            scale,
            (width, height),
            self.language.get_untracked(),
            &self.palette,
        );
        let middle_ms = self.distribution.latency_at(0.5);
        if (middle_ms - self.middle_ms.get_untracked()).abs() > 0.0 {
            self.middle_ms.set(middle_ms);
        }
    }
}

/// The curves of the lanes that are on.
fn race_curves(race: &RaceState, now_ms: f64) -> Vec<Curve> {
    Technique::ALL
        .into_iter()
        .filter(|technique| race.lanes[technique.index()].phase != LanePhase::Off)
        .map(|technique| Curve {
            technique,
            measured: race.measured_curve(technique),
            kind: PointKind::of_samples(race.measured(technique).count(), PointKind::Buckets),
            theory: race.predicted_curve(technique, now_ms),
        })
        .collect()
}

/// The curves of the lanes that were on.
fn saved_curves(saved: &SavedResult) -> Vec<Curve> {
    let lanes = saved.summary.lanes.iter().zip(&saved.curves);
    lanes
        .filter(|(lane, _)| lane.is_on())
        .map(|(lane, curves)| Curve {
            technique: lane.technique,
            measured: curves.measured(),
            kind: PointKind::of_samples(lane.samples, PointKind::Quantiles),
            theory: curves.theory(),
        })
        .collect()
}

/// The input of the drawings for the lanes that are on.
fn lane_views(race: &RaceState) -> Vec<LaneView<'_>> {
    let (up_ms, down_ms) = race
        .transit()
        .map_or((0.0, 0.0), |transit| (transit.up_ms, transit.down_ms));
    Technique::ALL
        .into_iter()
        .filter(|technique| race.lanes[technique.index()].phase != LanePhase::Off)
        .map(|technique| LaneView {
            technique,
            trace: &race.traces[technique.index()],
            up_ms,
            down_ms,
        })
        .collect()
}
