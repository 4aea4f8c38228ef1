//! A connection outside of a dispatcher: serves its seat, then its next requests, then returns to
//! one.

use super::idle::Idle;
use super::io::Malformed;
use super::requests;
use super::slot::{Detached, Slot, TakenSeat};
use crate::api::gate::{CountedConnection, Gate};
use crate::api::{Answer, App, Content, Fields, LongPollWait};
use crate::live::encoding::Encoding;
use crate::live::{
    AnswerReader, Finished, Groups, Inlet, Outlet, ReceiveBuffer, Rest, Seat, Unseated,
    write_socket,
};
use bytes::{Buf, Bytes};
use futures_util::future::{FutureExt as _, LocalBoxFuture, ready};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

/// How long a client may take to close a connection after the server did.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Contents of up to this many bytes are copied behind their head and sent in one piece.
const JOINED_MAX: usize = 4 << 10;

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct WorkerContext {
    pub(super) app: Arc<App>,
    pub(super) gate: Arc<Gate>,
    pub(super) groups: Rc<Groups>,
    pub(super) malformed: Rc<Malformed>,
}

/// A connection, and the bytes already read from it.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) unread: ReceiveBuffer,
}

/// A pending long-poll, and what its response needs.
#[derive(Debug)]
pub struct WaitingLongPoll {
    /// The long-poll.
    pub wait: Box<LongPollWait>,
    /// Header fields of every response to this client.
    pub standing: Rc<Fields>,
    /// Whether the connection may serve another request afterwards.
    pub keep_alive: bool,
}

/// A connection that serves plain requests.
pub(super) struct PlainConnection {
    pub(super) socket: Rc<TcpStream>,
    /// Received and not yet processed.
    pub(super) unread: ReceiveBuffer,
}

impl PlainConnection {
    /// Receives more unless `max` bytes are buffered. Returns the number of bytes, 0 at the
    /// client's end.
    pub(super) fn receive(
        &mut self,
        groups: &Groups,
        max: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.unread.poll_receive(groups, &self.socket, max, context)
    }
}

/// How a connection that left its dispatcher continues. It lives as long as the connection, so it
/// is small.
pub(super) enum Continuation {
    /// A reader, until its response ends.
    Reading(LocalBoxFuture<'static, Option<Finished>>, AfterReading),
    /// Plain requests, until one needs a dispatcher.
    Requests(LocalBoxFuture<'static, Option<Box<Connected>>>),
}

/// What happens to a connection after its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterReading {
    /// It may serve another request.
    Requests,
    /// It ends.
    End,
    /// It ends after the client's own close, which has to be read: data that arrives on a closed
    /// socket resets it, and the client would lose the end of the response.
    AwaitClose,
}

/// Continues a connection that left its dispatcher; `None` if it has ended.
pub(super) fn resume(
    shared: &Rc<WorkerContext>,
    slot: Rc<Slot>,
    counted: &Rc<CountedConnection>,
) -> Option<Continuation> {
    let Detached {
        stream,
        seat,
        pipelined,
    } = slot.take()?;
    drop(slot);
    let socket = Rc::new(stream);
    let requests = |connection, waiting| {
        Continuation::Requests(requests::serve(
            Rc::clone(shared),
            connection,
            Rc::clone(counted),
            waiting,
        ))
    };
    Some(match seat {
        TakenSeat::Requests => requests(
            PlainConnection {
                socket,
                unread: pipelined,
            },
            None,
        ),
        TakenSeat::Wait(waiting) => requests(
            PlainConnection {
                socket,
                unread: pipelined,
            },
            Some(waiting),
        ),
        TakenSeat::Live {
            live,
            encoding,
            keep_alive,
        } => {
            let after = match encoding {
                Encoding::Websocket => AfterReading::AwaitClose,
                _ if keep_alive => AfterReading::Requests,
                _ => AfterReading::End,
            };
            let (groups, outlet) = (Rc::clone(&shared.groups), Outlet::Socket(socket));
            Continuation::Reading(
                AnswerReader::run(groups, *live, encoding, outlet, Inlet::Socket, pipelined),
                after,
            )
        }
    })
}

/// Continues a connection whose reader has received its whole response.
pub(super) fn resume_after_reader(
    shared: &Rc<WorkerContext>,
    finished: Finished,
    after: AfterReading,
    counted: &Rc<CountedConnection>,
) -> LocalBoxFuture<'static, Option<Box<Connected>>> {
    let Finished {
        outlet: Outlet::Socket(socket),
        pipelined,
    } = finished
    else {
        return Box::pin(ready(None));
    };
    match after {
        AfterReading::Requests if !shared.app.is_stopping() => requests::serve(
            Rc::clone(shared),
            PlainConnection {
                socket,
                unread: pipelined,
            },
            Rc::clone(counted),
            None,
        ),
        AfterReading::Requests | AfterReading::End => Box::pin(ready(None)),
        AfterReading::AwaitClose => {
            let closing = timeout(LINGER, close_and_wait(Rc::clone(&shared.groups), socket));
            Box::pin(closing.map(|_result| None))
        }
    }
}

async fn close_and_wait(groups: Rc<Groups>, socket: Rc<TcpStream>) -> io::Result<()> {
    let mut socket = Rc::into_inner(socket).ok_or(io::ErrorKind::NotConnected)?;
    socket.shutdown().await?;
    let mut passed = Vec::new();
    while poll_fn(|context| groups.poll_receive(&socket, &mut passed, context)).await? > 0 {
        passed.clear();
    }
    Ok(())
}

