//! What a request to a stream means: a [`Call`] goes in, a [`Reply`] comes out, whichever way both travel.
//!
//! Everything that decides about a request stands here once: which headers count, which status an append has, when a
//! read waits. Nothing here knows actix or a socket: `http/` and `takeover/` make calls and send replies.

mod answer;
mod append;
mod body;
mod budget;
mod charged;
mod coding;
mod create;
mod cursor;
mod delete;
mod fields;
mod frame;
pub mod gate;
mod head;
mod headers;
mod lifetime_headers;
mod names;
mod page;
mod query;
mod read;
mod refusal;

pub use answer::{Answer, Content};
pub use body::{ReceivedBody, RequestBody, Whole, check_announced, check_uncoded, receive};
pub use budget::{Budget, Charge, Exhausted, FREE_BYTES};
pub use charged::read_charged;
pub use cursor::Cursors;
pub use fields::{FieldValue, Fields};
pub use frame::answer_frame;
pub use headers::{Headers, single};
pub use page::{PageAnswer, SANDBOX};
pub use read::{LiveAnswer, LongPollWait, Presence};
pub(crate) use refusal::store_class;
pub use refusal::{OtherRefusal, ProblemClass, Refusal};

use crate::config::Config;
use crate::subscriptions::Subscriptions;
use http::Method;
use std::sync::Arc;
use tailwater_core::clock::Clock;
use tailwater_core::{Log, StreamName, Streams};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};

/// Our extensions of the protocol, as `Stream-Extensions` announces them.
pub const EXTENSIONS: &str =
    "live=ndjson, live=websocket, hold, if-match, retention, list, inspect, export";

/// What the paths of this version of the protocol begin with.
pub const VERSION_PREFIX: &str = "/v1";

/// Where streams live.
pub const STREAM_PREFIX: &str = "/v1/stream/";

/// The methods of a stream, as `Allow` lists them.
pub const STREAM_METHODS: &str = "PUT, POST, GET, HEAD, DELETE, OPTIONS";

/// Bodies up to here are read before anything is decided, in bytes.
const SMALL_BODY_BYTES: usize = 64 << 10;

/// What every request is answered with.
#[derive(Debug)]
pub struct App {
    /// The streams.
    pub streams: Arc<Streams>,
    /// The settings.
    pub config: Config,
    /// What stands before [`VERSION_PREFIX`] in every path; empty for a server of its own.
    pub prefix: String,
    /// The server's clock.
    pub clock: Clock,
    /// Turns true when the server stops.
    pub stop: watch::Receiver<bool>,
    /// Places for live readers.
    pub live: Arc<Semaphore>,
    /// What clients make the server hold, all together.
    pub budget: Arc<Budget>,
    /// Who is woken by which streams.
    pub subscriptions: Arc<Subscriptions>,
}

/// A request to a stream, without its body.
#[derive(Debug)]
pub struct Call<'a, H> {
    /// What to do.
    pub method: &'a Method,
    /// The stream's name as the path spells it: what follows [`STREAM_PREFIX`], not decoded.
    pub path: &'a str,
    /// What follows the question mark; empty without one.
    pub query: &'a str,
    /// The header fields.
    pub headers: &'a H,
    /// The host that the client asked, with its port.
    pub host: &'a str,
    /// Whether a WebSocket handshake was accepted, so that frames can follow.
    pub is_websocket: bool,
}

// Not derived: headers that can't be copied are borrowed all the same.
impl<H> Clone for Call<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Call<'_, H> {}

/// What a call is answered with.
#[derive(Debug)]
pub enum Reply {
    /// A whole answer.
    Answer(Answer),
    /// A long-poll that has to wait at the tail; answered by [`LongPollWait::answer`].
    Wait(Box<LongPollWait>),
    /// An answer that goes on: its head, and the reader that its body feeds.
    Live(Answer, Box<LiveAnswer>),
}

