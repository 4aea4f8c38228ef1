//! A connection outside of a dispatcher: what its seat says, then its next requests, then back.

use super::idle::Idle;
use super::io::Malformed;
use super::requests;
use super::slot::{Left, Slot, TakenSeat};
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

/// How long a client whose connection ends may take to hear so.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Contents up to here are written in one piece with their head.
const JOINED_MAX: usize = 4 << 10;

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct WorkerContext {
    pub(super) app: Arc<App>,
    pub(super) gate: Arc<Gate>,
    pub(super) groups: Rc<Groups>,
    pub(super) malformed: Rc<Malformed>,
}

/// A connection, and what was read from it already.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) before: ReceiveBuffer,
}

/// A long-poll that waits, and what its answer is sent with.
#[derive(Debug)]
pub struct WaitingLongPoll {
    /// The long-poll.
    pub wait: Box<LongPollWait>,
    /// The fields that every answer to this client has.
    pub standing: Rc<Fields>,
    /// Whether the connection may serve another request afterwards.
    pub keep_alive: bool,
}

/// A connection between two answers.
pub(super) struct Between {
    pub(super) socket: Rc<TcpStream>,
    /// Received and not answered yet.
    pub(super) unread: ReceiveBuffer,
}

impl Between {
    /// Receives more unless `max` bytes are here; how many, 0 at the client's end.
    pub(super) fn receive(
        &mut self,
        groups: &Groups,
        max: usize,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.unread.poll_receive(groups, &self.socket, max, context)
    }
}

/// What goes on with a connection that left its dispatcher. Held for as long as it lasts, so it is small.
pub(super) enum Continuation {
    /// A reader, to the end of its answer.
    Reading(LocalBoxFuture<'static, Option<Finished>>, AfterReading),
    /// Its requests, until a dispatcher has to answer one.
    Requests(LocalBoxFuture<'static, Option<Box<Connected>>>),
}

/// What becomes of a reader's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AfterReading {
    /// It may serve another request.
    Requests,
    /// It ends.
    End,
    /// It ends once its client has heard so: that still answers, which would take the end away from it if nobody read
    /// that any more.
    Goodbye,
}

/// Goes on with a connection that left its dispatcher, if it did.
pub(super) fn go_on(
    shared: &Rc<WorkerContext>,
    slot: Rc<Slot>,
    counted: &Rc<CountedConnection>,
) -> Option<Continuation> {
    let Left {
        stream,
        seat,
        beyond,
    } = slot.take()?;
    drop(slot);
    let socket = Rc::new(stream);
    let requests = |between, waiting| {
        Continuation::Requests(requests::serve(
            Rc::clone(shared),
            between,
            Rc::clone(counted),
            waiting,
        ))
    };
    Some(match seat {
        TakenSeat::Requests => requests(
            Between {
                socket,
                unread: beyond,
            },
            None,
        ),
        TakenSeat::Wait(waiting) => requests(
            Between {
                socket,
                unread: beyond,
            },
            Some(waiting),
        ),
        TakenSeat::Live {
            live,
            encoding,
            keep_alive,
        } => {
            let after = match encoding {
                Encoding::Websocket => AfterReading::Goodbye,
                _ if keep_alive => AfterReading::Requests,
                _ => AfterReading::End,
            };
            let (groups, outlet) = (Rc::clone(&shared.groups), Outlet::Socket(socket));
            Continuation::Reading(
                AnswerReader::run(groups, *live, encoding, outlet, Inlet::Socket, beyond),
                after,
            )
        }
    })
}

/// Goes on with a connection whose reader has its whole answer.
pub(super) fn go_on_after(
    shared: &Rc<WorkerContext>,
    finished: Finished,
    after: AfterReading,
    counted: &Rc<CountedConnection>,
) -> LocalBoxFuture<'static, Option<Box<Connected>>> {
    let Finished {
        outlet: Outlet::Socket(socket),
        beyond,
    } = finished
    else {
        return Box::pin(ready(None));
    };
    match after {
        AfterReading::Requests if !shared.app.is_stopping() => requests::serve(
            Rc::clone(shared),
            Between {
                socket,
                unread: beyond,
            },
            Rc::clone(counted),
            None,
        ),
        AfterReading::Requests | AfterReading::End => Box::pin(ready(None)),
        AfterReading::Goodbye => {
            let goodbye = timeout(LINGER, say_goodbye(Rc::clone(&shared.groups), socket));
            Box::pin(goodbye.map(|_gone_either_way| None))
        }
    }
}

