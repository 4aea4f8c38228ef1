//! A reader with a streaming response: it catches up, keeps its seat in a group while it can, and
//! ends.

mod catch_up;

use super::encoding::{Close, CloseCode, Encoding, close, pong, text_frame};
use super::group::Groups;
use super::inbox::{ClientMessage, Inbox};
use super::outlet::{BodyQueue, Outlet, UnsentBytes};
use super::received::ReceiveBuffer;
use super::seat::{ReaderState, Seat, Unseated};
use crate::api::{FREE_BYTES, LiveAnswer, answer_frame};
use bytes::Bytes;
use futures_util::future::LocalBoxFuture;
use futures_util::stream::{Stream, poll_fn as poll_stream};
use std::convert::Infallible;
use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tailwater_core::Log;
use tailwater_protocol::Offset;
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until};

/// Where the bytes that a client sends during its response come from.
pub enum Inlet {
    /// From the outlet's socket: WebSocket frames, or the next requests.
    Socket,
    /// Frames received by an HTTP library; `None` is the client's end.
    Frames(Pin<Box<dyn Stream<Item = Bytes>>>),
    /// The client sends nothing relevant.
    Nothing,
}

impl fmt::Debug for Inlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Socket => "Socket",
            Self::Frames(_) => "Frames",
            Self::Nothing => "Nothing",
        })
    }
}

/// A reader with a streaming response.
pub struct AnswerReader {
    groups: Rc<Groups>,
    log: Arc<Log>,
    encoding: Encoding,
    inlet: Inlet,
    /// Pipelined requests, on a connection that is not a WebSocket.
    pipelined: ReceiveBuffer,
    /// Messages of a WebSocket that are not answered yet.
    unfinished: Option<Box<UnfinishedMessages>>,
    /// Whether it was last reported up to date; `None` before its first batch.
    reported_up_to_date: Option<bool>,
}

impl fmt::Debug for AnswerReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnswerReader")
            .field("encoding", &self.encoding)
            .finish_non_exhaustive()
    }
}

/// Incomplete or unanswered messages, and the deadline for more of them.
struct UnfinishedMessages {
    inbox: Inbox,
    timer: Pin<Box<Sleep>>,
    /// Bytes received since the timer was set.
    since: usize,
    /// Why the connection is closed.
    failure: Option<Close>,
}

/// A reader whose response is complete.
#[derive(Debug)]
pub struct Finished {
    /// Where the response was written.
    pub outlet: Outlet,
    /// Requests that the client pipelined.
    pub pipelined: ReceiveBuffer,
}

/// How catching up ends.
enum CatchUpOutcome {
    Seated(Seat),
    /// The response is complete.
    Done(Outlet),
    /// The client disconnected or stalled.
    Gone,
}

/// What happens to a seated reader.
enum ReaderEvent {
    Unseated(Box<Unseated>),
    /// A message of the client can be answered, or its deadline has passed.
    Message,
    Gone,
}

/// The unsent part of a page, and the position after it.
struct NextPage {
    rest: UnsentBytes,
    at: Offset,
    is_last: bool,
}

