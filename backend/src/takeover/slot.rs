//! Where a connection and what goes on with it meet when they leave a dispatcher, and how long its client may take.

use super::connection::WaitingLongPoll;
use crate::api::LiveAnswer;
use crate::live::ReceiveBuffer;
use crate::live::encoding::Encoding;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientDeadlines {
    /// Between two requests, or before the first.
    pub(super) idle: Duration,
    /// From the first byte of a request to its whole head.
    pub(super) head: Duration,
    /// For taking any of what it is sent.
    pub(super) stalled: Duration,
    /// To hear an answer that is the connection's last, once that is sent.
    pub(super) linger: Duration,
}

/// One connection's slot: shared by its I/O, its requests and its task.
#[derive(Debug)]
pub struct Slot {
    may_leave: bool,
    patience: ClientDeadlines,
    phase: Cell<ClientPhase>,
    /// Since when it is in its phase, or since the last progress of a phase that may last.
    since: Cell<Instant>,
    /// Since when the client takes nothing of what it is sent.
    stalled_since: Cell<Option<Instant>>,
    /// Whether the request under way is one that may be answered outside of the dispatcher.
    is_plain: Cell<bool>,
    /// Whether all of the request under way was given to the dispatcher, so that what comes next is another request.
    is_whole: Cell<bool>,
    /// Whether the answer under way may never come, so that it ends when its client does.
    may_be_left: Cell<bool>,
    /// Whether the request under way has no end that anybody could find.
    is_broken: Cell<bool>,
    /// Whether the request became a conversation.
    is_open: Cell<bool>,
    /// Whether the dispatcher ended because a seat is taken, and not in the middle of an answer.
    has_left: Cell<bool>,
    seat: RefCell<Option<TakenSeat>>,
    kept: RefCell<Option<(TcpStream, ReceiveBuffer)>>,
    waker: RefCell<Option<Waker>>,
}

/// What a client is doing, as far as its connection's deadlines go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientPhase {
    /// Nothing: it may be silent for as long as a connection may be idle.
    Idle,
    /// It has begun a request's head.
    Head,
    /// Its request is being answered.
    Answer,
    /// Nothing more is expected of it.
    Closing,
}

/// What goes on with a connection.
#[derive(Debug)]
pub enum TakenSeat {
    /// A reader whose head is sent.
    Live {
        /// The reader.
        live: Box<LiveAnswer>,
        /// How it is told.
        encoding: Encoding,
        /// Whether the connection may serve another request afterwards.
        keep_alive: bool,
    },
    /// A long-poll that is not answered yet.
    Wait(WaitingLongPoll),
    /// Nothing is under way: the client's next requests.
    Requests,
}

/// A connection that leaves its dispatcher when this is dropped, which is when the answer under way is complete.
#[derive(Debug)]
pub struct TakeoverGuard(Rc<Slot>);

/// What is left when a dispatcher has ended.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) stream: TcpStream,
    pub(super) seat: TakenSeat,
    /// What the client sent after its request.
    pub(super) beyond: ReceiveBuffer,
}

impl Slot {
    /// The slot of a connection.
    ///
    /// - `may_leave`: whether it may leave its dispatcher at all.
    pub(super) fn new(may_leave: bool, patience: ClientDeadlines) -> Self {
        Self {
            may_leave,
            patience,
            phase: Cell::new(ClientPhase::Idle),
            since: Cell::new(Instant::now()),
            stalled_since: Cell::default(),
            is_plain: Cell::default(),
            is_whole: Cell::default(),
            may_be_left: Cell::default(),
            is_broken: Cell::default(),
            is_open: Cell::default(),
            has_left: Cell::default(),
            seat: RefCell::default(),
            kept: RefCell::default(),
            waker: RefCell::default(),
        }
    }

    /// Whether the connection may leave with the request under way, of which everything was given to the dispatcher.
    pub fn may_leave(&self) -> bool {
        self.may_leave
            && self.is_whole.get()
            && !self.is_broken.get()
            && self.phase.get() == ClientPhase::Answer
    }

    /// Puts in what goes on with the connection. Its handler or body must stay pending from now on.
    pub fn seat(&self, seat: TakenSeat) {
        *self.seat.borrow_mut() = Some(seat);
    }

    /// Has the connection leave when the request under way is answered, if others like it can be answered elsewhere.
    pub fn leave_after_answer(self: &Rc<Self>) -> Option<TakeoverGuard> {
        (self.may_leave() && self.is_plain.get()).then(|| TakeoverGuard(Rc::clone(self)))
    }

    /// Notes that the answer under way may never come: it ends when its client says that it sends no more.
    pub fn answer_may_be_left(&self) {
        self.may_be_left.set(true);
        self.wake();
    }

    /// Notes that the request became a conversation: what the client sends belongs to it.
    pub fn open(&self) {
        self.is_open.set(true);
        self.wake();
    }

    /// Notes that a request's head is given to the dispatcher.
    ///
    /// - `is_plain`: whether one like it may be answered elsewhere.
    pub(super) fn note_request(&self, is_plain: bool) {
        self.is_plain.set(is_plain);
        self.is_whole.set(false);
    }

    /// Notes that all of it was given.
    pub(super) fn note_whole(&self) {
        self.is_whole.set(true);
    }

