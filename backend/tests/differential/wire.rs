//! One connection of a client that parses HTTP/1.1 itself, strictly, and records what it sees instead of failing.

use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What came on a connection.
#[derive(Debug, Clone)]
pub(crate) enum Seen {
    Answer(Answer),
    /// A frame of a WebSocket: its first byte and its payload.
    Frame(u8, Vec<u8>),
    /// The server closed the connection.
    Closed,
    /// Nothing came until the deadline.
    Silence,
    /// What is not HTTP.
    Malformed(&'static str, Vec<u8>),
}

impl PartialEq for Seen {
    /// What is not HTTP is compared by what is wrong with it.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Answer(one), Self::Answer(other)) => one == other,
            (Self::Frame(first, payload), Self::Frame(other, others)) => {
                (first, payload) == (other, others)
            }
            (Self::Malformed(why, _), Self::Malformed(other, _)) => why == other,
            (Self::Closed, Self::Closed) | (Self::Silence, Self::Silence) => true,
            _ => false,
        }
    }
}

/// An answer; interim answers are answers, too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status line.
    pub(crate) line: String,
    pub(crate) status: u16,
    /// Names in lower case, sorted.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Body,
}

/// An answer's body, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Body {
    /// The answer can't have one.
    None,
    Whole(Vec<u8>),
    /// The next answer begins where it should be.
    Missing,
    /// The connection ended before it did.
    Broken(Vec<u8>),
}

/// How a body ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    None,
    Length(usize),
    Chunks,
    Close,
}

/// A connection to a server.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
    deadline: Duration,
}

/// Why the next bytes did not come.
type Ended = Seen;

impl Wire {
    /// - `deadline`: the longest that the next bytes of an answer are waited for.
    pub(crate) async fn open(address: SocketAddr, deadline: Duration) -> Self {
        let stream = TcpStream::connect(address)
            .await
            .expect("a connection to the server");
        stream.set_nodelay(true).expect("a socket option");
        Self {
            stream,
            unread: Vec::new(),
            deadline,
        }
    }

