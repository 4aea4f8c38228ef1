//! Every refusal with its status code, its stable name and the text that the client reads.

mod class;

pub(crate) use class::store_class;

use super::append::AppendReply;
use super::budget::Exhausted;
use super::{Answer, Content, names};
use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_VERSION,
    UPGRADE,
};
use std::error::Error;
use std::fmt;
use std::time::Duration;
use tailwater_core::store::StoreError;
use tailwater_core::{
    Absent, AppendError, CreateError, ForkError, NameError, PayloadError, ReadError, StreamName,
    ValueError,
};
use tailwater_protocol::{OffsetError, Problem};

/// The longest text of a refusal, in bytes: it quotes what came, and that may be long.
const DETAIL_BYTES_MAX: usize = 1_000;

/// Why a request was refused.
#[derive(Debug)]
pub enum Refusal {
    /// The path can't name a stream.
    Name(NameError),
    /// No stream of this name.
    NoStream(String),
    /// The stream of this name was deleted and lives on for its forks only.
    Hidden(String),
    /// The query is not understood.
    Query(String),
    /// A header is not understood.
    Header(String),
    /// The offset is not one.
    Offset(OffsetError),
    /// The body is too large.
    BodyTooLarge {
        /// Bytes allowed.
        limit: u64,
    },
    /// The body, or [`FREE_BYTES`](super::FREE_BYTES) more of it, did not come in time.
    BodySilent {
        /// How long it was waited for.
        after: Duration,
    },
    /// The body broke off or can't be read.
    BodyBroken(String),
    /// The body can't be appended to this stream.
    Payload(PayloadError),
    /// The content type is not the stream's.
    TypeDiffers {
        /// The stream's.
        has: String,
        /// The request's.
        came: String,
    },
    /// The log refused the append.
    Append(AppendError),
    /// The stream was not created.
    Create(CreateError),
    /// The read can't be answered.
    Read(ReadError),
    /// The store refused.
    Store(StoreError),
    /// No room for another live reader.
    TooManyReaders {
        /// Readers allowed.
        limit: usize,
    },
    /// No room for another connection.
    TooManyConnections {
        /// Connections allowed.
        limit: usize,
    },
    /// Clients make the server hold too much.
    Busy(Exhausted),
    /// The body has a content coding that is not taken there.
    ContentEncoding {
        /// What came.
        came: String,
        /// What is taken, as `Accept-Encoding` lists it.
        allowed: &'static str,
    },
    /// A WebSocket was asked for without a handshake for one.
    NoHandshake,
    /// A part of the server beside the streams refused (import, lab).
    Other(Box<dyn OtherRefusal>),
    /// The server is stopping.
    Stopping,
    /// The request head is too large.
    HeadTooLarge {
        /// Bytes that came.
        came: usize,
        /// Bytes allowed.
        limit: u64,
    },
    /// The request head has too many fields.
    TooManyFields {
        /// Fields allowed.
        limit: usize,
    },
    /// The Host header is not one of this server's names.
    Host(String),
    /// The Origin header is not one that may use this server.
    Origin(String),
    /// Another site's page asks for this as an image, a script or the like.
    Embedding,
    /// Nothing is served at this path.
    NoRoute(String),
    /// The method is not served at this path.
    Method {
        /// What came.
        came: String,
        /// What is served, as `Allow` lists it.
        allowed: &'static str,
    },
    /// The request is malformed.
    Malformed(String),
    /// Answering it failed, by a fault of this server (500).
    Failed,
}

/// Why a part of the server beside the streams refused; its text is the problem's detail.
pub trait OtherRefusal: Error + Send + Sync {
    /// Status, stable name and title.
    fn class(&self) -> ProblemClass;

    /// Seconds after which to ask again.
    fn retry_after(&self) -> Option<u64>;

    /// Whether what is left of the body is not worth reading.
    fn closes(&self) -> bool;
}

