//! LIMIT: a server that does only the work of delivery. Other servers are compared with it.
//!
//! It has one thread and one epoll loop, and makes one `write` of shared bytes per delivery:
//!
//! | request | what it does |
//! | --- | --- |
//! | append | reads the request, frames the body once for the technique of the stream, returns a fixed 204 |
//! | streaming read | after each append, or with `--joined` after each iteration of the loop: one write per reader, from its position to the tail |
//! | long-poll | one response, built once per append and written to every waiting reader; the connection is kept |
//! | poll | one read, one write: a fixed 304, an empty 200, or a response that is built once per position and tail |
//! | catch-up | writes from the buffer of the whole stream, as much as the socket accepts |
//!
//! Not implemented: everything of HTTP except the path and the end of the request (it searches `Content-Length` in a POST, without
//! validation), the key of the WebSocket handshake, content types, JSON, durability, heartbeats, deadlines, limits, expiry, and
//! several techniques for one stream. It closes the connection for a request that it does not support.

mod connection;
mod log;

use crate::BenchFault;
use crate::poller::{Poller, Ready, unless_blocked};
use connection::{LimitConnection, LimitRequest};
use log::LimitLog;
use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener};

/// Size of the read buffer.
const BUFFER: usize = 256 << 10;
/// Limit of the body of a response to a poll.
const PAGE_MAX: usize = 1 << 20;
/// The poller id of the listener.
const LISTENER: usize = usize::MAX;

const CREATED: &[u8] = b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
const APPENDED: &[u8] = b"HTTP/1.1 204 No Content\r\n\r\n";
const UNCHANGED: &[u8] = b"HTTP/1.1 304 Not Modified\r\n\r\n";
const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
const SOCKET: &[u8] =
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// Listens on `port` and serves until the process is killed.
///
/// # Errors
/// Errors of system calls.
pub(crate) fn run(port: u16, joined: bool) -> Result<(), BenchFault> {
    serve(&TcpListener::bind((Ipv4Addr::LOCALHOST, port))?, joined)
}

/// Serves the connections of a listener; returns only on errors.
///
/// # Errors
/// Errors of system calls.
pub(crate) fn serve(listener: &TcpListener, joined: bool) -> Result<(), BenchFault> {
    listener.set_nonblocking(true)?;
    let mut limit = LimitServer::new(joined)?;
    limit.poller.add(listener, LISTENER)?;
    let (mut ready, mut buffer) = (Vec::new(), vec![0; BUFFER]);
    loop {
        limit.poller.wait(None, &mut ready)?;
        for &Ready {
            id,
            readable,
            writable,
        } in &ready
        {
            if id == LISTENER {
                limit.accept(listener)?;
                continue;
            }
            let alive = (!writable || limit.write_more(id)?)
                && (!readable || limit.read_input(id, &mut buffer)?);
            if !alive {
                limit.close(id);
            }
        }
        for log in std::mem::take(&mut limit.moved) {
            limit.fan_out(log)?;
        }
    }
}

/// The state of the server.
#[derive(Debug)]
struct LimitServer {
    poller: Poller,
    joined: bool,
    connections: Vec<Option<LimitConnection>>,
    free: Vec<usize>,
    names: HashMap<Vec<u8>, usize>,
    logs: Vec<LimitLog>,
    /// Logs whose new data was not written to readers yet.
    moved: Vec<usize>,
}

