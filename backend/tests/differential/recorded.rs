//! A connection whose client is strict about HTTP/1.1, and records what it receives instead of
//! failing.

use std::net::SocketAddr;
use std::time::Duration;
use tailwater_harness::connection::ReadFault;
use tailwater_harness::http::BodyLength;
use tailwater_harness::{RawConnection, Response};

/// What arrived on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Recorded {
    Response(RecordedResponse),
    /// A frame of a WebSocket: its first byte and its payload.
    Frame(u8, Vec<u8>),
    /// The server closed the connection.
    Closed,
    /// Nothing arrived before the deadline.
    Silence,
    /// Bytes that are not HTTP.
    Malformed(&'static str, Vec<u8>),
}

impl PartialEq for Recorded {
    /// Invalid HTTP is compared by its fault, not by its bytes.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Response(one), Self::Response(other)) => one == other,
            (Self::Frame(first, payload), Self::Frame(other, others)) => {
                (first, payload) == (other, others)
            }
            (Self::Malformed(why, _), Self::Malformed(other, _)) => why == other,
            (Self::Closed, Self::Closed) | (Self::Silence, Self::Silence) => true,
            _ => false,
        }
    }
}

/// A response; interim responses are responses, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RecordedResponse {
    /// The status line.
    pub(crate) line: String,
    pub(crate) status: u16,
    /// Names in lower case, sorted.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: RecordedBody,
}

impl From<Response> for RecordedResponse {
    /// The head without a body.
    fn from(head: Response) -> Self {
        let mut fields = head.fields;
        fields.sort();
        Self {
            line: head.line,
            status: head.status,
            fields,
            body: RecordedBody::None,
        }
    }
}

/// The decoded body of a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum RecordedBody {
    /// The response cannot have a body.
    None,
    Whole(Vec<u8>),
    /// The next response begins where the body should.
    Missing,
    /// The connection ended before the body did.
    Broken(Vec<u8>),
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct RecordingConnection {
    raw: RawConnection,
    deadline: Duration,
}

/// What arrived instead of what was expected.
type Instead = Recorded;

impl RecordingConnection {
    /// - `deadline`: the longest wait for the next bytes of a response.
    pub(crate) async fn open(address: SocketAddr, deadline: Duration) -> Self {
        let raw = RawConnection::open(address).await.with_deadline(deadline);
        Self { raw, deadline }
    }

