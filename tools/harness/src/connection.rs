//! A TCP connection whose every byte is the test's business: what no proper client would send, and what comes exactly as it
//! comes.
//!
//! Methods that begin with `try_` return what went wrong; the others fail the test, and so does a server that keeps a test
//! waiting.

mod expecting;

use crate::http::{BodyLength, DecodeError, Response, ResponseDecoder, ResponsePart};
use crate::wait::{DEADLINE, within};
use crate::websocket::{FrameDecoder, FramePart};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Read at once, at least.
const READ_BYTES_MIN: usize = 16 << 10;

/// Why there is nothing more to read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// The server ended the connection between two responses or frames; a reset counts as an end.
    #[error("the server closed the connection")]
    Closed,
    /// The server ended the connection within a response or a frame.
    #[error("the server closed the connection early: {0}")]
    ClosedEarly(DecodeError),
    /// Nothing came until the deadline.
    #[error("nothing came until the deadline")]
    Silence,
    /// What came is no response or frame.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// A part of a response that stands on its own.
enum OwnedPart {
    Head { head: Response, text: String },
    Data(Vec<u8>),
    ChunkEnd,
    Trailer,
    End,
}

impl From<ResponsePart<'_>> for OwnedPart {
    fn from(part: ResponsePart<'_>) -> Self {
        match part {
            ResponsePart::Head(head) => Self::Head {
                head: Response::from(&head),
                text: head.text().to_owned(),
            },
            ResponsePart::Data(data) => Self::Data(data.to_vec()),
            ResponsePart::ChunkEnd => Self::ChunkEnd,
            ResponsePart::Trailer { .. } => Self::Trailer,
            ResponsePart::End => Self::End,
        }
    }
}

/// One connection to a server.
#[derive(Debug)]
pub struct RawConnection {
    stream: TcpStream,
    unread: Vec<u8>,
    responses: ResponseDecoder,
    frames: FrameDecoder,
    deadline: Duration,
    head_text: String,
    sent_bytes: u64,
    received_bytes: u64,
}

