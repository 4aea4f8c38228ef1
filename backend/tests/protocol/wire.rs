//! HTTP/1.1 by hand, for what a proper client would never send or would hide.

use super::harness::{Server, until, within};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection, byte by byte.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// The head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    text: String,
}

impl Head {
    /// A header's value; names in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }
}

impl Wire {
    pub(crate) async fn open(server: &Server) -> Self {
        let stream = within("a connection", TcpStream::connect(server.address))
            .await
            .unwrap();
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// Opens a connection and sends a request line and headers (each with its line end) to it.
    pub(crate) async fn ask(server: &Server, line: &str, headers: &str) -> Self {
        let mut wire = Self::open(server).await;
        wire.send(format!(
            "{line} HTTP/1.1\r\nHost: {}\r\n{headers}\r\n",
            server.address
        ))
        .await;
        wire
    }

    /// A connection whose long-poll for `target` is being held at this moment.
    pub(crate) async fn waiting(server: &Server, target: &str) -> Self {
        let mut wire = Self::open(server).await;
        wire.wait(server, target).await;
        wire
    }

    /// Asks for `target` on this connection, and comes back when the long-poll is being held.
    pub(crate) async fn wait(&mut self, server: &Server, target: &str) {
        let name = target
            .strip_prefix("/v1/stream/")
            .and_then(|rest| rest.split('?').next())
            .unwrap();
        let readers = async || {
            let answer = server
                .ask(Method::GET, &format!("/v1/streams/{name}"))
                .await;
            let details: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            details["readers"].as_array().map_or(0, Vec::len)
        };
        let before = readers().await;
        self.send(format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n",
            server.address
        ))
        .await;
        until("a reader that waits", async || {
            (readers().await > before).then_some(())
        })
        .await;
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(
            "the server to take bytes",
            self.stream.write_all(bytes.as_ref()),
        )
        .await
        .unwrap();
    }

    /// Sends as far as the server takes it; it may have hung up.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _refused = within(
            "the server to take bytes",
            self.stream.write_all(bytes.as_ref()),
        )
        .await;
    }

    /// Ends our half of the connection.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next head, to its blank line.
    pub(crate) async fn head(&mut self) -> Head {
        let text = self
            .through(b"\r\n\r\n")
            .await
            .expect("a head before the end");
        let text = String::from_utf8(text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        Head { status, text }
    }

    /// The next chunk of a chunked body; `None` for the one that ends it. A connection that ends before is a failure.
    pub(crate) async fn chunk(&mut self) -> Option<String> {
        let size = self.through(b"\r\n").await.expect("a chunk before the end");
        let size = usize::from_str_radix(String::from_utf8(size).unwrap().trim(), 16).unwrap();
        let mut chunk = self.exactly(size + 2).await;
        chunk.truncate(size);
        (size > 0).then(|| String::from_utf8(chunk).unwrap())
    }

    /// The body that the head announces by its length.
    pub(crate) async fn body(&mut self, head: &Head) -> String {
        let length = head
            .header("content-length")
            .map_or(0, |length| length.parse().unwrap());
        String::from_utf8(self.exactly(length).await).unwrap()
    }

    /// Exactly `count` bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.unread.len() < count {
            assert!(
                self.more().await,
                "the connection ended {} bytes too early",
                count - self.unread.len()
            );
        }
        self.unread.drain(..count).collect()
    }

    /// Everything until the server hangs up, by whatever means.
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

    async fn more(&mut self) -> bool {
        let read = within(
            "bytes from the server",
            self.stream.read_buf(&mut self.unread),
        )
        .await;
        read.is_ok_and(|count| count > 0)
    }
}
