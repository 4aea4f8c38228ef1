//! The readers of a stream and how far they are behind, and its producers.

use leptos::prelude::*;
use tailwater_protocol::Technique;
use tailwater_protocol::inspect::{LiveReader, StreamDetails};

use crate::language::Language;
use crate::numbers::{self, count, size, span_s, whole_seconds};
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::model::listing::followers;
use crate::reactive;
use crate::techniques::look;
use crate::widgets::badge::TechniqueBadge;
use crate::widgets::table::table;
use crate::widgets::views::CollectAny;

/// Live readers by technique, and each of them in a table.
#[component]
pub fn ReaderSection(
    /// The details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let by = move || details.with(|details| details.as_ref().map(followers).unwrap_or_default());
    let words = Signal::derive(move || {
        let text = streams.text();
        let is_one = streams.following.with(|how| {
            how.as_ref()
                .is_some_and(|how| how.technique != Technique::Poll)
        });
        let has_any =
            details.with(|details| details.as_ref().is_some_and(|it| !it.readers.is_empty()));
        let plain = details.with(|details| details.as_ref().map_or(0, |it| it.plain_reads));
        let about = match (has_any, is_one) {
            (false, _) => text.no_readers,
            (true, true) => text.this_page,
            (true, false) => "",
        };
        format!("{about} {}", (text.plain_reads)(&count(plain as u64)))
    });
    let lines = move || {
        let (text, language) = (streams.text(), streams.shell.language.get());
        let lag = |lag| {
            if lag == 0 {
                text.at_tail.to_owned()
            } else {
                (text.slowest)(&size(lag, language))
            }
        };
        by().into_iter()
            .map(|one| view! { <ReaderLine language technique=one.technique count=one.count lag=lag(one.lag_bytes) /> })
            .collect_any()
    };
    view! {
        <section class="part" aria-labelledby="readers-title">
            <h3 id="readers-title">{streams.localized(|text| text.readers)}</h3>
            <ul class="followers" data-testid="readers">{move || lines()}</ul>
            <p class="hint">{words}</p>
            <ReaderTable details />
        </section>
    }
}

#[component]
fn ReaderLine(
    language: Language,
    technique: Technique,
    count: usize,
    lag: String,
) -> impl IntoView {
    view! {
        <li class=format!("t-{}", technique.name())>
            <TechniqueBadge technique />
            <span class="label">{look(technique).label.in_language(language)}</span>
            <span class="count">{numbers::count(count as u64)}</span>
            <span class="hint">{lag}</span>
        </li>
    }
}

#[component]
fn ReaderTable(details: Memo<Option<StreamDetails>>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_open = RwSignal::new(false);
    let has_any = reactive::memo(move || {
        details.with(|details| details.as_ref().is_some_and(|it| !it.readers.is_empty()))
    });
    let readers = move || {
        details.with(|details| {
            details
                .as_ref()
                .map(|it| it.readers.clone())
                .unwrap_or_default()
        })
    };
    let more = Signal::derive(move || {
        let more = details.with(|details| {
            details.as_ref().map_or(0, |it| {
                it.reader_counts.total().saturating_sub(it.readers.len())
            })
        });
        if more > 0 {
            (streams.text().and_more)(&count(more as u64))
        } else {
            String::new()
        }
    });
    let rows = move || {
        // A table in a closed element is not built.
        let readers = if is_open.get() { readers() } else { Vec::new() };
        let language = streams.shell.language.get();
        readers
            .into_iter()
            .map(|reader| view! { <ReaderRow language reader /> })
            .collect_any()
    };
    let columns = Callback::new(move |()| {
        let text = streams.text();
        vec![
            streams.shell.text().technique,
            text.position,
            text.behind,
            text.since,
        ]
    });
    let shown = move || {
        has_any.get().then(|| {
            view! {
                <details on:toggle=move |event| is_open.set(is_details_open(&event))>
                    <summary>{streams.localized(|text| text.each_reader)}</summary>
                    {table("reader-table", streams.localized(|text| text.each_reader), None, columns, rows.into_any())}
                    <p class="hint">{more}</p>
                </details>
            }
            .into_any()
        })
    };
    view! { {move || shown()} }
}

/// Whether the details element of a toggle event is open.
pub fn is_details_open(event: &leptos::ev::Event) -> bool {
    use wasm_bindgen::JsCast;
    event
        .target()
        .and_then(|target| target.dyn_into::<web_sys::Element>().ok())
        .is_some_and(|it| it.has_attribute("open"))
}

#[component]
fn ReaderRow(language: Language, reader: LiveReader) -> impl IntoView {
    view! {
        <tr>
            <th scope="row">{look(reader.technique).label.in_language(language)}</th>
            <td class="offset">{reader.offset.to_string()}</td>
            <td>{size(reader.lag_bytes, language)}</td>
            <td>{span_s(whole_seconds(reader.seconds), language)}</td>
        </tr>
    }
}

/// The idempotent producers, with their epochs and sequence numbers.
#[component]
pub fn ProducerSection(
    /// The details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let producers = move || {
        details.with(|details| {
            details
                .as_ref()
                .map(|it| (it.producer_count, it.producers.clone()))
                .unwrap_or_default()
        })
    };
    let columns = Callback::new(move |()| {
        let text = streams.text();
        vec![text.producer, text.epoch, text.sequence]
    });
    view! {
        <section class="part" aria-labelledby="producers-title">
            <h3 id="producers-title">{streams.localized(|text| text.producers)}</h3>
            {move || {
                let (total, producers) = producers();
                if producers.is_empty() {
                    return view! { <p class="hint">{streams.localized(|text| text.no_producers)}</p> }.into_any();
                }
                let more = total.saturating_sub(producers.len()) as u64;
                let rows = producers.into_iter().map(|one| view! {
                    <tr>
                        <th scope="row">{one.id}</th>
                        <td>{count(one.epoch)}</td>
                        <td>{count(one.seq)}</td>
                    </tr>
                }).collect_any();
                view! {
                    {table("producers", streams.localized(|text| text.producers), None, columns, rows.into_any())}
                    {(more > 0).then(|| view! { <p class="hint">{move || (streams.text().and_more)(&count(more))}</p> }.into_any())}
                }
                .into_any()
            }}
        </section>
    }
}
