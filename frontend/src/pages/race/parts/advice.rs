//! The recommended technique: the form for the requirements, the recommendation, and the costs of each technique.

use leptos::prelude::*;

use super::tables::row;
use crate::browser;
use crate::numbers;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::advice::{Recommendation, Requirements};
use crate::reactive;
use crate::widgets::table::table;

/// Converts bytes per second to megabytes per hour.
const MB_PER_HOUR: f64 = 3_600.0 / 1e6;

/// The form, the recommendation and its table.
#[component]
pub fn AdviceSection() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let usual = Requirements::default();
    let within_ms = RwSignal::new(usual.within_ms);
    let clients = RwSignal::new(usual.clients);
    let clients_send = RwSignal::new(usual.clients_send);
    let recommendation = reactive::memo(move || {
        page.summary.track();
        let requirements = Requirements {
            within_ms: within_ms.get(),
            clients: clients.get(),
            clients_send: clients_send.get(),
        };
        let controller = page.controller();
        controller.with_shown(browser::now_ms(), |race, at_ms| {
            race.recommendation(&requirements, at_ms)
        })
    });
    let is_known = reactive::memo(move || recommendation.with(Option::is_some));
    let rows = move || {
        recommendation.with(|recommendation| {
            let recommendation = recommendation.as_ref();
            recommendation.map_or_else(Vec::new, |recommendation| {
                costs(page, recommendation, clients.get())
            })
        })
    };
    let number = move |id: &'static str, label, number: RwSignal<f64>, step: &'static str| {
        view! {
            <label>
                {page.localized(label)}
                <input type="number" min="1" step=step data-testid=id
                    prop:value=move || numbers::trimmed(number.get())
                    on:change=move |event| {
                        let value = numbers::parse(&event_target_value(&event));
                        if let Some(value) = value.filter(|value| *value > 0.0) {
                            number.set(value);
                        }
                    } />
            </label>
        }
    };
    view! {
        <section class="advice" aria-labelledby="advice">
            <h2 id="advice">{page.localized(|text| text.advice.title)}</h2>
            <div class="row">
                {number("within", |text| text.advice.within, within_ms, "any")}
                {number("clients", |text| text.advice.clients, clients, "1")}
                <label>
                    <input type="checkbox" data-testid="clients-send"
                        on:change=move |event| clients_send.set(event_target_checked(&event)) />
                    {page.localized(|text| text.advice.clients_send)}
                </label>
            </div>
            <p class="sentence" data-testid="advice">
                {move || match recommendation.get() {
                    Some(recommendation) => (page.text().advice.sentence)(&recommendation.advice),
                    None => page.text().advice.unknown.to_owned(),
                }}
            </p>
            {move || is_known.get().then(|| {
                let label = page.localized(|text| text.advice.table);
                let columns = Callback::new(move |()| columns(page));
                table("cost-table", label, Some(label), columns, rows.into_any())
            })}
        </section>
    }
}

fn columns(page: RaceContext) -> Vec<&'static str> {
    let text = &page.text().advice;
    vec![
        page.shell.text().technique,
        text.latency,
        text.requests,
        text.bytes,
        text.connections,
        text.source,
    ]
}

fn costs(page: RaceContext, recommendation: &Recommendation, clients: f64) -> Vec<AnyView> {
    let text = &page.text().advice;
    let rows = recommendation.advice.costs.iter().map(|cost| {
        let measured = recommendation.measured_bytes_per_s[cost.technique.index()];
        let bytes_per_s = measured.unwrap_or(cost.bytes_per_s);
        let source = if measured.is_some() {
            text.measured
        } else {
            text.computed
        };
        let cells = [
            numbers::ms(cost.latency.as_secs_f64() * 1_000.0),
            numbers::rate(cost.requests_per_s * clients),
            numbers::rate(bytes_per_s * MB_PER_HOUR * clients),
            numbers::rate(cost.connections * clients),
            source.to_owned(),
        ];
        let is_recommended = cost.technique == recommendation.advice.technique;
        row(page, cost.technique, is_recommended, cells.into())
    });
    rows.collect()
}
