//! The Streams page: the list on one side, what is chosen in it on the other.

use std::rc::Rc;

use leptos::prelude::*;
use tailwater_protocol::inspect::StreamDetails;

use crate::app::Shell;
use crate::app::place::{Place, Shelf};
use crate::pages::race::model::verdict::Connection;
use crate::pages::race::parts::notes::Command;
use crate::pages::race::text::Text;
use crate::pages::streams::controller::{Desk, Following};
use crate::pages::streams::model::listing::{Known, Listing};
use crate::pages::streams::model::tailing::Tailing;
use crate::pages::streams::parts::create::Create;
use crate::pages::streams::parts::list::List;
use crate::pages::streams::parts::look::Look;
use crate::pages::streams::text::StreamsText;
use crate::widgets::help::Help;
use crate::widgets::nav::{Choices, Nav};

/// What became of the last action, as it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Created; found as it was when not new.
    Created {
        /// The stream.
        name: String,
        /// Whether it is new.
        is_new: bool,
    },
    /// Created as a fork.
    Forked(String),
    /// Appended; where the stream then ends.
    Appended(String),
    /// Closed.
    Closed(String),
    /// Deleted.
    Deleted(String),
}

/// What every part of the Streams page can reach.
#[derive(Clone, Copy, Debug)]
pub struct Streams {
    /// What all pages share.
    pub shell: Shell,
    desk: StoredValue<Rc<Desk>, LocalStorage>,
    /// What is open.
    pub shelf: Memo<Shelf>,
    /// The list.
    pub listing: RwSignal<Listing>,
    /// The stream that is looked at.
    pub looked: RwSignal<Known<StreamDetails>>,
    /// What was followed.
    pub tailing: RwSignal<Tailing>,
    /// How it is followed.
    pub following: RwSignal<Option<Following>>,
    /// How the page stands to the server.
    pub connection: RwSignal<Connection>,
    /// What became of the last action.
    pub said: RwSignal<Option<Said>>,
}

impl Streams {
    /// What the page says, in the language in use.
    pub fn text(&self) -> &'static StreamsText {
        &self.shell.text().streams
    }

    /// What all pages say.
    pub fn shared_text(&self) -> &'static Text {
        self.shell.text()
    }

    /// A text of the page, following the language. One type for all of them keeps the page small.
    pub fn say(&self, what: fn(&'static StreamsText) -> &'static str) -> Signal<&'static str> {
        let language = self.shell.language;
        Signal::derive(move || what(&language.get().text().streams))
    }

    /// A text of all pages, following the language.
    pub fn say_shared(&self, what: fn(&'static Text) -> &'static str) -> Signal<&'static str> {
        self.shell.say(what)
    }

    /// The work behind the page.
    pub fn desk(&self) -> Rc<Desk> {
        self.desk.get_value()
    }
}

/// The page.
#[component]
pub fn StreamsPage() -> impl IntoView {
    let shell = expect_context::<Shell>();
    let shelf = Memo::new(move |before: Option<&Shelf>| {
        shell.place.with(|place| match place {
            Place::Streams(shelf) => shelf.clone(),
            // The page is being left.
            Place::Race => before.cloned().unwrap_or_default(),
        })
    });
    let desk = Desk::start(shelf.get_untracked());
    let streams = Streams {
        shell,
        desk: StoredValue::new_local(desk.clone()),
        shelf,
        listing: desk.listing.clone().into(),
        looked: desk.looked.clone().into(),
        tailing: desk.tailing.clone().into(),
        following: desk.following.clone().into(),
        connection: desk.connection.clone().into(),
        said: RwSignal::new(None),
    };
    provide_context(streams);
    Effect::new(move || streams.desk().apply(&shelf.get()));
    let ending = StoredValue::new_local(desk);
    on_cleanup(move || ending.with_value(|desk| desk.end()));
    let chosen = Memo::new(move |_| shelf.with(|shelf| shelf.stream.clone()));
    view! {
        <a class="skip" href="#chosen">{streams.say(|text| text.skip)}</a>
        <header class="head">
            <Nav />
            <Status />
            <div class="tools"><Choices /></div>
        </header>
        <main class="shelf" data-chosen=move || chosen.get().is_some().to_string()>
            <Gone />
            <List />
            <div class="chosen" id="chosen" tabindex="-1">
                {move || match chosen.get() {
                    Some(name) => view! { <Look name /> }.into_any(),
                    None => view! { <Create /> }.into_any(),
                }}
            </div>
        </main>
        <footer>{streams.say(|text| text.foot)}</footer>
        <Help />
    }
}

/// How the page stands to the server, and what became of the last action.
#[component]
fn Status() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let connection = streams.connection;
    let state = move || (streams.shared_text().connection)(connection.get());
    let said = move || {
        let text = streams.text();
        streams.said.with(|said| match said {
            None => String::new(),
            Some(Said::Created { name, is_new: true }) => (text.created)(name),
            Some(Said::Created {
                name,
                is_new: false,
            }) => (text.there_already)(name),
            Some(Said::Forked(name)) => (text.forked)(name),
            Some(Said::Appended(offset)) => (text.appended)(offset),
            Some(Said::Closed(name)) => (text.closed_now)(name),
            Some(Said::Deleted(name)) => (text.deleted)(name),
        })
    };
    view! {
        <p class="state" data-state=move || connection.get().name() aria-hidden="true">
            <span class="dot"></span>
            {state}
        </p>
        <p class="outcome" role="status" data-testid="status" data-state=move || connection.get().name()>
            <span class="spoken">{state} ". "</span>
            <span data-testid="said">{said}</span>
        </p>
    }
}

/// The server does not answer: what that means and what to do.
#[component]
fn Gone() -> impl IntoView {
    let streams = expect_context::<Streams>();
    let is_gone = Memo::new(move |_| streams.connection.get() == Connection::Lost);
    move || {
        is_gone.get().then(|| {
            view! {
                <section class="notice gone" data-testid="gone">
                    <h2>{streams.say(|text| text.gone_title)}</h2>
                    <p>{streams.say(|text| text.gone)}</p>
                    <Command line="cargo xtask serve".to_owned() />
                </section>
            }
        })
    }
}
