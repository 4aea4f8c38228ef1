//! Connections that leave actix's dispatcher while their reader waits, and return for the next
//! request.
//!
//! A dispatcher holds about ten kilobytes for the duration of a response, and is woken, polled and
//! flushed for each delivery. A waiting reader needs none of that, so its connection is taken over:
//!
//! 1. [`Io`] gives the dispatcher one request at a time. It finds where each request ends, and
//!    refuses malformed ones before the dispatcher sees them. Pipelined requests wait until the
//!    current one is answered.
//! 2. The handler of a request without a body puts a [`TakenConnection`] into the connection's
//!    [`Slot`] and stays pending. Actix flushes what it has written, which is the head of a live
//!    response; then [`Io`] fails the flush, the dispatcher ends without touching the socket, and
//!    its drop stores the socket in the slot.
//! 3. The connection's task continues as the [`TakenConnection`] says, for example as a reader of
//!    [`crate::live`] whose outlet is the socket.
//! 4. When the response ends, the connection answers plain requests in `requests`, or returns to a
//!    new dispatcher.
//!
//! This relies on two facts about actix-http, whose version is therefore pinned; they are tested in
//! `backend/tests/protocol/actix_flush.rs`: the dispatcher flushes its connection only when nothing is
//! left to write, and an error from that flush ends it without a shutdown. Requests that are served
//! by another server (TLS, HTTP/2, an embedding application) find no slot and stay in their
//! dispatcher.

mod chunks;
mod connection;
mod idle;
mod io;
mod plain;
mod request;
mod requests;
mod service;
mod slot;

pub use io::Io;
pub use service::{TakeOver, Worker};
pub use slot::{Slot, TakenConnection, TakeoverGuard, WaitingLongPoll};
