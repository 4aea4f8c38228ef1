//! The connections of a load: thousands in one thread, each with its decoder, on one poller.

use crate::BenchFault;
use crate::decode::{ContentDecoder, ContentPart};
use crate::poller::{Poller, Ready, unless_blocked};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Size of the read buffer, which all connections share.
const BUFFER: usize = 256 << 10;
/// An empty pong, masked with zeros, as frames of a client must be masked.
const PONG: &[u8] = &[0x8A, 0x80, 0, 0, 0, 0];

/// Connections, numbered from 0 in the order of opening.
#[derive(Debug)]
pub(crate) struct LoadConnections {
    address: SocketAddr,
    poller: Poller,
    connections: Vec<LoadConnection>,
    ready: Vec<Ready>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct LoadConnection {
    socket: TcpStream,
    decoder: ContentDecoder,
    /// Output that the socket has not accepted yet.
    rest: Vec<u8>,
}

impl LoadConnections {
    pub(crate) fn new(address: SocketAddr) -> Result<Self, BenchFault> {
        Ok(Self {
            address,
            poller: Poller::new()?,
            connections: Vec::new(),
            ready: Vec::new(),
            buffer: vec![0; BUFFER],
        })
    }

    /// Opens a connection; returns its number.
    pub(crate) fn open(&mut self) -> Result<usize, BenchFault> {
        let socket = TcpStream::connect(self.address)?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        let id = self.connections.len();
        self.poller.add(&socket, id)?;
        self.connections.push(LoadConnection {
            socket,
            decoder: ContentDecoder::new(),
            rest: Vec::new(),
        });
        Ok(id)
    }

    /// Sends a request; the rest is sent when the socket is writable again.
    pub(crate) fn send(&mut self, id: usize, bytes: &[u8]) -> Result<(), BenchFault> {
        let connection = &mut self.connections[id];
        connection.rest.extend_from_slice(bytes);
        self.flush(id)
    }

    fn flush(&mut self, id: usize) -> Result<(), BenchFault> {
        let connection = &mut self.connections[id];
        let written = unless_blocked(connection.socket.write(&connection.rest))?.unwrap_or(0);
        if written == connection.rest.len() {
            connection.rest.clear();
            return Ok(());
        }
        connection.rest.drain(..written);
        Ok(self.poller.watch(&connection.socket, id, true)?)
    }

    /// Waits until a connection is readable, at most `timeout`; returns the number of readable ones.
    pub(crate) fn wait(&mut self, timeout: Duration) -> Result<usize, BenchFault> {
        self.poller.wait(Some(timeout), &mut self.ready)?;
        for at in 0..self.ready.len() {
            let Ready { id, writable, .. } = self.ready[at];
            if writable {
                self.flush(id)?;
                if self.connections[id].rest.is_empty() {
                    self.poller.watch(&self.connections[id].socket, id, false)?;
                }
            }
        }
        self.ready.retain(|ready| ready.readable);
        Ok(self.ready.len())
    }

    /// The number of a readable connection.
    ///
    /// - `at`: `0..count` of the last [`LoadConnections::wait`].
    pub(crate) fn ready(&self, at: usize) -> usize {
        self.ready[at].id
    }

    /// Reads once and passes the decoded parts to `take`; returns the number of bytes.
    ///
    /// # Errors
    /// [`BenchFault::Void`] when the server has closed the connection; the errors of `take`.
    pub(crate) fn read(
        &mut self,
        id: usize,
        take: &mut impl FnMut(ContentPart<'_>) -> Result<(), BenchFault>,
    ) -> Result<usize, BenchFault> {
        let connection = &mut self.connections[id];
        let closed = |why: String| BenchFault::Void(format!("a connection was closed: {why}"));
        let bytes = match unless_blocked(connection.socket.read(&mut self.buffer)) {
            Ok(Some(0)) => return Err(closed("by the server".into())),
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(0),
            Err(reason) => return Err(closed(reason.to_string())),
        };
        let mut pinged = false;
        connection
            .decoder
            .feed(&self.buffer[..bytes], &mut |part| match part {
                ContentPart::Ping => {
                    pinged = true;
                    Ok(())
                }
                part => take(part),
            })?;
        if pinged {
            self.send(id, PONG)?;
        }
        Ok(bytes)
    }
}
