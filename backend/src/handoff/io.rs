//! A TCP connection as a dispatcher sees it, which can be taken away from the dispatcher.

use super::slot::Slot;
use crate::http::Connection;
use actix_web::dev::Extensions;
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// The connection; dropped, it goes into its slot.
#[derive(Debug)]
pub struct Io {
    stream: Option<TcpStream>,
    /// Read earlier and not used yet.
    before: Bytes,
    slot: Rc<Slot>,
    counted: Rc<Connection>,
}

impl Io {
    /// A connection from which `before` was read already.
    pub(super) fn new(stream: TcpStream, before: Bytes, slot: Rc<Slot>, counted: Rc<Connection>) -> Self {
        Self { stream: Some(stream), before, slot, counted }
    }

    /// Puts where every request of this connection finds it: its slot, if readers may leave, and that it is counted.
    pub fn introduce(&self, readers_may_leave: bool, data: &mut Extensions) {
        if readers_may_leave {
            data.insert(Rc::clone(&self.slot));
        }
        data.insert(Rc::clone(&self.counted));
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
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
        if this.before.is_empty() {
            std::task::ready!(this.stream()?.poll_read(context, out))?;
        } else {
            let piece = this.before.split_to(this.before.len().min(out.remaining()));
            out.put_slice(&piece);
        }
        this.slot.note_read(&out.filled()[filled..]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.slot.note_write();
        this.stream()?.poll_write(context, bytes)
    }

    /// Called when all that was to be written is written: the moment to leave.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.slot.is_taken() {
            return Poll::Ready(Err(io::Error::other("the connection is handed over")));
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
