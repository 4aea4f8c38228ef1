//! The context of the Streams page.

use std::rc::Rc;

use leptos::prelude::*;
use tailwater_protocol::Technique;
use tailwater_protocol::inspect::StreamDetails;

use super::PAGE;
use super::controller::{DEFAULT_TECHNIQUE, Following, StreamsController};
use super::model::address::StreamsAddress;
use super::model::listing::{Fetched, Listing};
use super::model::tailing::FollowedStream;
use super::text::StreamsText;
use crate::app::{HistoryChange, Shell};
use crate::browser;
use crate::reactive;
use crate::widgets::connection::ServerConnection;

/// The result of the last action, which the status shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastAction {
    /// Created, or already present with the same options.
    Created {
        /// The stream.
        name: String,
        /// Whether it is new.
        is_new: bool,
    },
    /// Created as a fork.
    Forked(String),
    /// Appended, with the new tail.
    Appended(String),
    /// Closed.
    Closed(String),
    /// Deleted.
    Deleted(String),
    /// The subscription with this id is deleted.
    Unsubscribed(String),
}

/// The context of the Streams page, for all of its parts.
#[derive(Clone, Copy, Debug)]
pub struct StreamsContext {
    /// The state shared by all pages.
    pub shell: Shell,
    controller: StoredValue<Rc<StreamsController>, LocalStorage>,
    /// What is open.
    pub address: Memo<StreamsAddress>,
    /// The list.
    pub listing: RwSignal<Listing>,
    /// The state of the server, as JSON.
    pub server: RwSignal<String>,
    /// The offset at which the fork form forks; empty for the tail.
    pub fork_at: RwSignal<String>,
    /// The details of the open stream.
    pub inspected: RwSignal<Fetched<StreamDetails>>,
    /// The followed messages.
    pub tailing: RwSignal<FollowedStream>,
    /// How it is followed.
    pub following: RwSignal<Option<Following>>,
    /// The state of the connection to the server.
    pub connection: RwSignal<ServerConnection>,
    /// The result of the last action.
    pub last_action: RwSignal<Option<LastAction>>,
}

impl StreamsContext {
    /// Starts the page's controller, which ends when the page is left.
    pub fn start(shell: Shell) -> Self {
        let address = reactive::memo(move || StreamsAddress::from_query(&shell.query(PAGE.name)));
        let controller = StreamsController::start(address.get_untracked());
        let streams = Self {
            shell,
            controller: StoredValue::new_local(controller.clone()),
            address,
            listing: controller.listing.clone().into(),
            server: controller.server.clone().into(),
            fork_at: RwSignal::new(String::new()),
            inspected: controller.inspected.clone().into(),
            tailing: controller.tailing.clone().into(),
            following: controller.following.clone().into(),
            connection: controller.connection.clone().into(),
            last_action: RwSignal::new(None),
        };
        reactive::effect(move || streams.controller().apply(&address.get()));
        let ending = StoredValue::new_local(controller);
        on_cleanup(move || ending.with_value(|controller| controller.end()));
        streams
    }

    /// The texts of the page, in the language in use; reactive when read in a view.
    pub fn text(&self) -> &'static StreamsText {
        StreamsText::of(self.shell.language.get())
    }

    /// A text of the page, as a signal that follows the language.
    pub fn localized(
        &self,
        text: fn(&'static StreamsText) -> &'static str,
    ) -> Signal<&'static str> {
        let language = self.shell.language;
        Signal::derive(move || text(StreamsText::of(language.get())))
    }

    /// The technique by which a stream is followed; reactive when read in a view.
    pub fn technique(&self) -> Technique {
        self.address
            .with(|address| address.technique.unwrap_or(DEFAULT_TECHNIQUE))
    }

    /// The page's controller.
    pub fn controller(&self) -> Rc<StreamsController> {
        self.controller.get_value()
    }

    /// Changes what is open on the page, and updates the address bar, unless the page has been left.
    pub fn open(&self, change: HistoryChange, open: impl FnOnce(&mut StreamsAddress)) {
        let Some(mut address) = self.address.try_get_untracked() else {
            return;
        };
        open(&mut address);
        self.shell.go(PAGE.name, address.to_query(), change);
    }

    /// Opens the form for a new stream and moves the focus to it.
    pub fn open_create_form(&self) {
        self.open(HistoryChange::Push, |address| address.stream = None);
        // The form exists from the next frame on.
        request_animation_frame(|| browser::focus("create-name"));
    }

    /// The URL of the page with a change of what is open.
    pub fn href(&self, open: impl FnOnce(&mut StreamsAddress)) -> String {
        let mut address = self.address.get();
        open(&mut address);
        self.shell.href(PAGE.name, &address.to_query())
    }
}
