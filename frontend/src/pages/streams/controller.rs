//! The work behind the Streams page: the list and the stream that is looked at are asked anew, one stream is followed.

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

/// Between two looks at the stream, and between two attempts while the server is gone.
const LOOK_MS: f64 = 2_000.0;
/// Between two looks at the list.
const LIST_MS: f64 = 5_000.0;
/// Between two looks whether the tab is seen again.
const HIDDEN_MS: f64 = 500.0;
/// Between two showings of what was followed.
const SHOW_MS: f64 = 100.0;
/// Between two polls.
const POLL: Duration = Duration::from_secs(1);

/// The usual way to follow.
pub const USUAL: Technique = Technique::Sse;

/// A task that ends, with its requests, when this is dropped.
struct AbortableTask(AbortHandle);

impl AbortableTask {
    fn start(work: impl Future<Output = ()> + 'static) -> Self {
        let (work, handle) = abortable(work);
        spawn_local(async move {
            // Whether it came to its end or was ended makes no difference.
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

/// What an action came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActionDone {
    /// Whether something new was made (201), and not found as it was.
    pub is_new: bool,
    /// Where the stream ends, if the request was about one that stays.
    pub next: Option<Token>,
}

/// How a stream is followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Following {
    /// By which technique.
    pub technique: Technique,
    /// From where.
    pub from: Token,
}

/// The page's work.
pub struct StreamsController {
    address: RefCell<StreamsAddress>,
    lister: RefCell<Option<AbortableTask>>,
    looker: RefCell<Option<AbortableTask>>,
    follower: RefCell<Option<Follower>>,
    /// What the follower brought since it was shown last.
    fresh: RefCell<FollowedStream>,
    showing: Cell<bool>,
    /// The list.
    pub listing: ArcRwSignal<Listing>,
    /// What the server says of itself, as JSON.
    pub server: ArcRwSignal<String>,
    /// The stream that is looked at.
    pub looked: ArcRwSignal<Fetched<StreamDetails>>,
    /// What the follower brought.
    pub tailing: ArcRwSignal<FollowedStream>,
    /// How the stream is followed; `None` while it is not.
    pub following: ArcRwSignal<Option<Following>>,
    /// How the page stands to the server.
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
    /// Begins with what is open on the page.
    pub fn start(address: StreamsAddress) -> Rc<Self> {
        let controller = Rc::new(Self {
            address: RefCell::new(address),
            lister: RefCell::default(),
            looker: RefCell::default(),
            follower: RefCell::default(),
            fresh: RefCell::default(),
            showing: Cell::new(false),
            listing: ArcRwSignal::default(),
            server: ArcRwSignal::default(),
            looked: ArcRwSignal::default(),
            tailing: ArcRwSignal::default(),
            following: ArcRwSignal::default(),
            connection: ArcRwSignal::default(),
        });
        controller.list();
        controller.look();
        controller
    }

    /// Ends everything, with all requests.
    pub fn end(&self) {
        self.lister.borrow_mut().take();
        self.looker.borrow_mut().take();
        self.unfollow();
    }

    /// Follows what is open on the page.
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
            self.looked.set(Fetched::Awaited);
            self.look();
        } else if address.technique != before.technique
            && let Some(now) = self.following.get_untracked()
        {
            let technique = address.technique.unwrap_or(USUAL);
            self.follow(Following { technique, ..now });
        }
    }

    /// Asks for the list at once, and then again and again.
    pub fn list(self: &Rc<Self>) {
        let controller = self.clone();
        let lister = AbortableTask::start(async move {
            loop {
                controller.list_once().await;
            }
        });
        *self.lister.borrow_mut() = Some(lister);
    }

    async fn list_once(&self) {
        seen().await;
        let request = ApiRequest::list(&self.address.borrow().filter, PAGE);
        let came: Result<StreamList, ApiError> = read(request).await;
        let Some(page) = self.heard(came) else {
            return browser::sleep(LOOK_MS).await;
        };
        if self.listing.with_untracked(|listing| listing.page != page) {
            self.listing.update(|listing| listing.show(page));
        }
        // What it runs on is shown as far as it is known.
        if let Ok(server) = read_text(ApiRequest::server()).await {
            self.server.set(server);
        }
        browser::sleep(LIST_MS).await;
    }

    /// Looks at the stream at once, and then again and again.
    pub fn look(self: &Rc<Self>) {
        self.looker.borrow_mut().take();
        let name = match self.address.borrow().stream.as_deref().map(name::named) {
            None => return,
            // A name that no stream can have is not asked for.
            Some(Err(fault)) => return self.looked.set(Fetched::Refused(fault.to_string())),
            Some(Ok(name)) => name,
        };
        let controller = self.clone();
        let looker = AbortableTask::start(async move {
            loop {
                controller.look_once(&name).await;
                browser::sleep(LOOK_MS).await;
            }
        });
        *self.looker.borrow_mut() = Some(looker);
    }

