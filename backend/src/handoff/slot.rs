//! Where a connection and its reader meet when they leave a dispatcher.

use crate::techniques::Live;
use bytes::{Bytes, BytesMut};
use std::cell::RefCell;
use std::rc::Rc;
use tokio::net::TcpStream;

/// The longest request that is remembered while it is under way, in bytes.
const REQUEST_MAX: usize = 8 << 10;

/// One connection's slot: shared by its I/O, its requests and its task.
#[derive(Debug, Default)]
pub struct Slot(RefCell<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// What was read since the last answer began, unless that is too much.
    request: Vec<u8>,
    is_reserved: bool,
    /// What was read since it was reserved and nobody has consumed.
    beyond: BytesMut,
    seat: Option<Seat>,
    stream: Option<TcpStream>,
}

/// A reader on its way out.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) live: Live,
    /// Whether the connection may serve another request afterwards.
    pub(super) keep_alive: bool,
}

/// A connection that will leave its dispatcher, unless this is dropped before.
#[derive(Debug)]
pub struct Reservation(Rc<Slot>);

/// What is left when a dispatcher has ended: a connection, its reader, and what the client sent after its request.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) stream: TcpStream,
    pub(super) seat: Seat,
    pub(super) beyond: Bytes,
}

impl Slot {
    /// Reserves the connection for the request under way; `None` unless exactly that request was read from it, whole, and
    /// no body with it.
    pub fn reserve(self: &Rc<Self>) -> Option<Reservation> {
        let mut inner = self.0.borrow_mut();
        let is_one_head =
            memchr::memmem::find(&inner.request, b"\r\n\r\n").is_some_and(|at| at + 4 == inner.request.len());
        if inner.is_reserved || !is_one_head {
            return None;
        }
        inner.is_reserved = true;
        Some(Reservation(Rc::clone(self)))
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
        self.0.0.borrow_mut().seat = Some(Seat { live, keep_alive });
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut inner = self.0.0.borrow_mut();
        if inner.seat.is_none() {
            inner.is_reserved = false;
            inner.beyond = BytesMut::new();
            inner.request.clear();
        }
    }
}
