//! Waiting and fan-out for all readers of a stream, whatever their technique and outlet.
//!
//! - An [`AnswerReader`] is one client's streaming response. It starts the response, catches up
//!   page by page, and at the tail takes a seat in a group; when it can't keep up, it leaves the
//!   group and catches up again.
//! - A group holds the readers of one worker that follow one stream in one encoding from one
//!   position: it waits for the tail once, encodes once, and offers the same bytes to each. It
//!   handles heartbeats, the deadlines of responses, positions, and the server's stop. Long-polls
//!   wait here, too.
//! - An [`Outlet`] is where a reader's bytes go: the body of an HTTP library's response, or a
//!   socket that was taken over.

pub mod encoding;
mod follow;
mod group;
mod inbox;
#[cfg(test)]
mod interleavings;
mod outlet;
mod reader;
mod received;
mod seat;
mod terms;

pub use group::Groups;
pub use inbox::{ClientMessage, Inbox};
pub use outlet::{BodyQueue, Outlet, UnsentBytes, write_socket};
pub use reader::{AnswerReader, Finished, Inlet};
pub use received::ReceiveBuffer;
pub use seat::{ReaderState, Seat, Unseated};
pub use terms::LiveTerms;

use crate::api::{Answer, LongPollWait};
use encoding::Encoding;
use std::rc::Rc;

/// Waits for a long-poll whose response the caller sends, and returns that response.
pub async fn wait(groups: &Rc<Groups>, mut wait: Box<LongPollWait>) -> Answer {
    let seated = groups
        .seat_wait(&mut wait, Encoding::Notice, Outlet::WakeOnly)
        .await;
    let Some(seat) = seated else {
        return wait.answer().await;
    };
    // Woken by an append, a close, a deletion, the end of the hold, or the server's stop.
    let _unseated = seat.unseated().await;
    wait.answer().await
}
