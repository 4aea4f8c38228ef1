//! Live readers leave actix's dispatcher once they are at the tail: a small fan-out of ours writes to their connections.
//!
//! A dispatcher keeps about ten kilobytes for as long as its answer lasts, and is woken, polled and flushed for each
//! delivery. Yet all that a reader at the tail still needs is the same bytes as everybody else there. So a request is
//! parsed, routed, checked and answered by actix as ever, catch-up included; then its connection is taken over:
//!
//! 1. [`Reservation`]: a handler reserves its connection, when the connection is ours and exactly one whole request was read from it.
//! 2. At the tail the body gives its reader away ([`Reservation::sit`]) and stays pending. Actix flushes what it has written; then [`Io`]
//!    refuses to go on, the dispatcher ends without touching the socket, and its drop leaves the socket in the slot.
//! 3. `connection::attend` goes on with it: a seat in a `group::Group` (one per worker, stream and technique, which encodes once and writes
//!    the same bytes to each), or by itself while it is behind.
//!    A connection whose request was a poll, a long-poll or a plain append leaves as well, once that is answered ([`Leaving`]): the next
//!    request that is the same but for stream, query and body (`pattern::Pattern`) needs no second check, and is answered in
//!    `requests`; any other goes back.
//! 4. When the answer ends, the connection goes back to a new dispatcher for its next request.
//!
//! It rests on two facts of actix-http, whose version is therefore fixed, and which have their tests in `backend/tests/protocol/`: the
//! dispatcher flushes its connection only with nothing left to write, and an error from there ends it without a shutdown. Bodies
//! that are served by another server (TLS, HTTP/2, an application of somebody else's) find no slot and stay where they are.

mod answers;
mod connection;
mod group;
mod head;
mod io;
mod pattern;
mod requests;
mod service;
mod slot;

pub use io::Io;
pub use service::{Handing, Worker};
pub use slot::{Leaving, Reservation, Slot};
