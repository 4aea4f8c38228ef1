//! The work behind the Streams page: the list and the stream that is looked at are asked anew, one stream is followed.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use futures_util::future::{AbortHandle, LocalBoxFuture, abortable};
use serde::de::DeserializeOwned;
use tailwater_client::FollowReport;
use tailwater_client::drivers::browser::{Follower, follow};
use tailwater_client::reader::FollowOptions;
use tailwater_protocol::inspect::{StreamDetails, StreamList};
use tailwater_protocol::{StreamName, Technique, Token};
use wasm_bindgen_futures::spawn_local;

use crate::ask::{self, Answer};
use crate::browser;
use crate::model::listing::{Known, Listing, PAGE};
use crate::model::name;
use crate::model::outcome::Refusal;
use crate::model::place::Shelf;
use crate::model::tailing::Tailing;
use crate::model::verdict::Connection;
use crate::model::wish::{Wish, stream_url};
use crate::parts::kept::Shared;

/// Nothing asked here takes longer.
const DEADLINE_S: u32 = 10;
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
/// A stream of no more than this is followed from its beginning.
const SHORT_BYTES: u64 = 256 * 1_024;

/// The usual way to follow.
pub const USUAL: Technique = Technique::Sse;

/// A task that ends, with its requests, when this is dropped.
struct Task(AbortHandle);

impl Task {
    fn start(work: impl Future<Output = ()> + 'static) -> Self {
        let work: LocalBoxFuture<'static, ()> = Box::pin(work);
        let (work, handle) = abortable(work);
        spawn_local(async move {
            // Whether it came to its end or was ended makes no difference.
            work.await.ok();
        });
        Self(handle)
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What an action came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
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
pub struct Desk {
    shelf: RefCell<Shelf>,
    lister: RefCell<Option<Task>>,
    looker: RefCell<Option<Task>>,
    follower: RefCell<Option<Follower>>,
    /// What the follower brought since it was shown last.
    fresh: RefCell<Tailing>,
    showing: Cell<bool>,
    /// The list.
    pub listing: Shared<Listing>,
    /// The stream that is looked at.
    pub looked: Shared<Known<StreamDetails>>,
    /// What the follower brought.
    pub tailing: Shared<Tailing>,
    /// How the stream is followed; `None` while it is not.
    pub following: Shared<Option<Following>>,
    /// How the page stands to the server.
    pub connection: Shared<Connection>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("shelf", &self.shelf)
            .finish_non_exhaustive()
    }
}

impl Desk {
    /// Begins with what is open on the page.
    pub fn start(shelf: Shelf) -> Rc<Self> {
        let desk = Rc::new(Self {
            shelf: RefCell::new(shelf),
            lister: RefCell::default(),
            looker: RefCell::default(),
            follower: RefCell::default(),
            fresh: RefCell::default(),
            showing: Cell::new(false),
            listing: Shared::default(),
            looked: Shared::default(),
            tailing: Shared::default(),
            following: Shared::default(),
            connection: Shared::default(),
        });
        desk.list();
        desk.look();
        desk
    }

    /// Ends everything, with all requests.
    pub fn end(&self) {
        self.lister.borrow_mut().take();
        self.looker.borrow_mut().take();
        self.unfollow();
    }

    /// Follows what is open on the page.
    pub fn apply(self: &Rc<Self>, shelf: &Shelf) {
        let before = self.shelf.replace(shelf.clone());
        if shelf.search != before.search {
            self.listing.update(Listing::restart);
        }
        if (&shelf.search, &shelf.after) != (&before.search, &before.after) {
            self.list();
        }
        if shelf.stream != before.stream {
            self.unfollow();
            self.looked.set(Known::Awaited);
            self.look();
        } else if shelf.technique != before.technique
            && let Some(now) = self.following.get_untracked()
        {
            let technique = shelf.technique.unwrap_or(USUAL);
            self.follow(Following { technique, ..now });
        }
    }

    /// Asks for the list at once, and then again and again.
    pub fn list(self: &Rc<Self>) {
        let desk = self.clone();
        let lister = Task::start(async move {
            loop {
                desk.list_once().await;
            }
        });
        *self.lister.borrow_mut() = Some(lister);
    }

    async fn list_once(&self) {
        seen().await;
        let Shelf { search, after, .. } = self.shelf.borrow().clone();
        let came: Result<StreamList, Refusal> =
            read(Wish::list(&search, after.as_deref(), PAGE)).await;
        let Some(page) = self.heard(came) else {
            return browser::sleep(LOOK_MS).await;
        };
        if self.listing.with_untracked(|listing| listing.page != page) {
            self.listing.update(|listing| listing.page = page);
        }
        browser::sleep(LIST_MS).await;
    }

