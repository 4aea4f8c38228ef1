//! All refusals: status code, stable name and text for the client.

mod class;

pub(crate) use class::store_class;

use super::append::AppendReply;
use super::budget::Exhausted;
use super::{Answer, names};
use http::StatusCode;
use http::header::{ACCEPT_ENCODING, ALLOW, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE};
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tailwater_core::store::StoreError;
use tailwater_core::{
    Absent, AppendError, CreateError, ForkError, NameError, PayloadError, ReadError, StreamName,
    ValueError,
};
use tailwater_protocol::{OffsetError, Problem};

/// Maximum text of a refusal, in bytes: it quotes input, which may be long.
const DETAIL_BYTES_MAX: usize = 1_000;

/// Why a request was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The path is no valid stream name.
    Name(NameError),
    /// No stream has this name.
    NoStream(String),
    /// The stream was deleted and is kept for its forks only.
    Hidden(String),
    /// The query is invalid.
    Query(String),
    /// A header is invalid.
    Header(String),
    /// The offset is malformed.
    Offset(OffsetError),
    /// The body is too large.
    BodyTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The body, or [`FREE_BYTES`](super::FREE_BYTES) more of it, did not arrive in time.
    BodySilent {
        /// The time limit.
        after: Duration,
    },
    /// The body was truncated or can't be decoded.
    BodyBroken(String),
    /// The body is not valid for this stream.
    Payload(PayloadError),
    /// The content type differs from the stream's.
    TypeDiffers {
        /// The stream's.
        expected: String,
        /// The request's.
        received: String,
    },
    /// The log refused the append.
    Append(AppendError),
    /// The stream was not created.
    Create(CreateError),
    /// The read failed.
    Read(ReadError),
    /// The store refused.
    Store(StoreError),
    /// The limit of live readers is reached.
    TooManyReaders {
        /// Readers allowed.
        limit: usize,
    },
    /// The limit of connections is reached.
    TooManyConnections {
        /// Connections allowed.
        limit: usize,
    },
    /// The memory budget is exhausted.
    Busy(Exhausted),
    /// The body's content coding is not supported.
    ContentEncoding {
        /// The coding received.
        received: String,
        /// The supported ones, as `Accept-Encoding` lists them.
        allowed: &'static str,
    },
    /// A WebSocket was requested without a handshake.
    NoHandshake,
    /// Another part of the server refused (import, lab).
    Other(Box<dyn OtherRefusal>),
    /// The server is stopping.
    Stopping,
    /// The request head is too large.
    HeadTooLarge {
        /// Bytes received.
        received: usize,
        /// Bytes allowed.
        limit: u64,
    },
    /// The request head has too many fields.
    TooManyFields {
        /// Fields allowed.
        limit: usize,
    },
    /// The Host header does not name this server.
    Host(String),
    /// The web origin may not use this server.
    Origin(String),
    /// Another site's page embeds this as an image, a script or the like.
    Embedding,
    /// The path has no route.
    NoRoute(String),
    /// The path does not support the method.
    Method {
        /// The method received.
        received: String,
        /// The supported ones, as `Allow` lists them.
        allowed: &'static str,
    },
    /// The request is malformed.
    Malformed(String),
    /// An internal error (500).
    Failed,
}

/// Why another part of the server refused; its text is the problem's detail.
pub trait OtherRefusal: Error + Send + Sync {
    /// Status, stable name and title.
    fn class(&self) -> ProblemClass;

    /// Seconds after which to retry.
    fn retry_after(&self) -> Option<u64>;

    /// Whether to close the connection, instead of reading the rest of the body.
    fn closes(&self) -> bool;
}

impl Refusal {
    /// Why a stream can't be used.
    pub(super) fn absent(absent: Absent, name: &StreamName) -> Self {
        match absent {
            Absent::Unknown => Self::NoStream(name.to_string()),
            Absent::Hidden => Self::Hidden(name.to_string()),
        }
    }

    /// The problem document.
    pub fn problem(&self) -> Problem {
        let (status, kind, title) = self.class();
        let mut detail = self.to_string();
        if detail.len() > DETAIL_BYTES_MAX {
            detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
            detail.push_str("... (truncated)");
        }
        Problem {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
        }
    }

    /// The response: the problem document, and its header fields.
    pub fn answer(&self) -> Answer {
        let problem = self.problem();
        let mut answer = AppendReply::refused(self).answer();
        answer.forbid_storing();
        self.put_fields(&mut answer);
        if let Some(seconds) = self.retry_after() {
            answer.put(&RETRY_AFTER, &seconds);
        }
        answer.closes = self.closes();
        answer.put_json(Problem::CONTENT_TYPE, &problem);
        answer
    }

    fn put_fields(&self, answer: &mut Answer) {
        match self {
            Self::Read(ReadError::Gone { earliest, .. })
            | Self::Create(CreateError::Fork(ForkError::Position(ReadError::Gone {
                earliest,
                ..
            }))) => {
                answer.put(&names::STREAM_EARLIEST_OFFSET, earliest);
            }
            Self::ContentEncoding { allowed, .. } => answer.put(&ACCEPT_ENCODING, *allowed),
            Self::Method { allowed, .. } => answer.put(&ALLOW, *allowed),
            Self::NoHandshake => {
                answer.put(&UPGRADE, "websocket");
                answer.put(&SEC_WEBSOCKET_VERSION, "13");
            }
            _ => {}
        }
    }

