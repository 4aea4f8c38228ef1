//! A card per technique: how late, how often asked, what it cost, what was lost; and the switch of its lane.

use leptos::prelude::*;
use tailwater_lab::Finding;
use tailwater_protocol::Technique;

use crate::numbers::{self, Unit};
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::lane_summary::{LaneSummary, Measure};
use crate::pages::race::model::summary::Summary;
use crate::techniques::look;
use crate::widgets::badge::TechniqueBadge;
use crate::widgets::connection::ServerConnection;

/// Samples from which a 99th percentile is shown.
const P99_SAMPLES: u64 = 200;
/// What stands where there is no figure.
const NONE: &str = "–";

/// The five cards.
#[component]
pub fn Cards() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    view! {
        <section class="cards" aria-label=page.say(|text| text.lanes)>
            {Technique::ALL.map(|technique| view! { <LaneCard technique /> }).collect_view()}
        </section>
    }
}

/// One lane's figure, following the summary.
fn figure<T: Send + Sync + PartialEq + 'static>(
    page: RaceContext,
    technique: Technique,
    take: impl Fn(&LaneSummary, &Summary) -> T + Send + Sync + 'static,
) -> Memo<T> {
    Memo::new(move |_| {
        page.summary
            .with(|summary| take(&summary.lanes[technique.index()], summary))
    })
}

#[component]
fn LaneCard(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let phase = figure(page, technique, |lane, _| lane.phase);
    let fault = figure(page, technique, |lane, summary| {
        lane.fault
            .clone()
            .filter(|fault| !is_told_elsewhere(fault, lane.phase, summary.connection))
    });
    let name = technique.name();
    view! {
        <article
            class=format!("card t-{name}")
            data-testid=format!("card-{name}")
            data-technique=name
            data-phase=move || phase_name(phase.get())
        >
            <CardHead technique phase />
            <Lateness technique />
            <Against technique />
            <LaneCounts technique />
            {move || fault.get().map(|fault| view! { <p class="fault">{fault}</p> })}
        </article>
    }
}

#[component]
fn CardHead(technique: Technique, phase: Memo<LanePhase>) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let look = look(technique);
    let index = technique.index();
    let is_on = move || page.settings.with(|settings| settings.lanes[index]);
    let gloss = move || {
        if technique == Technique::Poll {
            let interval_ms = page.settings.with(|settings| settings.interval_ms);
            return (page.text().asks_every)(&numbers::span_ms(interval_ms, page.language.get()));
        }
        look.gloss.say(page.language.get()).to_owned()
    };
    let label = move || look.label.say(page.language.get());
    view! {
        <header>
            <TechniqueBadge technique />
            <h2>{label}</h2>
            <span class="phase">{move || (page.text().phase)(phase.get())}</span>
            <input
                type="checkbox"
                role="switch"
                class="switch"
                aria-label=move || (page.text().lane_switch)(label())
                prop:checked=is_on
                on:change=move |event| page.change(|settings| settings.lanes[index] = event_target_checked(&event))
            />
            <p class="gloss">{gloss}</p>
        </header>
    }
}

/// The two percentiles, with the clocks' bound.
#[component]
fn Lateness(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let p50 = figure(page, technique, |lane, _| {
        lane.p50_ms.map_or_else(|| NONE.to_owned(), numbers::ms)
    });
    let p99 = figure(page, technique, |lane, _| {
        lane.p99_ms.map_or_else(|| NONE.to_owned(), numbers::ms)
    });
    let bound = figure(page, technique, |lane, summary| {
        let counts = lane.measure == Measure::FromDue && lane.p50_ms.is_some();
        summary
            .clock
            .filter(|_| counts)
            .map(|clock| numbers::bound_ms(clock.bound_ms))
    });
    let samples = figure(page, technique, |lane, _| lane.samples);
    let ms = move || Unit::Millisecond.suffix(page.language.get());
    let p50_unit = move || {
        if p50.with(|p50| p50 == NONE) {
            ""
        } else {
            ms()
        }
    };
    let bound = move || {
        bound.get().map_or_else(String::new, |bound| {
            format!(" {}", numbers::plus_minus(&bound, page.language.get()))
        })
    };
    view! {
        <dl class="lateness">
            <div>
                <dt>{page.say(|text| text.median)}</dt>
                <dd>
                    <span class="big" data-testid="p50">{move || p50.get()}</span>
                    <span class="unit">{p50_unit} {bound}</span>
                </dd>
            </div>
            <div>
                <dt>{page.say(|text| text.p99)}</dt>
                <dd>
                    <span class="big" data-testid="p99">{move || p99.get()}</span>
                    <span class="unit">
                        {move || {
                            let samples = samples.get();
                            if samples < P99_SAMPLES { format!(" {samples}/{P99_SAMPLES}") } else { ms().to_owned() }
                        }}
                    </span>
                </dd>
            </div>
        </dl>
    }
}