    /// Looks at the stream at once, and then again and again.
    pub fn look(self: &Rc<Self>) {
        self.looker.borrow_mut().take();
        let name = match self.shelf.borrow().stream.as_deref().map(name::named) {
            None => return,
            // A name that no stream can have is not asked for.
            Some(Err(fault)) => return self.looked.set(Known::Refused(fault.to_string())),
            Some(Ok(name)) => name,
        };
        let desk = self.clone();
        let looker = Task::start(async move {
            loop {
                desk.look_once(&name).await;
                browser::sleep(LOOK_MS).await;
            }
        });
        *self.looker.borrow_mut() = Some(looker);
    }

    async fn look_once(self: &Rc<Self>, name: &StreamName) {
        seen().await;
        let came: Result<StreamDetails, Refusal> = read(Wish::inspect(name)).await;
        let Some(looked) = self.heard(came) else {
            return;
        };
        let was_here = self.looked.with_untracked(|known| known.here().is_some());
        match looked.here() {
            Some(details) if !was_here => self.follow_at_first(details),
            Some(_) => {}
            None => self.unfollow(),
        }
        if self.looked.with_untracked(|known| *known != looked) {
            self.looked.set(looked);
        }
    }

    /// What an answer tells; `None` when the server does not answer, which is noted.
    fn heard<T>(&self, came: Result<T, Refusal>) -> Option<Known<T>> {
        let known = match came {
            Ok(value) => Known::Here(value),
            Err(Refusal::Unreachable(_)) => {
                self.connection.set(Connection::Lost);
                return None;
            }
            Err(refusal) if refusal.is_missing() => Known::Missing,
            Err(refusal) => Known::Refused(refusal.words().to_owned()),
        };
        if self.connection.get_untracked() != Connection::Live {
            self.connection.set(Connection::Live);
        }
        Some(known)
    }

    /// Follows a stream that has just come into view, unless reading would keep it alive.
    fn follow_at_first(self: &Rc<Self>, details: &StreamDetails) {
        if details.configuration.ttl_seconds.is_some() {
            return;
        }
        let technique = self.shelf.borrow().technique.unwrap_or(USUAL);
        let from = if details.kept_bytes <= SHORT_BYTES {
            Token::beginning()
        } else {
            Token::now()
        };
        self.follow(Following { technique, from });
    }

    /// Follows the stream anew.
    pub fn follow(self: &Rc<Self>, how: Following) {
        self.unfollow();
        let Some(Ok(name)) = self.shelf.borrow().stream.as_deref().map(name::named) else {
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
        let desk = Rc::downgrade(self);
        let on_report = move |report: FollowReport| {
            if let Some(desk) = desk.upgrade() {
                desk.take(&report);
            }
        };
        *self.follower.borrow_mut() = Some(follow(&stream_url("", &name), options, on_report));
        self.following.set(Some(how));
    }

    /// Ends the following; what came stays until another begins.
    pub fn unfollow(&self) {
        if self.follower.borrow_mut().take().is_some() {
            self.following.set(None);
        }
        *self.fresh.borrow_mut() = Tailing::default();
        self.tailing.set(Tailing::default());
    }

    /// Takes a report; the page shows it a moment later, ten times a second at most.
    fn take(self: &Rc<Self>, report: &FollowReport) {
        self.fresh.borrow_mut().take(report);
        if self.showing.replace(true) {
            return;
        }
        let desk = self.clone();
        spawn_local(async move {
            browser::sleep(SHOW_MS).await;
            desk.showing.set(false);
            let fresh = desk.fresh.borrow().clone();
            desk.tailing.set(fresh);
        });
    }

    /// Sends what a person asked for; list and stream are looked at anew afterwards.
    ///
    /// # Errors
    /// What the server said, or that it did not answer, in words.
    pub async fn send(self: &Rc<Self>, wish: &Wish) -> Result<Done, String> {
        let outcome = send(wish.clone()).await;
        let answer = outcome.map_err(|refusal| refusal.words().to_owned())?;
        self.list();
        self.look();
        Ok(Done {
            is_new: answer.status == 201,
            next: answer.next,
        })
    }

    /// Deletes the stream that is looked at; it is not asked for meanwhile, as it may go at any moment.
    ///
    /// # Errors
    /// As [`Desk::send`]; then it is looked at and followed as before.
    pub async fn delete(self: &Rc<Self>, wish: &Wish) -> Result<Done, String> {
        let followed = self.following.get_untracked();
        self.looker.borrow_mut().take();
        self.unfollow();
        match send(wish.clone()).await {
            Ok(answer) => {
                self.list();
                Ok(Done {
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

fn send(wish: Wish) -> LocalBoxFuture<'static, Result<Answer, Refusal>> {
    ask::send(wish, DEADLINE_S)
}

/// The same for an answer in JSON.
async fn read<T: DeserializeOwned>(wish: Wish) -> Result<T, Refusal> {
    send(wish).await?.json()
}

/// Waits until the tab is seen.
async fn seen() {
    while browser::is_hidden() {
        browser::sleep(HIDDEN_MS).await;
    }
}
