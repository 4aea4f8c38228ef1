//! A connection outside of a dispatcher: what its seat says, then its next requests, then back.

use super::io::Malformed;
use super::requests;
use super::slot::{Left, Seat};
use crate::api::gate::{Connection, Gate};
use crate::api::{Answer, App, Content, Live, Wait};
use crate::live::encoding::Encoding;
use crate::live::{Finished, Groups, Inlet, Outlet, Reader, Seat as GroupSeat, Unseated, write_socket};
use bytes::{Buf, Bytes};
use futures_util::future::LocalBoxFuture;
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long a client whose connection ends may take to hear so.
pub(super) const LINGER: Duration = Duration::from_secs(2);

/// Contents up to here are written in one piece with their head.
const JOINED_MAX: usize = 4 << 10;

/// What a client may send ahead of an answer, in bytes.
const BEYOND_MAX: usize = 64 << 10;

/// What the connections of one worker share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) app: Arc<App>,
    pub(super) gate: Arc<Gate>,
    pub(super) groups: Rc<Groups>,
    pub(super) malformed: Rc<Malformed>,
}

/// A connection, and what was read from it already.
#[derive(Debug)]
pub(super) struct Connected {
    pub(super) stream: TcpStream,
    pub(super) before: Bytes,
}

/// A long-poll that waits, and what its answer is sent with.
#[derive(Debug)]
pub struct Waiting {
    /// The long-poll.
    pub wait: Box<Wait>,
    /// The fields that every answer to this client has, as lines.
    pub standing: Rc<[u8]>,
    /// Whether the connection may serve another request afterwards.
    pub keep_alive: bool,
}

/// A connection between two answers.
pub(super) struct Between {
    pub(super) socket: Rc<TcpStream>,
    /// Received and not answered yet.
    pub(super) unread: Vec<u8>,
}

/// Goes on with a connection that left its dispatcher; returns it when a dispatcher has to answer what it sends next.
pub(super) fn go_on(
    shared: &Rc<Shared>,
    left: Left,
    counted: &Rc<Connection>,
) -> LocalBoxFuture<'static, Option<Box<Connected>>> {
    let (shared, counted) = (Rc::clone(shared), Rc::clone(counted));
    let Left { stream, seat, beyond } = left;
    let socket = Rc::new(stream);
    match seat {
        Seat::Requests => requests::serve(shared, Between { socket, unread: beyond.to_vec() }, counted, None),
        Seat::Wait(waiting) => {
            requests::serve(shared, Between { socket, unread: beyond.to_vec() }, counted, Some(waiting))
        }
        Seat::Live { live, encoding, keep_alive } => {
            let reading = read(&shared, *live, encoding, socket, &beyond);
            Box::pin(async move {
                let between = reading.await.filter(|_| keep_alive && !shared.app.is_stopping())?;
                requests::serve(shared, between, counted, None).await
            })
        }
    }
}

/// Serves a reader to the end of its answer; the connection, when it may serve another request.
fn read(
    shared: &Rc<Shared>,
    live: Live,
    encoding: Encoding,
    socket: Rc<TcpStream>,
    beyond: &[u8],
) -> LocalBoxFuture<'static, Option<Between>> {
    let is_websocket = encoding == Encoding::Websocket;
    let groups = Rc::clone(&shared.groups);
    let running = Reader::run(Rc::clone(&groups), live, encoding, Outlet::Socket(socket), Inlet::Socket, beyond);
    Box::pin(async move {
        let Finished { outlet, beyond } = running.await?;
        let Outlet::Socket(socket) = outlet else { return None };
        if is_websocket {
            // Its client still answers, which would take the end away from it if nobody read that any more.
            let _gone_either_way = timeout(LINGER, Box::pin(say_goodbye(groups, socket))).await;
            return None;
        }
        Some(Between { socket, unread: beyond })
    })
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