    /// Sends; the server may have hung up, which the next read sees.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _refused = timeout(self.deadline, self.stream.write_all(bytes)).await;
    }

    /// Ends our half of the connection.
    pub(crate) async fn finish(&mut self) {
        let _gone_already = self.stream.shutdown().await;
    }

    /// Whether a final answer has begun to come, or the connection's end, without waiting.
    pub(crate) fn has_answer(&mut self) -> bool {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        let read = self.stream.try_read_buf(&mut self.unread);
        let has_ended = !matches!(read, Ok(1..)) && !is_not_ready(&read);
        has_ended
            || !CONTINUE.starts_with(self.unread.strip_prefix(CONTINUE).unwrap_or(&self.unread))
    }

    /// The next answer.
    ///
    /// - `is_head`: whether it is a HEAD's.
    pub(crate) async fn answer(&mut self, is_head: bool) -> Seen {
        let (answer, framing) = match self.head(is_head).await {
            Ok(head) => head,
            Err(ended) => return ended,
        };
        match self.body(framing).await {
            Ok(body) => Seen::Answer(Answer { body, ..answer }),
            Err(ended) => ended,
        }
    }

    /// The next answer, of which nobody knows whether it is a HEAD's: it is one's if its body does not come. Another request
    /// follows, or the connection's end.
    pub(crate) async fn answer_to_any(&mut self) -> Seen {
        let (answer, framing) = match self.head(false).await {
            Ok(head) => head,
            Err(ended) => return ended,
        };
        // Only what ends with the connection may have a body that no field announces.
        let framing = if framing == Framing::Close && !answer.closes() {
            Framing::None
        } else {
            framing
        };
        match self.body(framing).await {
            Ok(Body::Broken(bytes)) if bytes.is_empty() => Seen::Answer(answer),
            Ok(Body::Missing) => Seen::Answer(answer),
            Ok(body) => Seen::Answer(Answer { body, ..answer }),
            Err(ended) => ended,
        }
    }

    /// The head of the next answer and how its body ends.
    ///
    /// # Errors
    /// What came instead.
    pub(crate) async fn head(&mut self, is_head: bool) -> Result<(Answer, Framing), Ended> {
        let end = loop {
            if let Some(at) = find(&self.unread, b"\r\n\r\n") {
                break at + 4;
            }
            match self.more().await {
                Err(Seen::Closed) if !self.unread.is_empty() => {
                    return Err(Seen::Malformed(
                        "a head that ends early",
                        std::mem::take(&mut self.unread),
                    ));
                }
                more => more?,
            }
        };
        let bytes: Vec<u8> = self.unread.drain(..end).collect();
        head(&bytes, is_head)
            .map_err(|why| Seen::Malformed(why, [bytes, std::mem::take(&mut self.unread)].concat()))
    }

    /// The body that a head announced.
    ///
    /// # Errors
    /// What came instead.
    pub(crate) async fn body(&mut self, framing: Framing) -> Result<Body, Ended> {
        let mut body = Vec::new();
        match framing {
            Framing::None => return Ok(Body::None),
            Framing::Close => loop {
                body.append(&mut self.unread);
                match self.more().await {
                    Err(Seen::Closed) => return Ok(Body::Whole(body)),
                    more => more?,
                }
            },
            Framing::Length(length) => {
                while self.unread.len() < length {
                    if is_begin_of_answer(&self.unread) {
                        return Ok(Body::Missing);
                    }
                    if let Err(ended) = self.more().await {
                        return self.broken(body, ended);
                    }
                }
                if length > 0 && is_begin_of_answer(&self.unread[..length]) {
                    return Ok(Body::Missing);
                }
                body = self.unread.drain(..length).collect();
            }
            Framing::Chunks => loop {
                match self.chunk().await {
                    Ok(chunk) if chunk.is_empty() => break,
                    Ok(chunk) => body.extend(chunk),
                    Err(Seen::Malformed(..)) if is_begin_of_answer(&self.unread) => {
                        return Ok(Body::Missing);
                    }
                    Err(ended) => return self.broken(body, ended),
                }
            },
        }
        Ok(Body::Whole(body))
    }

    fn broken(&mut self, mut body: Vec<u8>, ended: Ended) -> Result<Body, Ended> {
        match ended {
            Seen::Closed => {
                body.append(&mut self.unread);
                Ok(Body::Broken(body))
            }
            ended => Err(ended),
        }
    }

    /// The next chunk; empty for the last one.
    ///
    /// # Errors
    /// What came instead.
    pub(crate) async fn chunk(&mut self) -> Result<Vec<u8>, Ended> {
        let end = loop {
            match find(&self.unread, b"\r\n") {
                Some(at) => break at,
                None => self.more().await?,
            }
        };
        let size = std::str::from_utf8(&self.unread[..end])
            .ok()
            .filter(|text| !text.starts_with('+'));
        let Some(size) = size.and_then(|text| usize::from_str_radix(text, 16).ok()) else {
            return Err(Seen::Malformed("a chunk's size", self.unread.clone()));
        };
        let whole = end + 2 + size + 2;
        while self.unread.len() < whole {
            self.more().await?;
        }
        if &self.unread[whole - 2..whole] != b"\r\n" {
            return Err(Seen::Malformed("a chunk's end", self.unread.clone()));
        }
        let chunk = self.unread[end + 2..whole - 2].to_vec();
        self.unread.drain(..whole);
        Ok(chunk)
    }

    /// The next frame of a server on a WebSocket.
    pub(crate) async fn frame(&mut self) -> Seen {
        loop {
            match server_frame(&self.unread) {
                Some((length, frame)) => {
                    self.unread.drain(..length);
                    return frame;
                }
                None => match self.more().await {
                    Err(Seen::Closed) if !self.unread.is_empty() => {
                        return Seen::Malformed(
                            "a frame that ends early",
                            std::mem::take(&mut self.unread),
                        );
                    }
                    Err(ended) => return ended,
                    Ok(()) => {}
                },
            }
        }
    }

    async fn more(&mut self) -> Result<(), Ended> {
        match timeout(self.deadline, self.stream.read_buf(&mut self.unread)).await {
            Ok(Ok(1..)) => Ok(()),
            // A reset is an end: which of both it is depends on what was still under way.
            Ok(Ok(0) | Err(_)) => Err(Seen::Closed),
            Err(_) => Err(Seen::Silence),
        }
    }
}

