//! The view of the Streams page: the list, and beside it the open stream.

use leptos::prelude::*;

use super::context::{LastAction, StreamsContext};
use super::parts::create::Create;
use super::parts::list::ListSection;
use super::parts::panel::StreamPanel;
use crate::app::Shell;
use crate::app::help::Help;
use crate::app::nav::{Choices, Nav, SkipLink};
use crate::browser;
use crate::reactive;
use crate::widgets::command::CommandLine;
use crate::widgets::connection::{ConnectionMark, ServerConnection};

/// The page.
#[component]
pub fn StreamsPage() -> impl IntoView {
    let streams = StreamsContext::start(expect_context::<Shell>());
    provide_context(streams);
    // The stream's name; empty while none is chosen.
    let chosen = reactive::memo(move || {
        let stream = streams.address.with(|address| address.stream.clone());
        stream.unwrap_or_default()
    });
    let mut has_run = false;
    reactive::effect(move || {
        // `get` instead of `track`: a memo that was never read does not notify.
        chosen.get();
        streams.last_action.track();
        if has_run {
            browser::refocus("chosen");
        }
        has_run = true;
    });
    view! {
        <SkipLink to="chosen" label=streams.localized(|text| text.skip) />
        <header class="head">
            <Nav />
            <StreamsStatus />
            <div class="tools"><Choices /></div>
        </header>
        <main class="shelf" data-chosen=move || (!chosen.with(String::is_empty)).to_string()>
            <Unreachable />
            <ListSection />
            <div class="detail" id="chosen" tabindex="-1">
                {move || {
                    let name = chosen.get();
                    if name.is_empty() {
                        view! { <Create /> }.into_any()
                    } else {
                        view! { <StreamPanel name /> }.into_any()
                    }
                }}
            </div>
        </main>
        <footer>{streams.localized(|text| text.foot)}</footer>
        <Help />
    }
}

/// The state of the connection, and the result of the last action.
#[component]
fn StreamsStatus() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let connection = streams.connection;
    let state = move || (streams.shell.text().connection)(connection.get());
    let outcome = move || {
        let text = streams.text();
        streams.last_action.with(|action| match action {
            None => String::new(),
            Some(LastAction::Created { name, is_new: true }) => (text.created)(name),
            Some(LastAction::Created {
                name,
                is_new: false,
            }) => (text.there_already)(name),
            Some(LastAction::Forked(name)) => (text.forked)(name),
            Some(LastAction::Appended(offset)) => (text.appended)(offset),
            Some(LastAction::Closed(name)) => (text.closed_now)(name),
            Some(LastAction::Deleted(name)) => (text.deleted)(name),
            Some(LastAction::Unsubscribed(id)) => (text.unsubscribed)(id),
        })
    };
    view! {
        <ConnectionMark connection label=Signal::derive(state) />
        <p class="outcome" role="status" data-testid="status" data-state=move || connection.get().name()>
            <span class="visually-hidden">{move || state()} ". "</span>
            <span data-testid="said">{move || outcome()}</span>
        </p>
    }
}

/// Explains that the server does not respond, and what to do.
#[component]
fn Unreachable() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_unreachable = reactive::memo(move || streams.connection.get() == ServerConnection::Lost);
    let shown = move || {
        is_unreachable.get().then(|| {
            view! {
                <section class="notice gone" data-testid="gone">
                    <h2>{streams.localized(|text| text.gone_title)}</h2>
                    <p>{streams.localized(|text| text.gone)}</p>
                    <CommandLine line="cargo xtask serve".to_owned() />
                </section>
            }
            .into_any()
        })
    };
    view! { {move || shown()} }
}
