//! Where a connection and its reader meet when they leave a dispatcher.

use super::pattern::Pattern;
use crate::techniques::Live;
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::net::TcpStream;

/// The longest request that is remembered while it is under way, in bytes.
const REQUEST_MAX: usize = 8 << 10;

/// One connection's slot: shared by its I/O, its requests and its task.
#[derive(Debug)]
pub struct Slot(RefCell<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// What was read since the last answer began, unless that is too much.
    request: Vec<u8>,
    is_reserved: bool,
    has_come_back: bool,
    /// What was read since it was reserved and nobody has consumed.
    beyond: BytesMut,
    seat: Option<Seat>,
    stream: Option<TcpStream>,
}

/// What goes on with a connection.
#[derive(Debug)]
pub(super) enum Seat {
    /// A reader at the tail.
    Live {
        /// The reader.
        live: Live,
        /// Whether the connection may serve another request afterwards.
        keep_alive: bool,
    },
    /// Requests like the one that was checked.
    Requests {
        /// What they look like.
        pattern: Pattern,
        /// That request itself, unless it was answered.
        unanswered: Vec<u8>,
    },
}

/// A connection that will leave its dispatcher, unless this is dropped before.
#[derive(Debug)]
pub struct Reservation(Rc<Slot>);

/// A connection that leaves its dispatcher when this is dropped, which is when the answer under way is complete.
#[derive(Debug)]
pub struct Leaving {
    slot: Rc<Slot>,
    pattern: Option<Pattern>,
}

/// What is left when a dispatcher has ended: a connection, its reader, and what the client sent after its request.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) stream: TcpStream,
    pub(super) seat: Seat,
    pub(super) beyond: Bytes,
}

impl Slot {
    /// The slot of a connection.
    ///
    /// - `has_come_back`: whether a request was read from it already that nobody else could answer.
    pub(super) fn new(has_come_back: bool) -> Self {
        Self(RefCell::new(Inner { has_come_back, ..Inner::default() }))
    }

    /// Reserves the connection for the request under way; `None` unless exactly that request was read from it, whole, and
    /// no body with it.
    pub fn reserve(self: &Rc<Self>) -> Option<Reservation> {
        let mut inner = self.0.borrow_mut();
        let is_one_head =
            memchr::memmem::find(&inner.request, b"\r\n\r\n").is_some_and(|at| at + 4 == inner.request.len());
        if inner.is_reserved || inner.is_too_long() || !is_one_head {
            return None;
        }
        inner.is_reserved = true;
        Some(Reservation(Rc::clone(self)))
    }

    /// Has the connection leave when the request under way is answered, if more like it can be told from others.
    ///
    /// - `standing`: the header fields that are put into every answer, as bytes.
    pub fn leave_after_answer(self: &Rc<Self>, standing: &[u8]) -> Option<Leaving> {
        let mut inner = self.0.borrow_mut();
        let pattern = inner.pattern(standing)?;
        inner.is_reserved = true;
        Some(Leaving { slot: Rc::clone(self), pattern: Some(pattern) })
    }

    /// Has the connection leave at once, to have the request under way answered elsewhere; whether it does. The request's
    /// handler must stay pending then.
    ///
    /// - `standing`: as above.
    pub fn leave_unanswered(&self, standing: &[u8]) -> bool {
        let mut inner = self.0.borrow_mut();
        // What came back from there is not sent there again.
        let Some(pattern) = inner.pattern(standing).filter(|_| !inner.has_come_back) else { return false };
        inner.is_reserved = true;
        let unanswered = std::mem::take(&mut inner.request);
        inner.seat = Some(Seat::Requests { pattern, unanswered });
        true
    }

    /// Notes what the dispatcher reads.
    pub(super) fn note_read(&self, bytes: &[u8]) {
        let mut inner = self.0.borrow_mut();
        if inner.is_reserved {
            inner.beyond.extend_from_slice(bytes);
        } else if inner.request.len() <= REQUEST_MAX {
            inner.request.extend_from_slice(&bytes[..bytes.len().min(REQUEST_MAX + 1)]);
        }
    }

    /// Notes that an answer is being written.
    pub(super) fn note_write(&self) {
        let mut inner = self.0.borrow_mut();
        if !inner.is_reserved {
            inner.request.clear();
            inner.has_come_back = false;
        }
    }

    /// Whether a reader sits here, so that the dispatcher must end.
    pub(super) fn is_taken(&self) -> bool {
        self.0.borrow().seat.is_some()
    }

    /// Keeps the connection of a dispatcher that has ended.
    pub(super) fn keep(&self, stream: TcpStream) {
        self.0.borrow_mut().stream = Some(stream);
    }

    /// What is to be gone on with, if anything.
    pub(super) fn take(&self) -> Option<Left> {
        let mut inner = self.0.borrow_mut();
        let (stream, seat) = (inner.stream.take()?, inner.seat.take()?);
        Some(Left { stream, seat, beyond: std::mem::take(&mut inner.beyond).freeze() })
    }
}

impl Reservation {
    /// Notes that the request's own body has used so many of the bytes that came after its head.
    pub fn consumed(&self, bytes: usize) {
        let mut inner = self.0.0.borrow_mut();
        let there = inner.beyond.len();
        drop(inner.beyond.split_to(bytes.min(there)));
    }

    /// Gives the reader away. Its body must stay pending from now on and never be asked again.
    pub fn sit(&self, live: Live, keep_alive: bool) {
        self.0.0.borrow_mut().seat = Some(Seat::Live { live, keep_alive });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.0.0.borrow_mut().release();
    }
}

impl Drop for Leaving {
    fn drop(&mut self) {
        let mut inner = self.slot.0.borrow_mut();
        // What was read meanwhile is on its way to the dispatcher's next request.
        if inner.beyond.is_empty() {
            let requests = |pattern| Seat::Requests { pattern, unanswered: Vec::new() };
            inner.seat = self.pattern.take().map(requests);
        }
        inner.release();
    }
}

impl Inner {
    /// Whether more was read than is remembered, so that what is remembered may end anywhere.
    fn is_too_long(&self) -> bool {
        self.request.len() > REQUEST_MAX
    }

    /// What the request under way looks like, if exactly that was read.
    fn pattern(&self, standing: &[u8]) -> Option<Pattern> {
        if self.is_reserved || self.is_too_long() {
            return None;
        }
        let pattern = Pattern::of(&self.request, standing)?;
        let is_one = pattern.fit(&self.request).is_some_and(|fitting| fitting.length == self.request.len());
        is_one.then_some(pattern)
    }

    /// Goes on as if nothing had been reserved, unless somebody sits here.
    fn release(&mut self) {
        if self.seat.is_none() {
            self.is_reserved = false;
            self.beyond = BytesMut::new();
            self.request.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_is_remembered_in_part_is_not_taken_for_one_request() {
        let head = "GET /v1/stream/a HTTP/1.1\r\nx: ";
        let padding = "x".repeat(REQUEST_MAX + 1 - head.len() - 4);
        let slot = Rc::new(Slot::new(false));
        slot.note_read(format!("{head}{padding}\r\n\r\nGET /v1/stream/b HTTP/1.1\r\n\r\n").as_bytes());
        assert!(slot.reserve().is_none() && slot.leave_after_answer(b"").is_none());
        let slot = Rc::new(Slot::new(false));
        slot.note_read(format!("{head}\r\n\r\n").as_bytes());
        assert!(slot.reserve().is_some());
    }
}
