//! A TCP connection as a dispatcher sees it: one request at a time, well formed, and it can be taken away.

use super::chunks::{Chunks, NotChunks};
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

/// The longest head that is looked at, in bytes; whether it is too long for this server, the gate says.
const HEAD_READ_MAX: usize = 120 << 10;
/// What is passed over of a connection that ends; who sends more is cut off.
const PASSED_OVER_MAX: usize = 32 << 20;
/// How often malformed requests are told of in the log.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The connection; dropped, it goes into its slot.
#[derive(Debug)]
pub struct Io {
    stream: Option<TcpStream>,
    /// Read and not given to the dispatcher yet.
    unread: ReceiveBuffer,
    /// Bytes of it that were looked at and are no whole head.
    partial: usize,
    given: Given,
    /// A refusal that follows what the dispatcher has written.
    last_words: Vec<u8>,
    /// Bytes passed over since the connection ends.
    passed_over: usize,
    /// The client sends no more.
    has_ended: bool,
    slot: Rc<Slot>,
    counted: Rc<CountedConnection>,
    groups: Rc<Groups>,
    malformed: Rc<Malformed>,
}

/// What the dispatcher may read next.
#[derive(Debug, Clone, Copy)]
enum Given {
    /// Nothing before a whole head is there.
    Nothing,
    /// So many bytes of a request; then nothing until it is answered.
    Bytes(u64),
    /// A request's head of so many bytes and its chunked body to the end; then nothing until it is answered.
    Chunked(u64, Chunks),
    /// Everything.
    Everything,
}

/// How many malformed requests one worker refused, told of from time to time.
#[derive(Debug, Default)]
pub(super) struct Malformed {
    untold: Cell<u64>,
    told_at: Cell<Option<Instant>>,
}

impl Malformed {
    fn note(&self, refusal: &Refusal) {
        self.untold.set(self.untold.get() + 1);
        if self
            .told_at
            .get()
            .is_none_or(|at| at.elapsed() >= REPORT_EVERY)
        {
            self.told_at.set(Some(Instant::now()));
            tracing::warn!(
                "{} malformed requests were refused, the last one: {refusal}",
                self.untold.replace(0)
            );
        }
    }
}

