//! The one wait and fan-out: everybody who follows a stream, by whichever technique and over whichever outlet.
//!
//! - A [`AnswerReader`] is one client's answer that goes on. It greets, catches up page by page, and at the tail takes a seat in
//!   a group; when it can't keep up, it leaves the group and catches up again.
//! - A group holds the readers of one worker that follow one stream in one encoding and stand at one position:
//!   it waits for the tail once, encodes once, and offers the same bytes to each. It keeps the heartbeat, the ends of
//!   their answers, their positions, and the server's stop. Long-polls wait here, too.
//! - An [`Outlet`] is where a reader's bytes go: the body of an HTTP library's answer, or a socket that has left it.

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
pub use outlet::{BodyQueue, Outlet, Rest, write_socket};
pub use reader::{AnswerReader, Finished, Inlet};
pub use received::ReceiveBuffer;
pub use seat::{ReaderState, Seat, Unseated};
pub use terms::LiveTerms;

use crate::api::{Answer, LongPollWait};
use encoding::Encoding;
use std::rc::Rc;

/// Waits as a long-poll does whose answer somebody else sends, and returns that answer.
pub async fn wait(groups: &Rc<Groups>, mut wait: Box<LongPollWait>) -> Answer {
    let seated = groups
        .seat_wait(&mut wait, Encoding::Notice, Outlet::Elsewhere)
        .await;
    let Some(seat) = seated else {
        return wait.answer().await;
    };
    // Whatever ends the wait: an append, the end of the hold, the stream's or the server's.
    let _unseated = seat.unseated().await;
    wait.answer().await
}