impl Refusal {
    /// Why there is nothing to do with the stream of this name.
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
            detail.push_str("... (cut)");
        }
        Problem {
            kind: kind.to_owned(),
            title: title.to_owned(),
            status: status.as_u16(),
            detail,
        }
    }

    /// The answer: the problem document, and what goes beside it in header fields.
    pub fn answer(&self) -> Answer {
        let problem = self.problem();
        let mut answer = AppendReply::refused(self).answer();
        answer.put(&CACHE_CONTROL, "no-store");
        self.put_fields(&mut answer);
        if let Some(seconds) = self.retry_after() {
            answer.put(&RETRY_AFTER, &seconds);
        }
        answer.closes = self.closes();
        answer.put(&CONTENT_TYPE, Problem::CONTENT_TYPE);
        answer.content = Some(Content::of(
            serde_json::to_string(&problem).unwrap_or_default(),
        ));
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

    /// Whether what is left of the body is not worth reading, or nothing that follows can be trusted.
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
            Self::NoStream(name) => write!(f, "there is no stream `{name}`; PUT to this URL creates it"),
            Self::Hidden(name) => write!(f, "the stream `{name}` was deleted: it lives on for its forks only"),
            Self::Query(text) | Self::Header(text) => f.write_str(text),
            Self::Offset(error) => error.fmt(f),
            Self::BodyTooLarge { limit } => {
                write!(f, "the request body is larger than {limit} bytes; send it in several appends")
            }
            Self::BodySilent { after } => {
                let least = super::FREE_BYTES;
                write!(f, "neither {least} bytes more of the request body nor its end came within {after:?}, nothing was appended")
            }
            Self::BodyBroken(text) => write!(f, "the request body did not arrive whole, nothing was appended: {text}"),
            Self::Payload(error) => error.fmt(f),
            Self::TypeDiffers { has, came } => {
                write!(f, "the stream's content type is `{has}`, the request's is `{came}`")
            }
            Self::Append(error) => error.fmt(f),
            Self::Create(error) => error.fmt(f),
            Self::Read(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::TooManyReaders { limit } => write!(f, "{limit} readers wait or stream already, which is the limit"),
            Self::TooManyConnections { limit } => write!(f, "{limit} connections are open already, which is the limit"),
            Self::Busy(error) => write!(f, "{error}; ask again in a moment"),
            Self::ContentEncoding { came, allowed } => {
                write!(f, "the content coding `{came}` is not taken here: expected one of {allowed}, or none")
            }
            Self::NoHandshake => f.write_str(
                "live=websocket needs a WebSocket handshake: GET over HTTP/1.1 with Upgrade: websocket, \
                 Connection: Upgrade, Sec-WebSocket-Key and Sec-WebSocket-Version: 13",
            ),
            Self::Other(refusal) => refusal.fmt(f),
            Self::Stopping => f.write_str("the server is stopping; ask again in a moment"),
            Self::HeadTooLarge { came, limit } => write!(f, "the request head has {came} bytes, the limit is {limit}"),
            Self::TooManyFields { limit } => write!(f, "the request head has more than {limit} fields, which is the limit"),
            Self::Host(host) => write!(
                f,
                "the Host header says `{host}`, but a server on loopback answers only to localhost, 127.0.0.1 and [::1]"
            ),
            Self::Origin(origin) => write!(
                f,
                "the web origin `{origin}` is neither this server's own, nor on loopback, nor named by --cors-origin"
            ),
            Self::Embedding => f.write_str(
                "the request comes from a page of another site and says no Origin: expected fetch() with CORS",
            ),
            Self::NoRoute(path) => write!(f, "nothing is served at `{path}`; streams are at /v1/stream/NAME"),
            Self::Method { came, allowed } => write!(f, "{came} is not served here, only {allowed}"),
            Self::Malformed(text) => write!(f, "the request can't be understood: {text}"),
            Self::Failed => f.write_str("a fault of the server; its error output says more"),
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
