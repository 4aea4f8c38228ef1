//! One reader's place in a group: what it is offered there, and with what it leaves.

use super::encoding::EncodedPiece;
use super::outlet::{Outlet, Rest};
use crate::api::{Cursors, Presence};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tailwater_protocol::Offset;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What becomes of those seated after they were served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// They stay.
    Stay,
    /// They have their answer.
    Part,
    /// There will be no more.
    End,
}

/// A piece that is offered to everybody seated.
pub(super) struct Offered<'p> {
    pub(super) piece: &'p EncodedPiece,
    /// The position after it.
    pub(super) at: Offset,
    /// Whether it says that this is the tail, or the last one that said did.
    pub(super) told_up_to_date: bool,
    pub(super) after: After,
    pub(super) now: Instant,
}

/// One reader's place in a group, as the group sees it.
pub(super) struct SeatState {
    /// Gone once the reader has left, or was unseated.
    held: RefCell<Option<ReaderState>>,
    /// With what it was unseated.
    unseated: Cell<Option<Box<Unseated>>>,
    waker: Cell<Option<Waker>>,
    /// Everything before it was offered.
    at_bytes: Cell<u64>,
    /// Whether it was last told to be at the tail.
    told_up_to_date: Cell<bool>,
    /// When it got its whole answer, if it did.
    served_at: Cell<Option<Instant>>,
    /// Whether its task is to be woken for that.
    is_awaited: Cell<bool>,
}

/// What a reader brings to its seat, and gets back when it is unseated.
#[derive(Debug)]
pub struct ReaderState {
    /// Where its bytes go.
    pub outlet: Outlet,
    /// Its cursors.
    pub cursors: Cursors,
    /// When its time is over.
    pub until: Option<Instant>,
    /// That it is there.
    pub presence: Presence,
}

impl ReaderState {
    /// Whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// A reader's seat; dropped, it is left.
pub struct Seat(Rc<SeatState>);

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat")
    }
}

/// A reader whose outlet did not take everything at once, or for which nothing more comes.
#[derive(Debug)]
pub struct Unseated {
    /// What it brought.
    pub held: ReaderState,
    /// What is to be written before anything else.
    pub rest: Rest,
    /// The position after it.
    pub at: Offset,
    /// Whether it was told to be at the tail, with that.
    pub told_up_to_date: bool,
    /// Whether its answer ends with it.
    pub is_last: bool,
}

impl Seat {
    pub(super) fn new(state: Rc<SeatState>) -> Self {
        Self(state)
    }

    /// Leaves the group; what it was unseated with, if it was. `None` when it has its whole answer.
    pub fn leave(&self) -> Option<Box<Unseated>> {
        match self.0.held.take() {
            Some(held) => Some(Box::new(self.0.unseated_with(held, Rest::default(), false))),
            None => self.0.unseated.take(),
        }
    }

    /// The socket that its bytes go to, if it is one and the seat is still taken.
    pub(super) fn socket(&self) -> Option<Rc<TcpStream>> {
        match &self.0.held.borrow().as_ref()?.outlet {
            Outlet::Socket(socket) | Outlet::LongPoll(socket, _) => Some(Rc::clone(socket)),
            Outlet::Body(_) | Outlet::Elsewhere => None,
        }
    }

    /// When a long-poll got its whole answer, if it did; then it is not unseated.
    pub fn served_at(&self) -> Option<Instant> {
        self.0.served_at.get()
    }

    /// Has the task that polls this seat woken when a long-poll has its whole answer, too: its client has sent more already.
    pub fn await_answer(&self) {
        self.0.is_awaited.set(true);
    }

    /// What it is unseated with, once it is.
    pub fn poll_unseated(&self, context: &mut Context<'_>) -> Poll<Box<Unseated>> {
        if let Some(unseated) = self.0.unseated.take() {
            return Poll::Ready(unseated);
        }
        let waker = self
            .0
            .waker
            .take()
            .filter(|waker| waker.will_wake(context.waker()));
        self.0
            .waker
            .set(Some(waker.unwrap_or_else(|| context.waker().clone())));
        Poll::Pending
    }

    /// Waits until it is unseated.
    pub async fn unseated(&self) -> Box<Unseated> {
        poll_fn(|context| self.poll_unseated(context)).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.0.held.take());
    }
}

impl SeatState {
    /// The seat of a reader that was given everything before `at`.
    pub(super) fn new(held: ReaderState, at: Offset, told_up_to_date: bool) -> Self {
        Self {
            held: RefCell::new(Some(held)),
            unseated: Cell::default(),
            waker: Cell::default(),
            at_bytes: Cell::new(at.bytes()),
            told_up_to_date: Cell::new(told_up_to_date),
            served_at: Cell::default(),
            is_awaited: Cell::default(),
        }
    }

    /// Offers what is delivered; whether the reader stays.
    pub(super) fn serve(&self, delivery: &Offered<'_>) -> bool {
        let &Offered {
            piece,
            at,
            told_up_to_date,
            after,
            now,
        } = delivery;
        let mut place = self.held.borrow_mut();
        let Some(held) = &*place else { return false };
        let rest = held.outlet.offer(piece, held.cursors);
        held.presence.counted.is_at(at);
        self.at_bytes.set(at.bytes());
        self.told_up_to_date.set(told_up_to_date);
        match after {
            After::Stay if rest.is_none() => return true,
            After::Part if rest.is_none() => {
                // Its task need not be woken for this: the client's next request will.
                *place = None;
                self.served_at.set(Some(now));
                if self.is_awaited.get()
                    && let Some(waker) = self.waker.take()
                {
                    waker.wake();
                }
            }
            After::Stay | After::Part | After::End => {
                drop(place);
                self.unseat(rest.unwrap_or_default(), after == After::End);
            }
        }
        false
    }

    /// Ends its time in the group with a piece that is its last.
    pub(super) fn unseat_with(&self, last: &EncodedPiece) {
        let bytes = self
            .held
            .borrow()
            .as_ref()
            .map(|held| held.outlet.bytes(last));
        self.unseat(Rest::new(bytes.unwrap_or_default(), None), true);
    }

    /// Ends its time in the group; what is left of its answer is for its own task to write.
    pub(super) fn unseat(&self, rest: Rest, is_last: bool) {
        let Some(held) = self.held.take() else { return };
        self.unseated
            .set(Some(Box::new(self.unseated_with(held, rest, is_last))));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn unseated_with(&self, held: ReaderState, rest: Rest, is_last: bool) -> Unseated {
        Unseated {
            held,
            rest,
            at: self.at(),
            told_up_to_date: self.told_up_to_date.get(),
            is_last,
        }
    }

    fn at(&self) -> Offset {
        Offset::new(self.at_bytes.get()).unwrap_or(Offset::MAX)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.held.borrow().is_some()
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.held.borrow().as_ref().and_then(|held| held.until)
    }
}
