//! What a request to a stream means: a [`Call`] goes in, a [`Reply`] comes out, whatever the
//! transport.
//!
//! Every decision about a request is made once, here: which headers are valid, the status of an
//! append, when a read waits. Nothing here depends on actix or sockets: `http/` and `takeover/`
//! make calls and send replies.

mod announced_body;
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

pub use announced_body::AnnouncedBody;
pub use answer::{Answer, Content, NO_STORE};
pub use body::{CompleteBody, ReceivedBody, RequestBody, check_announced, check_uncoded, receive};
pub use budget::{Budget, Charge, Exhausted, FREE_BYTES};
pub use charged::read_charged;
pub use cursor::Cursors;
pub use fields::{FieldValue, Fields};
pub use frame::answer_frame;
pub use headers::{Headers, single};
pub use page::{PageAnswer, SANDBOX};
pub use query::set_once;
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

/// Extensions of the protocol, as listed by `Stream-Extensions`.
pub const EXTENSIONS: &str =
    "live=ndjson, live=websocket, hold, if-match, retention, list, inspect, export";

/// Prefix of all paths of this protocol version.
pub const VERSION_PREFIX: &str = "/v1";

/// Prefix of all stream paths.
pub const STREAM_PREFIX: &str = "/v1/stream/";

/// The methods of a stream, as `Allow` lists them.
pub const STREAM_METHODS: &str = "PUT, POST, GET, HEAD, DELETE, OPTIONS";

/// Bodies of up to this many bytes are received before the request is processed.
const SMALL_BODY_BYTES: usize = 64 << 10;

/// The state shared by all requests.
#[derive(Debug)]
pub struct App {
    /// The streams.
    pub streams: Arc<Streams>,
    /// The settings.
    pub config: Config,
    /// The path before [`VERSION_PREFIX`] at which the routes are mounted; empty for a stand-alone
    /// server.
    pub prefix: String,
    /// The server's clock.
    pub clock: Clock,
    /// Becomes true when the server stops.
    pub stop: watch::Receiver<bool>,
    /// Limits the number of live readers.
    pub live: Arc<Semaphore>,
    /// Limits the memory held for all clients together.
    pub budget: Arc<Budget>,
    /// Which subscribers are woken by which streams.
    pub subscriptions: Arc<Subscriptions>,
}

/// A request to a stream, without its body.
#[derive(Debug)]
pub struct Call<'a, H> {
    /// What to do.
    pub method: &'a Method,
    /// The stream's name as written in the path: what follows [`STREAM_PREFIX`], not decoded.
    pub path: &'a str,
    /// What follows the question mark; empty without one.
    pub query: &'a str,
    /// The header fields.
    pub headers: &'a H,
    /// The requested host, with its port.
    pub host: &'a str,
    /// Whether a WebSocket handshake was accepted, so that frames can follow.
    pub is_websocket: bool,
}

// Not derived, which would require `H: Clone` for a reference.
impl<H> Clone for Call<'_, H> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<H> Copy for Call<'_, H> {}

/// The result of a call.
#[derive(Debug)]
pub enum Reply {
    /// A whole response.
    Answer(Answer),
    /// A long-poll that has to wait at the tail; answered by [`LongPollWait::answer`].
    Wait(Box<LongPollWait>),
    /// A streaming response: its head, and the reader that feeds its body.
    Live(Answer, Box<LiveAnswer>),
}

/// Executes a call.
///
/// - `body`: the request's body; it is received only if the head does not suffice for a response.
pub async fn reply<H: Headers>(app: &Arc<App>, call: Call<'_, H>, body: impl RequestBody) -> Reply {
    let answered = match *call.method {
        Method::GET => read::read(app, call).await,
        Method::POST => append::append(app, call, body).await.map(Reply::Answer),
        // Boxed, or the future of every read and append would be as large.
        Method::PUT => Box::pin(create::create(app, call, body))
            .await
            .map(Reply::Answer),
        Method::HEAD => head::head(app, call).map(Reply::Answer),
        Method::DELETE => delete::delete(app, call).await.map(Reply::Answer),
        Method::OPTIONS => Ok(Reply::Answer(Answer::options(STREAM_METHODS))),
        _ => Err(Refusal::Method {
            received: call.method.to_string(),
            allowed: STREAM_METHODS,
        }),
    };
    answered.unwrap_or_else(|refusal| Reply::Answer(refusal.answer()))
}

/// Checks the head of a call before its body is requested (`Expect: 100-continue`).
///
/// # Errors
/// What [`reply`] would answer without receiving the body.
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
                received: call.method.to_string(),
                allowed: STREAM_METHODS,
            });
        }
    }
    check_announced(call.headers, app.config.body_max)
}

impl App {
    /// The stream at a path.
    ///
    /// # Errors
    /// [`Refusal::Name`], [`Refusal::NoRoute`] for the reserved paths under `__ds`,
    /// [`Refusal::NoStream`] and [`Refusal::Hidden`].
    pub fn log(&self, path: &str) -> Result<Arc<Log>, Refusal> {
        // A path without an escape equals the name, and the name of an existing stream is valid.
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

    /// The name in a path.
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

    /// A permit for a live reader.
    ///
    /// # Errors
    /// [`Refusal::TooManyReaders`].
    pub(crate) fn reader_permit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        match Arc::clone(&self.live).try_acquire_owned() {
            Ok(permit) => Ok(permit),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                Err(Refusal::TooManyReaders {
                    limit: self.config.live_readers_max,
                })
            }
        }
    }

    /// The URL of a local path: as configured (`--public-url`), otherwise from the requested host.
    pub fn url(&self, host: &str, path: &str) -> String {
        match &self.config.public_url {
            Some(base) => format!("{base}{}{path}", self.prefix),
            None => format!("http://{host}{}{path}", self.prefix),
        }
    }

    /// A request's path without the prefix at which the routes are mounted.
    pub fn local_path<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(self.prefix.as_str()).unwrap_or(path)
    }

    /// Whether the server stops.
    pub fn is_stopping(&self) -> bool {
        *self.stop.borrow()
    }

    /// Maximum page of a plain read or a long-poll in bytes.
    pub fn page_max(&self) -> usize {
        usize::try_from(self.config.page_max).unwrap_or(usize::MAX)
    }

    /// Maximum message from a client in bytes.
    pub fn message_max(&self) -> usize {
        usize::try_from(self.config.body_max).unwrap_or(usize::MAX)
    }

    /// Whether a body of this length is received before the request is processed, so that the
    /// connection can be reused whatever the response.
    pub fn reads_first(&self, body_bytes: usize) -> bool {
        body_bytes <= SMALL_BODY_BYTES.min(self.message_max())
    }
}
