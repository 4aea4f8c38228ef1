//! A card per technique: its latency, counts and cost, and the switch of its lane.

use leptos::prelude::*;
use tailwater_lab::Finding;
use tailwater_protocol::Technique;

use crate::numbers::{self, Unit};
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::lane_summary::{LaneSummary, Measure};
use crate::pages::race::model::summary::Summary;
use crate::pages::race::parts::saved::SavedMedian;
use crate::techniques::look;
use crate::widgets::badge::TechniqueBadge;
use crate::widgets::connection::{ServerConnection, is_without_response};
use crate::widgets::views::CollectAny;

/// Samples from which a 99th percentile is shown.
const P99_SAMPLES: u64 = 200;
/// Shown instead of a missing figure.
const NONE: &str = "–";

/// The five cards.
#[component]
pub fn Cards() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    view! {
        <section class="cards" aria-label=page.localized(|text| text.lanes)>
            {Technique::ALL.map(|technique| view! { <LaneCard technique /> }).collect_any()}
        </section>
    }
}

/// Formats a figure of a lane.
type CardFigure = fn(RaceContext, &LaneSummary, &Summary) -> String;

/// A figure of a lane, updated with the summary and the language.
fn figure(page: RaceContext, technique: Technique, write: CardFigure) -> Signal<String> {
    Signal::derive(move || {
        page.summary
            .with(|summary| write(page, &summary.lanes[technique.index()], summary))
    })
}

#[component]
fn LaneCard(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let index = technique.index();
    let phase = move || {
        page.summary
            .with(|summary| phase_name(summary.lanes[index].phase))
    };
    let fault = move || {
        let fault = page.summary.with(|summary| {
            let lane = &summary.lanes[index];
            let fault = lane.fault.clone()?;
            (!is_shown_elsewhere(&fault, lane.phase, summary.connection)).then_some(fault)
        });
        fault.map(|fault| view! { <p class="fault">{fault}</p> }.into_any())
    };
    let name = technique.name();
    view! {
        <article
            class=format!("card t-{name}")
            data-testid=format!("card-{name}")
            data-technique=name
            data-phase=phase
        >
            <CardHead technique />
            <Lateness technique />
            <Against technique />
            <LaneCounts technique />
            {move || fault()}
        </article>
    }
}

#[component]
fn CardHead(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let look = look(technique);
    let index = technique.index();
    let is_on = move || page.settings.with(|settings| settings.lanes[index]);
    let description = Signal::derive(move || {
        if technique == Technique::Poll {
            let interval_ms = page.settings.with(|settings| settings.interval_ms);
            return (page.text().request_every)(&numbers::span_ms(
                interval_ms,
                page.language.get(),
            ));
        }
        look.description.in_language(page.language.get()).to_owned()
    });
    let label = Signal::derive(move || look.label.in_language(page.language.get()));
    let phase = figure(page, technique, |page, lane, _| {
        (page.text().phase)(lane.phase).to_owned()
    });
    view! {
        <header>
            <TechniqueBadge technique />
            <h2>{label}</h2>
            <span class="phase">{phase}</span>
            <input
                type="checkbox"
                role="switch"
                class="switch"
                aria-label=move || (page.text().lane_switch)(label.get())
                prop:checked=is_on
                on:change=move |event| page.change(|settings| settings.lanes[index] = event_target_checked(&event))
            />
            <p class="description">{description}</p>
        </header>
    }
}

/// The two percentiles, with the error of the median.
#[component]
fn Lateness(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let percentile = move |id: &'static str, label, hint, value, unit| {
        view! {
            <div>
                <dt title=page.localized(hint)>{page.localized(label)}</dt>
                <dd>
                    <span class="big" data-testid=id>{figure(page, technique, value)}</span>
                    <span class="unit">{figure(page, technique, unit)}</span>
                </dd>
            </div>
        }
    };
    view! {
        <dl class="lateness">
            {percentile("p50", |text| text.median, |text| text.median_hint, |_, lane, _| ms_or_none(lane.p50_ms), median_unit)}
            {percentile("p99", |text| text.p99, |text| text.p99_hint, |_, lane, _| ms_or_none(lane.p99_ms), |page, lane, _| {
                if lane.samples < P99_SAMPLES {
                    format!(" {}/{P99_SAMPLES}", lane.samples)
                } else {
                    Unit::Millisecond.suffix(page.language.get()).to_owned()
                }
            })}
            <SavedMedian technique />
        </dl>
    }
}

fn ms_or_none(ms: Option<f64>) -> String {
    ms.map_or_else(|| NONE.to_owned(), numbers::ms)
}

