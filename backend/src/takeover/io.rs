//! A TCP connection as a dispatcher sees it: one request at a time, well formed, and it can be taken away.

use super::chunks::{Chunks, NotChunks};
use super::request::{Framed, Framing, frame};
use super::slot::{Phase, Slot};
use crate::api::Refusal;
use crate::api::gate::{self, Connection};
use crate::live::Groups;
use actix_web::dev::Extensions;
use bytes::{Buf, Bytes, BytesMut};
use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What is read at once.
const READ_BYTES: usize = 16 << 10;
/// The longest head that is looked at, in bytes; whether it is too long for this server, the gate says.
const HEAD_READ_MAX: usize = 120 << 10;
/// What is passed over of a connection that ends; who sends more is cut off.
const PASSED_OVER_MAX: usize = 32 << 20;
/// What a client may send ahead of an answer, in bytes; more stays on the connection.
const AHEAD_MAX: usize = 64 << 10;
/// How often malformed requests are told of in the log.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// The connection; dropped, it goes into its slot.
#[derive(Debug)]
pub struct Io {
    stream: Option<TcpStream>,
    /// Read and not given to the dispatcher yet.
    unread: BytesMut,
    given: Given,
    /// Bytes passed over since the connection ends.
    passed_over: usize,
    /// The client sends no more.
    has_ended: bool,
    slot: Rc<Slot>,
    counted: Rc<Connection>,
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
        if self.told_at.get().is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.told_at.set(Some(Instant::now()));
            tracing::warn!("{} malformed requests were refused, the last one: {refusal}", self.untold.replace(0));
        }
    }
}

impl Io {
    /// A connection from which `unread` was read already.
    pub(super) fn new(
        stream: TcpStream,
        unread: Bytes,
        slot: Rc<Slot>,
        counted: Rc<Connection>,
        groups: Rc<Groups>,
        malformed: Rc<Malformed>,
    ) -> Self {
        let unread = BytesMut::from(unread);
        Self {
            stream: Some(stream),
            unread,
            given: Given::Nothing,
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
        self.stream.as_mut().map(Pin::new).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    /// Reads once into what is unread; ready with 0 bytes at the client's end.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.has_ended {
            return Poll::Ready(Ok(0));
        }
        let before = self.unread.len();
        self.unread.resize(before + READ_BYTES, 0);
        let stream = self.stream.as_mut().map(Pin::new);
        let mut out = ReadBuf::new(&mut self.unread[before..]);
        let read =
            stream.map_or(Poll::Ready(Err(io::ErrorKind::NotConnected.into())), |it| it.poll_read(context, &mut out));
        let received = out.filled().len();
        self.unread.truncate(before + received);
        ready!(read)?;
        self.has_ended = received == 0;
        Poll::Ready(Ok(received))
    }

    /// Gives the dispatcher what it may read of what is unread, up to `max` bytes.
    fn give(&mut self, out: &mut ReadBuf<'_>, max: u64) -> u64 {
        let max = usize::try_from(max).unwrap_or(usize::MAX);
        let bytes = self.unread.len().min(out.remaining()).min(max);
        out.put_slice(&self.unread[..bytes]);
        self.unread.advance(bytes);
        bytes as u64
    }

    /// Looks at the request that begins what is unread; ready once it can be given, or with its refusal.
    fn poll_request(&mut self, context: &mut Context<'_>) -> Poll<io::Result<Result<Given, Refusal>>> {
        loop {
            if !self.unread.is_empty() {
                self.slot.begin_head();
                match frame(&mut self.unread) {
                    Framed::Whole { framing, is_plain } => {
                        self.slot.note_request(is_plain);
                        return Poll::Ready(Ok(Ok(match framing {
                            Framing::Length(bytes) => Given::Bytes(bytes),
                            Framing::Chunked { head_bytes } => Given::Chunked(head_bytes, Chunks::new()),
                        })));
                    }
                    Framed::Partial if self.unread.len() <= HEAD_READ_MAX => {}
                    Framed::Partial => {
                        let refusal = Refusal::HeadTooLarge { came: self.unread.len(), limit: HEAD_READ_MAX as u64 };
                        return Poll::Ready(Ok(Err(refusal)));
                    }
                    Framed::Malformed(refusal) => return Poll::Ready(Ok(Err(refusal))),
                }
            }
            if ready!(self.poll_receive(context))? == 0 {
                // Half a head says nothing.
                self.unread.clear();
                return Poll::Ready(Ok(Ok(Given::Everything)));
            }
        }
    }

