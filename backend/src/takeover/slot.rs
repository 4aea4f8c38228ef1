//! Where a connection and what goes on with it meet when they leave a dispatcher, and how long its client may take.

use super::connection::Waiting;
use super::request::{Request, is_one_request};
use crate::api::Live;
use crate::live::encoding::Encoding;
use bytes::{Bytes, BytesMut};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use tokio::net::TcpStream;

/// The longest request that is remembered while it is under way, in bytes.
const REQUEST_MAX: usize = 8 << 10;

/// One connection's slot: shared by its I/O, its requests and its task.
#[derive(Debug)]
pub struct Slot {
    inner: RefCell<Inner>,
    phase: Cell<Phase>,
    may_leave: bool,
}

/// What a client is doing, as far as its connection's deadlines go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Phase {
    /// Nothing: it may be silent as long as a connection may be idle.
    #[default]
    Idle,
    /// It has begun a request's head.
    Head,
    /// Its request is being answered.
    Answer,
    /// Nothing more is expected of it.
    Closing,
}

#[derive(Debug, Default)]
struct Inner {
    /// What was read since the last answer was complete, unless that is too much.
    request: Vec<u8>,
    /// More than one request was read at once, so that nobody but the dispatcher knows where the next one begins.
    is_unclear: bool,
    is_reserved: bool,
    /// What was read since it was reserved.
    beyond: BytesMut,
    seat: Option<Seat>,
    stream: Option<TcpStream>,
}

/// What goes on with a connection.
#[derive(Debug)]
pub enum Seat {
    /// A reader whose head is sent.
    Live {
        /// The reader.
        live: Box<Live>,
        /// How it is told.
        encoding: Encoding,
        /// Whether the connection may serve another request afterwards.
        keep_alive: bool,
    },
    /// A long-poll that is not answered yet.
    Wait(Waiting),
    /// Nothing is under way: the client's next requests.
    Requests,
}

/// A connection that leaves its dispatcher when this is dropped, which is when the answer under way is complete.
#[derive(Debug)]
pub struct Leaving(Rc<Slot>);

/// What is left when a dispatcher has ended.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) stream: TcpStream,
    pub(super) seat: Seat,
    /// What the client sent after its request.
    pub(super) beyond: Bytes,
}

impl Slot {
    /// The slot of a connection.
    ///
    /// - `may_leave`: whether it may leave its dispatcher at all.
    pub(super) fn new(may_leave: bool) -> Self {
        Self { inner: RefCell::default(), phase: Cell::default(), may_leave }
    }

    /// Reserves the connection for the request under way; `false` unless exactly its head was read.
    pub fn reserve(&self) -> bool {
        let mut inner = self.inner.borrow_mut();
        let may = self.may_leave && inner.is_clear() && is_one_request(&inner.request);
        inner.is_reserved |= may;
        may
    }

    /// Puts in what goes on with the connection. Its handler or body must stay pending from now on.
    pub fn seat(&self, seat: Seat) {
        self.inner.borrow_mut().seat = Some(seat);
    }

    /// Has the connection leave when the request under way is answered, if exactly that was read and others like it can be
    /// answered elsewhere.
    pub fn leave_after_answer(self: &Rc<Self>) -> Option<Leaving> {
        let mut inner = self.inner.borrow_mut();
        let is_plain = |request: &[u8]| Request::parse(request).is_some_and(|parsed| parsed.length == request.len());
        if !self.may_leave || !inner.is_clear() || !is_plain(&inner.request) {
            return None;
        }
        inner.is_reserved = true;
        Some(Leaving(Rc::clone(self)))
    }

    /// Notes that a request's head is whole.
    pub fn begin_answer(&self) {
        self.phase.set(Phase::Answer);
    }