/// Answers a long-poll once it has waited; returns the connection when it may serve another request.
pub(super) async fn answer_wait(
    shared: &Rc<Shared>,
    mut between: Between,
    waiting: Waiting,
    mut stopped: Pin<&mut impl Future>,
) -> Option<Between> {
    let Waiting { mut wait, standing, keep_alive } = waiting;
    let (encoding, outlet) = if wait.is_common() && keep_alive {
        (Encoding::Page(Rc::clone(&standing)), Outlet::Socket(Rc::clone(&between.socket)))
    } else {
        (Encoding::Notice, Outlet::Elsewhere)
    };
    let mut rest = Bytes::new();
    let seating = Box::pin(shared.groups.seat_wait(&mut wait, encoding, outlet));
    if let Some(seat) = seating.await {
        match poll_fn(|context| poll_event(shared, &mut between, &seat, stopped.as_mut(), context)).await {
            Event::Unseated(unseated) => rest = unseated.rest,
            Event::Answered => return Some(between),
            Event::Gone => return None,
        }
    }
    if rest.is_empty() {
        let answering = Box::pin(wait.answer());
        let answer = answering.await;
        return send(shared, &between, answer, &standing, keep_alive).await.then_some(between);
    }
    let stalled_max = shared.app.config.write_silence_max;
    let writing = Box::pin(write_socket(&between.socket, rest, stalled_max));
    writing.await.ok().map(|()| between)
}

/// What happens to a long-poll in its seat.
enum Event {
    Unseated(Box<Unseated>),
    /// The answer has gone out, and the client went on.
    Answered,
    /// The client left, or has its answer while the server stops.
    Gone,
}

fn poll_event(
    shared: &Shared,
    between: &mut Between,
    seat: &GroupSeat,
    stopped: Pin<&mut impl Future>,
    context: &mut Context<'_>,
) -> Poll<Event> {
    if let Poll::Ready(unseated) = seat.poll_unseated(context) {
        return Poll::Ready(Event::Unseated(unseated));
    }
    if !between.unread.is_empty() {
        if seat.was_served() {
            return Poll::Ready(Event::Answered);
        }
        seat.await_answer();
    }
    while let Poll::Ready(came) = shared.groups.poll_receive(&between.socket, &mut between.unread, context) {
        match came {
            Ok(1..) if seat.was_served() => return Poll::Ready(Event::Answered),
            Ok(1..) if between.unread.len() <= BEYOND_MAX => seat.await_answer(),
            _ => return Poll::Ready(Event::Gone),
        }
    }
    if stopped.poll(context).is_ready() {
        return Poll::Ready(seat.leave().map_or(Event::Gone, Event::Unseated));
    }
    Poll::Pending
}

/// Sends an answer; whether the connection may serve another request.
pub(super) async fn send(
    shared: &Shared,
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
    shared: &Shared,
    between: &Between,
    answer: Answer,
    standing: &[u8],
    closes: bool,
) -> io::Result<Option<Content>> {
    let mut head = Vec::with_capacity(512);
    shared.groups.heads().write(&mut head, &answer, standing, closes);
    let Content { mut parts, charge } = answer.content.unwrap_or_default();
    if parts.iter().map(Bytes::len).sum::<usize>() <= JOINED_MAX {
        parts.iter_mut().for_each(|part| head.extend_from_slice(&std::mem::take(part)));
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
    let first = if first.is_empty() { head.into() } else { Bytes::from([&head, &*first].concat()) };
    let mut parts = [first, messages, last];
    for part in &mut parts {
        let passed = written.min(part.len());
        part.advance(passed);
        written -= passed;
    }
    Ok(Some(Content { parts, charge }))
}

async fn send_rest(shared: &Shared, between: &Between, rest: Content) -> io::Result<()> {
    for part in rest.parts {
        write_socket(&between.socket, part, shared.app.config.write_silence_max).await?;
    }
    drop(rest.charge);
    Ok(())
}