impl AnswerReader {
    /// Serves a reader until its response ends; `None` when the client disconnected or stalled.
    ///
    /// - `pipelined`: what the client sent after its request.
    pub fn run(
        groups: Rc<Groups>,
        live: LiveAnswer,
        encoding: Encoding,
        outlet: Outlet,
        inlet: Inlet,
        pipelined: ReceiveBuffer,
    ) -> LocalBoxFuture<'static, Option<Finished>> {
        let LiveAnswer {
            log,
            from,
            cursors,
            recycle_at,
            presence,
            ..
        } = live;
        let mut reader = Self {
            groups,
            log,
            encoding,
            inlet,
            pipelined: ReceiveBuffer::default(),
            unfinished: None,
            reported_up_to_date: None,
        };
        if encoding == Encoding::Websocket {
            reader.take(&pipelined);
        } else {
            reader.pipelined = pipelined;
        }
        let state = ReaderState {
            outlet,
            cursors,
            until: recycle_at,
            presence,
        };
        let first = NextPage {
            rest: UnsentBytes::default(),
            at: from,
            is_last: false,
        };
        let mut catching_up = Some(Box::new((state, first)));
        // This state is held by every waiting reader.
        Box::pin(async move {
            while let Some(start) = catching_up.take() {
                let seat = match reader.catch_up_boxed(start).await {
                    CatchUpOutcome::Seated(seat) => seat,
                    CatchUpOutcome::Done(outlet) => {
                        return Some(Finished {
                            outlet,
                            pipelined: reader.pipelined,
                        });
                    }
                    CatchUpOutcome::Gone => return None,
                };
                let unseated = match poll_fn(|context| reader.poll_event(&seat, context)).await {
                    ReaderEvent::Unseated(unseated) => unseated,
                    ReaderEvent::Message => seat.leave()?,
                    ReaderEvent::Gone => return None,
                };
                catching_up = Some(reader.resume(*unseated));
            }
            None
        })
    }

    /// The state with which an unseated reader continues.
    fn resume(&mut self, unseated: Unseated) -> Box<(ReaderState, NextPage)> {
        let Unseated {
            reader,
            rest,
            at,
            reported_up_to_date,
            is_last,
        } = unseated;
        self.reported_up_to_date = Some(reported_up_to_date);
        Box::new((reader, NextPage { rest, at, is_last }))
    }

    /// The body of a response that an HTTP library sends.
    ///
    /// - `inlet`: never [`Inlet::Socket`].
    pub fn body(
        groups: Rc<Groups>,
        live: LiveAnswer,
        encoding: Encoding,
        inlet: Inlet,
    ) -> impl Stream<Item = Result<Bytes, Infallible>> {
        let queue = Rc::new(BodyQueue::default());
        let mut running = Self::run(
            groups,
            live,
            encoding,
            Outlet::Body(Rc::clone(&queue)),
            inlet,
            ReceiveBuffer::default(),
        );
        let mut has_ended = false;
        poll_stream(move |context| {
            loop {
                if let Some(piece) = queue.take() {
                    return Poll::Ready(Some(Ok(piece)));
                }
                if has_ended {
                    return Poll::Ready(None);
                }
                queue.wake_by_next(context.waker());
                match running.as_mut().poll(context) {
                    Poll::Ready(_) => has_ended = true,
                    Poll::Pending => {
                        return queue
                            .take()
                            .map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(piece))));
                    }
                }
            }
        })
    }

    /// The next event while the reader is seated.
    fn poll_event(&mut self, seat: &Seat, context: &mut Context<'_>) -> Poll<ReaderEvent> {
        if let Poll::Ready(unseated) = seat.poll_unseated(context) {
            return Poll::Ready(ReaderEvent::Unseated(unseated));
        }
        while let Poll::Ready(received) = self.poll_receive(seat.socket().as_deref(), context) {
            match received {
                0 => return Poll::Ready(ReaderEvent::Gone),
                _ if self.has_message() => return Poll::Ready(ReaderEvent::Message),
                _ => {}
            }
        }
        match &mut self.unfinished {
            Some(unfinished) => unfinished
                .timer
                .as_mut()
                .poll(context)
                .map(|()| ReaderEvent::Message),
            None => Poll::Pending,
        }
    }

    /// Receives bytes from the client. Returns their number, 0 when it has disconnected.
    fn poll_receive(
        &mut self,
        socket: Option<&TcpStream>,
        context: &mut Context<'_>,
    ) -> Poll<usize> {
        let piece: Bytes = match &mut self.inlet {
            Inlet::Nothing => return Poll::Pending,
            Inlet::Frames(frames) => ready!(frames.as_mut().poll_next(context)).unwrap_or_default(),
            Inlet::Socket => {
                let Some(socket) = socket else {
                    return Poll::Pending;
                };
                if self.encoding != Encoding::Websocket {
                    let received = self.pipelined.poll_receive(
                        &self.groups,
                        socket,
                        ReceiveBuffer::AHEAD_MAX,
                        context,
                    );
                    return received.map(|received| received.unwrap_or(0));
                }
                let mut piece = Vec::new();
                // An error counts as a disconnect.
                let _received = ready!(self.groups.poll_receive(socket, &mut piece, context));
                piece.into()
            }
        };
        self.take(&piece);
        Poll::Ready(piece.len())
    }

    /// Whether a message of the client, or its fault, can be answered.
    fn has_message(&self) -> bool {
        let unfinished = self.unfinished.as_deref();
        unfinished.is_some_and(UnfinishedMessages::is_ready)
    }

    /// Adds bytes to a WebSocket's messages.
    fn take(&mut self, piece: &[u8]) {
        if piece.is_empty() {
            return;
        }
        let terms = self.groups.terms();
        let deadline = Instant::now() + terms.unfinished_max;
        let unfinished = self.unfinished.get_or_insert_with(|| {
            let inbox = Inbox::new(terms.message_max, terms.budget.charge());
            Box::new(UnfinishedMessages {
                inbox,
                timer: Box::pin(sleep_until(deadline)),
                since: 0,
                failure: None,
            })
        });
        unfinished.since += piece.len();
        if unfinished.since >= FREE_BYTES {
            unfinished.restart(terms.unfinished_max);
        }
        unfinished.failure = unfinished.inbox.push(piece).err();
    }

    /// Catches up until the reader is seated or its response ends. Boxed, so that its memory is
    /// freed then: most readers are seated most of the time.
    #[expect(
        clippy::boxed_local,
        reason = "a box emptied by the caller would last as long as the wait"
    )]
    fn catch_up_boxed(
        &mut self,
        start: Box<(ReaderState, NextPage)>,
    ) -> LocalBoxFuture<'_, CatchUpOutcome> {
        let (state, next) = *start;
        Box::pin(self.catch_up(state, next))
    }

    /// The reply to a client's message, and whether it closes the connection; `None` when there is
    /// no message.
    async fn reply(&mut self) -> Option<(Bytes, bool)> {
        let unfinished = self.unfinished.as_deref_mut()?;
        if let Some(reason) = unfinished.failure.take() {
            self.unfinished = None;
            return Some((close(reason), true));
        }
        let reply = match unfinished.inbox.message() {
            Ok(Some(ClientMessage::Text(request))) => {
                Some((text_frame(&answer_frame(&self.log, &request).await), false))
            }
            Ok(Some(ClientMessage::Ping(payload))) => Some((pong(&payload), false)),
            Ok(Some(ClientMessage::Close)) => Some((
                close(Close {
                    code: CloseCode::Normal,
                    reason: "",
                }),
                true,
            )),
            Ok(None) if unfinished.timer.deadline() <= Instant::now() => {
                let reason = "the message was incomplete at its deadline";
                Some((
                    close(Close {
                        code: CloseCode::Policy,
                        reason,
                    }),
                    true,
                ))
            }
            Ok(None) => None,
            Err(reason) => Some((close(reason), true)),
        };
        if unfinished.inbox.is_empty() {
            self.unfinished = None;
        } else if reply.is_some() {
            unfinished.restart(self.groups.terms().unfinished_max);
        }
        reply
    }
}

impl UnfinishedMessages {
    /// Restarts the deadline: a message is complete, or enough of it has arrived in time.
    fn restart(&mut self, unfinished_max: Duration) {
        self.since = 0;
        self.timer.as_mut().reset(Instant::now() + unfinished_max);
    }

    fn is_ready(&self) -> bool {
        self.failure.is_some() || self.inbox.is_ready()
    }
}