    /// Notes that nobody will read the request under way to its end: its connection ends with it.
    pub(super) fn note_broken(&self) {
        if !self.is_broken.replace(true) {
            self.enter(ClientPhase::Closing);
        }
    }

    /// Notes that the dispatcher was told to end, with everything written that was to be written.
    pub(super) fn note_left(&self) {
        self.has_left.set(true);
    }

    /// Notes that a request has begun to arrive.
    pub(super) fn begin_head(&self) {
        if self.phase.get() == ClientPhase::Idle {
            self.enter(ClientPhase::Head);
        }
    }

    /// Notes that a request is being answered.
    pub fn begin_answer(&self) {
        if !self.is_broken.get() {
            self.enter(ClientPhase::Answer);
        }
    }

    /// Notes that an answer is complete.
    ///
    /// - `closes`: whether it was the connection's last.
    pub fn end_answer(&self, closes: bool) {
        self.may_be_left.set(false);
        self.enter(if closes || self.is_broken.get() {
            ClientPhase::Closing
        } else {
            ClientPhase::Idle
        });
        self.wake();
    }

    fn enter(&self, phase: ClientPhase) {
        self.phase.set(phase);
        if phase != ClientPhase::Answer {
            self.since.set(Instant::now());
        }
    }

    /// Notes whether the client took something of what it is sent.
    pub(super) fn note_written(&self, took: bool) {
        if !took {
            self.stalled_since
                .set(Some(self.stalled_since.get().unwrap_or_else(Instant::now)));
        } else if self.stalled_since.take().is_some() && self.phase.get() == ClientPhase::Closing {
            self.since.set(Instant::now());
        }
    }

    pub(super) fn phase(&self) -> ClientPhase {
        self.phase.get()
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open.get()
    }

    pub(super) fn may_be_left(&self) -> bool {
        self.may_be_left.get()
    }

    /// When the client must have gone on with what it does; `None` while nothing is expected of it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stalled = self
            .stalled_since
            .get()
            .map(|since| since + self.patience.stalled);
        let phase = match self.phase.get() {
            ClientPhase::Idle => Some(self.since.get() + self.patience.idle),
            ClientPhase::Answer => None,
            ClientPhase::Head => Some(self.since.get() + self.patience.head),
            ClientPhase::Closing if stalled.is_some() => None,
            ClientPhase::Closing => Some(self.since.get() + self.patience.linger),
        };
        stalled.into_iter().chain(phase).min()
    }

    /// Has `waker` woken when the answer under way is complete.
    pub(super) fn wake_when_answered(&self, waker: &Waker) {
        let mut own = self.waker.borrow_mut();
        if !own.as_ref().is_some_and(|own| own.will_wake(waker)) {
            *own = Some(waker.clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Whether the dispatcher must end.
    pub(super) fn is_taken(&self) -> bool {
        self.seat.borrow().is_some()
    }

    /// Keeps the connection of a dispatcher that has ended, and what was read from it and not given to the dispatcher.
    pub(super) fn keep(&self, stream: TcpStream, unread: ReceiveBuffer) {
        *self.kept.borrow_mut() = Some((stream, unread));
    }

    /// What is to be gone on with, if anything.
    pub(super) fn take(&self) -> Option<Left> {
        let (stream, beyond) = self.kept.take()?;
        let seat = self.seat.take().filter(|_| self.has_left.get())?;
        Some(Left {
            stream,
            seat,
            beyond,
        })
    }
}

impl Drop for TakeoverGuard {
    fn drop(&mut self) {
        self.0.seat(TakenSeat::Requests);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(90);
    const HEAD: Duration = Duration::from_secs(10);
    const STALLED: Duration = Duration::from_secs(60);
    const LINGER: Duration = Duration::from_secs(2);

    #[tokio::test(start_paused = true)]
    async fn a_client_has_a_deadline_for_all_that_others_wait_for() {
        let slot = Slot::new(
            true,
            ClientDeadlines {
                idle: IDLE,
                head: HEAD,
                stalled: STALLED,
                linger: LINGER,
            },
        );
        let start = Instant::now();
        assert_eq!(
            (slot.phase(), slot.deadline()),
            (ClientPhase::Idle, Some(start + IDLE))
        );
        slot.begin_head();
        tokio::time::advance(Duration::from_secs(1)).await;
        slot.begin_head();
        assert_eq!(
            (slot.phase(), slot.deadline()),
            (ClientPhase::Head, Some(start + HEAD)),
            "from the first byte on"
        );
        slot.begin_answer();
        assert_eq!(slot.deadline(), None);
        slot.note_written(false);
        tokio::time::advance(Duration::from_secs(1)).await;
        slot.note_written(false);
        assert_eq!(
            slot.deadline(),
            Some(start + Duration::from_secs(1) + STALLED)
        );
        slot.note_written(true);
        assert_eq!(slot.deadline(), None);
        slot.end_answer(true);
        assert_eq!(
            slot.deadline(),
            Some(start + Duration::from_secs(2) + LINGER)
        );
        slot.note_written(false);
        assert_eq!(
            slot.deadline(),
            Some(start + Duration::from_secs(2) + STALLED),
            "while the last answer is sent"
        );
    }
}