/// The unit of the median, with its error and that of the clocks.
fn median_unit(page: RaceContext, lane: &LaneSummary, summary: &Summary) -> String {
    if lane.p50_ms.is_none() {
        return String::new();
    }
    let language = page.language.get();
    let unit = Unit::Millisecond.suffix(language);
    match summary.clock {
        Some(clock) if lane.measure == Measure::FromDue => {
            let bound = numbers::bound_ms(clock.bound_ms + lane.p50_error_ms);
            format!("{unit} {}", numbers::plus_minus(&bound, language))
        }
        _ => unit.to_owned(),
    }
}

/// The measured and the predicted mean.
#[component]
fn Against(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let line = figure(page, technique, |page, lane, _| {
        let text = page.text();
        match (lane.verdict, lane.predicted_ms, lane.measure) {
            (_, _, Measure::BehindFirst) => text.no_prediction.to_owned(),
            (Some(verdict), _, _) => {
                let allowed_ms = Some(verdict.allowed).filter(|allowed| allowed.is_finite());
                (text.against)(verdict.sample.value, verdict.claim.predicted, allowed_ms)
            }
            (None, Some(predicted_ms), _) => (text.predicts)(predicted_ms),
            (None, None, _) => String::new(),
        }
    });
    let finding = move || {
        let verdict = page
            .summary
            .with(|summary| summary.lanes[technique.index()].verdict)?;
        let text = page.text();
        let (class, words) = match verdict.finding {
            Finding::Confirmed => ("yes", (text.judged)(verdict).to_owned()),
            Finding::Refuted => ("no", (text.judged)(verdict).to_owned()),
            Finding::Inconclusive { why } => ("open", (text.needs)(why)),
        };
        Some(view! { <span class=format!("finding {class}")>{words}</span> }.into_any())
    };
    view! {
        <p class="against">
            <span class="line">{line}</span>
            // Separates them when they are read aloud or copied.
            " "
            {move || finding()}
        </p>
    }
}

#[component]
fn LaneCounts(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let count = move |id: &'static str, label, value, is_bad: fn(&LaneSummary) -> bool| {
        let is_bad = move || {
            page.summary
                .with(|summary| is_bad(&summary.lanes[technique.index()]))
        };
        view! {
            <div class:bad=is_bad>
                <dt>{figure(page, technique, label)}</dt>
                <dd data-testid=id>{figure(page, technique, value)}</dd>
            </div>
        }
    };
    view! {
        <dl class="counts">
            {count("events", |page, _, _| page.text().events.to_owned(), |_, lane, _| numbers::count(lane.events), |_| false)}
            {count("bytes", bytes_label, bytes_per_event, |_| false)}
            {count("requests", |page, _, _| page.text().requests.to_owned(), |_, lane, _| numbers::count(lane.requests), |_| false)}
            {count("empty", |page, _, _| page.text().empty.to_owned(), empty_responses, |_| false)}
            {count("lost", |page, _, _| page.text().lost.to_owned(), |_, lane, _| numbers::count(lane.lost), |lane| lane.lost > 0)}
            {count("repeated", |page, _, _| page.text().repeated.to_owned(), |_, lane, _| numbers::count(lane.repeated), |lane| lane.repeated > 0)}
        </dl>
    }
}

fn bytes_label(page: RaceContext, lane: &LaneSummary, _: &Summary) -> String {
    let text = page.text();
    let label = if lane.counts.is_some() {
        text.bytes
    } else {
        text.body_bytes
    };
    label.to_owned()
}

fn bytes_per_event(_: RaceContext, lane: &LaneSummary, _: &Summary) -> String {
    let seen = (lane.events > 0).then(|| lane.body_bytes as f64 / lane.events as f64);
    let per_event = if lane.counts.is_some() {
        lane.bytes_per_event
    } else {
        seen
    };
    per_event.map_or_else(|| "0".to_owned(), numbers::bytes)
}

fn empty_responses(_: RaceContext, lane: &LaneSummary, _: &Summary) -> String {
    if lane.technique.repeats_requests() {
        numbers::count(lane.empty)
    } else {
        NONE.to_owned()
    }
}

/// Whether a fault only means that the server does not respond, which the notice and the phase of the lane already show.
fn is_shown_elsewhere(fault: &str, phase: LanePhase, connection: ServerConnection) -> bool {
    matches!(
        connection,
        ServerConnection::Lost | ServerConnection::Reconnecting
    ) || phase == LanePhase::Retrying && is_without_response(fault)
}

/// The machine-readable name of a phase, for the style sheet.
fn phase_name(phase: LanePhase) -> &'static str {
    match phase {
        LanePhase::Off => "off",
        LanePhase::Connecting => "connecting",
        LanePhase::CatchingUp => "catching-up",
        LanePhase::Live => "live",
        LanePhase::Retrying => "retrying",
        LanePhase::Ended => "ended",
        LanePhase::Failed => "failed",
    }
}
