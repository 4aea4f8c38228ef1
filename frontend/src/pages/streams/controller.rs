//! The controller of the Streams page: polls the list and the open stream, and follows one stream.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};
use leptos::prelude::*;
use serde::de::DeserializeOwned;
use tailwater_client::FollowReport;
use tailwater_client::drivers::browser::{Follower, follow};
use tailwater_client::reader::FollowOptions;
use tailwater_protocol::inspect::{StreamDetails, StreamList};
use tailwater_protocol::{StreamName, Technique, Token};
use wasm_bindgen_futures::spawn_local;

use crate::api::name;
use crate::api::outcome::ApiError;
use crate::api::request::{ApiRequest, ListFilter, stream_url};
use crate::api::send::send;
use crate::browser;
use crate::pages::streams::model::address::StreamsAddress;
use crate::pages::streams::model::listing::{Fetched, Listing, PAGE};
use crate::pages::streams::model::tailing::{FollowStart, FollowedStream, LAST_MESSAGES};
use crate::widgets::connection::ServerConnection;

/// Poll interval of the open stream, and the delay of an attempt while the server can't be reached.
const INSPECT_MS: f64 = 2_000.0;
/// Poll interval of the list.
const LIST_MS: f64 = 5_000.0;
/// Interval in which a hidden tab checks whether it is visible again.
const HIDDEN_MS: f64 = 500.0;
/// Interval in which followed messages are shown.
const SHOW_MS: f64 = 100.0;
/// Poll interval of the technique polling.
const POLL: Duration = Duration::from_secs(1);

/// The technique by which a stream is followed unless another one is chosen.
pub const DEFAULT_TECHNIQUE: Technique = Technique::Sse;

/// A task that is aborted, with its requests, when this is dropped.
pub(super) struct AbortableTask(AbortHandle);

impl AbortableTask {
    pub(super) fn start(work: impl Future<Output = ()> + 'static) -> Self {
        let (work, handle) = abortable(work);
        spawn_local(async move {
            // An error only means that it was aborted.
            work.await.ok();
        });
        Self(handle)
    }
}

impl Drop for AbortableTask {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The result of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionDone {
    /// Whether the stream was created (201), as opposed to one that already exists.
    pub is_new: bool,
    /// The tail of the stream, unless the request deleted it.
    pub next: Option<Token>,
}

/// How a stream is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// The technique.
    pub technique: Technique,
    /// Where following begins.
    pub from: Token,
}

/// The controller of the Streams page.
pub struct StreamsController {
    address: RefCell<StreamsAddress>,
    lister: RefCell<Option<AbortableTask>>,
    inspector: RefCell<Option<AbortableTask>>,
    follower: RefCell<Option<Follower>>,
    /// The messages of the follower, including those that are not shown yet.
    fresh: RefCell<FollowedStream>,
    showing: Cell<bool>,
    /// Whether the page has been left. A change that is still in progress then starts nothing again.
    has_ended: Cell<bool>,
    /// The list.
    pub listing: ArcRwSignal<Listing>,
    /// The state of the server, as JSON.
    pub server: ArcRwSignal<String>,
    /// The details of the open stream.
    pub inspected: ArcRwSignal<Fetched<StreamDetails>>,
    /// The messages of the follower that are shown.
    pub tailing: ArcRwSignal<FollowedStream>,
    /// How the stream is followed; `None` while it is not.
    pub following: ArcRwSignal<Option<Following>>,
    /// The state of the connection to the server.
    pub connection: ArcRwSignal<ServerConnection>,
}

