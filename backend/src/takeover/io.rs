//! A TCP connection as the dispatcher sees it: one well-formed request at a time, until it is taken
//! over.

use super::chunks::{ChunkError, Chunks};
use super::request::{Framed, RequestFraming, frame};
use super::slot::{ClientPhase, Slot};
use crate::api::Refusal;
use crate::api::gate::{self, CountedConnection};
use crate::live::{Groups, ReceiveBuffer};
use actix_web::dev::Extensions;
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Longest head that is parsed, in bytes. The gate has its own, configurable limit.
const HEAD_READ_MAX: usize = 120 << 10;
/// Bytes that are read and discarded on a closing connection; a client that sends more is
/// disconnected.
const DISCARDED_MAX: usize = 32 << 20;
/// Interval of log lines about malformed requests.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The connection. When dropped, it is stored in its slot.
#[derive(Debug)]
pub struct Io {
    stream: Option<TcpStream>,
    /// Bytes that were read but that the dispatcher has not received yet.
    unread: ReceiveBuffer,
    /// Length of `unread` when it was last parsed without finding a whole head.
    partial: usize,
    allowance: ReadAllowance,
    /// A refusal that is sent after everything the dispatcher has written.
    final_response: Vec<u8>,
    /// Bytes discarded since the connection began to close.
    discarded: usize,
    /// The client has closed its sending side.
    has_ended: bool,
    slot: Rc<Slot>,
    counted: Rc<CountedConnection>,
    groups: Rc<Groups>,
    malformed: Rc<Malformed>,
}

/// What the dispatcher may read next.
#[derive(Debug, Clone, Copy)]
enum ReadAllowance {
    /// Nothing until a whole head has been received.
    Nothing,
    /// This many bytes of a request; then nothing until it is answered.
    Bytes(u64),
    /// A request's head of this many bytes and its chunked body; then nothing until it is answered.
    Chunked(u64, Chunks),
    Everything,
}

/// Counts the malformed requests refused by one worker, and logs them at intervals.
#[derive(Debug, Default)]
pub(super) struct Malformed {
    unlogged: Cell<u64>,
    logged_at: Cell<Option<Instant>>,
}

impl Malformed {
    fn note(&self, refusal: &Refusal) {
        self.unlogged.set(self.unlogged.get() + 1);
        if self
            .logged_at
            .get()
            .is_none_or(|at| at.elapsed() >= REPORT_EVERY)
        {
            self.logged_at.set(Some(Instant::now()));
            tracing::warn!(
                "refused {} malformed requests, the last one: {refusal}",
                self.unlogged.replace(0)
            );
        }
    }
}

impl Io {
    /// A connection from which `unread` has already been read.
    pub(super) fn new(
        stream: TcpStream,
        unread: ReceiveBuffer,
        slot: Rc<Slot>,
        counted: Rc<CountedConnection>,
        groups: Rc<Groups>,
        malformed: Rc<Malformed>,
    ) -> Self {
        Self {
            stream: Some(stream),
            unread,
            partial: 0,
            allowance: ReadAllowance::Nothing,
            final_response: Vec::new(),
            discarded: 0,
            has_ended: false,
            slot,
            counted,
            groups,
            malformed,
        }
    }

