//! What every part of the Streams page can reach.

use std::rc::Rc;

use leptos::prelude::*;
use tailwater_protocol::Technique;
use tailwater_protocol::inspect::StreamDetails;

use super::PAGE;
use super::controller::{Following, StreamsController, USUAL};
use super::model::address::StreamsAddress;
use super::model::listing::{Fetched, Listing};
use super::model::tailing::FollowedStream;
use super::text::StreamsText;
use crate::app::{HistoryChange, Shell};
use crate::browser;
use crate::widgets::connection::ServerConnection;

/// What became of the last action, as it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastAction {
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
pub struct StreamsContext {
    /// What all pages share.
    pub shell: Shell,
    controller: StoredValue<Rc<StreamsController>, LocalStorage>,
    /// What is open.
    pub address: Memo<StreamsAddress>,
    /// The list.
    pub listing: RwSignal<Listing>,
    /// What the server says of itself, as JSON.
    pub server: RwSignal<String>,
    /// The offset at which the fork form forks; empty for the tail.
    pub fork_at: RwSignal<String>,
    /// The stream that is looked at.
    pub looked: RwSignal<Fetched<StreamDetails>>,
    /// What was followed.
    pub tailing: RwSignal<FollowedStream>,
    /// How it is followed.
    pub following: RwSignal<Option<Following>>,
    /// How the page stands to the server.
    pub connection: RwSignal<ServerConnection>,
    /// What became of the last action.
    pub said: RwSignal<Option<LastAction>>,
}

impl StreamsContext {
    /// Starts the work behind the page, which ends when the page is left.
    pub fn start(shell: Shell) -> Self {
        let address = Memo::new(move |_| StreamsAddress::from_query(&shell.query(PAGE.name)));
        let controller = StreamsController::start(address.get_untracked());
        let streams = Self {
            shell,
            controller: StoredValue::new_local(controller.clone()),
            address,
            listing: controller.listing.clone().into(),
            server: controller.server.clone().into(),
            fork_at: RwSignal::new(String::new()),
            looked: controller.looked.clone().into(),
            tailing: controller.tailing.clone().into(),
            following: controller.following.clone().into(),
            connection: controller.connection.clone().into(),
            said: RwSignal::new(None),
        };
        Effect::new(move || streams.controller().apply(&address.get()));
        let ending = StoredValue::new_local(controller);
        on_cleanup(move || ending.with_value(|controller| controller.end()));
        streams
    }

    /// What the page says, in the language in use.
    pub fn text(&self) -> &'static StreamsText {
        StreamsText::of(self.shell.language.get())
    }

    /// A text of the page, following the language.
    pub fn say(&self, what: fn(&'static StreamsText) -> &'static str) -> Signal<&'static str> {
        let language = self.shell.language;
        Signal::derive(move || what(StreamsText::of(language.get())))
    }

    /// The technique by which a stream is followed; following it when read in a view.
    pub fn technique(&self) -> Technique {
        self.address
            .with(|address| address.technique.unwrap_or(USUAL))
    }

    /// The work behind the page.
    pub fn controller(&self) -> Rc<StreamsController> {
        self.controller.get_value()
    }

    /// Opens something else on the page; the address bar follows.
    pub fn open(&self, change: HistoryChange, open: impl FnOnce(&mut StreamsAddress)) {
        let mut address = self.address.get_untracked();
        open(&mut address);
        self.shell.go(PAGE.name, address.to_query(), change);
    }

    /// Opens the form for a new stream, which gets the focus.
    pub fn begin_stream(&self) {
        self.open(HistoryChange::Push, |address| address.stream = None);
        // Once it is there.
        request_animation_frame(|| browser::focus("create-name"));
    }

    /// A link to the page with something else open.
    pub fn href(&self, open: impl FnOnce(&mut StreamsAddress)) -> String {
        let mut address = self.address.get();
        open(&mut address);
        self.shell.href(PAGE.name, &address.to_query())
    }
}