async fn say_goodbye(groups: Rc<Groups>, socket: Rc<TcpStream>) -> io::Result<()> {
    let mut socket = Rc::into_inner(socket).ok_or(io::ErrorKind::NotConnected)?;
    socket.shutdown().await?;
    let mut passed = Vec::new();
    while poll_fn(|context| groups.poll_receive(&socket, &mut passed, context)).await? > 0 {
        passed.clear();
    }
    Ok(())
}

/// Answers a long-poll once it has waited; `None` when its connection ends.
pub(super) async fn answer_wait(
    shared: &Rc<WorkerContext>,
    between: &mut Between,
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
            Outlet::LongPoll(Rc::clone(&between.socket), Rc::clone(&standing)),
        )
    } else {
        (Encoding::Notice, Outlet::Elsewhere)
    };
    let mut rest = Rest::default();
    let seating = Box::pin(shared.groups.seat_wait(&mut wait, encoding, outlet));
    if let Some(seat) = seating.await {
        match poll_fn(|context| poll_event(shared, between, &seat, idle, stopped.as_mut(), context))
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
        let sending = Box::pin(send(shared, between, answer, standing.lines(), keep_alive));
        return sending.await.then_some(());
    }
    let stalled_max = shared.app.config.write_silence_max;
    let outlet = Outlet::Socket(Rc::clone(&between.socket));
    let writing = Box::pin(outlet.write(rest, stalled_max));
    writing.await.ok()
}

/// What happens to a long-poll in its seat.
enum WaitEvent {
    Unseated(Box<Unseated>),
    /// The answer has gone out, and the client went on.
    Answered,
    /// The client left, was silent for too long after its answer, or has its answer while the server stops.
    Gone,
}

fn poll_event(
    shared: &WorkerContext,
    between: &mut Between,
    seat: &Seat,
    idle: &mut Idle,
    stopped: Pin<&mut impl Future>,
    context: &mut Context<'_>,
) -> Poll<WaitEvent> {
    if let Poll::Ready(unseated) = seat.poll_unseated(context) {
        return Poll::Ready(WaitEvent::Unseated(unseated));
    }
    loop {
        if !between.unread.is_empty() {
            if seat.served_at().is_some() {
                return Poll::Ready(WaitEvent::Answered);
            }
            seat.await_answer();
        }
        match between.receive(&shared.groups, ReceiveBuffer::AHEAD_MAX, context) {
            Poll::Pending => break,
            Poll::Ready(Ok(1..)) => {}
            Poll::Ready(_) => return Poll::Ready(WaitEvent::Gone),
        }
    }
    // While it waits nothing is expected of its client.
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

/// Sends an answer; whether the connection may serve another request.
pub(super) async fn send(
    shared: &WorkerContext,
    between: &Between,
    answer: Answer,
    standing: &[u8],
    keep_alive: bool,
) -> bool {
    let closes = answer.closes || !keep_alive || shared.app.is_stopping();
    let is_sent = match try_send(shared, between, answer, standing, closes) {
        Ok(None) => true,
        Ok(Some(rest)) => {
            // On the heap, for most answers are short and gone by now.
            let sending = Box::pin(send_rest(shared, between, rest));
            sending.await.is_ok()
        }
        Err(_) => false,
    };
    is_sent && !closes
}

/// Sends of an answer what the socket takes at once; what is left, if anything.
fn try_send(
    shared: &WorkerContext,
    between: &Between,
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
    let mut written = match between.socket.try_write_vectored(&slices) {
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

async fn send_rest(shared: &WorkerContext, between: &Between, rest: Content) -> io::Result<()> {
    for part in rest.parts {
        write_socket(&between.socket, part, shared.app.config.write_silence_max).await?;
    }
    drop(rest.charge);
    Ok(())
}
