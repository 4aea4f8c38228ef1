//! Which technique to use: what is needed, the answer with its reason, and what each technique costs.

use leptos::prelude::*;
use tailwater_protocol::Technique;

use super::tables::second;
use crate::browser;
use crate::numbers;
use crate::pages::race::context::RaceContext;
use crate::pages::race::model::advice::{Answer, Question};
use crate::techniques::look;
use crate::widgets::views::CollectAny;

/// Bytes of an hour, in megabytes, of what is counted each second.
const MB_PER_HOUR: f64 = 3_600.0 / 1e6;

/// The question, the answer and its table.
#[component]
pub fn AdviceSection() -> impl IntoView {
    let page = expect_context::<RaceContext>();
    let usual = Question::default();
    let within_ms = RwSignal::new(usual.within_ms);
    let clients = RwSignal::new(usual.clients);
    let clients_send = RwSignal::new(usual.clients_send);
    let second = second(page);
    let answer = Memo::new(move |_| {
        second.get();
        let question = Question {
            within_ms: within_ms.get(),
            clients: clients.get(),
            clients_send: clients_send.get(),
        };
        let controller = page.controller();
        controller.with_shown(browser::now_ms(), |race, at_ms| {
            race.answer(&question, at_ms)
        })
    });
    let change = move |number: RwSignal<f64>, event: &leptos::ev::Event| {
        if let Some(value) = numbers::parse(&event_target_value(event)).filter(|value| *value > 0.0)
        {
            number.set(value);
        }
    };
    view! {
        <section class="advice" aria-labelledby="advice">
            <h2 id="advice">{page.say(|text| text.advice.title)}</h2>
            <div class="row">
                <label>
                    {page.say(|text| text.advice.within)}
                    <input type="number" min="1" step="any" data-testid="within"
                        prop:value=move || numbers::trimmed(within_ms.get())
                        on:change=move |event| change(within_ms, &event) />
                </label>
                <label>
                    {page.say(|text| text.advice.clients)}
                    <input type="number" min="1" step="1" data-testid="clients"
                        prop:value=move || numbers::trimmed(clients.get())
                        on:change=move |event| change(clients, &event) />
                </label>
                <label>
                    <input type="checkbox" data-testid="clients-send"
                        on:change=move |event| clients_send.set(event_target_checked(&event)) />
                    {page.say(|text| text.advice.clients_send)}
                </label>
            </div>
            <p class="sentence" data-testid="advice">
                {move || match answer.get() {
                    Some(answer) => (page.text().advice.sentence)(&answer.advice),
                    None => page.text().advice.unknown.to_owned(),
                }}
            </p>
            {move || answer.get().map(|answer| costs(page, &answer, clients.get()))}
        </section>
    }
}

fn costs(page: RaceContext, answer: &Answer, clients: f64) -> AnyView {
    let text = &page.text().advice;
    let head = [
        page.shell.text().technique,
        text.latency,
        text.requests,
        text.bytes,
        text.connections,
        text.source,
    ];
    let rows = answer.advice.costs.iter().map(|cost| {
        let measured = answer.measured_bytes_per_s[cost.technique.index()];
        let bytes_per_s = measured.unwrap_or(cost.bytes_per_s);
        let cells = [
            numbers::ms(cost.latency.as_secs_f64() * 1_000.0),
            numbers::rate(cost.requests_per_s * clients),
            numbers::rate(bytes_per_s * MB_PER_HOUR * clients),
            numbers::rate(cost.connections * clients),
            if measured.is_some() {
                text.measured
            } else {
                text.computed
            }
            .to_owned(),
        ];
        row(
            cost.technique,
            cost.technique == answer.advice.technique,
            page,
            cells,
        )
    });
    view! {
        <div class="scroll" tabindex="0" role="region" aria-label=text.table>
            <table>
                <caption>{text.table}</caption>
                <thead><tr>{head.map(|name| view! { <th scope="col">{name}</th> }).collect_any()}</tr></thead>
                <tbody>{rows.collect_any()}</tbody>
            </table>
        </div>
    }
    .into_any()
}

fn row(technique: Technique, is_taken: bool, page: RaceContext, cells: [String; 5]) -> AnyView {
    let name = look(technique).label.say(page.language.get());
    view! {
        <tr aria-current=is_taken.to_string()>
            <th scope="row">{name}</th>
            {cells.map(|cell| view! { <td>{cell}</td> }).collect_any()}
        </tr>
    }
    .into_any()
}