/// Answers a call.
///
/// - `body`: the request's body; it is read only once the head did not decide alone.
pub async fn reply<H: Headers>(app: &Arc<App>, call: Call<'_, H>, body: impl RequestBody) -> Reply {
    let answered = match *call.method {
        Method::GET => read::read(app, call).await,
        Method::POST => append::append(app, call, body).await.map(Reply::Answer),
        // On the heap, or every poll and append would carry as much.
        Method::PUT => Box::pin(create::create(app, call, body))
            .await
            .map(Reply::Answer),
        Method::HEAD => head::head(app, call).map(Reply::Answer),
        Method::DELETE => delete::delete(app, call).await.map(Reply::Answer),
        Method::OPTIONS => Ok(Reply::Answer(Answer::options(STREAM_METHODS))),
        _ => Err(Refusal::Method {
            came: call.method.to_string(),
            allowed: STREAM_METHODS,
        }),
    };
    answered.unwrap_or_else(|refusal| Reply::Answer(refusal.answer()))
}

/// What the head of a call alone decides, before its body is asked for (`Expect: 100-continue`).
///
/// # Errors
/// What [`reply`] would answer without reading the body.
pub fn check_head<H: Headers>(app: &App, call: Call<'_, H>) -> Result<(), Refusal> {
    match *call.method {
        Method::POST => {
            append::PreparedAppend::new(app, call)?.check(call.headers)?;
        }
        Method::PUT => {
            create::PreparedCreation::new(app, call)?;
        }
        Method::GET => {
            query::ReadQuery::parse(call.query)?;
            app.log(call.path)?;
        }
        Method::HEAD | Method::DELETE => {
            app.log(call.path)?;
        }
        Method::OPTIONS => {}
        _ => {
            return Err(Refusal::Method {
                came: call.method.to_string(),
                allowed: STREAM_METHODS,
            });
        }
    }
    check_announced(call.headers, app.config.body_max)
}

impl App {
    /// The stream that a path names.
    ///
    /// # Errors
    /// [`Refusal::Name`], [`Refusal::NoRoute`] for the reserved paths under `__ds`, [`Refusal::NoStream`] and
    /// [`Refusal::Hidden`].
    pub fn log(&self, path: &str) -> Result<Arc<Log>, Refusal> {
        // Without an escape a path spells what it is; what a stream has for a name needs no other look.
        if !path.contains('%')
            && let Ok(log) = self.streams.lookup(path)
        {
            return Ok(log);
        }
        let name = Self::name(path)?;
        self.streams
            .lookup(&name)
            .map_err(|absent| Refusal::absent(absent, &name))
    }

    /// The name that a path spells.
    ///
    /// # Errors
    /// [`Refusal::Name`], or [`Refusal::NoRoute`] for the reserved paths under `__ds`.
    pub fn name(path: &str) -> Result<StreamName, Refusal> {
        let name = StreamName::from_path(path)?;
        if name.is_reserved() {
            return Err(Refusal::NoRoute(format!("{STREAM_PREFIX}{path}")));
        }
        Ok(name)
    }

    /// A place among the live readers.
    ///
    /// # Errors
    /// [`Refusal::TooManyReaders`].
    pub(crate) fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        match Arc::clone(&self.live).try_acquire_owned() {
            Ok(place) => Ok(place),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                Err(Refusal::TooManyReaders {
                    limit: self.config.live_readers_max,
                })
            }
        }
    }

    /// The URL of a local path: as configured (`--public-url`), else as the client named the host.
    pub fn url(&self, host: &str, path: &str) -> String {
        match &self.config.public_url {
            Some(base) => format!("{base}{}{path}", self.prefix),
            None => format!("http://{host}{}{path}", self.prefix),
        }
    }

    /// A request's path without the prefix that this application is mounted at.
    pub fn local_path<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.prefix.as_str()).unwrap_or(path)
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Largest page of a plain read or a long-poll in bytes.
    pub fn page_max(&self) -> usize {
        usize::try_from(self.config.page_max).unwrap_or(usize::MAX)
    }

    /// Largest message from a client in bytes.
    pub fn message_max(&self) -> usize {
        usize::try_from(self.config.body_max).unwrap_or(usize::MAX)
    }

    /// Whether a body of so many bytes is read before anything is decided, so that its connection can serve the next request
    /// whatever the answer.
    pub fn reads_first(&self, body_bytes: usize) -> bool {
        body_bytes <= SMALL_BODY_BYTES.min(self.message_max())
    }
}