    /// Notes that an answer is complete.
    ///
    /// - `closes`: whether it was the connection's last.
    pub fn end_answer(&self, closes: bool) {
        let mut inner = self.inner.borrow_mut();
        if inner.seat.is_none() {
            inner.is_unclear |= !inner.beyond.is_empty() || !is_one_request(&inner.request);
            inner.is_reserved = false;
            inner.beyond = BytesMut::new();
        }
        inner.request.clear();
        self.phase.set(if closes { Phase::Closing } else { Phase::Idle });
    }

    pub(super) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Notes what the dispatcher reads.
    pub(super) fn note_read(&self, bytes: &[u8]) {
        if self.phase.get() == Phase::Idle && !bytes.is_empty() {
            self.phase.set(Phase::Head);
        }
        let mut inner = self.inner.borrow_mut();
        if inner.is_reserved {
            inner.beyond.extend_from_slice(bytes);
        } else if inner.request.len() <= REQUEST_MAX {
            inner.request.extend_from_slice(&bytes[..bytes.len().min(REQUEST_MAX + 1)]);
        }
    }

    /// Whether the dispatcher must end.
    pub(super) fn is_taken(&self) -> bool {
        self.inner.borrow().seat.is_some()
    }

    /// Keeps the connection of a dispatcher that has ended.
    pub(super) fn keep(&self, stream: TcpStream) {
        self.inner.borrow_mut().stream = Some(stream);
    }

    /// What is to be gone on with, if anything.
    pub(super) fn take(&self) -> Option<Left> {
        let mut inner = self.inner.borrow_mut();
        let (stream, seat) = (inner.stream.take()?, inner.seat.take()?);
        Some(Left { stream, seat, beyond: std::mem::take(&mut inner.beyond).freeze() })
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut inner = self.0.inner.borrow_mut();
        // What was read meanwhile is on its way to the dispatcher's next request.
        if inner.beyond.is_empty() {
            inner.seat = Some(Seat::Requests);
        }
    }
}

impl Inner {
    /// Whether what is remembered is all that was read since the last answer, which ended where this begins.
    fn is_clear(&self) -> bool {
        !self.is_reserved && !self.is_unclear && self.request.len() <= REQUEST_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_is_remembered_in_part_is_not_taken_for_one_request() {
        let head = "GET /v1/stream/a HTTP/1.1\r\nHost: h\r\nx: ";
        let padding = "x".repeat(REQUEST_MAX + 1 - head.len() - 4);
        let slot = Rc::new(Slot::new(true));
        slot.note_read(format!("{head}{padding}\r\n\r\nGET /v1/stream/b HTTP/1.1\r\n\r\n").as_bytes());
        assert!(!slot.reserve() && slot.leave_after_answer().is_none());
        let slot = Rc::new(Slot::new(true));
        slot.note_read(format!("{head}\r\n\r\n").as_bytes());
        assert!(slot.reserve());
    }

    #[test]
    fn a_connection_with_requests_in_one_piece_keeps_its_dispatcher() {
        let request = b"GET /v1/stream/a HTTP/1.1\r\nHost: h\r\n\r\n";
        let slot = Rc::new(Slot::new(true));
        slot.note_read(&request.repeat(2));
        slot.begin_answer();
        assert!(!slot.reserve() && slot.leave_after_answer().is_none());
        // While the first is answered, a third comes; its head alone is no longer what was read.
        slot.end_answer(false);
        slot.note_read(request);
        assert!(!slot.reserve() && slot.leave_after_answer().is_none());
    }

    #[test]
    fn a_connection_is_idle_until_a_head_begins_and_after_its_answer() {
        let slot = Slot::new(true);
        assert_eq!(slot.phase(), Phase::Idle);
        slot.note_read(b"G");
        assert_eq!(slot.phase(), Phase::Head);
        slot.begin_answer();
        slot.note_read(b"body");
        assert_eq!(slot.phase(), Phase::Answer);
        slot.end_answer(false);
        assert_eq!(slot.phase(), Phase::Idle);
        slot.end_answer(true);
        assert_eq!(slot.phase(), Phase::Closing);
    }
}