fn is_not_ready(read: &std::io::Result<usize>) -> bool {
    matches!(read, Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

/// Whether an answer begins here, as far as can be seen. No body in these tests begins like one.
fn is_begin_of_answer(bytes: &[u8]) -> bool {
    const BEGIN: &[u8] = b"HTTP/1.1 ";
    !bytes.is_empty() && bytes.starts_with(&BEGIN[..BEGIN.len().min(bytes.len())])
}

fn head(bytes: &[u8], is_head: bool) -> Result<(Answer, Framing), &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "a head that is no text")?;
    let text = text
        .strip_suffix("\r\n\r\n")
        .ok_or("a head without its end")?;
    if text
        .split("\r\n")
        .any(|line| line.contains(['\r', '\n', '\0']))
    {
        return Err("a control character in a head");
    }
    let mut lines = text.split("\r\n");
    let line = lines.next().unwrap_or_default().to_owned();
    let status = line
        .strip_prefix("HTTP/1.1 ")
        .or_else(|| line.strip_prefix("HTTP/1.0 "));
    let status = status
        .and_then(|rest| rest.get(..3))
        .and_then(|code| code.parse::<u16>().ok());
    let status = status.ok_or("a status line")?;
    let mut fields = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or("a field without a colon")?;
        if name.is_empty() || name.contains([' ', '\t']) {
            return Err("a field's name");
        }
        fields.push((
            name.to_ascii_lowercase(),
            value.trim_matches([' ', '\t']).to_owned(),
        ));
    }
    fields.sort();
    let framing = framing(status, &fields, is_head)?;
    Ok((
        Answer {
            line,
            status,
            fields,
            body: Body::None,
        },
        framing,
    ))
}

/// Source: RFC 9112, section 6.3.
fn framing(
    status: u16,
    fields: &[(String, String)],
    is_head: bool,
) -> Result<Framing, &'static str> {
    let values = |name: &str| {
        fields
            .iter()
            .filter(|(it, _)| it == name)
            .map(|(_, value)| value.clone())
            .collect()
    };
    let (lengths, codings): (Vec<String>, Vec<String>) =
        (values("content-length"), values("transfer-encoding"));
    if is_head || status < 200 || status == 204 || status == 304 {
        return Ok(Framing::None);
    }
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(Framing::Close),
        ([], [coding]) if coding == "chunked" => Ok(Framing::Chunks),
        ([length], []) if length.bytes().all(|byte| byte.is_ascii_digit()) => length
            .parse()
            .map(Framing::Length)
            .map_err(|_| "a content length"),
        _ => Err("how long the body is"),
    }
}

/// The frame at the beginning of `bytes` and its length with its head.
fn server_frame(bytes: &[u8]) -> Option<(usize, Seen)> {
    let (first, second) = (*bytes.first()?, *bytes.get(1)?);
    let (at, length): (usize, usize) = match second {
        126 => (
            4,
            usize::from(u16::from_be_bytes(bytes.get(2..4)?.try_into().ok()?)),
        ),
        127 => (
            10,
            usize::try_from(u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?)).ok()?,
        ),
        short => (2, usize::from(short)),
    };
    let payload = bytes.get(at..at.checked_add(length)?)?.to_vec();
    Some((at + length, Seen::Frame(first, payload)))
}

/// Where `needle` begins in `bytes`.
pub(crate) fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .position(|window| window == needle)
}