/// Waits for a long-poll and answers it; `None` when its connection ends.
pub(super) async fn answer_wait(
    shared: &Rc<WorkerContext>,
    connection: &mut PlainConnection,
    waiting: WaitingLongPoll,
    idle: &mut Idle,
    mut stopped: Pin<&mut impl Future>,
) -> Option<()> {
    let WaitingLongPoll {
        mut wait,
        standing,
        keep_alive,
    } = waiting;
    let (encoding, outlet) = if wait.is_common() && keep_alive {
        (
            Encoding::Page,
            Outlet::LongPoll(Rc::clone(&connection.socket), Rc::clone(&standing)),
        )
    } else {
        (Encoding::Notice, Outlet::WakeOnly)
    };
    let mut rest = Rest::default();
    let seating = Box::pin(shared.groups.seat_wait(&mut wait, encoding, outlet));
    if let Some(seat) = seating.await {
        match poll_fn(|context| {
            poll_event(shared, connection, &seat, idle, stopped.as_mut(), context)
        })
        .await
        {
            WaitEvent::Unseated(unseated) => rest = unseated.rest,
            WaitEvent::Answered => return Some(()),
            WaitEvent::Gone => return None,
        }
    }
    if rest.is_empty() {
        let answering = Box::pin(wait.answer());
        let answer = answering.await;
        let sending = Box::pin(send(
            shared,
            connection,
            answer,
            standing.lines(),
            keep_alive,
        ));
        return sending.await.then_some(());
    }
    let stalled_max = shared.app.config.write_silence_max;
    let outlet = Outlet::Socket(Rc::clone(&connection.socket));
    let writing = Box::pin(outlet.write(rest, stalled_max));
    writing.await.ok()
}

/// Outcome of a seated long-poll.
enum WaitEvent {
    Unseated(Box<Unseated>),
    /// The response was sent, and the client sent its next request.
    Answered,
    /// The client disconnected, was idle for too long after its response, or has its response while
    /// the server stops.
    Gone,
}

fn poll_event(
    shared: &WorkerContext,
    connection: &mut PlainConnection,
    seat: &Seat,
    idle: &mut Idle,
    stopped: Pin<&mut impl Future>,
    context: &mut Context<'_>,
) -> Poll<WaitEvent> {
    if let Poll::Ready(unseated) = seat.poll_unseated(context) {
        return Poll::Ready(WaitEvent::Unseated(unseated));
    }
    loop {
        if !connection.unread.is_empty() {
            if seat.served_at().is_some() {
                return Poll::Ready(WaitEvent::Answered);
            }
            seat.wake_on_answer();
        }
        match connection.receive(&shared.groups, ReceiveBuffer::AHEAD_MAX, context) {
            Poll::Pending => break,
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(_) => return Poll::Ready(WaitEvent::Gone),
        }
    }
    // The client cannot time out while it waits.
    if idle
        .poll_over(|| seat.served_at().unwrap_or_else(Instant::now), context)
        .is_ready()
    {
        return Poll::Ready(WaitEvent::Gone);
    }
    if stopped.poll(context).is_ready() {
        return Poll::Ready(seat.leave().map_or(WaitEvent::Gone, WaitEvent::Unseated));
    }
    Poll::Pending
}

/// Sends a response. Returns whether the connection may serve another request.
pub(super) async fn send(
    shared: &WorkerContext,
    connection: &PlainConnection,
    answer: Answer,
    standing: &[u8],
    keep_alive: bool,
) -> bool {
    let closes = answer.closes || !keep_alive || shared.app.is_stopping();
    let is_sent = match try_send(shared, connection, answer, standing, closes) {
        Ok(None) => true,
        Ok(Some(rest)) => {
            // Boxed, since most responses are short and have been sent by now.
            let sending = Box::pin(send_rest(shared, connection, rest));
            sending.await.is_ok()
        }
        Err(_) => false,
    };
    is_sent && !closes
}

/// Sends as much of a response as the socket accepts at once. Returns the rest, if any.
fn try_send(
    shared: &WorkerContext,
    connection: &PlainConnection,
    answer: Answer,
    standing: &[u8],
    closes: bool,
) -> io::Result<Option<Content>> {
    let mut head = Vec::with_capacity(512);
    shared
        .groups
        .heads()
        .write(&mut head, &answer, standing, closes);
    let Content { mut parts, charge } = answer.content.unwrap_or_default();
    if parts.iter().map(Bytes::len).sum::<usize>() <= JOINED_MAX {
        parts
            .iter_mut()
            .for_each(|part| head.extend_from_slice(&std::mem::take(part)));
    }
    let slices = [&head, &*parts[0], &parts[1], &parts[2]].map(IoSlice::new);
    let mut written = match connection.socket.try_write_vectored(&slices) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
        tried => tried?,
    };
    if written == slices.iter().map(|slice| slice.len()).sum::<usize>() {
        return Ok(None);
    }
    let [first, messages, last] = parts;
    let first = if first.is_empty() {
        head.into()
    } else {
        Bytes::from([&head, &*first].concat())
    };
    let mut parts = [first, messages, last];
    for part in &mut parts {
        let passed = written.min(part.len());
        part.advance(passed);
        written -= passed;
    }
    Ok(Some(Content { parts, charge }))
}

async fn send_rest(
    shared: &WorkerContext,
    connection: &PlainConnection,
    rest: Content,
) -> io::Result<()> {
    for part in rest.parts {
        write_socket(
            &connection.socket,
            part,
            shared.app.config.write_silence_max,
        )
        .await?;
    }
    drop(rest.charge);
    Ok(())
}