impl RawConnection {
    /// Connects.
    ///
    /// # Panics
    /// When nobody listens at `address`.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn open(address: SocketAddr) -> Self {
        let connected = within("a connection", TcpStream::connect(address)).await;
        Self::over(connected.expect("a connection to the server"))
    }

    /// Connects with a receive buffer so small that the server soon has to wait for whoever does not read.
    ///
    /// # Panics
    /// As [`RawConnection::open`].
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket
            .set_recv_buffer_size(4 << 10)
            .expect("a socket option");
        let connected = within("a connection", socket.connect(address)).await;
        Self::over(connected.expect("a connection to the server"))
    }

    fn over(stream: TcpStream) -> Self {
        // Only makes what is sent in pieces leave in pieces.
        let _unsupported = stream.set_nodelay(true);
        Self {
            stream,
            unread: Vec::new(),
            responses: ResponseDecoder::new(),
            frames: FrameDecoder::new(),
            deadline: DEADLINE,
            head_text: String::new(),
            sent_bytes: 0,
            received_bytes: 0,
        }
    }

    /// Waits at most so long for the next bytes, instead of [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Bytes that were sent.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// Bytes that came.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// Bytes that came and that nobody has asked for yet.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The last head exactly as it came, with its empty line.
    #[must_use]
    pub fn head_text(&self) -> &str {
        &self.head_text
    }

    /// How the body of the last head ends.
    #[must_use]
    pub fn body_length(&self) -> BodyLength {
        self.responses.body_length()
    }

    /// Says that the body that the last head announces does not come: the next response begins here.
    pub fn skip_body(&mut self) {
        self.responses.skip_body();
    }

    /// What came of a head or of a line between chunks whose rest has not come yet.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        self.responses.unfinished()
    }

    /// Says that the next final response answers a HEAD.
    pub fn expect_no_body(&mut self) {
        self.responses.expect_no_body();
    }

    /// Sends.
    ///
    /// # Panics
    /// When the server does not take it.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let is_taken = self.try_send(bytes).await;
        assert!(is_taken, "the server took less than {} bytes", bytes.len());
    }

    /// Sends as far as the server takes it.
    ///
    /// - Returns whether it took everything; false once it has closed the connection.
    ///
    /// # Panics
    /// When it neither takes it nor closes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        let sending = self.stream.write_all(bytes);
        let is_taken = within("the server to take bytes or to close", sending)
            .await
            .is_ok();
        if is_taken {
            self.sent_bytes += bytes.len() as u64;
        }
        is_taken
    }

    /// Sends as much as the server takes within `time`, of which nobody knows how much it was.
    pub async fn send_for(&mut self, time: Duration, bytes: impl AsRef<[u8]>) {
        let _part = timeout(time, self.stream.write_all(bytes.as_ref())).await;
    }

    /// Ends our half of the connection.
    pub async fn finish(&mut self) {
        // The other side may have ended the whole connection already.
        let _ended = self.stream.shutdown().await;
    }

    /// Ends the connection with a reset.
    ///
    /// # Panics
    /// When the system does not know how.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub fn reset(self) {
        self.stream.set_zero_linger().expect("a socket option");
    }

    /// Waits for bytes.
    ///
    /// # Errors
    /// [`ReadFault::Closed`] or [`ReadFault::Silence`].
    pub async fn try_more(&mut self) -> Result<(), ReadFault> {
        self.unread.reserve(READ_BYTES_MIN);
        match timeout(self.deadline, self.stream.read_buf(&mut self.unread)).await {
            Ok(Ok(count @ 1..)) => {
                self.received_bytes += count as u64;
                Ok(())
            }
            // A reset is an end: which of both it is depends on what was still under way.
            Ok(Ok(0) | Err(_)) => Err(ReadFault::Closed),
            Err(_) => Err(ReadFault::Silence),
        }
    }

    /// Takes what has come already; whether the connection has ended.
    pub fn take_what_came(&mut self) -> bool {
        self.unread.reserve(READ_BYTES_MIN);
        match self.stream.try_read_buf(&mut self.unread) {
            Ok(count) => {
                self.received_bytes += count as u64;
                count == 0
            }
            Err(reason) => reason.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    /// Waits for bytes; false at the connection's end.
    ///
    /// # Panics
    /// When neither comes.
    pub async fn more(&mut self) -> bool {
        or_fail(self.try_more().await, "bytes, or the connection's end").is_some()
    }

    /// Exactly so many bytes.
    ///
    /// # Panics
    /// When the connection ends before.
    pub async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            let missing = count - self.unread.len();
            assert!(
                self.more().await,
                "the connection ended {missing} bytes too early"
            );
        }
        self.unread.drain(..count).collect()
    }

    /// Everything until the server ends the connection, by whatever means.
    ///
    /// # Panics
    /// When it never does.
    pub async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    /// The next part of a response.
    async fn part(&mut self) -> Result<OwnedPart, ReadFault> {
        loop {
            let mut input = &self.unread[..];
            let found = self.responses.next(&mut input);
            let found = found.map(|part| part.map(OwnedPart::from));
            let taken = self.unread.len() - input.len();
            self.unread.drain(..taken);
            match found? {
                Some(OwnedPart::Trailer) => {}
                Some(part) => return Ok(part),
                None => match self.try_more().await {
                    Err(ReadFault::Closed) => {
                        let end = self.responses.finish();
                        return match end.map_err(ReadFault::ClosedEarly)? {
                            Some(part) => Ok(part.into()),
                            None => Err(ReadFault::Closed),
                        };
                    }
                    more => more?,
                },
            }
        }
    }

    /// The next head alone, behind the end of a response whose body was read or that has none. Its body is read by
    /// [`RawConnection::body`] or [`RawConnection::chunk`].
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_head(&mut self) -> Result<Response, ReadFault> {
        loop {
            match self.part().await? {
                OwnedPart::Head { head, text } => {
                    self.head_text = text;
                    return Ok(head);
                }
                OwnedPart::End => {}
                _ => {
                    return Err(ReadFault::Malformed(DecodeError {
                        expected: "a head, as nobody has read the body before it",
                        came: self.head_text.clone(),
                    }));
                }
            }
        }
    }

    /// The rest of the body whose head was read.
    ///
    /// - `data`: where the data goes, also if it is not whole.
    ///
    /// # Errors
    /// What came instead of its end.
    pub async fn try_body(&mut self, data: &mut Vec<u8>) -> Result<(), ReadFault> {
        loop {
            match self.part().await? {
                OwnedPart::Data(piece) => data.extend_from_slice(&piece),
                OwnedPart::End => return Ok(()),
                OwnedPart::ChunkEnd | OwnedPart::Trailer | OwnedPart::Head { .. } => {}
            }
        }
    }

    /// The next chunk of a chunked body whose head was read, or `None` behind its last.
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_chunk(&mut self) -> Result<Option<Vec<u8>>, ReadFault> {
        let mut chunk = Vec::new();
        loop {
            match self.part().await? {
                OwnedPart::Data(piece) => chunk.extend_from_slice(&piece),
                OwnedPart::ChunkEnd => return Ok(Some(chunk)),
                OwnedPart::End => return Ok(None),
                OwnedPart::Trailer | OwnedPart::Head { .. } => {}
            }
        }
    }

    /// The next response.
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_response(&mut self) -> Result<Response, ReadFault> {
        let head = self.try_head().await?;
        let mut body = Vec::new();
        self.try_body(&mut body).await?;
        Ok(Response {
            body: body.into(),
            ..head
        })
    }

    /// The next frame of a WebSocket: its first byte and its payload.
    ///
    /// # Errors
    /// What came instead.
    pub async fn try_frame(&mut self) -> Result<(u8, Vec<u8>), ReadFault> {
        let mut payload = Vec::new();
        loop {
            let mut input = &self.unread[..];
            let (ended, goes_on) = match self.frames.next(&mut input)? {
                Some(FramePart::End { first }) => (Some(first), true),
                Some(FramePart::Payload(bytes)) => {
                    payload.extend_from_slice(bytes);
                    (None, true)
                }
                Some(FramePart::Begin { .. }) => (None, true),
                None => (None, false),
            };
            let taken = self.unread.len() - input.len();
            self.unread.drain(..taken);
            if let Some(first) = ended {
                return Ok((first, payload));
            }
            if goes_on {
                continue;
            }
            match self.try_more().await {
                Err(ReadFault::Closed) if self.frames.is_within() => {
                    return Err(ReadFault::ClosedEarly(DecodeError {
                        expected: "the rest of a frame",
                        came: String::new(),
                    }));
                }
                more => more?,
            }
        }
    }
}

/// What was read, or `None` at the connection's end.
#[expect(clippy::panic, reason = "a test fails by panicking")]
fn or_fail<T>(read: Result<T, ReadFault>, what: &str) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(ReadFault::Closed | ReadFault::ClosedEarly(_)) => None,
        Err(fault) => panic!("waited for {what}: {fault}"),
    }
}