    /// Refuses a request that no dispatcher sees. Nothing else is being answered, so this is the next answer.
    fn refuse(&mut self, refusal: &Refusal) {
        self.malformed.note(refusal);
        let mut answer = refusal.answer();
        answer.closes = true;
        let mut bytes = Vec::new();
        self.groups.heads().write(&mut bytes, &answer, gate::standing(None).lines(), true);
        if !self.unread.starts_with(b"HEAD ") {
            answer.content.iter().flat_map(|content| &content.parts).for_each(|part| bytes.extend_from_slice(part));
        }
        if let Some(stream) = &self.stream {
            // Who does not take these few bytes is not told.
            let _told = stream.try_write(&bytes);
        }
        self.slot.end_answer(true);
    }
}

impl AsyncRead for Io {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, out: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.slot.wake_when_answered(context.waker());
        loop {
            // What comes now is no longer the dispatcher's, which is about to end: its flush is due.
            if this.slot.is_taken() {
                return Poll::Pending;
            }
            if this.slot.phase() == Phase::Closing && !matches!(this.given, Given::Everything) {
                return this.poll_end(context);
            }
            match this.given {
                Given::Nothing => match ready!(this.poll_request(context))? {
                    Ok(given) => this.given = given,
                    Err(refusal) => {
                        this.refuse(&refusal);
                        // The client sees the end at once; what it sends until it has seen it is passed over.
                        ready!(this.stream()?.poll_shutdown(context))?;
                    }
                },
                Given::Bytes(0) => {
                    if this.slot.is_open() {
                        this.given = Given::Everything;
                    } else if this.slot.phase() == Phase::Idle {
                        this.given = Given::Nothing;
                    } else {
                        ready!(this.poll_ahead(context))?;
                        return Poll::Ready(Ok(()));
                    }
                }
                Given::Chunked(0, chunks) if chunks.has_ended() => this.given = Given::Bytes(0),
                // It was answered before its body had come, which nobody waits for.
                Given::Bytes(_) | Given::Chunked(..) if this.slot.phase() == Phase::Idle => {
                    this.slot.note_broken();
                    ready!(this.stream()?.poll_shutdown(context))?;
                }
                Given::Bytes(left) => {
                    if this.unread.is_empty() && ready!(this.poll_receive(context))? == 0 {
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
                    if this.unread.is_empty() && ready!(this.poll_receive(context))? == 0 {
                        return Poll::Ready(Ok(()));
                    }
                    this.give_chunks(out, head_left, chunks)?;
                    return Poll::Ready(Ok(()));
                }
                Given::Everything if this.unread.is_empty() => {
                    return if this.has_ended { Poll::Ready(Ok(())) } else { this.stream()?.poll_read(context, out) };
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
    fn give_chunks(&mut self, out: &mut ReadBuf<'_>, head_left: u64, mut chunks: Chunks) -> io::Result<()> {
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
            self.unread.clear();
            if self.passed_over > PASSED_OVER_MAX {
                return Poll::Ready(Err(io::ErrorKind::InvalidData.into()));
            }
            if ready!(self.poll_receive(context))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }

    /// While a request is answered: keeps what the client sends ahead; ready when it has left.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.unread.len() < AHEAD_MAX {
            if ready!(self.poll_receive(context))? == 0 {
                // Who says that it sends no more still waits for its answer, unless that may never come.
                return if self.slot.may_be_left() { Poll::Ready(Ok(())) } else { Poll::Pending };
            }
        }
        Poll::Pending
    }
}

impl AsyncWrite for Io {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
        if this.slot.phase() == Phase::Closing {
            // Its last answer is written. Who reads to the end need not wait until what still comes was passed over.
            return this.stream()?.poll_shutdown(context);
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
            self.slot.keep(stream, std::mem::take(&mut self.unread).freeze());
        }
    }
}
