//! A connection outside of a dispatcher: serves its seat, then its next requests, then returns to
//! one.

use super::plain::{Connected, LINGER, PlainConnection, WorkerContext};
use super::requests;
use super::slot::{Detached, Slot, TakenConnection};
use crate::api::gate::CountedConnection;
use crate::live::encoding::Encoding;
use crate::live::{AnswerReader, Finished, Groups, Inlet, Outlet};
use futures_util::future::{FutureExt as _, LocalBoxFuture, ready};
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How a connection that left its dispatcher continues. It exists as long as the connection, so it
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
        taken,
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
    Some(match taken {
        TakenConnection::Requests => requests(
            PlainConnection {
                socket,
                unread: pipelined,
            },
            None,
        ),
        TakenConnection::Wait(waiting) => requests(
            PlainConnection {
                socket,
                unread: pipelined,
            },
            Some(waiting),
        ),
        TakenConnection::Live {
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
