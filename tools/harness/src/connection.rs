//! A raw TCP connection: tests send any bytes on it, and read responses as they arrive.
//!
//! Methods that begin with `try_` return errors; the others panic, as they do when the server does
//! not react before the deadline.

mod expecting;

use crate::http::{BodyLength, DecodeError, Response, ResponseDecoder, ResponsePart};
use crate::wait::{DEADLINE, within};
use crate::websocket::{FrameDecoder, FramePart};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The least free space in the buffer for each read.
const READ_BYTES_MIN: usize = 16 << 10;

/// Why nothing more can be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadFault {
    /// The server closed the connection between two responses or frames; a reset counts as a close.
    #[error("the server closed the connection")]
    Closed,
    /// The server closed the connection within a response or a frame.
    #[error("the server closed the connection early: {0}")]
    ClosedEarly(DecodeError),
    /// Nothing arrived before the deadline.
    #[error("nothing arrived before the deadline")]
    Silence,
    /// The bytes are not a valid response or frame.
    #[error(transparent)]
    Malformed(#[from] DecodeError),
}

/// A part of a response that does not borrow from the buffer.
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
    /// If no server listens at `address`.
    #[expect(clippy::expect_used, reason = "a test fails by panicking")]
    pub async fn open(address: SocketAddr) -> Self {
        let connected = within("a connection", TcpStream::connect(address)).await;
        Self::over(connected.expect("a connection to the server"))
    }

    /// Connects with a small receive buffer, so that the server soon cannot send to a client that
    /// does not read.
    ///
    /// # Panics
    /// Like [`RawConnection::open`].
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
        // Without this, pieces could be sent together.
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

    /// Waits at most `deadline` for the next bytes, instead of [`DEADLINE`].
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The number of bytes sent.
    #[must_use]
    pub fn sent_bytes(&self) -> u64 {
        self.sent_bytes
    }

    /// The number of bytes received.
    #[must_use]
    pub fn received_bytes(&self) -> u64 {
        self.received_bytes
    }

    /// The bytes that were received and not read yet.
    #[must_use]
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The text of the last head, including its empty line.
    #[must_use]
    pub fn head_text(&self) -> &str {
        &self.head_text
    }

    /// How the body of the last response ends.
    #[must_use]
    pub fn body_length(&self) -> BodyLength {
        self.responses.body_length()
    }

    /// Skips the body of the last response: the next bytes are a new response.
    pub fn skip_body(&mut self) {
        self.responses.skip_body();
    }

    /// The received part of an unfinished head or chunk line.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        self.responses.unfinished()
    }

    /// Announces that the next final response is to a HEAD request.
    pub fn expect_no_body(&mut self) {
        self.responses.expect_no_body();
    }

    /// Sends `bytes`.
    ///
    /// # Panics
    /// If the server does not accept all of them.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let is_sent = self.try_send(bytes).await;
        assert!(
            is_sent,
            "the server accepted fewer than {} bytes",
            bytes.len()
        );
    }

    /// Sends `bytes` until the server closes the connection.
    ///
    /// - Returns whether everything was sent; false once the server has closed the connection.
    ///
    /// # Panics
    /// If the server neither accepts the bytes nor closes.
    pub async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        let bytes = bytes.as_ref();
        let sending = self.stream.write_all(bytes);
        let is_sent = within("the server to accept bytes or to close", sending)
            .await
            .is_ok();
        if is_sent {
            self.sent_bytes += bytes.len() as u64;
        }
        is_sent
    }

    /// Sends as much as the server accepts within `time`.
    pub async fn send_for(&mut self, time: Duration, bytes: impl AsRef<[u8]>) {
        let _part = timeout(time, self.stream.write_all(bytes.as_ref())).await;
    }

    /// Closes the client's half of the connection.
    pub async fn finish(&mut self) {
        // The server may have closed the whole connection already.
        let _ended = self.stream.shutdown().await;
    }

    /// Resets the connection.
    ///
    /// # Panics
    /// If the system does not support it.
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
            // A reset counts as a close: which of the two arrives depends on timing.
            Ok(Ok(0) | Err(_)) => Err(ReadFault::Closed),
            Err(_) => Err(ReadFault::Silence),
        }
    }

    /// Reads what has already arrived, without waiting; returns whether the connection has ended.
    pub fn read_available(&mut self) -> bool {
        self.unread.reserve(READ_BYTES_MIN);
        match self.stream.try_read_buf(&mut self.unread) {
            Ok(count) => {
                self.received_bytes += count as u64;
                count == 0
            }
            Err(reason) => reason.kind() != std::io::ErrorKind::WouldBlock,
        }
    }

    /// Waits for bytes; returns false at the end of the connection.
    ///
    /// # Panics
    /// If neither arrives.
    pub async fn more(&mut self) -> bool {
        or_fail(self.try_more().await, "bytes, or the end of the connection").is_some()
    }

    /// Exactly `count` bytes.
    ///
    /// # Panics
    /// If the connection ends before.
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

    /// Everything until the server closes or resets the connection.
    ///
    /// # Panics
    /// If it does not.
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

    /// The next head. The body of the previous response must have been read or skipped.
    /// [`RawConnection::body`] and [`RawConnection::chunk`] read the body that follows.
    ///
    /// # Errors
    /// What arrived instead.
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
                        expected: "a head, but the body before it was not read",
                        found: self.head_text.clone(),
                    }));
                }
            }
        }
    }

    /// Reads the rest of the body that follows the last head.
    ///
    /// - `data`: where the data is appended, even if the body is incomplete.
    ///
    /// # Errors
    /// What arrived instead of the end of the body.
    pub async fn try_body(&mut self, data: &mut Vec<u8>) -> Result<(), ReadFault> {
        loop {
            match self.part().await? {
                OwnedPart::Data(piece) => data.extend_from_slice(&piece),
                OwnedPart::End => return Ok(()),
                OwnedPart::ChunkEnd | OwnedPart::Trailer | OwnedPart::Head { .. } => {}
            }
        }
    }

    /// The next chunk of a chunked body, or `None` after the last one.
    ///
    /// # Errors
    /// What arrived instead.
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
    /// What arrived instead.
    pub async fn try_response(&mut self) -> Result<Response, ReadFault> {
        let head = self.try_head().await?;
        let mut body = Vec::new();
        self.try_body(&mut body).await?;
        Ok(Response {
            body: body.into(),
            ..head
        })
    }

    /// The next WebSocket frame: its first byte and its payload.
    ///
    /// # Errors
    /// What arrived instead.
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
                        found: String::new(),
                    }));
                }
                more => more?,
            }
        }
    }
}

/// The value, or `None` if the connection has ended; panics on other faults.
#[expect(clippy::panic, reason = "a test fails by panicking")]
fn or_fail<T>(read: Result<T, ReadFault>, what: &str) -> Option<T> {
    match read {
        Ok(value) => Some(value),
        Err(ReadFault::Closed | ReadFault::ClosedEarly(_)) => None,
        Err(fault) => panic!("waited for {what}: {fault}"),
    }
}