impl LimitServer {
    fn new(joined: bool) -> io::Result<Self> {
        Ok(Self {
            poller: Poller::new()?,
            joined,
            connections: Vec::new(),
            free: Vec::new(),
            names: HashMap::new(),
            logs: Vec::new(),
            moved: Vec::new(),
        })
    }

    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        loop {
            let socket = match listener.accept() {
                Ok((socket, _)) => socket,
                Err(reason) if reason.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(reason) => return Err(reason),
            };
            socket.set_nonblocking(true)?;
            socket.set_nodelay(true)?;
            let id = self.free.pop().unwrap_or(self.connections.len());
            self.poller.add(&socket, id)?;
            if id == self.connections.len() {
                self.connections.push(None);
            }
            self.connections[id] = Some(LimitConnection::new(socket));
        }
    }

    fn close(&mut self, id: usize) {
        if self.connections[id].take().is_some() {
            self.free.push(id);
            for log in &mut self.logs {
                log.readers.retain(|reader| *reader != id);
                log.waiting.retain(|(reader, _)| *reader != id);
            }
        }
    }

    /// Reads input; returns false when the connection has ended.
    fn read_input(&mut self, id: usize, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(mut connection) = self.connections[id].take() else {
            return Ok(true);
        };
        let alive = match unless_blocked(connection.socket.read(buffer)) {
            Ok(Some(0)) | Err(_) => false,
            Ok(None) => true,
            Ok(Some(bytes)) => self.handle_input(id, &mut connection, &buffer[..bytes])?,
        };
        self.connections[id] = Some(connection);
        if self.joined {
            return Ok(alive);
        }
        for log in std::mem::take(&mut self.moved) {
            self.fan_out(log)?;
        }
        Ok(alive)
    }

    /// Responds to every complete request; returns false for an unsupported one.
    fn handle_input(
        &mut self,
        id: usize,
        connection: &mut LimitConnection,
        input: &[u8],
    ) -> io::Result<bool> {
        let mut kept = std::mem::take(&mut connection.kept);
        let mut rest = if kept.is_empty() {
            input
        } else {
            kept.extend_from_slice(input);
            &kept
        };
        while let Some((request, length)) = LimitRequest::first_in(rest) {
            let Some(request) = request else {
                return Ok(false);
            };
            if !self.respond(id, connection, &request)? {
                return Ok(false);
            }
            rest = &rest[length..];
        }
        if kept.is_empty() || rest.len() < kept.len() {
            connection.kept = rest.to_vec();
        } else {
            connection.kept = kept;
        }
        Ok(true)
    }

    fn respond(
        &mut self,
        id: usize,
        connection: &mut LimitConnection,
        request: &LimitRequest<'_>,
    ) -> io::Result<bool> {
        if request.is_put {
            let log = self.logs.len();
            self.logs.push(LimitLog::new(request.letter));
            self.names.insert(request.stream.to_vec(), log);
            return connection.send(&self.poller, id, CREATED);
        }
        let Some(&number) = self.names.get(request.stream) else {
            return Ok(false);
        };
        let log = &mut self.logs[number];
        let tail = log.bytes.len();
        match request.letter {
            b'a' => {
                log.append(request.body);
                if !self.moved.contains(&number) {
                    self.moved.push(number);
                }
                connection.send(&self.poller, id, APPENDED)
            }
            b'u' if request.offset == tail => connection.send(&self.poller, id, UNCHANGED),
            b'l' if request.offset == tail => {
                log.waiting.push((id, tail));
                Ok(true)
            }
            b'p' | b'u' | b'l' if request.offset <= tail => {
                let end = tail.min(request.offset + PAGE_MAX);
                match log.response(request.offset, end) {
                    Some(response) => connection.send(&self.poller, id, response),
                    None => {
                        let head = LimitLog::head(end, end - request.offset);
                        connection.set_range(number, request.offset, end);
                        connection.write_more(&self.poller, id, Some(&head), &log.bytes)
                    }
                }
            }
            b'n' | b's' | b'w' if request.offset == 0 => {
                log.readers.push(id);
                connection.set_range(number, 0, usize::MAX);
                let head = if request.letter == b'w' {
                    SOCKET
                } else {
                    STREAM
                };
                connection.write_more(&self.poller, id, Some(head), &log.bytes)
            }
            _ => Ok(false),
        }
    }

    /// Continues writing to a socket that is writable again.
    fn write_more(&mut self, id: usize) -> io::Result<bool> {
        let Some(connection) = &mut self.connections[id] else {
            return Ok(true);
        };
        let bytes = connection
            .range
            .map(|range| &self.logs[range.log].bytes[..])
            .unwrap_or_default();
        connection.write_more(&self.poller, id, None, bytes)
    }

    /// Writes everything up to the tail to the readers of a log.
    fn fan_out(&mut self, number: usize) -> io::Result<()> {
        let log = &mut self.logs[number];
        for &id in &log.readers {
            if let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut)
                && !connection.blocked
            {
                // A failed connection is closed when it is read.
                let _alive = connection.write_more(&self.poller, id, None, &log.bytes)?;
            }
        }
        let tail = log.bytes.len();
        for (id, from) in std::mem::take(&mut log.waiting) {
            if from == tail {
                log.waiting.push((id, from));
            } else if let Some(connection) = self.connections.get_mut(id).and_then(Option::as_mut) {
                let _alive = connection.send(&self.poller, id, log.build_response(from, tail))?;
            }
        }
        Ok(())
    }
}
