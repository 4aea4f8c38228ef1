//! Where a reader's bytes go: the body of an answer, or a socket that has left its HTTP library.

use super::encoding::Piece;
use crate::api::Cursors;
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Bytes that a body gives at once. An HTTP library copies them into its connection's buffer: they should still be in the
/// processor's cache when the system copies them again.
const BODY_PIECE_BYTES: usize = 120 << 10;

/// Where a reader's bytes go.
#[derive(Debug, Clone)]
pub enum Outlet {
    /// Onto an HTTP/1.1 connection that is ours alone.
    Socket(Rc<TcpStream>),
    /// Into the body of an answer that somebody else sends, in any version of HTTP.
    Body(Rc<BodyQueue>),
    /// Nowhere: what comes is only noticed, and answered by somebody else.
    Elsewhere,
}

impl Outlet {
    /// The socket, if it is one.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(socket) => Some(socket),
            Self::Body(_) | Self::Elsewhere => None,
        }
    }

    /// Gives the outlet what it takes at once of a piece; `None` when it took all, else what is left.
    pub(super) fn offer(&self, piece: &Piece, cursors: Cursors) -> Option<Bytes> {
        match self {
            Self::Socket(socket) => {
                let mut wire = piece.with_cursor(cursors);
                match socket.try_write(&wire) {
                    Ok(written) => wire.advance(written),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    // The reader's own task notices, too; this way it gets no other seat.
                    Err(_) => wire.clear(),
                }
                (!wire.is_empty()).then_some(wire)
            }
            Self::Body(queue) => {
                let body = piece.body();
                (!queue.push(body.clone())).then_some(body)
            }
            Self::Elsewhere => Some(Bytes::new()),
        }
    }

    /// The bytes of a piece as this outlet takes them.
    pub(super) fn bytes(&self, piece: &Piece) -> Bytes {
        match self {
            Self::Socket(_) | Self::Elsewhere => piece.wire.clone(),
            Self::Body(_) => piece.body(),
        }
    }

    /// Writes all of `bytes`; usually at once.
    ///
    /// # Errors
    /// When the client has left, or takes nothing for `stalled_max`. A body's client is watched by who sends the body.
    pub(super) async fn write(&self, mut bytes: Bytes, stalled_max: Duration) -> io::Result<()> {
        match self {
            Self::Socket(socket) => write_socket(socket, bytes, stalled_max).await,
            Self::Body(queue) => {
                while !bytes.is_empty() {
                    let piece = bytes.split_to(bytes.len().min(BODY_PIECE_BYTES));
                    // Asked again whenever the body is, which is when there may be room.
                    poll_fn(|_| if queue.push(piece.clone()) { Poll::Ready(()) } else { Poll::Pending }).await;
                }
                Ok(())
            }
            Self::Elsewhere => Ok(()),
        }
    }
}

/// Writes all of `bytes` to a socket; usually at once.
///
/// # Errors
/// When the client has left, or takes nothing for `stalled_max`.
pub async fn write_socket(socket: &TcpStream, mut bytes: Bytes, stalled_max: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(&bytes) {
            Ok(written) => bytes.advance(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // On the heap, for few have to wait.
                let writable = Box::pin(timeout(stalled_max, socket.writable()));
                writable.await.map_err(|_| ErrorKind::TimedOut)??;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Appends the next bytes from a socket to `out`; how many, 0 at its end.
///
/// - `scratch`: room for one read.
///
/// # Errors
/// When the connection broke.
pub(super) fn poll_receive(
    socket: &TcpStream,
    scratch: &mut [u8],
    out: &mut Vec<u8>,
    context: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(socket.poll_read_ready(context))?;
        let mut received = None;
        let tried = socket.try_io(Interest::READABLE, || {
            let bytes = socket.try_read(scratch)?;
            received = Some(bytes);
            // What comes short was the last there is: to say so spares asking again.
            if (1..scratch.len()).contains(&bytes) { Err(ErrorKind::WouldBlock.into()) } else { Ok(()) }
        });
        match (received, tried) {
            (Some(bytes), _) => {
                out.extend_from_slice(&scratch[..bytes]);
                return Poll::Ready(Ok(bytes));
            }
            (None, Err(error)) if error.kind() != ErrorKind::WouldBlock => return Poll::Ready(Err(error)),
            (None, _) => {}
        }
    }
}

/// The next piece of a body: at most one, so that a client that does not read holds back its own reader.
#[derive(Debug, Default)]
pub struct BodyQueue {
    piece: RefCell<Option<Bytes>>,
    waker: RefCell<Option<Waker>>,
}

impl BodyQueue {
    /// Puts a piece that is not empty; `false` when the last one is still there, or this one is too large for one.
    fn push(&self, piece: Bytes) -> bool {
        let mut place = self.piece.borrow_mut();
        if place.is_some() || piece.len() > BODY_PIECE_BYTES {
            return false;
        }
        *place = Some(piece).filter(|piece| !piece.is_empty());
        drop(place);
        let waker = self.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
        true
    }

    /// Takes the piece, if there is one.
    pub(super) fn take(&self) -> Option<Bytes> {
        self.piece.borrow_mut().take()
    }

    /// Has `waker` woken by the next piece.
    pub(super) fn wake_by_next(&self, waker: &Waker) {
        self.waker.replace(Some(waker.clone()));
    }
}
