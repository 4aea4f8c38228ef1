//! The stream that is chosen: what is known of it, and everything that can be done with it.

use leptos::prelude::*;
use tailwater_protocol::StreamName;
use tailwater_protocol::inspect::StreamDetails;

use super::append::Append;
use super::change::Change;
use super::facts::Facts;
use super::follow::Follow;
use super::line::Line;
use super::readers::{Producers, Readers};
use crate::api::name;
use crate::api::request::{Wish, stream_url};
use crate::app::Step;
use crate::app::place::{Place, Shelf};
use crate::browser;
use crate::pages::race::model::settings::{Settings, Source};
use crate::pages::race::parts::notes::Command;
use crate::pages::streams::model::listing::{Kind, Known};
use crate::pages::streams::view::Streams;
use crate::widgets::nav::is_plain;

/// The panel.
#[component]
pub fn Look(
    /// Whose.
    name: String,
) -> impl IntoView {
    let streams = expect_context::<Streams>();
    // A name that no stream can have is not here: what is looked at says why.
    let (name, title) = (name::named(&name).ok().map(StoredValue::new), name);
    let kind = Memo::new(move |_| streams.looked.with(Known::kind));
    // What is shown stays while the next answer is awaited.
    let details = Memo::new(move |before: Option<&Option<StreamDetails>>| {
        let now = streams.looked.with(|looked| looked.here().cloned());
        now.or_else(|| before.cloned().flatten())
    });
    view! {
        <section class="panel" aria-labelledby="look-title" data-testid="look">
            <Back />
            <header class="look">
                <h2 id="look-title" data-testid="look-name">{title}</h2>
                {move || name.filter(|_| kind.get() == Kind::Here).map(|name| view! { <Ways name /> })}
            </header>
            {move || match (kind.get(), name) {
                (Kind::Refused(why), _) => view! { <p class="fault">{(streams.text().refused)(&why)}</p> }.into_any(),
                (Kind::Awaited, _) | (_, None) => view! { <p class="hint">{streams.say(|text| text.loading)}</p> }.into_any(),
                (Kind::Here, Some(name)) => view! {
                    <Facts details />
                    <Append name details />
                    <Follow name details />
                    <Readers details />
                    <Producers details />
                    <Change name details />
                }
                .into_any(),
                (Kind::Missing, Some(name)) => view! { <Missing name /> }.into_any(),
            }}
        </section>
    }
}

/// Back to the list, where there is no room for both.
#[component]
fn Back() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let there = move || Shelf {
        stream: None,
        ..streams.shelf.get()
    };
    let href = move || {
        streams
            .shell
            .settings
            .with(|settings| browser::address(&Place::Streams(there()).to_query(settings)))
    };
    view! {
        <a
            class="back"
            href=href
            on:click=move |event| {
                if is_plain(&event) {
                    event.prevent_default();
                    streams.shell.open(Step::Recorded, |shelf| shelf.stream = None);
                }
            }
        >
            "‹ " {streams.say(|text| text.back)}
        </a>
    }
}

/// The same stream elsewhere: as JSON, as a file, on the Race page.
#[component]
fn Ways(name: StoredValue<StreamName>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let wish = move |make: fn(&StreamName) -> Wish| name.with_value(make);
    let line = Signal::derive(move || wish(Wish::inspect).curl(&browser::origin()));
    let export_line = Signal::derive(move || wish(Wish::export).curl(&browser::origin()));
    let raced = move || Settings {
        source: Source::Named(name.get_value().to_string()),
        ..streams.shell.settings.get()
    };
    let file = name.with_value(|name| format!("{}.ndjson", name.as_str().replace('/', "-")));
    view! {
        <div class="ways">
            <a class="tool wide" href=wish(Wish::inspect).target target="_blank" rel="noopener" data-testid="json">
                {streams.say(|text| text.as_json)}
            </a>
            <Line line id="curl-inspect" />
            <a class="tool wide" href=wish(Wish::export).target download=file data-testid="export">
                {streams.say(|text| text.export)}
            </a>
            <Line line=export_line id="curl-export" />
            <a
                class="tool wide"
                data-testid="race-it"
                href=move || browser::address(&raced().to_query())
                on:click=move |event| {
                    if is_plain(&event) {
                        event.prevent_default();
                        streams.shell.change(|settings| settings.source = Source::Named(name.get_value().to_string()));
                        streams.shell.go(Place::Race, Step::Recorded);
                    }
                }
            >
                {streams.say(|text| text.race)}
            </a>
        </div>
    }
}

/// There is no such stream: what that means, and the line that makes it.
#[component]
fn Missing(name: StoredValue<StreamName>) -> impl IntoView {
    let streams = expect_context::<Streams>();
    let line = name.with_value(|name| {
        format!(
            "curl -X PUT -H 'content-type: application/json' {}",
            stream_url(&browser::origin(), name)
        )
    });
    view! {
        <div class="empty" data-testid="missing">
            <h3>{move || name.with_value(|name| (streams.text().missing)(name.as_str()))}</h3>
            <p>{streams.say(|text| text.missing_hint)}</p>
            <Command line />
        </div>
    }
}
