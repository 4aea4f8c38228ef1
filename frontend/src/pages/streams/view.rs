//! The Streams page: the list on one side, what is chosen in it on the other.

use leptos::prelude::*;

use super::context::{LastAction, StreamsContext};
use super::parts::create::Create;
use super::parts::list::ListSection;
use super::parts::panel::StreamPanel;
use crate::app::Shell;
use crate::browser;
use crate::widgets::command::CommandLine;
use crate::widgets::connection::{ConnectionMark, ServerConnection};
use crate::widgets::help::Help;
use crate::widgets::nav::{Choices, Nav};

/// The page.
#[component]
pub fn StreamsPage() -> impl IntoView {
    let streams = StreamsContext::start(expect_context::<Shell>());
    provide_context(streams);
    // The stream's name; empty while none is chosen.
    let chosen = Memo::new(move |_| {
        let stream = streams.address.with(|address| address.stream.clone());
        stream.unwrap_or_default()
    });
    Effect::new(move |before: Option<()>| {
        // Read, not tracked: a memo that nobody has read does not notify.
        chosen.get();
        streams.said.track();
        if before.is_some() {
            browser::refocus("chosen");
        }
    });
    view! {
        <a class="skip" href="#chosen">{streams.say(|text| text.skip)}</a>
        <header class="head">
            <Nav />
            <StreamsStatus />
            <div class="tools"><Choices /></div>
        </header>
        <main class="shelf" data-chosen=move || (!chosen.with(String::is_empty)).to_string()>
            <Gone />
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
        <footer>{streams.say(|text| text.foot)}</footer>
        <Help />
    }
}

/// How the page stands to the server, and what became of the last action.
#[component]
fn StreamsStatus() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let connection = streams.connection;
    let state = move || (streams.shell.text().connection)(connection.get());
    let said = move || {
        let text = streams.text();
        streams.said.with(|said| match said {
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
        })
    };
    view! {
        <ConnectionMark connection />
        <p class="outcome" role="status" data-testid="status" data-state=move || connection.get().name()>
            <span class="spoken">{move || state()} ". "</span>
            <span data-testid="said">{move || said()}</span>
        </p>
    }
}

/// The server does not answer: what that means and what to do.
#[component]
fn Gone() -> impl IntoView {
    let streams = expect_context::<StreamsContext>();
    let is_gone = Memo::new(move |_| streams.connection.get() == ServerConnection::Lost);
    let shown = move || {
        is_gone.get().then(|| {
            view! {
                <section class="notice gone" data-testid="gone">
                    <h2>{streams.say(|text| text.gone_title)}</h2>
                    <p>{streams.say(|text| text.gone)}</p>
                    <CommandLine line="cargo xtask serve".to_owned() />
                </section>
            }
            .into_any()
        })
    };
    view! { {move || shown()} }
}
