//! The stage: sequence diagram, waterfall and latency distribution, each with its explanation and its table.

use leptos::html::Canvas;
use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::canvases::RaceCanvases;
use super::chart_line::{ChartLine, ChartValues};
use super::draw::sequence::{self, Detail};
use super::draw::{self, GUTTER, distribution};
use super::readout;
use super::tables::{FigureTable, RequestTable};
use crate::numbers::px;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::headline::Headline;
use crate::pages::race::text::RaceText;
use crate::reactive;
use crate::techniques::look;
use crate::widgets::canvas::surface::Surface;
use crate::widgets::views::CollectAny;

/// From this width each lane has labels at both of its lifelines.
const ROOMY: f64 = 480.0;

/// The three figures.
#[component]
pub fn StageView() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let canvases = [
        NodeRef::<Canvas>::new(),
        NodeRef::<Canvas>::new(),
        NodeRef::<Canvas>::new(),
    ];
    let width = RwSignal::new(0.0);
    let detail = RwSignal::new(Detail::default());
    let sequence_hint = Signal::derive(move || (page.text().sequence_hint)(detail.get()));
    let middle_ms = RwSignal::new(0.0);
    let lines = chart_lines(page, width, middle_ms);
    reactive::effect(move || {
        let parent = canvases[0].get().and_then(|canvas| canvas.parent_element());
        let Some(host) = parent else { return };
        for (canvas, line) in canvases.iter().zip(lines) {
            if let Some(canvas) = canvas.get() {
                line.listen(&canvas);
            }
        }
        let surfaces = canvases.map(|canvas| canvas.get().and_then(Surface::new));
        let [Some(one), Some(two), Some(three)] = surfaces else {
            return;
        };
        let canvases = RaceCanvases::new(
            host,
            [one, two, three],
            (width, detail, middle_ms),
            page.language,
        );
        *page.canvas().borrow_mut() = Some(canvases);
    });
    // Without a stream there is nothing to draw, and the notice explains why.
    let nothing = reactive::memo(move || {
        page.summary.with(|summary| {
            matches!(
                summary.headline,
                Headline::Missing(_) | Headline::NoSource | Headline::NoLanes | Headline::Failed(_)
            )
        })
    });
    view! {
        <div hidden=move || nothing.get()>
        <DrawingFigure title=|text| text.sequence hint=sequence_hint canvas=canvases[0] test_id="sequence" line=lines[0] values_id="sequence-values"
            over=move || view! { <LaneNames width /> }
            table=|| view! { <RequestTable of=|text| text.sequence /> } />
        <DrawingFigure title=|text| text.waterfall hint=page.localized(|text| text.waterfall_hint) canvas=canvases[1] test_id="waterfall" line=lines[1] values_id="waterfall-values"
            table=|| view! { <RequestTable of=|text| text.waterfall /> } />
        <DrawingFigure title=|text| text.distribution hint=page.localized(|text| text.distribution_hint) canvas=canvases[2] test_id="distribution" line=lines[2] values_id="distribution-values"
            tools=|| view! { <ScaleSwitch /> }
            table=|| view! { <FigureTable /> } />
        </div>
    }
}

/// The lines of the sequence diagram, the waterfall and the distribution, whose axis has `middle_ms` in its middle.
fn chart_lines(
    page: RaceContext,
    width: RwSignal<f64>,
    middle_ms: RwSignal<f64>,
) -> [ChartLine; 3] {
    let events: ChartValues = |race, now_ms, place, page| {
        readout::events(race, now_ms, place, page.language.get_untracked())
    };
    let requests: ChartValues = |race, now_ms, place, page| {
        readout::requests(race, now_ms, place, page.language.get_untracked())
    };
    let shares: ChartValues = |_, _, place, page| {
        let canvases = page.canvas();
        let canvases = canvases.borrow();
        canvases.as_ref().map_or_else(String::new, |canvases| {
            let language = page.language.get_untracked();
            readout::shares(canvases.distribution(), place, language)
        })
    };
    let stepped_ms = page.stepped_ms;
    [
        ChartLine::new(page, (width, draw::axis_ends), stepped_ms, events),
        ChartLine::new(page, (width, draw::axis_ends), stepped_ms, requests),
        ChartLine::new(page, (width, distribution::axis_ends), middle_ms, shares),
    ]
}

/// A drawing with its title, its explanation, a line that shows its values at a place, and a table.
#[component]
fn DrawingFigure(
    title: fn(&RaceText) -> &'static str,
    #[prop(into)] hint: Signal<&'static str>,
    canvas: NodeRef<Canvas>,
    test_id: &'static str,
    line: ChartLine,
    values_id: &'static str,
    #[prop(optional, into)] over: ViewFn,
    #[prop(optional, into)] tools: ViewFn,
    #[prop(into)] table: ViewFn,
) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let open = RwSignal::new(false);
    view! {
        <figure class=format!("figure {test_id}")>
            <figcaption>
                <h2>{page.localized(title)}</h2>
                <p class="hint">{hint}</p>
                {tools.run()}
            </figcaption>
            <div class="canvas">
                <canvas
                    node_ref=canvas
                    data-testid=test_id
                    tabindex="0"
                    role="application"
                    aria-label=page.localized(title)
                    aria-describedby=values_id
                ></canvas>
                {line.line()}
                {over.run()}
            </div>
            {line.output(values_id)}
            <details
                on:toggle=move |_| open.update(|open| *open = !*open)
            >
                <summary>{page.localized(|text| text.as_table)}</summary>
                {move || open.get().then(|| table.run())}
            </details>
        </figure>
    }
}

/// The lanes' names beside their lifelines, as text that can be selected and read aloud.
#[component]
fn LaneNames(width: RwSignal<f64>) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let is_on = Technique::ALL.map(|technique| {
        let index = technique.index();
        reactive::memo(move || page.summary.with(|summary| summary.lanes[index].is_on()))
    });
    view! {
        <div class="names" style:left=px(GUTTER + 4.0)>
            {move || {
                let lanes = Technique::ALL.into_iter().zip(is_on);
                let lanes = lanes.filter_map(|(technique, is_on)| is_on.get().then_some(technique));
                let lanes: Vec<Technique> = lanes.collect();
                let (count, width) = (lanes.len(), width.get());
                // In a narrow drawing, "server" is only at the top and "client" only at the bottom.
                let roomy = width >= ROOMY;
                lanes
                    .into_iter()
                    .zip(sequence::SequenceGeometry::new(width, count).lanes)
                    .enumerate()
                    .map(|(index, (technique, band))| {
                        let name = move || look(technique).label.in_language(page.language.get());
                        let server = (roomy || index == 0).then(|| view! { " " {page.localized(|text| text.server)} }.into_any());
                        let client = (roomy || index + 1 == count).then(|| {
                            view! { <span style:top=px(band.client_y + 3.0)>{page.localized(|text| text.client)}</span> }.into_any()
                        });
                        view! {
                            <span class=format!("t-{}", technique.name()) style:top=px(band.server_y - 17.0)>
                                <b>{move || name()}</b>
                                {server}
                            </span>
                            {client}
                        }
                    })
                    .collect_any()
            }}
        </div>
        <p class="stepped">
            {move || {
                let by = page.stepped_ms.get();
                if page.paused.get() && by != 0.0 {
                    (page.text().stepped)(by)
                } else {
                    String::new()
                }
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
            {page.localized(|text| text.powers)}
        </label>
    }
}