    /// Sends bytes. If the server has closed the connection, the next read reports it.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.raw.send_for(self.deadline, bytes).await;
    }

    /// Closes the client's half of the connection.
    pub(crate) async fn finish(&mut self) {
        self.raw.finish().await;
    }

    /// Whether a final response has begun to arrive, or the connection has ended; does not wait.
    pub(crate) fn has_answer(&mut self) -> bool {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let has_ended = self.raw.read_available();
        let unread = self.raw.unread();
        has_ended || !CONTINUE.starts_with(unread.strip_prefix(CONTINUE).unwrap_or(unread))
    }

    /// The next response.
    ///
    /// - `is_head`: whether the request was a HEAD.
    pub(crate) async fn answer(&mut self, is_head: bool) -> Recorded {
        let answer = match self.head(is_head).await {
            Ok(head) => head,
            Err(instead) => return instead,
        };
        match self.body().await {
            Ok(body) => Recorded::Response(RecordedResponse { body, ..answer }),
            Err(instead) => instead,
        }
    }

    /// The next response, when it is not known whether it answers a HEAD. It does if its body does
    /// not follow. Another request follows, or the end of the connection.
    pub(crate) async fn answer_to_any(&mut self) -> Recorded {
        let answer = match self.head(false).await {
            Ok(head) => head,
            Err(instead) => return instead,
        };
        // Only a body that ends with the connection is not announced by a field.
        if self.raw.body_length() == BodyLength::UntilClosed && !answer.closes() {
            self.raw.skip_body();
        }
        match self.body().await {
            Ok(RecordedBody::Broken(bytes)) if bytes.is_empty() => Recorded::Response(answer),
            Ok(RecordedBody::Missing) => Recorded::Response(answer),
            Ok(body) => Recorded::Response(RecordedResponse { body, ..answer }),
            Err(instead) => instead,
        }
    }

    /// The head of the next response.
    ///
    /// # Errors
    /// What arrived instead.
    pub(crate) async fn head(&mut self, is_head: bool) -> Result<RecordedResponse, Instead> {
        if is_head {
            self.raw.expect_no_body();
        }
        match self.raw.try_head().await {
            Ok(head) => Ok(head.into()),
            Err(ReadFault::ClosedEarly(fault)) => Err(Recorded::Malformed(
                "a head that ends early",
                fault.found.into_bytes(),
            )),
            Err(fault) => Err(self.instead(fault)),
        }
    }

    /// Whether the body that follows is chunked.
    pub(crate) fn is_chunked(&self) -> bool {
        self.raw.body_length() == BodyLength::Chunked
    }

    /// The body that follows the head.
    ///
    /// # Errors
    /// What arrived instead.
    pub(crate) async fn body(&mut self) -> Result<RecordedBody, Instead> {
        match self.raw.body_length() {
            BodyLength::None => return Ok(RecordedBody::None),
            BodyLength::Bytes(0) => return Ok(RecordedBody::Whole(Vec::new())),
            BodyLength::UntilClosed => {}
            BodyLength::Bytes(_) | BodyLength::Chunked => {
                while self.raw.unread().is_empty() {
                    match self.raw.try_more().await {
                        Err(ReadFault::Closed) => {
                            self.raw.skip_body();
                            return Ok(RecordedBody::Broken(Vec::new()));
                        }
                        more => more.map_err(|fault| self.instead(fault))?,
                    }
                }
                if is_begin_of_answer(self.raw.unread()) {
                    self.raw.skip_body();
                    return Ok(RecordedBody::Missing);
                }
            }
        }
        let mut body = Vec::new();
        match self.raw.try_body(&mut body).await {
            Ok(()) => Ok(RecordedBody::Whole(body)),
            Err(ReadFault::Closed | ReadFault::ClosedEarly(_)) => {
                body.extend_from_slice(self.raw.unfinished());
                self.raw.skip_body();
                Ok(RecordedBody::Broken(body))
            }
            Err(fault) => Err(self.instead(fault)),
        }
    }

    /// The next chunk; empty for the last one.
    ///
    /// # Errors
    /// What arrived instead.
    pub(crate) async fn chunk(&mut self) -> Result<Vec<u8>, Instead> {
        let chunk = self.raw.try_chunk().await;
        chunk
            .map(Option::unwrap_or_default)
            .map_err(|fault| self.instead(fault))
    }

    /// The next frame on a WebSocket.
    pub(crate) async fn frame(&mut self) -> Recorded {
        match self.raw.try_frame().await {
            Ok((first, payload)) => Recorded::Frame(first, payload),
            Err(ReadFault::ClosedEarly(_)) => {
                Recorded::Malformed("a frame that ends early", Vec::new())
            }
            Err(fault) => self.instead(fault),
        }
    }

    fn instead(&self, fault: ReadFault) -> Instead {
        match fault {
            ReadFault::Closed | ReadFault::ClosedEarly(_) => Recorded::Closed,
            ReadFault::Silence => Recorded::Silence,
            ReadFault::Malformed(fault) => Recorded::Malformed(
                fault.expected,
                [fault.found.as_bytes(), self.raw.unread()].concat(),
            ),
        }
    }
}

/// Whether `bytes` begin like a response, as far as they have arrived. No body in these tests does.
fn is_begin_of_answer(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.1 ";
    !bytes.is_empty() && bytes.starts_with(&BEGIN[..BEGIN.len().min(bytes.len())])
}

/// The position of `needle` in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
