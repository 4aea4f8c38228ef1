//! Connections that leave actix's dispatcher while their reader waits, and come back for another request.
//!
//! A dispatcher keeps about ten kilobytes for as long as an answer lasts, and is woken, polled and flushed for each
//! delivery. A reader that waits needs none of that. So its connection is taken over:
//!
//! 1. [`Io`] gives the dispatcher one request at a time: where each ends is found once, here, and what is malformed is refused
//!    before the dispatcher sees it. What comes behind a request waits until that is answered.
//! 2. The handler of a request without a body puts a [`TakenSeat`] into the connection's [`Slot`] and stays pending. Actix flushes what it has written, which is the head of an answer
//!    that goes on; then [`Io`] refuses to go on, the dispatcher ends without touching the socket, and its drop leaves the
//!    socket in the slot.
//! 3. The connection's task goes on with the seat: as a reader of [`crate::live`] whose outlet is the socket.
//! 4. When the answer ends, the connection answers plain requests in `requests`, or goes back to a new dispatcher.
//!
//! It rests on two facts of actix-http, whose version is therefore fixed, and which have their tests in
//! `backend/tests/protocol/facts.rs`: the dispatcher flushes its connection only with nothing left to write, and an error
//! from there ends it without a shutdown. Answers that are sent by another server (TLS, HTTP/2, an application of somebody
//! else's) find no slot and stay where they are.

mod chunks;
mod connection;
mod idle;
mod io;
mod request;
mod requests;
mod service;
mod slot;

pub use connection::WaitingLongPoll;
pub use io::Io;
pub use service::{TakeOver, Worker};
pub use slot::{Slot, TakenSeat, TakeoverGuard};