    /// Seconds after which the same request may succeed.
    fn retry_after(&self) -> Option<u64> {
        match self {
            Self::TooManyReaders { .. }
            | Self::Busy(_)
            | Self::Append(AppendError::Store(StoreError::OutOfStep | StoreError::Unwritable(_)))
            | Self::Create(CreateError::Store(StoreError::Unwritable(_)))
            | Self::Read(ReadError::Store(StoreError::Unreadable(_)))
            | Self::Store(StoreError::Unwritable(_)) => Some(1),
            Self::TooManyConnections { .. } | Self::Stopping => Some(2),
            Self::Other(refusal) => refusal.retry_after(),
            _ => None,
        }
    }

    /// Whether the connection is closed: the rest of the body is not read, or what follows can't be
    /// trusted.
    fn closes(&self) -> bool {
        match self {
            Self::TooManyConnections { .. }
            | Self::Stopping
            | Self::Busy(_)
            | Self::BodyTooLarge { .. }
            | Self::BodySilent { .. }
            | Self::BodyBroken(_)
            | Self::HeadTooLarge { .. }
            | Self::Malformed(_)
            | Self::Failed
            | Self::TooManyFields { .. }
            | Self::Create(CreateError::Taken) => true,
            Self::Other(refusal) => refusal.closes(),
            _ => false,
        }
    }
}

/// A status, a stable name and a title.
pub type ProblemClass = (StatusCode, &'static str, &'static str);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(error) => error.fmt(f),
            Self::NoStream(name) => write!(f, "the stream `{name}` does not exist; PUT to its URL creates it"),
            Self::Hidden(name) => write!(f, "the stream `{name}` was deleted; its data is kept for its forks only"),
            Self::Query(text) | Self::Header(text) => f.write_str(text),
            Self::Offset(error) => error.fmt(f),
            Self::BodyTooLarge { limit } => {
                write!(f, "the request body exceeds the limit of {limit} bytes; send several appends")
            }
            Self::BodySilent { after } => {
                let least = super::FREE_BYTES;
                write!(f, "neither {least} bytes more of the request body nor its end arrived within {after:?}; nothing was appended")
            }
            Self::BodyBroken(text) => write!(f, "the request body is incomplete or invalid, nothing was appended: {text}"),
            Self::Payload(error) => error.fmt(f),
            Self::TypeDiffers { expected, received } => {
                write!(f, "the request's content type is `{received}`, expected the stream's, `{expected}`")
            }
            Self::Append(error) => error.fmt(f),
            Self::Create(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::TooManyReaders { limit } => write!(f, "{limit} live readers are connected, which is the limit"),
            Self::TooManyConnections { limit } => write!(f, "{limit} connections are open, which is the limit"),
            Self::Busy(error) => write!(f, "{error}; retry in a moment"),
            Self::ContentEncoding { received, allowed } => {
                write!(f, "the content coding `{received}` is not supported, expected one of {allowed}, or none")
            }
            Self::NoHandshake => f.write_str(
                "live=websocket requires a WebSocket handshake: GET over HTTP/1.1 with Upgrade: websocket, \
                 Connection: Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Version: 13",
            ),
            Self::Other(refusal) => refusal.fmt(f),
            Self::Stopping => f.write_str("the server is stopping; retry in a moment"),
            Self::HeadTooLarge { received, limit } => write!(f, "the request head has {received} bytes, the limit is {limit}"),
            Self::TooManyFields { limit } => write!(f, "the request head exceeds the limit of {limit} fields"),
            Self::Host(host) => write!(
                f,
                "the Host header is `{host}`, a server on loopback expects localhost, 127.0.0.1 or [::1]"
            ),
            Self::Origin(origin) => write!(
                f,
                "the web origin `{origin}` is not allowed: expected this server's own, one on loopback, or one named by --cors-origin"
            ),
            Self::Embedding => f.write_str(
                "the request comes from a page of another site and has no Origin header: expected fetch() with CORS",
            ),
            Self::NoRoute(path) => write!(f, "no route for `{path}`; the path of a stream ends in /v1/stream/NAME"),
            Self::Method { received, allowed } => write!(f, "the method {received} is not supported here, expected {allowed}"),
            Self::Malformed(text) => write!(f, "malformed request: {text}"),
            Self::Failed => f.write_str("internal error; see the log of the server"),
        }
    }
}

impl Error for Refusal {}

macro_rules! from {
    ($($variant:ident($error:ty)),* $(,)?) => {
        $(impl From<$error> for Refusal {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from!(
    Name(NameError),
    Offset(OffsetError),
    Payload(PayloadError),
    Append(AppendError),
    Create(CreateError),
    Store(StoreError),
);

impl From<ValueError> for Refusal {
    fn from(error: ValueError) -> Self {
        Self::Header(error.to_string())
    }
}