impl Io {
    /// A connection from which `unread` was read already.
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
            given: Given::Nothing,
            last_words: Vec::new(),
            passed_over: 0,
            has_ended: false,
            slot,
            counted,
            groups,
            malformed,
        }
    }

    /// Puts where every request of this connection finds it: its slot, and that it is counted.
    pub fn introduce(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.slot));
        data.insert(Rc::clone(&self.counted));
    }

    fn stream(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        self.stream
            .as_mut()
            .map(Pin::new)
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads once into what is unread unless `max` bytes are; ready with 0 bytes at the client's end.
    fn poll_receive(&mut self, max: usize, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.has_ended {
            return Poll::Ready(Ok(0));
        }
        let stream = self.stream.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        let received = ready!(self.unread.poll_receive(&self.groups, stream, max, context))?;
        self.has_ended = received == 0;
        Poll::Ready(Ok(received))
    }

    /// Gives the dispatcher what it may read of what is unread, up to `max` bytes.
    fn give(&mut self, out: &mut ReadBuf<'_>, max: u64) -> u64 {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let bytes = self.unread.len().min(out.remaining()).min(max);
        out.put_slice(&self.unread[..bytes]);
        self.unread.consume(bytes);
        bytes as u64
    }

    /// Looks at the request that begins what is unread; ready once it can be given, or with its refusal.
    fn poll_request(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<Result<Given, Refusal>>> {
        loop {
            if !self.unread.is_empty() {
                self.slot.begin_head();
                let framed = if self.is_worth_a_look() {
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
                            RequestFraming::Length(bytes) => Given::Bytes(bytes),
                            RequestFraming::Chunked { head_bytes } => {
                                Given::Chunked(head_bytes, Chunks::new())
                            }
                        })));
                    }
                    Framed::Partial if self.unread.len() >= HEAD_READ_MAX => {
                        let refusal = Refusal::HeadTooLarge {
                            came: self.unread.len(),
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
                // Half a head says nothing.
                self.unread.consume(self.unread.len());
                return Poll::Ready(Ok(Ok(Given::Everything)));
            }
        }
    }

    /// Whether what has come since the last look can have made a head whole, or wrong: a line has ended, or it is as long again.
    fn is_worth_a_look(&self) -> bool {
        self.unread.len() >= 2 * self.partial
            || memchr::memchr(b'\n', &self.unread[self.partial..]).is_some()
    }

    /// Refuses a request that no dispatcher sees. All before it were answered, so this is the next answer; it leaves once those
    /// have.
    fn refuse(&mut self, refusal: &Refusal) {
        self.malformed.note(refusal);
        let mut answer = refusal.answer();
        answer.closes = true;
        self.groups.heads().write(
            &mut self.last_words,
            &answer,
            gate::standing(None).lines(),
            true,
        );
        if !self.unread.starts_with(b"HEAD ") {
            let parts = answer.content.iter().flat_map(|content| &content.parts);
            parts.for_each(|part| self.last_words.extend_from_slice(part));
        }
        self.slot.end_answer(true);
    }

    /// Writes what follows the last answer of the dispatcher, and then the end. Who reads to the end need not wait until what
    /// still comes was passed over.
    fn poll_last_words(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.last_words.is_empty() {
            let stream = self
                .stream
                .as_mut()
                .map(Pin::new)
                .ok_or(io::ErrorKind::NotConnected)?;
            let written = stream.poll_write(context, &self.last_words);
            self.slot.note_written(written.is_ready());
            self.last_words.drain(..ready!(written)?);
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
            // What comes now is no longer the dispatcher's, which is about to end: its flush is due.
            if this.slot.is_taken() {
                return Poll::Pending;
            }
            if this.slot.phase() == ClientPhase::Closing && !matches!(this.given, Given::Everything)
            {
                return this.poll_end(context);
            }
            match this.given {
                Given::Nothing => match ready!(this.poll_request(context))? {
                    Ok(given) => this.given = given,
                    Err(refusal) => this.refuse(&refusal),
                },
                Given::Bytes(0) => {
                    if this.slot.is_open() {
                        this.given = Given::Everything;
                    } else if this.slot.phase() == ClientPhase::Idle {
                        this.given = Given::Nothing;
                    } else {
                        ready!(this.poll_ahead(context))?;
                        return Poll::Ready(Ok(()));
                    }
                }
                Given::Chunked(0, chunks) if chunks.has_ended() => this.given = Given::Bytes(0),
                // It was answered before its body had come, which nobody waits for.
                Given::Bytes(_) | Given::Chunked(..) if this.slot.phase() == ClientPhase::Idle => {
                    this.slot.note_broken();
                }
                Given::Bytes(left) => {
                    if this.unread.is_empty()
                        && ready!(this.poll_receive(ReceiveBuffer::AHEAD_MAX, context))? == 0
                    {
                        return Poll::Ready(Ok(()));
                    }
                    let left = left - this.give(out, left);
                    if left == 0 {
                        this.slot.note_whole();
                    }
                    this.given = Given::Bytes(left);
                    return Poll::Ready(Ok(()));
                }
                Given::Chunked(head_left, chunks) => {
                    if this.unread.is_empty()
                        && ready!(this.poll_receive(ReceiveBuffer::AHEAD_MAX, context))? == 0
                    {
                        return Poll::Ready(Ok(()));
                    }
                    this.give_chunks(out, head_left, chunks)?;
                    return Poll::Ready(Ok(()));
                }
                Given::Everything if this.unread.is_empty() => {
                    return if this.has_ended {
                        Poll::Ready(Ok(()))
                    } else {
                        this.stream()?.poll_read(context, out)
                    };
                }
                Given::Everything => {
                    this.give(out, u64::MAX);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl Io {
    /// Gives the dispatcher what it may read of a request with a chunked body.
    fn give_chunks(
        &mut self,
        out: &mut ReadBuf<'_>,
        head_left: u64,
        mut chunks: Chunks,
    ) -> io::Result<()> {
        if head_left > 0 {
            self.given = Given::Chunked(head_left - self.give(out, head_left), chunks);
            return Ok(());
        }
        match chunks.pass(&self.unread[..self.unread.len().min(out.remaining())]) {
            Ok(passed) => {
                self.give(out, passed as u64);
                self.given = Given::Chunked(0, chunks);
                Ok(())
            }
            // The dispatcher finds the same, answers it, and ends.
            Err(NotChunks::Malformed) => {
                self.given = Given::Everything;
                self.give(out, u64::MAX);
                Ok(())
            }
            Err(NotChunks::TooLong) => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    /// Passes over what still comes on a connection that ends; ready at the client's end.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            self.passed_over += self.unread.len();
            self.unread.consume(self.unread.len());
            if self.passed_over > PASSED_OVER_MAX {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if ready!(self.poll_receive(ReceiveBuffer::AHEAD_MAX, context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// While a request is answered: keeps what the client sends ahead; ready when it has left.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let max = ReceiveBuffer::AHEAD_MAX;
        // Ahead of an answer that may never come there is an end to patience; else the rest stays on the connection.
        while self.slot.may_be_left() || self.unread.has_room(&self.groups, max) {
            if ready!(self.poll_receive(max, context))? == 0 {
                // Who says that it sends no more still waits for its answer, unless that may never come.
                return if self.slot.may_be_left() {
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

    /// Called when all that was to be written is written: the moment to leave.
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.slot.is_taken() {
            this.slot.note_left();
            return Poll::Ready(Err(io::Error::other("the connection is taken over")));
        }
        if this.slot.phase() == ClientPhase::Closing {
            // Its last answer is written.
            return this.poll_last_words(context);
        }
        this.stream()?.poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_last_words(context)
    }
}

impl Drop for Io {
    fn drop(&mut self) {
        if let Some(stream) = self.stream.take() {
            self.slot.keep(stream, std::mem::take(&mut self.unread));
        }
    }
}
