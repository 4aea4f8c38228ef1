//! A connection outside of a dispatcher: what its worker shares with it, and how it is answered.

use super::idle::Idle;
use super::io::Malformed;

use super::slot::WaitingLongPoll;
use crate::api::gate::Gate;
use crate::api::{Answer, App, Content};
use crate::live::encoding::Encoding;
use crate::live::{Groups, Outlet, ReceiveBuffer, Seat, Unseated, UnsentBytes, write_socket};
use bytes::{Buf, Bytes};
use std::future::{Future, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::Instant;

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
        common,
        keep_alive,
    } = waiting;
    let (encoding, outlet) = if wait.is_common() && keep_alive {
        (
            Encoding::Page,
            Outlet::LongPoll(Rc::clone(&connection.socket), Rc::clone(&common)),
        )
    } else {
        (Encoding::Notice, Outlet::WakeOnly)
    };
    let mut rest = UnsentBytes::default();
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
        let sending = Box::pin(send(shared, connection, answer, common.lines(), keep_alive));
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
    common: &[u8],
    keep_alive: bool,
) -> bool {
    let closes = answer.closes || !keep_alive || shared.app.is_stopping();
    let is_sent = match try_send(shared, connection, answer, common, closes) {
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
    common: &[u8],
    closes: bool,
) -> io::Result<Option<Content>> {
    let mut head = Vec::with_capacity(512);
    shared
        .groups
        .heads()
        .write(&mut head, &answer, common, closes);
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
