//! Where a reader's bytes go: the body of a response, or a socket that was taken over.

use super::encoding::EncodedPiece;
use crate::api::{Charge, Cursors, Fields, PageAnswer};
use bytes::{Buf, Bytes};
use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, ErrorKind, IoSlice};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;
use tokio::io::Interest;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Maximum size of a body's piece. An HTTP library copies it into its connection's buffer: it
/// should still be in the processor's cache when the kernel copies it again.
const BODY_PIECE_BYTES: usize = 120 << 10;

/// Where a reader's bytes go.
#[derive(Debug, Clone)]
pub enum Outlet {
    /// An HTTP/1.1 connection that was taken over.
    Socket(Rc<TcpStream>),
    /// The same for a long-poll, with the header fields of every response to its client.
    LongPoll(Rc<TcpStream>, Rc<Fields>),
    /// The body of a response sent by an HTTP library, in any version of HTTP.
    Body(Rc<BodyQueue>),
    /// Nowhere: the reader is only woken, and the response is sent by its task.
    WakeOnly,
}

/// What an outlet did not accept of a piece.
#[derive(Debug, Default)]
pub struct UnsentBytes {
    /// Bytes of this reader only, written before the shared ones.
    own: Bytes,
    shared: Bytes,
    /// Its share of the budget.
    charge: Option<Rc<Charge>>,
}

impl UnsentBytes {
    /// A whole piece.
    pub(super) fn new(bytes: Bytes, charge: Option<Rc<Charge>>) -> Self {
        Self {
            own: Bytes::new(),
            shared: bytes,
            charge,
        }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.shared.is_empty()
    }
}

impl Outlet {
    /// The socket, if the outlet is one.
    pub(super) fn socket(&self) -> Option<&TcpStream> {
        match self {
            Self::Socket(socket) | Self::LongPoll(socket, _) => Some(socket),
            Self::Body(_) | Self::WakeOnly => None,
        }
    }

    /// Writes as much of a piece as the outlet accepts at once; `None` when all was accepted,
    /// otherwise the rest.
    pub(super) fn offer(&self, piece: &EncodedPiece, cursors: Cursors) -> Option<UnsentBytes> {
        match self {
            Self::Socket(socket) => {
                let written = written(socket.try_write(&piece.wire), piece.wire.len());
                (written < piece.wire.len())
                    .then(|| UnsentBytes::new(piece.wire.slice(written..), piece.charge.clone()))
            }
            Self::LongPoll(socket, common) => {
                let own = piece
                    .cursor
                    .as_ref()
                    .and_then(|(common, _)| cursors.own(*common))
                    .map(PageAnswer::cursor);
                let cursor = own
                    .as_ref()
                    .or(piece.cursor.as_ref().map(|(_, field)| field));
                let (before, after) = piece.wire.split_at(piece.member_fields_at);
                let parts = [
                    before,
                    common.lines(),
                    cursor.map_or(&[], Fields::lines),
                    after,
                ];
                let length = parts.iter().map(|part| part.len()).sum::<usize>();
                let written = written(socket.try_write_vectored(&parts.map(IoSlice::new)), length);
                (written < length).then(|| {
                    let mut own = Bytes::from(parts[..3].concat());
                    let mut shared = piece.wire.slice(piece.member_fields_at..);
                    shared.advance(written.saturating_sub(own.len()));
                    own.advance(written.min(own.len()));
                    UnsentBytes {
                        own,
                        shared,
                        charge: piece.charge.clone(),
                    }
                })
            }
            Self::Body(queue) => {
                let body = piece.body();
                (!queue.push(body.clone())).then(|| UnsentBytes::new(body, piece.charge.clone()))
            }
            Self::WakeOnly => Some(UnsentBytes::default()),
        }
    }

    /// The bytes of a piece in this outlet's framing.
    pub(super) fn bytes(&self, piece: &EncodedPiece) -> Bytes {
        match self {
            Self::Socket(_) | Self::LongPoll(..) | Self::WakeOnly => piece.wire.clone(),
            Self::Body(_) => piece.body(),
        }
    }

    /// Writes all of `rest`; usually at once.
    ///
    /// # Errors
    /// When the client has disconnected, or accepts no data for `stalled_max`. For a body, the HTTP
    /// library has to detect a stall.
    pub async fn write(&self, rest: UnsentBytes, stalled_max: Duration) -> io::Result<()> {
        for mut bytes in [rest.own, rest.shared] {
            match self {
                Self::Socket(socket) | Self::LongPoll(socket, _) => {
                    write_socket(socket, bytes, stalled_max).await?;
                }
                Self::Body(queue) => {
                    while !bytes.is_empty() {
                        let piece = bytes.split_to(bytes.len().min(BODY_PIECE_BYTES));
                        // Polled whenever the body is, which is when it may have room.
                        poll_fn(|_| {
                            if queue.push(piece.clone()) {
                                Poll::Ready(())
                            } else {
                                Poll::Pending
                            }
                        })
                        .await;
                    }
                }
                Self::WakeOnly => {}
            }
        }
        drop(rest.charge);
        Ok(())
    }
}

/// The number of bytes, of `length`, that need not be written any more.
fn written(tried: io::Result<usize>, length: usize) -> usize {
    match tried {
        Ok(written) => written,
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        // The reader's own task notices the failure; counting the bytes as written gets it no other
        // seat.
        Err(_) => length,
    }
}

/// Writes all of `bytes` to a socket; usually at once.
///
/// # Errors
/// When the client has disconnected, or accepts no data for `stalled_max`.
pub async fn write_socket(
    socket: &TcpStream,
    mut bytes: Bytes,
    stalled_max: Duration,
) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(&bytes) {
            Ok(written) => bytes.advance(written),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                // Boxed, since few have to wait.
                let writable = Box::pin(timeout(stalled_max, socket.writable()));
                writable.await.map_err(|_| ErrorKind::TimedOut)??;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Appends the next bytes from a socket to `out`. Returns their number, 0 at its end.
///
/// - `scratch`: buffer for one read.
///
/// # Errors
/// When the connection failed.
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
            // A short read has emptied the socket: reporting that spares a second system call.
            if (1..scratch.len()).contains(&bytes) {
                Err(ErrorKind::WouldBlock.into())
            } else {
                Ok(())
            }
        });
        match (received, tried) {
            (Some(bytes), _) => {
                out.extend_from_slice(&scratch[..bytes]);
                return Poll::Ready(Ok(bytes));
            }
            (None, Err(error)) if error.kind() != ErrorKind::WouldBlock => {
                return Poll::Ready(Err(error));
            }
            (None, _) => {}
        }
    }
}

/// The next piece of a body: at most one, so that backpressure reaches the reader.
#[derive(Debug, Default)]
pub struct BodyQueue {
    piece: RefCell<Option<Bytes>>,
    waker: RefCell<Option<Waker>>,
}

impl BodyQueue {
    /// Adds a piece; `false` when the last one has not been taken, or this one is too large.
    fn push(&self, piece: Bytes) -> bool {
        let mut slot = self.piece.borrow_mut();
        if slot.is_some() || piece.len() > BODY_PIECE_BYTES {
            return false;
        }
        *slot = Some(piece).filter(|piece| !piece.is_empty());
        drop(slot);
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

    /// Wakes `waker` when the next piece is added.
    pub(super) fn wake_by_next(&self, waker: &Waker) {
        self.waker.replace(Some(waker.clone()));
    }
}
