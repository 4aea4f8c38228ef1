//! A connection of LIMIT: its requests, and the output that was not written yet.

use crate::poller::{Poller, unless_blocked};
use memchr::{memchr, memmem};
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

/// A request: `METHOD /LETTER/STREAM/OFFSET HTTP/1.1` and a body.
#[derive(Debug)]
pub(super) struct LimitRequest<'a> {
    pub(super) is_put: bool,
    /// `a` append, `p` poll, `u` poll that may return 304, `l` long-poll; `n` NDJSON, `s` SSE, `w` WebSocket.
    pub(super) letter: u8,
    pub(super) stream: &'a [u8],
    /// Offset in the framed stream, in bytes.
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

impl<'a> LimitRequest<'a> {
    /// The first complete request in `bytes` and its length; `Some((None, _))` if it is not supported.
    pub(super) fn first_in(bytes: &'a [u8]) -> Option<(Option<Self>, usize)> {
        let head = memmem::find(bytes, b"\r\n\r\n")? + 4;
        let mut length = 0;
        if bytes[0] == b'P'
            && let Some(at) = memmem::find(&bytes[..head], b"Content-Length: ")
        {
            length = number(&bytes[at + 16..head]);
        }
        let body = bytes.get(head..head + length)?;
        Some((Self::parse(&bytes[..head], body), head + length))
    }

    fn parse(head: &'a [u8], body: &'a [u8]) -> Option<Self> {
        let path = &head[memchr(b'/', head)? + 1..];
        let path = &path[..memchr(b' ', path)?];
        let mut segments = path.split(|byte| *byte == b'/');
        let letter = *segments.next()?.first()?;
        let stream = segments.next()?;
        let offset = segments.next().map_or(0, number);
        Some(Self {
            is_put: head.starts_with(b"PUT"),
            letter,
            stream,
            offset,
            body,
        })
    }
}

/// The number at the beginning.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'))
}

/// The part of a log that is being written.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogRange {
    pub(super) log: usize,
    at: usize,
    end: usize,
}

/// One client.
#[derive(Debug)]
pub(super) struct LimitConnection {
    pub(super) socket: TcpStream,
    /// The beginning of a request.
    pub(super) kept: Vec<u8>,
    /// The part of a response that was not written yet.
    rest: Vec<u8>,
    /// The part of a log that is being written.
    pub(super) range: Option<LogRange>,
    /// Whether it waits until the socket is writable.
    pub(super) blocked: bool,
}

impl LimitConnection {
    pub(super) fn new(socket: TcpStream) -> Self {
        Self {
            socket,
            kept: Vec::new(),
            rest: Vec::new(),
            range: None,
            blocked: false,
        }
    }

    /// Writes a response, and keeps what the socket does not accept. Returns false when the connection has failed.
    pub(super) fn send(&mut self, poller: &Poller, id: usize, bytes: &[u8]) -> io::Result<bool> {
        let written = match unless_blocked(self.socket.write(bytes)) {
            Ok(written) => written.unwrap_or(0),
            Err(_) => return Ok(false),
        };
        if written < bytes.len() {
            self.rest.extend_from_slice(&bytes[written..]);
            self.block(poller, id, true)?;
        }
        Ok(true)
    }

    /// Sets the range of a log to write; for a streaming read `end` is `usize::MAX`.
    pub(super) fn set_range(&mut self, log: usize, at: usize, end: usize) {
        self.range = Some(LogRange { log, at, end });
    }

    /// Writes as much as the socket accepts, in one call. Returns false when the connection has failed.
    ///
    /// - `bytes`: the whole log of the range.
    pub(super) fn write_more(
        &mut self,
        poller: &Poller,
        id: usize,
        head: Option<&[u8]>,
        bytes: &[u8],
    ) -> io::Result<bool> {
        if let Some(head) = head {
            self.rest.extend_from_slice(head);
        }
        let open = self
            .range
            .map(|range| &bytes[range.at..range.end.min(bytes.len())])
            .unwrap_or_default();
        let wanted = self.rest.len() + open.len();
        let written = match (self.rest.is_empty(), wanted) {
            (_, 0) => Ok(0),
            (true, _) => self.socket.write(open),
            (false, _) => self
                .socket
                .write_vectored(&[IoSlice::new(&self.rest), IoSlice::new(open)]),
        };
        let written = match unless_blocked(written) {
            Ok(written) => written.unwrap_or(0),
            Err(_) => return Ok(false),
        };
        let of_rest = written.min(self.rest.len());
        self.rest.drain(..of_rest);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
        if let Some(range) = &mut self.range {
            range.at += written - of_rest;
            if range.at == range.end {
                self.range = None;
            }
        }
        self.block(poller, id, written < wanted)?;
        Ok(true)
    }

    fn block(&mut self, poller: &Poller, id: usize, blocked: bool) -> io::Result<()> {
        if self.blocked != blocked {
            self.blocked = blocked;
            poller.watch(&self.socket, id, blocked)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_accepted_only_when_complete() {
        let two = b"POST /a/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcGET /l/x/12 HTTP/1.1\r\n\r\n";
        let first = b"POST /a/x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".len();
        for cut in 0..first {
            assert!(
                LimitRequest::first_in(&two[..cut]).is_none(),
                "of {cut} bytes"
            );
        }
        let (request, length) = LimitRequest::first_in(two).expect("a complete request");
        let request = request.expect("a supported request");
        assert_eq!(
            (request.letter, request.stream, request.body, length),
            (b'a', &b"x"[..], &b"abc"[..], first)
        );
        let (request, _) = LimitRequest::first_in(&two[first..]).expect("another complete request");
        assert_eq!(
            request.map(|request| (request.letter, request.offset)),
            Some((b'l', 12))
        );
    }
}
