//! One reader's seat in a group: the pieces it is sent, and its state when it leaves.

use super::encoding::EncodedPiece;
use super::outlet::{Outlet, UnsentBytes};
use crate::api::{Cursors, Presence};
use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use tailwater_protocol::Offset;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// What happens to seated readers after a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterDelivery {
    /// They stay seated.
    Stay,
    /// Their response is complete; another request may follow.
    Answered,
    /// The stream or the response has ended.
    End,
}

/// A piece offered to every seated reader.
pub(super) struct Offered<'p> {
    pub(super) piece: &'p EncodedPiece,
    /// The position after it.
    pub(super) at: Offset,
    /// Whether readers know, with this piece, that they are up to date.
    pub(super) reported_up_to_date: bool,
    pub(super) after: AfterDelivery,
    pub(super) now: Instant,
}

/// One seat, as the group sees it.
pub(super) struct SeatState {
    /// `None` once the reader has left or was unseated.
    reader: RefCell<Option<ReaderState>>,
    /// The reader's state when it was unseated.
    unseated: Cell<Option<Box<Unseated>>>,
    waker: Cell<Option<Waker>>,
    /// Everything before it was offered.
    at_bytes: Cell<u64>,
    /// Whether the reader was last reported up to date.
    reported_up_to_date: Cell<bool>,
    /// When the whole response was sent, if it was.
    served_at: Cell<Option<Instant>>,
    /// Whether its task is to be woken for that.
    wakes_on_answer: Cell<bool>,
}

/// What a reader needs while seated; returned when it is unseated.
#[derive(Debug)]
pub struct ReaderState {
    /// Where its bytes go.
    pub outlet: Outlet,
    /// Its cursors.
    pub cursors: Cursors,
    /// When its response has to end.
    pub until: Option<Instant>,
    /// Counts it as present.
    pub presence: Presence,
}

impl ReaderState {
    pub(super) fn is_expired(&self) -> bool {
        self.until.is_some_and(|until| until <= Instant::now())
    }
}

/// A reader's seat; dropping it leaves the group.
pub struct Seat(Rc<SeatState>);

impl fmt::Debug for Seat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seat")
    }
}

/// A reader whose outlet did not accept everything at once, or whose response ends.
#[derive(Debug)]
pub struct Unseated {
    /// The reader.
    pub reader: ReaderState,
    /// What has to be written first.
    pub rest: UnsentBytes,
    /// The position after that.
    pub at: Offset,
    /// Whether the reader was last reported up to date, `rest` included.
    pub reported_up_to_date: bool,
    /// Whether its response ends with it.
    pub is_last: bool,
}

impl Seat {
    pub(super) fn new(state: Rc<SeatState>) -> Self {
        Self(state)
    }

    /// Leaves the group. Returns the reader, or `None` when its whole response was sent.
    pub fn leave(&self) -> Option<Box<Unseated>> {
        match self.0.reader.take() {
            Some(reader) => Some(Box::new(self.0.unseated_with(
                reader,
                UnsentBytes::default(),
                false,
            ))),
            None => self.0.unseated.take(),
        }
    }

    /// The socket that its bytes go to, if any, while the seat is taken.
    pub(super) fn socket(&self) -> Option<Rc<TcpStream>> {
        match &self.0.reader.borrow().as_ref()?.outlet {
            Outlet::Socket(socket) | Outlet::LongPoll(socket, _) => Some(Rc::clone(socket)),
            Outlet::Body(_) | Outlet::WakeOnly => None,
        }
    }

    /// When a long-poll's whole response was sent, if it was; then it is not unseated.
    pub fn served_at(&self) -> Option<Instant> {
        self.0.served_at.get()
    }

    /// Also wakes the task that polls this seat when the response is sent: the client has sent more
    /// already.
    pub fn wake_on_answer(&self) {
        self.0.wakes_on_answer.set(true);
    }

    /// Ready with the reader once it is unseated.
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

    /// Waits until the reader is unseated.
    pub async fn unseated(&self) -> Box<Unseated> {
        poll_fn(|context| self.poll_unseated(context)).await
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        drop(self.0.reader.take());
    }
}

impl SeatState {
    /// The seat of a reader that was sent everything before `at`.
    pub(super) fn new(reader: ReaderState, at: Offset, reported_up_to_date: bool) -> Self {
        Self {
            reader: RefCell::new(Some(reader)),
            unseated: Cell::default(),
            waker: Cell::default(),
            at_bytes: Cell::new(at.bytes()),
            reported_up_to_date: Cell::new(reported_up_to_date),
            served_at: Cell::default(),
            wakes_on_answer: Cell::default(),
        }
    }

    /// Offers a delivery; returns whether the reader stays.
    pub(super) fn serve(&self, delivery: &Offered<'_>) -> bool {
        let &Offered {
            piece,
            at,
            reported_up_to_date,
            after,
            now,
        } = delivery;
        let mut seat = self.reader.borrow_mut();
        let Some(reader) = &*seat else { return false };
        let rest = reader.outlet.offer(piece, reader.cursors);
        reader.presence.counted.set_position(at);
        self.at_bytes.set(at.bytes());
        self.reported_up_to_date.set(reported_up_to_date);
        match after {
            AfterDelivery::Stay if rest.is_none() => return true,
            AfterDelivery::Answered if rest.is_none() => {
                // The client's next request will wake its task.
                *seat = None;
                self.served_at.set(Some(now));
                if self.wakes_on_answer.get()
                    && let Some(waker) = self.waker.take()
                {
                    waker.wake();
                }
            }
            AfterDelivery::Stay | AfterDelivery::Answered | AfterDelivery::End => {
                drop(seat);
                self.unseat(rest.unwrap_or_default(), after == AfterDelivery::End);
            }
        }
        false
    }

    /// Unseats the reader; `last` is its last piece.
    pub(super) fn unseat_with(&self, last: &EncodedPiece) {
        let bytes = self
            .reader
            .borrow()
            .as_ref()
            .map(|reader| reader.outlet.bytes(last));
        self.unseat(UnsentBytes::new(bytes.unwrap_or_default(), None), true);
    }

    /// Unseats the reader; its own task writes `rest`.
    pub(super) fn unseat(&self, rest: UnsentBytes, is_last: bool) {
        let Some(reader) = self.reader.take() else {
            return;
        };
        self.unseated
            .set(Some(Box::new(self.unseated_with(reader, rest, is_last))));
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn unseated_with(&self, reader: ReaderState, rest: UnsentBytes, is_last: bool) -> Unseated {
        Unseated {
            reader,
            rest,
            at: self.at(),
            reported_up_to_date: self.reported_up_to_date.get(),
            is_last,
        }
    }

    fn at(&self) -> Offset {
        Offset::new(self.at_bytes.get()).unwrap_or(Offset::MAX)
    }

    pub(super) fn is_taken(&self) -> bool {
        self.reader.borrow().is_some()
    }

    pub(super) fn until(&self) -> Option<Instant> {
        self.reader
            .borrow()
            .as_ref()
            .and_then(|reader| reader.until)
    }
}
