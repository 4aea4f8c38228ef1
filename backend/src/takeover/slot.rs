//! A connection's slot, through which it leaves its dispatcher, and the deadlines of its client.

use crate::api::{Fields, LiveAnswer, LongPollWait};
use crate::live::ReceiveBuffer;
use crate::live::encoding::Encoding;
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Waker;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

/// Time limits of a client.
#[derive(Debug, Clone, Copy)]
pub(super) struct ClientDeadlines {
    /// Between two requests, or before the first.
    pub(super) idle: Duration,
    /// From the first byte of a request to the end of its head.
    pub(super) head: Duration,
    /// Without accepting any of what it is sent.
    pub(super) stalled: Duration,
    /// To close the connection after its last response.
    pub(super) linger: Duration,
}

/// The slot of a connection, shared by its I/O, its requests and its task.
#[derive(Debug)]
pub struct Slot {
    may_leave: bool,
    deadlines: ClientDeadlines,
    phase: Cell<ClientPhase>,
    /// When the phase began, or when a phase that may last made progress.
    since: Cell<Instant>,
    /// Since when the client has not accepted any data.
    stalled_since: Cell<Option<Instant>>,
    /// Whether the current request may be answered without the dispatcher.
    is_plain: Cell<bool>,
    /// Whether the dispatcher has received the complete request, so that what follows is another
    /// one.
    is_whole: Cell<bool>,
    /// Whether the response may never come, so that it is cancelled when its client disconnects.
    is_cancelled_on_eof: Cell<bool>,
    /// Whether the current request is not read completely, so that the connection is closed after
    /// the response.
    is_broken: Cell<bool>,
    /// Whether the request became bidirectional.
    is_bidirectional: Cell<bool>,
    /// Whether the dispatcher ended at its flush, and not in the middle of a response.
    has_left: Cell<bool>,
    taken: RefCell<Option<TakenConnection>>,
    connection: RefCell<Option<(TcpStream, ReceiveBuffer)>>,
    waker: RefCell<Option<Waker>>,
}

/// What a client is doing, which determines its deadline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ClientPhase {
    /// Nothing; the idle timeout applies.
    Idle,
    /// It is sending a request's head.
    Head,
    /// It is waiting for a response.
    Answer,
    /// It has received its last response.
    Closing,
}

/// A pending long-poll, and what its response needs.
#[derive(Debug)]
pub struct WaitingLongPoll {
    /// The long-poll.
    pub wait: Box<LongPollWait>,
    /// Header fields of every response to this client.
    pub common: Rc<Fields>,
    /// Whether the connection may serve another request afterwards.
    pub keep_alive: bool,
}

/// How a connection continues outside of the dispatcher.
#[derive(Debug)]
pub enum TakenConnection {
    /// A reader whose head is sent.
    Live {
        /// The reader.
        live: Box<LiveAnswer>,
        /// Its encoding.
        encoding: Encoding,
        /// Whether the connection may serve another request afterwards.
        keep_alive: bool,
    },
    /// A long-poll that is not answered yet.
    Wait(WaitingLongPoll),
    /// No request is being answered: plain requests follow.
    Requests,
}

/// Takes the connection over when dropped, which is when the current response is complete.
#[derive(Debug)]
pub struct TakeoverGuard(Rc<Slot>);

/// A connection whose dispatcher has ended.
#[derive(Debug)]
pub(super) struct Detached {
    pub(super) stream: TcpStream,
    pub(super) taken: TakenConnection,
    /// What the client sent after its request.
    pub(super) pipelined: ReceiveBuffer,
}

impl Slot {
    /// - `may_leave`: whether the connection may leave its dispatcher at all.
    pub(super) fn new(may_leave: bool, deadlines: ClientDeadlines) -> Self {
        Self {
            may_leave,
            deadlines,
            phase: Cell::new(ClientPhase::Idle),
            since: Cell::new(Instant::now()),
            stalled_since: Cell::default(),
            is_plain: Cell::default(),
            is_whole: Cell::default(),
            is_cancelled_on_eof: Cell::default(),
            is_broken: Cell::default(),
            is_bidirectional: Cell::default(),
            has_left: Cell::default(),
            taken: RefCell::default(),
            connection: RefCell::default(),
            waker: RefCell::default(),
        }
    }