    async fn look_once(self: &Rc<Self>, name: &StreamName) {
        seen().await;
        let request = ApiRequest::inspect_last(name, LAST_MESSAGES);
        let came: Result<StreamDetails, ApiError> = read(request).await;
        let Some(looked) = self.heard(came) else {
            return;
        };
        let was_here = self.looked.with_untracked(|known| known.here().is_some());
        if self.looked.with_untracked(|known| *known != looked) {
            self.looked.set(looked.clone());
        }
        match looked.here() {
            Some(details) if !was_here => self.follow_at_first(details),
            Some(details) => self.locate(details),
            None => self.unfollow(),
        }
    }

    /// Says of the messages that are shown where they lie.
    fn locate(self: &Rc<Self>, details: &StreamDetails) {
        if self.fresh.borrow_mut().know(&details.last_messages) {
            self.show();
        }
    }

    /// What an answer tells; `None` when the server does not answer, which is noted.
    fn heard<T>(&self, came: Result<T, ApiError>) -> Option<Fetched<T>> {
        let known = match came {
            Ok(value) => Fetched::Here(value),
            Err(ApiError::Unreachable(_)) => {
                self.connection.set(ServerConnection::Lost);
                return None;
            }
            Err(refusal) if refusal.is_missing() => Fetched::Missing,
            Err(refusal) => Fetched::Refused(refusal.words().to_owned()),
        };
        if self.connection.get_untracked() != ServerConnection::Live {
            self.connection.set(ServerConnection::Live);
        }
        Some(known)
    }

    /// Follows a stream that has just come into view, unless reading would keep it alive.
    fn follow_at_first(self: &Rc<Self>, details: &StreamDetails) {
        if details.configuration.ttl_seconds.is_some() {
            return;
        }
        let technique = self.address.borrow().technique.unwrap_or(USUAL);
        let from = FollowStart::Last.offset(details);
        self.follow(Following { technique, from });
    }

    /// Follows the stream anew.
    pub fn follow(self: &Rc<Self>, how: Following) {
        self.unfollow();
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
        self.looked.with_untracked(|looked| {
            if let Some(details) = looked.here() {
                self.fresh.borrow_mut().know(&details.last_messages);
            }
        });
        *self.follower.borrow_mut() = Some(follow(&stream_url("", &name), options, on_report));
        self.following.set(Some(how));
    }

    /// Ends the following; what came stays until another begins.
    pub fn unfollow(&self) {
        if self.follower.borrow_mut().take().is_some() {
            self.following.set(None);
        }
        *self.fresh.borrow_mut() = FollowedStream::default();
        self.tailing.set(FollowedStream::default());
    }

    /// Takes a report; the page shows it a moment later, ten times a second at most.
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

    /// Sends what a person asked for; list and stream are looked at anew afterwards.
    ///
    /// # Errors
    /// What the server said, or that it did not answer, in words.
    pub async fn send(self: &Rc<Self>, request: &ApiRequest) -> Result<ActionDone, String> {
        let outcome = send(request.clone()).await;
        let answer = outcome.map_err(|refusal| refusal.words().to_owned())?;
        self.list();
        self.look();
        Ok(ActionDone {
            is_new: answer.status == 201,
            next: answer.next,
        })
    }

    /// Deletes the stream that is looked at; it is not asked for meanwhile, as it may go at any moment.
    ///
    /// # Errors
    /// As [`StreamsController::send`]; then it is looked at and followed as before.
    pub async fn delete(self: &Rc<Self>, request: &ApiRequest) -> Result<ActionDone, String> {
        let followed = self.following.get_untracked();
        self.looker.borrow_mut().take();
        self.unfollow();
        match send(request.clone()).await {
            Ok(answer) => {
                self.list();
                Ok(ActionDone {
                    is_new: false,
                    next: answer.next,
                })
            }
            Err(refusal) => {
                self.look();
                if let Some(how) = followed {
                    self.follow(how);
                }
                Err(refusal.words().to_owned())
            }
        }
    }
}

/// Sends a request and decodes the JSON of its response.
async fn read<T: DeserializeOwned>(request: ApiRequest) -> Result<T, ApiError> {
    send(request).await?.json()
}

/// Sends a request and takes the text of its response.
///
/// # Errors
/// [`ApiError`].
pub(super) async fn read_text(request: ApiRequest) -> Result<String, ApiError> {
    let answer = send(request).await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

/// Waits until the tab is seen.
async fn seen() {
    while browser::is_hidden() {
        browser::sleep(HIDDEN_MS).await;
    }
}
