//! One connection byte by byte: requests that no proper client would send, and answers exactly as they come.

use super::process::DEADLINE;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Header fields of a WebSocket handshake that is right, each with its line end.
pub(crate) const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// `future`, or a failure that says what was waited for.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited {DEADLINE:?} in vain: {what}"),
    }
}

/// Asks again and again until `look` finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let again = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    within(what, again).await
}

/// An answer, whole.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Names in lower case, in the order in which they came.
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    /// A field's value; `name` in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| value.as_str())
    }

    /// Whether the connection ends after this answer.
    pub(crate) fn says_close(&self) -> bool {
        self.header("connection")
            .is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What is wrong with this as a refusal with a problem document that agrees with its status, if anything.
    pub(crate) fn fault_as_problem(&self) -> Option<String> {
        if self.header("content-type") != Some("application/problem+json") {
            return Some(format!(
                "{} without a problem document: {:?}",
                self.status,
                self.header("content-type")
            ));
        }
        let Some(problem) = tailwater_protocol::Problem::parse(&self.body) else {
            return Some(format!(
                "{} with a body that is no problem document: {}",
                self.status,
                self.text()
            ));
        };
        let is_whole = problem.status == self.status && !problem.detail.is_empty();
        (!is_whole).then(|| {
            format!(
                "{} with a problem document that differs: {problem:?}",
                self.status
            )
        })
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        let stream = within("a connection", TcpStream::connect(address))
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// With a receive buffer so small that the server soon has to wait for whoever does not read.
    pub(crate) async fn open_narrow(address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4 << 10).unwrap();
        let stream = within("a connection", socket.connect(address))
            .await
            .unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// A WebSocket on a stream, at its tail: its handshake is done and its first frame read.
    pub(crate) async fn websocket(address: SocketAddr, name: &str) -> Self {
        let mut wire = Self::open(address).await;
        wire.send(super::subject::get(
            &format!("/v1/stream/{name}?offset=now&live=websocket"),
            UPGRADE,
        ))
        .await;
        let head = wire.head().await.expect("the answer to a handshake");
        assert_eq!(head.status, 101, "{head:?}");
        let (first, _) = wire.frame().await.expect("a first frame");
        assert_eq!(first, 0x81);
        wire
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(
            "the server to take bytes",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
        .unwrap();
    }

    /// Sends as far as the server takes it.
    ///
    /// - Returns whether it took everything; false once it has closed the connection.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        within(
            "the server to take bytes or to close",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
        .is_ok()
    }

    /// Sends as much as the server takes within a moment.
    pub(crate) async fn push(&mut self, bytes: impl AsRef<[u8]>) {
        let _part = tokio::time::timeout(
            Duration::from_millis(500),
            self.stream.write_all(bytes.as_ref()),
        )
        .await;
    }

    /// Ends our half of the connection.
    pub(crate) async fn finish(&mut self) {
        // The other side may have ended the whole connection already.
        let _ended = self.stream.shutdown().await;
    }

    /// Ends the connection with a reset.
    pub(crate) fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }

    /// The next answer; a connection that ends before it is whole is a failure.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.try_answer()
            .await
            .expect("an answer before the connection ends")
    }

    /// The next answer, which has no body as its request was a HEAD.
    pub(crate) async fn answer_to_head(&mut self) -> Answer {
        self.head()
            .await
            .expect("an answer before the connection ends")
    }

    /// The next answer; `None` when the connection ends before it is whole.
    pub(crate) async fn try_answer(&mut self) -> Option<Answer> {
        let mut answer = self.head().await?;
        let has_no_body = answer.status < 200 || [204, 304].contains(&answer.status);
        if has_no_body {
            return Some(answer);
        }
        if answer
            .header("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
        {
            while let Some(chunk) = self.chunk().await? {
                answer.body.extend(chunk);
            }
        } else if let Some(length) = answer.header("content-length") {
            let length = length.parse().unwrap();
            answer.body = self.exactly(length).await?;
        } else {
            answer.body = self.rest().await;
        }
        Some(answer)
    }

    /// The next head alone; `None` when the connection ends before it.
    pub(crate) async fn head(&mut self) -> Option<Answer> {
        let text = String::from_utf8(self.through(b"\r\n\r\n").await?).expect("a head in ASCII");
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("expected a status line: {text}"));
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields
            .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
            .collect();
        Some(Answer {
            status,
            fields,
            body: Vec::new(),
        })
    }

    /// The next chunk of a chunked body: the outer `None` when the connection ends before it, the inner one for the last.
    pub(crate) async fn chunk(&mut self) -> Option<Option<Vec<u8>>> {
        let line = String::from_utf8(self.through(b"\r\n").await?).expect("a chunk's length");
        let length = usize::from_str_radix(line.trim(), 16)
            .unwrap_or_else(|_| panic!("not a chunk's length: {line}"));
        let mut chunk = self.exactly(length + 2).await?;
        chunk.truncate(length);
        Some((length > 0).then_some(chunk))
    }

    /// The next WebSocket frame of the server: its first byte and its payload; `None` when the connection ends before it.
    pub(crate) async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let start = self.exactly(2).await?;
        let length = match start[1] {
            126 => u64::from(u16::from_be_bytes(
                self.exactly(2).await?.try_into().unwrap(),
            )),
            127 => u64::from_be_bytes(self.exactly(8).await?.try_into().unwrap()),
            short => u64::from(short),
        };
        Some((
            start[0],
            self.exactly(usize::try_from(length).unwrap()).await?,
        ))
    }

    /// Exactly so many bytes; `None` when the connection ends before.
    pub(crate) async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.unread.len() < count {
            if !self.more().await {
                return None;
            }
        }
        Some(self.unread.drain(..count).collect())
    }

    /// Everything until the server ends the connection, by whatever means. That it never does is a failure.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        std::mem::take(&mut self.unread)
    }

    async fn through(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self
                .unread
                .windows(end.len())
                .position(|window| window == end)
            {
                return Some(self.unread.drain(..at + end.len()).collect());
            }
            if !self.more().await {
                return None;
            }
        }
    }

    /// Waits for the next bytes; false at the connection's end.
    pub(crate) async fn more(&mut self) -> bool {
        let read = within(
            "bytes from the server, or the connection's end",
            self.stream.read_buf(&mut self.unread),
        );
        read.await.is_ok_and(|count| count > 0)
    }
}

/// A WebSocket frame of a client, masked with zeros.
///
/// - `first`: its first byte: FIN, reserved bits and opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = frame_head(first, payload.len() as u64);
    frame.extend(payload);
    frame
}

/// The beginning of a client's frame that announces so many bytes.
pub(crate) fn frame_head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => head.push(0x80 | short),
        (_, Ok(middle)) => {
            head.push(0x80 | 126);
            head.extend(middle.to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend(length.to_be_bytes());
        }
    }
    head.extend([0; 4]);
    head
}
