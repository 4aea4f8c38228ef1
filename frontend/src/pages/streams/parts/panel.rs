//! The open stream: its details, and all actions on it.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::inspect::StreamDetails;

use super::append::AppendBox;
use super::change::ChangeSection;
use super::curl::CurlButton;
use super::facts::StreamFacts;
use super::follow::FollowSection;
use super::readers::{ProducerSection, ReaderSection};
use crate::api::name;
use crate::api::request::{ApiRequest, stream_url};
use crate::app::nav::is_plain;
use crate::app::page::{DashboardPage, StreamLink};
use crate::app::{HistoryChange, Shell};
use crate::browser;
use crate::pages::streams::PAGE;
use crate::pages::streams::context::StreamsContext;
use crate::pages::streams::model::listing::{Fetched, FetchedKind};
use crate::reactive;
use crate::widgets::command::CommandLine;
use crate::widgets::views::CollectAny;

/// The panel.
#[component]
pub fn StreamPanel(
    /// The name in the address.
    name: String,
) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    // There is no stream for an invalid name; `inspected` has the reason.
    let (name, title) = (name::named(&name).ok().map(StoredValue::new), name);
    let kind = reactive::memo(move || streams.inspected.with(Fetched::kind));
    // The details are kept while the next response is loading.
    let details = reactive::memo_of_last(move |before: Option<&Option<StreamDetails>>| {
        let now = streams
            .inspected
            .with(|inspected| inspected.loaded().cloned());
        now.or_else(|| before.cloned().flatten())
    });
    view! {
        <section class="panel" aria-labelledby="look-title" data-testid="look">
            <Back />
            <header class="look">
                <h2 id="look-title" data-testid="look-name">{title}</h2>
                {move || name.filter(|_| kind.get() == FetchedKind::Loaded).map(|name| view! { <OtherViews name /> }.into_any())}
            </header>
            {move || match (kind.get(), name) {
                (FetchedKind::Refused(why), _) => view! { <p class="fault">{(streams.text().refused)(&why)}</p> }.into_any(),
                (FetchedKind::Loading, _) | (_, None) => view! { <p class="hint">{streams.localized(|text| text.loading)}</p> }.into_any(),
                (FetchedKind::Loaded, Some(name)) => view! {
                    <StreamFacts details />
                    <AppendBox name details />
                    <FollowSection name details />
                    <ReaderSection details />
                    <ProducerSection details />
                    <ChangeSection name details />
                }
                .into_any(),
                (FetchedKind::Missing, Some(name)) => view! { <Missing name /> }.into_any(),
            }}
        </section>
    }
}

/// A link back to the list, if the window is too narrow for both.
#[component]
fn Back() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let href = move || streams.href(|address| address.stream = None);
    view! {
        <a
            class="back"
            href=href
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    streams.open(HistoryChange::Push, |address| address.stream = None);
                }
            }
        >
            "‹ " {streams.localized(|text| text.back)}
        </a>
    }
}

/// Links to the same stream as JSON, as a file, and on the Race page.
#[component]
fn OtherViews(name: StoredValue<StreamName>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let request = move |make: fn(&StreamName) -> ApiRequest| name.with_value(make);
    let line = Signal::derive(move || request(ApiRequest::inspect).curl(&browser::origin()));
    let export_line = Signal::derive(move || request(ApiRequest::export).curl(&browser::origin()));
    let elsewhere = streams.shell.pages().iter().filter_map(move |page| {
        let link = page.stream_link.filter(|_| *page != PAGE)?;
        Some(view! { <ElsewhereLink name page link /> })
    });
    let file = name.with_value(|name| format!("{}.ndjson", name.as_str().replace('/', "-")));
    view! {
        <div class="ways">
            <a class="tool wide" href=request(ApiRequest::inspect).target target="_blank" rel="noopener" data-testid="json">
                {streams.localized(|text| text.as_json)}
            </a>
            <CurlButton line id="curl-inspect" />
            <a class="tool wide" href=request(ApiRequest::export).target download=file data-testid="export">
                {streams.localized(|text| text.export)}
            </a>
            <CurlButton line=export_line id="curl-export" />
            {elsewhere.collect_any()}
        </div>
    }
}

/// A link to the same stream on another page.
#[component]
fn ElsewhereLink(
    name: StoredValue<StreamName>,
    page: &'static DashboardPage,
    link: StreamLink,
) -> impl IntoView {
    let shell = expect_context::<Shell>();
    let there = move || {
        let open = shell.query(page.name);
        name.with_value(|name| (link.query)(&open, name.as_str()))
    };
    view! {
        <a
            class="tool wide"
            data-testid=format!("{}-it", page.name)
            href=move || shell.href(page.name, &there())
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    shell.go(page.name, untrack(there), HistoryChange::Push);
                }
            }
        >
            {move || (link.label)(shell.language.get())}
        </a>
    }
}

/// Explains that the stream does not exist, with the command that creates it.
#[component]
fn Missing(name: StoredValue<StreamName>) -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let line = name.with_value(|name| {
        format!(
            "curl -X PUT -H 'content-type: application/json' {}",
            stream_url(&browser::origin(), name)
        )
    });
    view! {
        <div class="empty" data-testid="missing">
            <h3>{move || name.with_value(|name| (streams.text().missing)(name.as_str()))}</h3>
            <p>{streams.localized(|text| text.missing_hint)}</p>
            <CommandLine line />
        </div>
    }
}