    /// Whether the connection may be taken over during the current request. It may not before the
    /// dispatcher has received the complete request.
    pub fn may_leave(&self) -> bool {
        self.may_leave
            && self.is_whole.get()
            && !self.is_broken.get()
            && self.phase.get() == ClientPhase::Answer
    }

    /// Takes the connection over. Its handler or body must stay pending from now on.
    pub fn take_over(&self, taken: TakenConnection) {
        *self.taken.borrow_mut() = Some(taken);
    }

    /// Takes the connection over once the current request is answered, if that is a plain one.
    pub fn leave_after_answer(self: &Rc<Self>) -> Option<TakeoverGuard> {
        (self.may_leave() && self.is_plain.get()).then(|| TakeoverGuard(Rc::clone(self)))
    }

    /// Notes that the response may never come: it is cancelled when its client closes its sending
    /// side.
    pub fn cancel_on_eof(&self) {
        self.is_cancelled_on_eof.set(true);
        self.wake();
    }

    /// Notes that the request became bidirectional: what the client sends next belongs to it.
    pub fn make_bidirectional(&self) {
        self.is_bidirectional.set(true);
        self.wake();
    }

    /// Notes that the dispatcher receives a request's head.
    ///
    /// - `is_plain`: whether the request could be answered without it.
    pub(super) fn note_request(&self, is_plain: bool) {
        self.is_plain.set(is_plain);
        self.is_whole.set(false);
    }

    /// Notes that the dispatcher has received the complete request.
    pub(super) fn note_whole(&self) {
        self.is_whole.set(true);
    }

    /// Notes that the current request is not read completely, so the connection is closed after the
    /// response.
    pub(super) fn note_broken(&self) {
        if !self.is_broken.replace(true) {
            self.enter(ClientPhase::Closing);
        }
    }

    /// Notes that the dispatcher was ended at its flush, with everything written.
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

    /// Notes that a response is complete.
    ///
    /// - `closes`: whether it was the connection's last.
    pub fn end_answer(&self, closes: bool) {
        self.is_cancelled_on_eof.set(false);
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

    /// Notes whether the client accepted any data.
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

    pub(super) fn is_bidirectional(&self) -> bool {
        self.is_bidirectional.get()
    }

    pub(super) fn is_cancelled_on_eof(&self) -> bool {
        self.is_cancelled_on_eof.get()
    }

    /// When the client times out; `None` while the server waits for no input, nor for its output to
    /// be accepted.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let stalled = self
            .stalled_since
            .get()
            .map(|since| since + self.deadlines.stalled);
        let phase = match self.phase.get() {
            ClientPhase::Idle => Some(self.since.get() + self.deadlines.idle),
            ClientPhase::Answer => None,
            ClientPhase::Head => Some(self.since.get() + self.deadlines.head),
            ClientPhase::Closing if stalled.is_some() => None,
            ClientPhase::Closing => Some(self.since.get() + self.deadlines.linger),
        };
        stalled.into_iter().chain(phase).min()
    }

    /// Wakes `waker` when the current response is complete.
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
        self.taken.borrow().is_some()
    }

    /// Stores the connection of a dispatcher that has ended, and the bytes that were read but that
    /// the dispatcher has not received.
    pub(super) fn store_connection(&self, stream: TcpStream, unread: ReceiveBuffer) {
        *self.connection.borrow_mut() = Some((stream, unread));
    }

    /// The connection that was taken over, if any.
    pub(super) fn take(&self) -> Option<Detached> {
        let (stream, pipelined) = self.connection.take()?;
        let taken = self.taken.take().filter(|_| self.has_left.get())?;
        Some(Detached {
            stream,
            taken,
            pipelined,
        })
    }
}

impl Drop for TakeoverGuard {
    fn drop(&mut self) {
        self.0.take_over(TakenConnection::Requests);
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
    async fn every_phase_that_waits_for_the_client_has_a_deadline() {
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