/// The measured mean against the predicted one.
#[component]
fn Against(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let verdict = figure(page, technique, |lane, _| lane.verdict);
    let predicted = figure(page, technique, |lane, _| lane.predicted_ms);
    let measure = figure(page, technique, |lane, _| lane.measure);
    let line = move || {
        let text = page.text();
        match (verdict.get(), predicted.get(), measure.get()) {
            (_, _, Measure::BehindFirst) => text.no_prediction.to_owned(),
            (Some(verdict), _, _) => {
                let allowed_ms = Some(verdict.allowed).filter(|allowed| allowed.is_finite());
                (text.against)(verdict.sample.value, verdict.claim.predicted, allowed_ms)
            }
            (None, Some(predicted_ms), _) => (text.predicts)(predicted_ms),
            (None, None, _) => String::new(),
        }
    };
    let finding = move || {
        let verdict = verdict.get()?;
        let text = page.text();
        let (class, words) = match verdict.finding {
            Finding::Confirmed => ("yes", (text.judged)(verdict).to_owned()),
            Finding::Refuted => ("no", (text.judged)(verdict).to_owned()),
            Finding::Inconclusive { why } => ("open", (text.needs)(why)),
        };
        Some(view! { <span class=format!("finding {class}")>{words}</span> })
    };
    view! {
        <p class="against">
            <span class="line">{line}</span>
            // So that they stand apart where they are read aloud or copied, too.
            " "
            {finding}
        </p>
    }
}

#[component]
fn LaneCounts(technique: Technique) -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let asks = look(technique).asks;
    let events = figure(page, technique, |lane, _| lane.events);
    let requests = figure(page, technique, |lane, _| lane.requests);
    let empty = figure(page, technique, |lane, _| lane.empty);
    let lost = figure(page, technique, |lane, _| lane.lost);
    let repeated = figure(page, technique, |lane, _| lane.repeated);
    let counted = figure(page, technique, |lane, _| lane.counts.is_some());
    let bytes = figure(page, technique, |lane, _| {
        let seen = (lane.events > 0).then(|| lane.body_bytes as f64 / lane.events as f64);
        let per_event = if lane.counts.is_some() {
            lane.bytes_per_event
        } else {
            seen
        };
        per_event.map_or_else(|| "0".to_owned(), numbers::bytes)
    });
    let empties = move || {
        if asks {
            numbers::count(empty.get())
        } else {
            NONE.to_owned()
        }
    };
    let bytes_label = move || {
        if counted.get() {
            page.text().bytes
        } else {
            page.text().body_bytes
        }
    };
    view! {
        <dl class="counts">
            <div><dt>{page.say(|text| text.events)}</dt><dd data-testid="events">{move || numbers::count(events.get())}</dd></div>
            <div><dt>{bytes_label}</dt><dd data-testid="bytes">{move || bytes.get()}</dd></div>
            <div><dt>{page.say(|text| text.requests)}</dt><dd data-testid="requests">{move || numbers::count(requests.get())}</dd></div>
            <div><dt>{page.say(|text| text.empty)}</dt><dd data-testid="empty">{empties}</dd></div>
            <div class:bad=move || { lost.get() > 0 }>
                <dt>{page.say(|text| text.lost)}</dt><dd data-testid="lost">{move || numbers::count(lost.get())}</dd>
            </div>
            <div class:bad=move || { repeated.get() > 0 }>
                <dt>{page.say(|text| text.repeated)}</dt><dd data-testid="repeated">{move || numbers::count(repeated.get())}</dd>
            </div>
        </dl>
    }
}

/// Whether a fault only says that the server does not answer, which the page and the lane's phase say in better words.
fn is_told_elsewhere(fault: &str, phase: LanePhase, connection: ServerConnection) -> bool {
    // What every browser throws when a request gets no answer.
    let no_answer = fault.contains("TypeError") || fault.contains("WebSocket");
    matches!(
        connection,
        ServerConnection::Lost | ServerConnection::Reconnecting
    ) || phase == LanePhase::Retrying && no_answer
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
