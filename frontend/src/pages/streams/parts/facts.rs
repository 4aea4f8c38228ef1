//! The details of a stream: its offsets, its configuration, its source and its forks.

use leptos::prelude::*;
use tailwater_protocol::inspect::StreamDetails;

use crate::app::HistoryChange;
use crate::app::nav::is_plain;
use crate::browser;
use crate::numbers::{count, size, span_s};
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::text::StreamsText;
use crate::reactive;
use crate::widgets::views::CollectAny;

/// The list of details.
#[component]
pub fn StreamFacts(
    /// The details, once loaded.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let fact = move |id: &'static str,
                     label: fn(&'static StreamsText) -> &'static str,
                     part: fn(&StreamDetails, StreamsContext) -> String| {
        let value = move || {
            details.with(|details| {
                let value = details.as_ref().map(|details| part(details, streams));
                value.unwrap_or_default()
            })
        };
        let class = if matches!(id, "tail" | "earliest") {
            "offset"
        } else {
            ""
        };
        view! {
            <div>
                <dt>{streams.localized(label)}</dt>
                <dd data-testid=id class=class>{move || value()}</dd>
            </div>
        }
        .into_any()
    };
    let facts = [
        fact(
            "state",
            |text| text.state,
            |it, streams| {
                let text = streams.text();
                let state = if it.closed { text.closed } else { text.open };
                state.to_owned()
            },
        ),
        fact(
            "type",
            |text| text.content_type,
            |it, _| it.configuration.content_type.clone(),
        ),
        fact("tail", |text| text.tail, |it, _| it.next_offset.to_string()),
        fact(
            "earliest",
            |text| text.earliest,
            |it, _| it.earliest_offset.to_string(),
        ),
        fact(
            "kept",
            |text| text.size,
            |it, streams| size(it.kept_bytes, streams.shell.language.get()),
        ),
        fact("retention", |text| text.retention, retention),
        fact("ends", |text| text.ends, ends),
        fact(
            "created",
            |text| text.created_at,
            |it, streams| {
                browser::moment(it.created_ms as f64, streams.shell.language.get().name())
            },
        ),
    ];
    view! {
        <dl class="facts" aria-label=streams.localized(|text| text.facts)>
            {Vec::from(facts)}
            <Family details />
        </dl>
    }
}

fn ends(details: &StreamDetails, streams: StreamsContext) -> String {
    let configuration = &details.configuration;
    let (text, language) = (streams.text(), streams.shell.language.get());
    match (configuration.ttl_seconds, configuration.expires_at_ms) {
        (Some(seconds), _) => (text.ends_idle)(&span_s(seconds, language)),
        (None, Some(ms)) => (text.ends_at)(&browser::moment(ms as f64, language.name())),
        (None, None) => text.never.to_owned(),
    }
}

fn retention(details: &StreamDetails, streams: StreamsContext) -> String {
    let configuration = &details.configuration;
    let (text, language) = (streams.text(), streams.shell.language.get());
    let bytes = configuration
        .keep_bytes
        .map(|bytes| (text.keeps_bytes)(&size(bytes, language)));
    let time = configuration
        .keep_seconds
        .map(|seconds| (text.keeps_for)(&span_s(seconds, language)));
    let parts: Vec<String> = bytes.into_iter().chain(time).collect();
    if parts.is_empty() {
        text.keeps_all.to_owned()
    } else {
        parts.join(", ")
    }
}

/// Links to the source and to the forks.
#[component]
fn Family(details: Memo<Option<StreamDetails>>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    // Memos of texts, so that links keep the focus while figures change.
    let origin = reactive::memo(move || {
        let origin = details.with(|details| details.as_ref().and_then(|it| it.forked_from.clone()));
        origin
            .map(|origin| vec![origin.stream, origin.offset.to_string()])
            .unwrap_or_default()
    });
    let forks = reactive::memo(move || {
        details.with(|details| {
            details
                .as_ref()
                .map(|it| it.forks.clone())
                .unwrap_or_default()
        })
    });
    let more = Signal::derive(move || {
        let more = details.with(|details| {
            details
                .as_ref()
                .map_or(0, |it| it.fork_count - it.forks.len().min(it.fork_count))
        });
        if more > 0 {
            (streams.text().and_more)(&count(more as u64))
        } else {
            String::new()
        }
    });
    view! {
        {move || {
            let origin = origin.get();
            let [stream, at] = &origin[..] else { return ().into_any() };
            let (name, at) = (stream.clone(), at.clone());
            let at = Signal::derive(move || (streams.text().at_offset)(&at));
            view! {
                <div>
                    <dt>{streams.localized(|text| text.forked_from)}</dt>
                    <dd><OtherStreamLink name /> " " <small>{at}</small></dd>
                </div>
            }
            .into_any()
        }}
        {move || {
            let names = forks.get();
            if names.is_empty() {
                return ().into_any();
            }
            let links = names.into_iter().map(|name| view! { <OtherStreamLink name /> " " }).collect_any();
            view! {
                <div>
                    <dt>{streams.localized(|text| text.forks)}</dt>
                    <dd data-testid="forks">{links} {more}</dd>
                </div>
            }
            .into_any()
        }}
    }
}

/// A link to another stream of the list.
#[component]
fn OtherStreamLink(name: String) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let name = StoredValue::new(name);
    let href = move || streams.href(|address| address.stream = Some(name.get_value()));
    view! {
        <a
            href=href
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    streams.open(HistoryChange::Push, |address| address.stream = Some(name.get_value()));
                }
            }
        >
            {name.get_value()}
        </a>
    }
}
