//! The stage: sequence diagram, waterfall and latency distribution, each with its words and its table.

use leptos::html::{Canvas, Div};
use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::draw::distribution::{Curve, DistributionChart, Scale};
use super::draw::sequence::{self, SequenceDiagram};
use super::draw::waterfall::{self, WaterfallChart};
use super::draw::{self, GUTTER, LaneView};
use super::tables::{FigureTable, RequestTable};
use crate::browser;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::headline::Headline;
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::race::RaceState;
use crate::pages::race::text::RaceText;
use crate::techniques::look;
use crate::widgets::canvas::palette::Palette;
use crate::widgets::canvas::surface::Surface;

/// Height of the distribution, CSS pixels.
const DISTRIBUTION_HEIGHT: f64 = 260.0;

/// From this width on each lane names both of its life lines.
const ROOMY: f64 = 480.0;

/// The canvases and what draws on them.
#[derive(Debug)]
pub struct RaceCanvases {
    host: web_sys::HtmlDivElement,
    surfaces: [Surface; 3],
    sequence: SequenceDiagram,
    waterfall: WaterfallChart,
    distribution: DistributionChart,
    palette: Palette,
    width: RwSignal<f64>,
}

impl RaceCanvases {
    /// The theme has changed.
    pub fn repaint(&mut self) {
        self.palette = Palette::read(&self.host);
    }

    /// Looks how wide the stage is now.
    pub fn measure(&self) {
        let width = f64::from(self.host.client_width());
        if width > 0.0 && (width - self.width.get_untracked()).abs() >= 1.0 {
            self.width.set(width);
        }
    }

    /// Draws sequence diagram and waterfall, their right end at `now_ms`.
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
        };
        let height = sequence::SequenceGeometry::new(width, lanes.len()).height;
        let context = self.surfaces[0].begin(width, height, density);
        self.sequence.draw(context, &lanes, &view, &self.palette);
        let height = waterfall::WaterfallGeometry::new(width, lanes.len()).height;
        let context = self.surfaces[1].begin(width, height, density);
        self.waterfall.draw(context, &lanes, &view, &self.palette);
    }

    /// Draws the latency distribution as it is at `now_ms`.
    pub fn draw_distribution(&mut self, race: &RaceState, now_ms: f64) {
        let width = self.width.get_untracked();
        if width <= 0.0 {
            return;
        }
        let curves: Vec<(Technique, u64, Points, Points)> = Technique::ALL
            .into_iter()
            .filter(|technique| race.lanes[technique.index()].phase != LanePhase::Off)
            .map(|technique| {
                let latencies = race.measured(technique);
                let measured = latencies
                    .cdf_points()
                    .into_iter()
                    .map(|(us, share)| (us / 1_000.0, share))
                    .collect();
                let prediction = race.prediction(technique, now_ms);
                let corners = prediction
                    .map(|prediction| prediction.latency.vertices())
                    .unwrap_or_default();
                let theory = corners
                    .into_iter()
                    .map(|(s, share)| (s * 1_000.0, share))
                    .collect();
                (technique, latencies.count(), measured, theory)
            })
            .collect();
        let curves: Vec<Curve<'_>> = curves
            .iter()
            .map(|(technique, samples, measured, theory)| Curve {
                technique: *technique,
                measured,
                samples: *samples,
                theory,
            })
            .collect();
        let scale = if race.settings.log {
            Scale::Log
        } else {
            Scale::Linear
        };
        let context = self.surfaces[2].begin(
            width,
            DISTRIBUTION_HEIGHT,
            browser::window().device_pixel_ratio(),
        );
        self.distribution.draw(
            context,
            &curves,
            scale,
            (width, DISTRIBUTION_HEIGHT),
            &self.palette,
        );
    }
}

type Points = Vec<(f64, f64)>;

/// The lanes that are on, as the drawings want them.
fn lane_views(race: &RaceState) -> Vec<LaneView<'_>> {
    let (up_ms, down_ms) = race
        .ways()
        .map_or((0.0, 0.0), |ways| (ways.up_ms, ways.down_ms));
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

