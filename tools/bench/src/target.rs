//! The interface of a measured server: how it is started, and the bytes of each request.

use crate::BenchFault;
use clap::ValueEnum;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use tailwater_harness::http::DecodedHead;

/// How a reader follows a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum BenchTechnique {
    /// A request at each interval, with an immediate response.
    Poll,
    /// A request that is held until there are messages.
    LongPoll,
    /// A streaming response, one chunk for each batch.
    Ndjson,
    /// Server-sent events.
    Sse,
    /// Frames of a WebSocket.
    Websocket,
}

impl BenchTechnique {
    /// Whether one response delivers many events.
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

/// The role of a target in the comparison; determines the effect of its failures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The measured Tailwater: a void run fails the measurement.
    Tailwater,
    /// The second binary, with which the first is compared.
    Against,
    /// LIMIT.
    Limit,
    /// Another server: a void run is shown in the table.
    Peer,
}

/// A program to start. It must accept connections on its port; it is stopped with SIGKILL.
#[derive(Debug, Default)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Where a read begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum From<'a> {
    /// The first stored message.
    Beginning,
    /// The [`BenchTarget::position`] of an earlier response.
    At(&'a str),
}

/// A server that can be measured. Requests are complete: head and body, HTTP/1.1, with keep-alive.
///
/// The load searches for messages in the content, so the target's framing within chunks and frames does not matter.
pub(crate) trait BenchTarget: fmt::Debug {
    /// The column's heading.
    fn name(&self) -> String;

    /// Its role in the comparison.
    fn role(&self) -> Role {
        Role::Peer
    }

    /// The program, listening on 127.0.0.1 at `port`.
    ///
    /// - `folder`: empty, for configuration and data; deleted after the run.
    ///
    /// # Errors
    /// Errors of writing to `folder`.
    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, BenchFault>;

    /// Whether it supports a technique; others are skipped with a message.
    fn offers(&self, technique: BenchTechnique) -> bool;

    /// Whether acknowledged messages are on disk; such peers are measured by default where Tailwater's disk store is.
    fn durable(&self) -> bool {
        false
    }

    /// The request that creates a stream, if one is needed; any 2xx is a success.
    ///
    /// - `technique`: how the stream will be read; used only by LIMIT.
    fn create(&self, stream: &str, technique: BenchTechnique) -> Option<Vec<u8>>;

    /// An append with a JSON body: one message, or an array of several; any 2xx is an acknowledgement.
    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8>;

    /// Whether the server splits an array in [`BenchTarget::append`] into messages.
    fn batches(&self) -> bool {
        true
    }

    /// Whether the response to a poll contains all new messages. If it contains one only, pollers fall behind, and are not measured.
    fn has_pages(&self) -> bool {
        true
    }

    /// A read; for `Websocket` the handshake.
    fn read(&self, stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8>;

    /// Where the next read begins, for poll and long-poll; `None` if the response does not contain it.
    fn position(&self, head: &DecodedHead<'_>) -> Option<String>;

    /// A poll at the tail that returns 304, made from the response to an earlier one; `None` if the server does not support it.
    fn unchanged(&self, _stream: &str, _head: &DecodedHead<'_>) -> Option<Vec<u8>> {
        None
    }

    /// Whether a poll at the tail returns an empty 200.
    fn returns_empty_pages(&self) -> bool {
        true
    }
}

/// Builds a request.
///
/// - `headers`: complete lines, each with CRLF.
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

/// A body of one message, or a JSON array of several.
pub(crate) fn body(messages: &[Vec<u8>]) -> Vec<u8> {
    match messages {
        [one] => one.clone(),
        many => [b"[", &many.join(&b',')[..], b"]"].concat(),
    }
}
