//! What a stream is: its offsets, its configuration, where it grew from and what grew from it.

use leptos::prelude::*;
use tailwater_protocol::inspect::{Configuration, StreamDetails};

use crate::app::Step;
use crate::browser;
use crate::model::listing::span;
use crate::model::place::{Place, Shelf};
use crate::pages::streams::Streams;
use crate::parts::nav::is_plain;
use crate::text::numbers::{count, size};
use crate::text::streams::StreamsText;

/// The facts, each with its name.
#[component]
pub fn Facts(
    /// What is known of it.
    details: Memo<Option<StreamDetails>>,
) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let of = move |part: fn(&StreamDetails) -> String| {
        Memo::new(move |_| details.with(|details| details.as_ref().map(part).unwrap_or_default()))
    };
    let content_type = of(|details| details.configuration.content_type.clone());
    let earliest = of(|details| details.earliest_offset.to_string());
    let tail = of(|details| details.next_offset.to_string());
    let kept = of(|details| size(details.kept_bytes));
    let closed = Memo::new(move |_| details.with(|details| details.as_ref().is_some_and(|details| details.closed)));
    let configuration = Memo::new(move |_| {
        details.with(|details| details.as_ref().map(|it| it.configuration.clone()).unwrap_or_default())
    });
    let ends = move || configuration.with(|configuration| ends(streams, configuration));
    let retention = move || configuration.with(|configuration| retention(streams.text(), configuration));
    view! {
        <dl class="facts" aria-label=streams.say(|text| text.facts)>
            <div>
                <dt>{streams.say(|text| text.state)}</dt>
                <dd data-testid="state">{move || if closed.get() { streams.text().closed } else { streams.text().open }}</dd>
            </div>
            <div><dt>{streams.say(|text| text.content_type)}</dt><dd>{move || content_type.get()}</dd></div>
            <div><dt>{streams.say(|text| text.tail)}</dt><dd class="offset" data-testid="tail">{move || tail.get()}</dd></div>
            <div><dt>{streams.say(|text| text.earliest)}</dt><dd class="offset">{move || earliest.get()}</dd></div>
            <div><dt>{streams.say(|text| text.size)}</dt><dd data-testid="kept">{move || kept.get()}</dd></div>
            <div><dt>{streams.say(|text| text.retention)}</dt><dd>{retention}</dd></div>
            <div><dt>{streams.say(|text| text.ends)}</dt><dd>{ends}</dd></div>
            <Family details />
        </dl>
    }
}

fn ends(streams: Streams, configuration: &Configuration) -> String {
    let text = streams.text();
    match (configuration.ttl_seconds, configuration.expires_at_ms) {
        (Some(seconds), _) => (text.ends_idle)(&span(seconds)),
        (None, Some(ms)) => (text.ends_at)(&browser::moment(ms as f64, streams.shell.language.get().name())),
        (None, None) => text.never.to_owned(),
    }
}

fn retention(text: &StreamsText, configuration: &Configuration) -> String {
    let bytes = configuration.keep_bytes.map(|bytes| (text.keeps_bytes)(&size(bytes)));
    let time = configuration.keep_seconds.map(|seconds| (text.keeps_for)(&span(seconds)));
    let parts: Vec<String> = bytes.into_iter().chain(time).collect();
    if parts.is_empty() { text.keeps_all.to_owned() } else { parts.join(", ") }
}

/// Forks up and down.
#[component]
fn Family(details: Memo<Option<StreamDetails>>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let origin = Memo::new(move |_| details.with(|details| details.as_ref().and_then(|it| it.forked_from.clone())));
    let forks = Memo::new(move |_| {
        details.with(|details| details.as_ref().map(|it| (it.fork_count, it.forks.clone())).unwrap_or_default())
    });
    view! {
        {move || {
            origin.get().map(|origin| {
                let at = origin.offset.to_string();
                view! {
                    <div>
                        <dt>{streams.say(|text| text.forked_from)}</dt>
                        <dd><StreamLink name=origin.stream /> " " <small>{move || (streams.text().at_offset)(&at)}</small></dd>
                    </div>
                }
            })
        }}
        {move || {
            let (total, names) = forks.get();
            let more = total.saturating_sub(names.len()) as u64;
            (total > 0).then(|| {
                view! {
                    <div>
                        <dt>{streams.say(|text| text.forks)}</dt>
                        <dd data-testid="forks">
                            {names.into_iter().map(|name| view! { <StreamLink name /> " " }).collect_view()}
                            {(more > 0).then_some(move || (streams.text().and_more)(&count(more)))}
                        </dd>
                    </div>
                }
            })
        }}
    }
}

/// A link to another stream of the list.
#[component]
fn StreamLink(name: String) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let name = StoredValue::new(name);
    let href = move || {
        let shelf = Shelf { stream: Some(name.get_value()), ..streams.shelf.get() };
        streams.shell.settings.with(|settings| browser::address(&Place::Streams(shelf).to_query(settings)))
    };
    view! {
        <a
            href=href
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    streams.shell.open(Step::Recorded, |shelf| shelf.stream = Some(name.get_value()));
                }
            }
        >
            {name.get_value()}
        </a>
    }
}