/// The three figures.
#[component]
pub fn StageView() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let host = NodeRef::<Div>::new();
    let canvases = [
        NodeRef::<Canvas>::new(),
        NodeRef::<Canvas>::new(),
        NodeRef::<Canvas>::new(),
    ];
    let width = RwSignal::new(0.0);
    Effect::new(move || {
        let Some(host) = host.get() else { return };
        let surfaces = canvases.map(|canvas| canvas.get().and_then(Surface::new));
        let [Some(one), Some(two), Some(three)] = surfaces else {
            return;
        };
        let palette = Palette::read(&host);
        let stage = RaceCanvases {
            host,
            surfaces: [one, two, three],
            sequence: SequenceDiagram::default(),
            waterfall: WaterfallChart::default(),
            distribution: DistributionChart::default(),
            palette,
            width,
        };
        stage.measure();
        *page.canvas().borrow_mut() = Some(stage);
    });
    // Without a stream there is nothing to draw, and the notice says why.
    let nothing = Memo::new(move |_| {
        page.summary.with(|summary| {
            matches!(
                summary.headline,
                Headline::Missing(_) | Headline::NoSource | Headline::NoLanes | Headline::Failed(_)
            )
        })
    });
    view! {
        <div hidden=move || nothing.get()>
        <DrawingFigure title=|text| text.sequence hint=|text| text.sequence_hint canvas=canvases[0] test_id="sequence"
            host=host over=move || view! { <LaneNames width /> }
            table=|| view! { <RequestTable of=|text| text.sequence /> } />
        <DrawingFigure title=|text| text.waterfall hint=|text| text.waterfall_hint canvas=canvases[1] test_id="waterfall"
            table=|| view! { <RequestTable of=|text| text.waterfall /> } />
        <DrawingFigure title=|text| text.distribution hint=|text| text.distribution_hint canvas=canvases[2] test_id="distribution"
            tools=|| view! { <ScaleSwitch /> }
            table=|| view! { <FigureTable /> } />
        </div>
    }
}

/// A drawing with its title, its words and, on wish, its table.
#[component]
fn DrawingFigure(
    title: fn(&RaceText) -> &'static str,
    hint: fn(&RaceText) -> &'static str,
    canvas: NodeRef<Canvas>,
    test_id: &'static str,
    #[prop(optional)] host: NodeRef<Div>,
    #[prop(optional, into)] over: ViewFn,
    #[prop(optional, into)] tools: ViewFn,
    #[prop(into)] table: ViewFn,
) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let open = RwSignal::new(false);
    view! {
        <figure class=format!("figure {test_id}")>
            <figcaption>
                <h2>{move || title(page.text())}</h2>
                <p class="hint">{move || hint(page.text())}</p>
                {tools.run()}
            </figcaption>
            <div class="canvas" node_ref=host>
                <canvas node_ref=canvas data-testid=test_id role="img" aria-label=move || hint(page.text())></canvas>
                {over.run()}
            </div>
            <details
                on:toggle=move |_| open.update(|open| *open = !*open)
            >
                <summary>{page.say(|text| text.as_table)}</summary>
                {move || open.get().then(|| table.run())}
            </details>
        </figure>
    }
}

/// The lanes' names beside their life lines, as text that can be selected and read aloud.
#[component]
fn LaneNames(width: RwSignal<f64>) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let lanes = Memo::new(move |_| {
        page.settings
            .with(|settings| settings.lanes_on().collect::<Vec<_>>())
    });
    let px = |value: f64| format!("{value}px");
    view! {
        <div class="names" style:left=px(GUTTER + 4.0)>
            {move || {
                let lanes = lanes.get();
                let (count, width) = (lanes.len(), width.get());
                // Where there is little room, "server" and "client" stand once, at the top and at the bottom.
                let roomy = width >= ROOMY;
                lanes
                    .into_iter()
                    .zip(sequence::SequenceGeometry::new(width, count).lanes)
                    .enumerate()
                    .map(|(index, (technique, band))| {
                        let name = look(technique).label;
                        let server = (roomy || index == 0).then(|| view! { " " {page.say(|text| text.server)} }.into_any());
                        let client = (roomy || index + 1 == count).then(|| {
                            view! { <span style:top=px(band.client_y + 3.0)>{page.say(|text| text.client)}</span> }.into_any()
                        });
                        view! {
                            <span class=format!("t-{}", technique.name()) style:top=px(band.server_y - 17.0)>
                                <b>{name}</b>
                                {server}
                            </span>
                            {client}
                        }
                    })
                    .collect_view()
            }}
        </div>
        <p class="stepped">
            {move || {
                let by = page.stepped_ms.get();
                (page.paused.get() && by != 0.0).then(|| (page.text().stepped)(by))
            }}
        </p>
    }
}

#[component]
fn ScaleSwitch() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    view! {
        <label class="scale">
            <input
                type="checkbox"
                prop:checked=move || page.settings.with(|settings| settings.log)
                on:change=move |event| page.change(|settings| settings.log = event_target_checked(&event))
            />
            {page.say(|text| text.powers)}
        </label>
    }
}
