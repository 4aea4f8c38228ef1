//! What can be measured: how a server is started, and the bytes of each request to it.

use crate::BenchFault;
use clap::ValueEnum;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use tailwater_harness::http::DecodedHead;

/// How a reader follows a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum BenchTechnique {
    /// A request every so often; answered at once.
    Poll,
    /// A request that is held until there is something.
    LongPoll,
    /// An answer that never ends, by the chunk.
    Ndjson,
    /// Server-sent events.
    Sse,
    /// Frames of a WebSocket.
    Websocket,
}

impl BenchTechnique {
    /// One answer serves many events.
    pub(crate) fn streams(self) -> bool {
        !matches!(self, Self::Poll | Self::LongPoll)
    }
}

impl fmt::Display for BenchTechnique {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Poll => "poll",
            Self::LongPoll => "long-poll",
            Self::Ndjson => "ndjson",
            Self::Sse => "sse",
            Self::Websocket => "websocket",
        })
    }
}

/// What a target is held against, and what its failures mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// A Tailwater: a void run fails the whole measurement.
    Tailwater,
    /// The second binary, which the first is held against.
    Against,
    /// The least work that does the job.
    Limit,
    /// Another server: a void run is shown and the rest goes on.
    Peer,
}

/// A program to start. It has to accept connections on the port it was given, and is ended by SIGKILL.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Where a read begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From<'a> {
    /// The first message that is kept.
    Beginning,
    /// What [`BenchTarget::position`] made of an earlier answer.
    At(&'a str),
}

/// A server that can be measured. Requests are whole: head and body, HTTP/1.1, kept alive.
///
/// The load looks for messages in whatever comes, so that a target's own framing inside of chunks and frames does not matter.
pub(crate) trait BenchTarget: fmt::Debug {
    /// The column's heading.
    fn name(&self) -> String;

    /// What it is held against.
    fn role(&self) -> Role {
        Role::Peer
    }

    /// The program, listening on 127.0.0.1 at `port`.
    ///
    /// - `folder`: empty, for configuration and data; deleted after the run.
    ///
    /// # Errors
    /// Whatever keeps `folder` from being filled.
    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, BenchFault>;

    /// Whether it offers a technique; what it doesn't is left out with a line that says so.
    fn offers(&self, technique: BenchTechnique) -> bool;

    /// Whether what it acknowledged is on a medium: such peers take part by default where Tailwater does so on disk.
    fn durable(&self) -> bool {
        false
    }

    /// The request that creates a stream, if one is needed; any 2xx will do.
    ///
    /// - `technique`: how it will be read; only LIMIT cares.
    fn create(&self, stream: &str, technique: BenchTechnique) -> Option<Vec<u8>>;

    /// A JSON body, of one message as it is, of several as an array; any 2xx is an acknowledgement.
    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8>;

    /// Whether several messages in [`BenchTarget::append`] are several to the server, too.
    fn batches(&self) -> bool {
        true
    }

    /// Whether a poll's answer holds all that has come, not one message: else who asks every so often falls behind, and is left out.
    fn has_pages(&self) -> bool {
        true
    }

    /// A read. For `Websocket` the handshake.
    fn read(&self, stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8>;

    /// Where the next read begins, for poll and long-poll. `None` if the answer does not say so.
    fn position(&self, head: &DecodedHead<'_>) -> Option<String>;

    /// A poll at the tail that is answered with 304, given the answer of an earlier one; `None` if it knows no such thing.
    fn unchanged(&self, _stream: &str, _head: &DecodedHead<'_>) -> Option<Vec<u8>> {
        None
    }

    /// Whether a poll at the tail may be answered with an empty 200.
    fn returns_empty_pages(&self) -> bool {
        true
    }
}

/// A request without the parts that only its target knows.
///
/// - `headers`: whole lines, each with its CR LF.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = match method {
        "GET" => String::new(),
        _ => format!("Content-Length: {}\r\n", body.len()),
    };
    let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}{length}\r\n");
    [head.as_bytes(), body].concat()
}

/// The headers of a WebSocket's handshake.
pub(crate) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// The header of a JSON body.
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

/// One message as it is, several as a JSON array.
pub(crate) fn body(messages: &[Vec<u8>]) -> Vec<u8> {
    match messages {
        [one] => one.clone(),
        many => [b"[", &many.join(&b',')[..], b"]"].concat(),
    }
}