    /// Adds the slot and the counted connection to the data that each request of this connection
    /// sees.
    pub fn insert_extensions(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.slot));
        data.insert(Rc::clone(&self.counted));
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads once into `unread` unless it holds `max` bytes; ready with 0 bytes at the client's
    /// end.
    fn poll_receive(&mut self, max: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.has_ended {
            return Poll::Ready(Ok(0));
        }
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let received = ready!(self.unread.poll_receive(&self.groups, stream, max, context))?;
        self.has_ended = received == 0;
        Poll::Ready(Ok(received))
    }

    /// Copies up to `max` unread bytes to the dispatcher. Returns the number of bytes.
    fn give(&mut self, out: &mut ReadBuf<'_>, max: u64) -> u64 {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let bytes = self.unread.len().min(out.remaining()).min(max);
        out.put_slice(&self.unread[..bytes]);
        self.unread.consume(bytes);
        bytes as u64
    }

    /// Parses the next request's head; ready with what the dispatcher may read, or with a refusal.
    fn poll_request(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Result<ReadAllowance, Refusal>>> {
        loop {
            if !self.unread.is_empty() {
                self.slot.begin_head();
                let framed = if self.may_be_complete() {
                    frame(self.unread.bytes_mut())
                } else {
                    Framed::Partial
                };
                self.partial = self.unread.len();
                match framed {
                    Framed::Whole { framing, is_plain } => {
                        self.partial = 0;
                        self.slot.note_request(is_plain);
                        return Poll::Ready(Ok(Ok(match framing {
                            RequestFraming::Length(bytes) => ReadAllowance::Bytes(bytes),
                            RequestFraming::Chunked { head_bytes } => {
                                ReadAllowance::Chunked(head_bytes, Chunks::new())
                            }
                        })));
                    }
                    Framed::Partial if self.unread.len() >= HEAD_READ_MAX => {
                        let refusal = Refusal::HeadTooLarge {
                            received: self.unread.len(),
                            limit: HEAD_READ_MAX as u64,
                        };
                        return Poll::Ready(Ok(Err(refusal)));
                    }
                    Framed::Partial if self.unread.has_room(&self.groups, HEAD_READ_MAX) => {}
                    Framed::Partial => {
                        return Poll::Ready(Ok(Err(Refusal::Busy(
                            self.groups.terms().budget.exhausted(),
                        ))));
                    }
                    Framed::Malformed(refusal) => return Poll::Ready(Ok(Err(refusal))),
                }
            }
            if ready!(self.poll_receive(HEAD_READ_MAX, context))? == 0 {
                // An incomplete head is discarded.
                self.unread.consume(self.unread.len());
                return Poll::Ready(Ok(Ok(ReadAllowance::Everything)));
            }
        }
    }

    /// Whether the bytes since the last attempt may complete or invalidate the head: a line has
    /// ended, or the length has doubled, so that the total work stays linear.
    fn may_be_complete(&self) -> bool {
        self.unread.len() >= 2 * self.partial
            || memchr::memchr(b'\n', &self.unread[self.partial..]).is_some()
    }

    /// Refuses a request without passing it to the dispatcher. All requests before it are answered,
    /// so this is the next response; it is sent after those.
    fn refuse(&mut self, refusal: &Refusal) {
        self.malformed.note(refusal);
        let mut answer = refusal.answer();
        answer.closes = true;
        self.groups.heads().write(
            &mut self.final_response,
            &answer,
            gate::common_fields(None).lines(),
            true,
        );
        if !self.unread.starts_with(b"HEAD ") {
            let parts = answer.content.iter().flat_map(|content| &content.parts);
            parts.for_each(|part| self.final_response.extend_from_slice(part));
        }
        self.slot.end_answer(true);
    }

    /// Writes the final response after the dispatcher's last one, then shuts down. A client that
    /// reads to the end need not wait until its remaining bytes are discarded.
    fn poll_final_response(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.final_response.is_empty() {
            let stream = self
                .stream
                .as_mut()
                .map(Pin::new)
                .ok_or(io::ErrorKind::NotConnected)?;
            let written = stream.poll_write(context, &self.final_response);
            self.slot.note_written(written.is_ready());
            self.final_response.drain(..ready!(written)?);
        }
        self.stream()?.poll_shutdown(context)
    }
}

