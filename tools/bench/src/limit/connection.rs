//! A connection of LIMIT: requests as far as they are looked at, and what could not be written at once.

use crate::poller::{Poller, unless_blocked};
use memchr::{memchr, memmem};
use std::io::{self, IoSlice, Write};
use std::net::TcpStream;

/// A request: `METHOD /WHAT/STREAM/OFFSET HTTP/1.1` and a body.
#[derive(Debug)]
pub(super) struct LimitRequest<'a> {
    pub(super) is_put: bool,
    /// `a` append, `p` poll, `u` poll that may be answered with 304, `l` long-poll, `n`, `s`, `w` streams.
    pub(super) letter: u8,
    pub(super) stream: &'a [u8],
    /// Bytes of the framed stream before the first that is asked for.
    pub(super) offset: usize,
    pub(super) body: &'a [u8],
}

impl<'a> LimitRequest<'a> {
    /// The first request in `bytes` if it is whole, and its length; `Some((None, _))` when it is none of ours.
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

/// The digits at the beginning.
fn number(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .take_while(|byte| byte.is_ascii_digit())
        .fold(0, |sum, byte| sum * 10 + usize::from(byte - b'0'))
}

/// A part of a log that is being written.
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
    /// The end of an answer that was built and did not fit.
    rest: Vec<u8>,
    /// What goes out from a log.
    pub(super) range: Option<LogRange>,
    /// Waits for room.
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

    /// Writes an answer; what does not fit waits. False when the connection has failed.
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

    /// From now on the bytes from `at` to `end` of a log go out; a stream's end is never reached.
    pub(super) fn write_range(&mut self, log: usize, at: usize, end: usize) {
        self.range = Some(LogRange { log, at, end });
    }

    /// Writes as much as fits, in one call. False when the connection has failed.
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
        let (request, length) = LimitRequest::first_in(two).expect("one is whole");
        let request = request.expect("and ours");
        assert_eq!(
            (request.letter, request.stream, request.body, length),
            (b'a', &b"x"[..], &b"abc"[..], first)
        );
        let (request, _) = LimitRequest::first_in(&two[first..]).expect("another is whole");
        assert_eq!(
            request.map(|request| (request.letter, request.offset)),
            Some((b'l', 12))
        );
    }
}
