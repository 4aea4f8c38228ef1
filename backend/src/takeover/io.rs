//! A TCP connection as a dispatcher sees it: it can be taken away from the dispatcher, and its client has deadlines.

use super::slot::{Phase, Slot};
use crate::api::gate::Connection;
use actix_web::dev::Extensions;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a client may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// From the first byte of a request to its whole head.
    pub(super) head: Duration,
    /// For taking any of what it is sent.
    pub(super) stalled: Duration,
    /// To hear an answer that is the connection's last.
    pub(super) linger: Duration,
}

/// The connection; dropped, it goes into its slot.
#[derive(Debug)]
pub struct Io {
    stream: Option<TcpStream>,
    /// Read earlier and not used yet.
    before: Bytes,
    slot: Rc<Slot>,
    counted: Rc<Connection>,
    patience: Patience,
    /// When the client must have gone on, and in what.
    reading: Option<(Phase, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl Io {
    /// A connection from which `before` was read already.
    pub(super) fn new(
        stream: TcpStream,
        before: Bytes,
        slot: Rc<Slot>,
        counted: Rc<Connection>,
        patience: Patience,
    ) -> Self {
        Self { stream: Some(stream), before, slot, counted, patience, reading: None, writing: None }
    }

    /// Puts where every request of this connection finds it: its slot, and that it is counted.
    pub fn introduce(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.slot));
        data.insert(Rc::clone(&self.counted));
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Ready once the client has taken too long for what it is doing.
    fn poll_overdue(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let phase = self.slot.phase();
        let time = match phase {
            Phase::Head => self.patience.head,
            Phase::Closing => self.patience.linger,
            Phase::Idle | Phase::Answer => {
                self.reading = None;
                return Poll::Pending;
            }
        };
        let timer = match &mut self.reading {
            Some((since, timer)) if *since == phase => timer,
            reading => &mut reading.insert((phase, Box::pin(sleep(time)))).1,
        };
        timer.as_mut().poll(context)
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        // What comes now is no longer the dispatcher's, which is about to end: its flush is due.
        if this.slot.is_taken() {
            return Poll::Pending;
        }
        let filled = out.filled().len();
        if !this.before.is_empty() {
            let piece = this.before.split_to(this.before.len().min(out.remaining()));
            out.put_slice(&piece);
        } else if let Poll::Ready(read) = this.stream()?.poll_read(context, out) {
            read?;
        } else {
            // To the dispatcher this looks like a client that has left.
            ready!(this.poll_overdue(context));
            return Poll::Ready(Ok(()));
        }
        this.slot.note_read(&out.filled()[filled..]);
        if this.poll_overdue(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Poll::Ready(written) = this.stream()?.poll_write(context, bytes) {
            this.writing = None;
            return Poll::Ready(written);
        }
        let stalled = this.patience.stalled;
        let timer = this.writing.get_or_insert_with(|| Box::pin(sleep(stalled)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }

    /// Called when all that was to be written is written: the moment to leave.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.slot.is_taken() {
            return Poll::Ready(Err(io::Error::other("the connection is taken over")));
        }
        this.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream()?.poll_shutdown(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.slot.keep(stream);
        }
    }
}