impl AsyncRead for Io {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.slot.wake_when_answered(context.waker());
        loop {
            // The dispatcher is about to end, at its next flush: it must not read any more.
            if this.slot.is_taken() {
                return Poll::Pending;
            }
            if this.slot.phase() == ClientPhase::Closing
                && !matches!(this.allowance, ReadAllowance::Everything)
            {
                return this.poll_discard(context);
            }
            match this.allowance {
                ReadAllowance::Nothing => match ready!(this.poll_request(context))? {
                    Ok(allowance) => this.allowance = allowance,
                    Err(refusal) => this.refuse(&refusal),
                },
                ReadAllowance::Bytes(0) => {
                    if this.slot.is_bidirectional() {
                        this.allowance = ReadAllowance::Everything;
                    } else if this.slot.phase() == ClientPhase::Idle {
                        this.allowance = ReadAllowance::Nothing;
                    } else {
                        ready!(this.poll_pipelined(context))?;
                        return Poll::Ready(Ok(()));
                    }
                }
                ReadAllowance::Chunked(0, chunks) if chunks.has_ended() => {
                    this.allowance = ReadAllowance::Bytes(0);
                }
                // The request was answered before its body was received; the rest of it is not
                // awaited.
                ReadAllowance::Bytes(_) | ReadAllowance::Chunked(..)
                    if this.slot.phase() == ClientPhase::Idle =>
                {
                    this.slot.note_broken();
                }
                ReadAllowance::Bytes(left) => {
                    if !ready!(this.poll_unread(context))? {
                        return Poll::Ready(Ok(()));
                    }
                    this.give_bytes(out, left);
                    return Poll::Ready(Ok(()));
                }
                ReadAllowance::Chunked(head_left, chunks) => {
                    if !ready!(this.poll_unread(context))? {
                        return Poll::Ready(Ok(()));
                    }
                    this.give_chunks(out, head_left, chunks)?;
                    return Poll::Ready(Ok(()));
                }
                ReadAllowance::Everything if this.unread.is_empty() => {
                    return if this.has_ended {
                        Poll::Ready(Ok(()))
                    } else {
                        this.stream()?.poll_read(context, out)
                    };
                }
                ReadAllowance::Everything => {
                    this.give(out, u64::MAX);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl Io {
    /// Waits for bytes that the dispatcher has not received yet; `false` when the client sends no
    /// more.
    fn poll_unread(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let has_more = !self.unread.is_empty()
            || ready!(self.poll_receive(ReceiveBuffer::AHEAD_MAX, context))? > 0;
        Poll::Ready(Ok(has_more))
    }

    /// Gives the dispatcher the next of the `left` bytes of a request.
    fn give_bytes(&mut self, out: &mut ReadBuf<'_>, left: u64) {
        let left = left - self.give(out, left);
        if left == 0 {
            self.slot.note_whole();
        }
        self.allowance = ReadAllowance::Bytes(left);
    }

    /// Gives the dispatcher the next bytes of a request with a chunked body.
    fn give_chunks(
        &mut self,
        out: &mut ReadBuf<'_>,
        head_left: u64,
        mut chunks: Chunks,
    ) -> io::Result<()> {
        if head_left > 0 {
            self.allowance = ReadAllowance::Chunked(head_left - self.give(out, head_left), chunks);
            return Ok(());
        }
        match chunks.consume(&self.unread[..self.unread.len().min(out.remaining())]) {
            Ok(passed) => {
                self.give(out, passed as u64);
                self.allowance = ReadAllowance::Chunked(0, chunks);
                Ok(())
            }
            // The dispatcher finds the same error, answers it, and ends.
            Err(ChunkError::Malformed) => {
                self.allowance = ReadAllowance::Everything;
                self.give(out, u64::MAX);
                Ok(())
            }
            Err(ChunkError::TooLong) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Reads and discards what a closing connection still receives; ready at the client's end.
    fn poll_discard(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.discarded += self.unread.len();
            self.unread.consume(self.unread.len());
            if self.discarded > DISCARDED_MAX {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if ready!(self.poll_receive(ReceiveBuffer::AHEAD_MAX, context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// While a request is being answered, buffers what the client pipelines; ready when it has
    /// disconnected.
    fn poll_pipelined(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let max = ReceiveBuffer::AHEAD_MAX;
        // A response that may never come has to notice a disconnect, so it reads past the limit, to
        // an error; for any other, backpressure applies.
        while self.slot.is_cancelled_on_eof() || self.unread.has_room(&self.groups, max) {
            if ready!(self.poll_receive(max, context))? == 0 {
                // A client that has closed its sending side still expects its response, unless that
                // may never come.
                return if self.slot.is_cancelled_on_eof() {
                    Poll::Ready(Ok(()))
                } else {
                    Poll::Pending
                };
            }
        }
        Poll::Pending
    }
}

impl AsyncWrite for Io {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = this.stream()?.poll_write(context, bytes);
        this.slot.note_written(written.is_ready());
        written
    }

    /// Called when everything has been written, which is when the dispatcher can be left.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.slot.is_taken() {
            this.slot.note_left();
            return Poll::Ready(Err(io::Error::other("the connection is taken over")));
        }
        if this.slot.phase() == ClientPhase::Closing {
            return this.poll_final_response(context);
        }
        this.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_final_response(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.slot
                .store_connection(stream, std::mem::take(&mut self.unread));
        }
    }
}
