//! HTTP/1.1 as far as the loads need it: requests as bytes, heads, bodies by length and by chunk.

use crate::Fault;
use memchr::memmem;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// What no answer may take longer than.
const DEADLINE: Duration = Duration::from_secs(30);
/// Read at once.
const BUFFER: usize = 256 << 10;

/// A connection that is kept.
#[derive(Debug)]
pub(crate) struct Wire {
    socket: TcpStream,
    buffer: Vec<u8>,
    begin: usize,
}

/// An answer's head.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    text: String,
}

impl Head {
    /// A header's value; `name` in lower case.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        let lines = self.text.split("\r\n").skip(1);
        lines
            .filter_map(|line| line.split_once(": "))
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Fails unless the status is the expected one.
    pub(crate) fn expect(self, status: u16) -> Result<Self, Fault> {
        if self.status == status {
            Ok(self)
        } else {
            Err(Fault::Server(format!("expected {status}, came {}", self.text)))
        }
    }
}

impl Wire {
    pub(crate) fn open(address: SocketAddr) -> Result<Self, Fault> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        Ok(Self { socket, buffer: Vec::with_capacity(BUFFER), begin: 0 })
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        Ok(self.socket.write_all(bytes)?)
    }

    /// The next answer's head.
    pub(crate) fn head(&mut self) -> Result<Head, Fault> {
        let mut looked = self.begin;
        loop {
            if let Some(at) = memmem::find(&self.buffer[looked..], b"\r\n\r\n") {
                let end = looked + at;
                let text = String::from_utf8_lossy(&self.buffer[self.begin..end]).into_owned();
                self.begin = end + 4;
                let status = text.split(' ').nth(1).and_then(|word| word.parse().ok()).unwrap_or(0);
                return Ok(Head { status, text });
            }
            looked = self.buffer.len().saturating_sub(3).max(self.begin);
            let moved = self.begin;
            self.fill()?;
            looked -= moved - self.begin;
        }
    }

    /// A body of known length, handed over piece by piece; returns how many bytes there were.
    pub(crate) fn body(&mut self, head: &Head, mut take: impl FnMut(&[u8])) -> Result<u64, Fault> {
        let length: usize = head.value("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut left = length;
        while left > 0 {
            if self.begin == self.buffer.len() {
                self.fill()?;
            }
            let piece = left.min(self.buffer.len() - self.begin);
            take(&self.buffer[self.begin..self.begin + piece]);
            self.begin += piece;
            left -= piece;
        }
        Ok(length as u64)
    }

    /// The next chunk of a chunked body, empty for the last.
    pub(crate) fn chunk(&mut self) -> Result<&[u8], Fault> {
        let size = loop {
            if let Some(at) = memmem::find(&self.buffer[self.begin..], b"\r\n") {
                let text = String::from_utf8_lossy(&self.buffer[self.begin..self.begin + at]).into_owned();
                self.begin += at + 2;
                break usize::from_str_radix(&text, 16)
                    .map_err(|_| Fault::Server(format!("`{text}` is no chunk size")))?;
            }
            self.fill()?;
        };
        while self.buffer.len() - self.begin < size + 2 {
            self.fill()?;
        }
        let begin = self.begin;
        self.begin += size + 2;
        Ok(&self.buffer[begin..begin + size])
    }

    fn fill(&mut self) -> Result<(), Fault> {
        if self.begin > 0 {
            self.buffer.drain(..self.begin);
            self.begin = 0;
        }
        let filled = self.buffer.len();
        self.buffer.resize(filled + BUFFER, 0);
        let read = self.socket.read(&mut self.buffer[filled..])?;
        self.buffer.truncate(filled + read);
        if read == 0 { Err(Fault::Server("the server closed the connection".into())) } else { Ok(()) }
    }
}

/// A request to the measured stream.
pub(crate) fn request(method: &str, query: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} /v1/stream/bench{query} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The header of a JSON body.
pub(crate) const JSON: &str = "Content-Type: application/json\r\n";

/// Creates the measured stream.
pub(crate) fn create(wire: &mut Wire) -> Result<(), Fault> {
    wire.send(&request("PUT", "", JSON, b""))?;
    let head = wire.head()?.expect(201)?;
    wire.body(&head, |_| {})?;
    Ok(())
}