impl std::fmt::Debug for StreamsController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamsController")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl StreamsController {
    /// Starts with what is open on the page.
    pub fn start(address: StreamsAddress) -> Rc<Self> {
        let controller = Rc::new(Self {
            address: RefCell::new(address),
            lister: RefCell::default(),
            inspector: RefCell::default(),
            follower: RefCell::default(),
            fresh: RefCell::default(),
            showing: Cell::new(false),
            has_ended: Cell::new(false),
            listing: ArcRwSignal::default(),
            server: ArcRwSignal::default(),
            inspected: ArcRwSignal::default(),
            tailing: ArcRwSignal::default(),
            following: ArcRwSignal::default(),
            connection: ArcRwSignal::default(),
        });
        controller.list();
        controller.inspect();
        controller
    }

    /// Aborts all tasks and requests.
    pub fn end(&self) {
        self.has_ended.set(true);
        self.lister.borrow_mut().take();
        self.inspector.borrow_mut().take();
        self.unfollow();
    }

    /// Applies a change of what is open on the page.
    pub fn apply(self: &Rc<Self>, address: &StreamsAddress) {
        let before = self.address.replace(address.clone());
        if address.filter != before.filter {
            let is_same_list = ListFilter {
                after: before.filter.after.clone(),
                ..address.filter.clone()
            } == before.filter;
            self.listing.update(if is_same_list {
                Listing::wait
            } else {
                Listing::restart
            });
            self.list();
        }
        if address.stream != before.stream {
            self.unfollow();
            self.inspected.set(Fetched::Loading);
            self.inspect();
        } else if address.technique != before.technique
            && let Some(now) = self.following.get_untracked()
        {
            let technique = address.technique.unwrap_or(DEFAULT_TECHNIQUE);
            self.follow(Following { technique, ..now });
        }
    }

    /// Requests the list at once, and then polls it.
    pub fn list(self: &Rc<Self>) {
        if self.has_ended.get() {
            return;
        }
        let controller = self.clone();
        let lister = AbortableTask::start(async move {
            loop {
                controller.list_once().await;
            }
        });
        *self.lister.borrow_mut() = Some(lister);
    }

    async fn list_once(&self) {
        visible().await;
        let request = ApiRequest::list(&self.address.borrow().filter, PAGE);
        let result: Result<StreamList, ApiError> = read(request).await;
        let Some(page) = self.record(result) else {
            return browser::sleep(INSPECT_MS).await;
        };
        if self.listing.with_untracked(|listing| listing.page != page) {
            self.listing.update(|listing| listing.show(page));
        }
        // If this fails, the previous state remains.
        if let Ok(server) = read_text(ApiRequest::server()).await {
            self.server.set(server);
        }
        browser::sleep(LIST_MS).await;
    }

    /// Inspects the open stream at once, and then polls it.
    pub fn inspect(self: &Rc<Self>) {
        self.inspector.borrow_mut().take();
        if self.has_ended.get() {
            return;
        }
        let name = match self.address.borrow().stream.as_deref().map(name::named) {
            None => return,
            // There is no request for an invalid name.
            Some(Err(fault)) => return self.inspected.set(Fetched::Refused(fault.to_string())),
            Some(Ok(name)) => name,
        };
        let controller = self.clone();
        let inspector = AbortableTask::start(async move {
            loop {
                controller.inspect_once(&name).await;
                browser::sleep(INSPECT_MS).await;
            }
        });
        *self.inspector.borrow_mut() = Some(inspector);
    }

    async fn inspect_once(self: &Rc<Self>, name: &StreamName) {
        visible().await;
        let request = ApiRequest::inspect_last(name, LAST_MESSAGES);
        let result: Result<StreamDetails, ApiError> = read(request).await;
        let Some(inspected) = self.record(result) else {
            return;
        };
        let was_loaded = self
            .inspected
            .with_untracked(|known| known.loaded().is_some());
        if self.inspected.with_untracked(|known| *known != inspected) {
            self.inspected.set(inspected.clone());
        }
        match inspected.loaded() {
            Some(details) if !was_loaded => self.follow_at_first(details),
            Some(details) => self.locate(details),
            None => self.unfollow(),
        }
    }

    /// Updates the positions and times of the messages that are shown.
    fn locate(self: &Rc<Self>, details: &StreamDetails) {
        if self.fresh.borrow_mut().set_places(&details.last_messages) {
            self.show();
        }
    }

    /// Records whether the server responds, and converts the result; `None` if it does not respond.
    fn record<T>(&self, result: Result<T, ApiError>) -> Option<Fetched<T>> {
        let known = match result {
            Ok(value) => Fetched::Loaded(value),
            Err(ApiError::Unreachable(_)) => {
                self.connection.set(ServerConnection::Lost);
                return None;
            }
            Err(refusal) if refusal.is_missing() => Fetched::Missing,
            Err(refusal) => Fetched::Refused(refusal.message().to_owned()),
        };
        if self.connection.get_untracked() != ServerConnection::Live {
            self.connection.set(ServerConnection::Live);
        }
        Some(known)
    }

    /// Follows a stream that has just been opened, unless reading would renew its idle time.
    fn follow_at_first(self: &Rc<Self>, details: &StreamDetails) {
        if details.configuration.ttl_seconds.is_some() {
            return;
        }
        let technique = self.address.borrow().technique.unwrap_or(DEFAULT_TECHNIQUE);
        let from = FollowStart::Last.offset(details);
        self.follow(Following { technique, from });
    }

    /// Starts following the stream; the messages of the previous follower are removed.
    pub fn follow(self: &Rc<Self>, how: Following) {
        self.unfollow();
        if self.has_ended.get() {
            return;
        }
        let Some(Ok(name)) = self.address.borrow().stream.as_deref().map(name::named) else {
            return;
        };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "any number will do"
        )]
        let seed = (js_sys::Math::random() * f64::from(u32::MAX)) as u64;
        let options = FollowOptions {
            technique: how.technique,
            from: how.from.clone(),
            poll_interval: POLL,
            seed,
            ..FollowOptions::default()
        };
        let controller = Rc::downgrade(self);
        let on_report = move |report: FollowReport| {
            if let Some(controller) = controller.upgrade() {
                controller.take(&report);
            }
        };
        self.inspected.with_untracked(|inspected| {
            if let Some(details) = inspected.loaded() {
                self.fresh.borrow_mut().set_places(&details.last_messages);
            }
        });
        *self.follower.borrow_mut() = Some(follow(&stream_url("", &name), options, on_report));
        self.following.set(Some(how));
    }

    /// Stops following, and removes the messages.
    pub fn unfollow(&self) {
        if self.follower.borrow_mut().take().is_some() {
            self.following.set(None);
        }
        *self.fresh.borrow_mut() = FollowedStream::default();
        self.tailing.set(FollowedStream::default());
    }

    /// Processes a report; the page shows its messages with a delay, at most ten times a second.
    fn take(self: &Rc<Self>, report: &FollowReport) {
        self.fresh.borrow_mut().take(report);
        self.show();
    }

    fn show(self: &Rc<Self>) {
        if self.showing.replace(true) {
            return;
        }
        let controller = self.clone();
        spawn_local(async move {
            browser::sleep(SHOW_MS).await;
            controller.showing.set(false);
            let fresh = controller.fresh.borrow().clone();
            controller.tailing.set(fresh);
        });
    }

    /// Sends a request of the user; list and stream are requested again afterwards.
    ///
    /// # Errors
    /// The server's reason for a refusal, or that it does not respond.
    pub async fn send(self: &Rc<Self>, request: &ApiRequest) -> Result<ActionDone, String> {
        let outcome = send(request.clone()).await;
        let response = outcome.map_err(|refusal| refusal.message().to_owned())?;
        self.list();
        self.inspect();
        Ok(ActionDone {
            is_new: response.status == 201,
            next: response.next,
        })
    }

    /// Deletes the open stream. It is not polled meanwhile, as it may disappear at any moment.
    ///
    /// # Errors
    /// Those of [`StreamsController::send`]; the stream is then polled and followed as before.
    pub async fn delete(self: &Rc<Self>, request: &ApiRequest) -> Result<ActionDone, String> {
        let followed = self.following.get_untracked();
        self.inspector.borrow_mut().take();
        self.unfollow();
        match send(request.clone()).await {
            Ok(response) => {
                self.list();
                Ok(ActionDone {
                    is_new: false,
                    next: response.next,
                })
            }
            Err(refusal) => {
                self.inspect();
                if let Some(how) = followed {
                    self.follow(how);
                }
                Err(refusal.message().to_owned())
            }
        }
    }
}

/// Sends a request and decodes the JSON of its response.
async fn read<T: DeserializeOwned>(request: ApiRequest) -> Result<T, ApiError> {
    send(request).await?.json()
}

/// Sends a request and returns the body of its response as text.
///
/// # Errors
/// [`ApiError`].
pub(super) async fn read_text(request: ApiRequest) -> Result<String, ApiError> {
    let response = send(request).await?;
    Ok(String::from_utf8_lossy(&response.body).into_owned())
}

/// Waits until the tab is visible.
async fn visible() {
    while browser::is_hidden() {
        browser::sleep(HIDDEN_MS).await;
    }
}
