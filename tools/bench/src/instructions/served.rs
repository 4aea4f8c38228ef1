//! Counts the instructions of the whole server for requests and deliveries over loopback. Steps are sequential, so that the
//! number of batches and wake-ups does not vary.

use super::counted::Counter;
use crate::BenchFault;
use crate::decode::{ContentDecoder, ContentPart};
use crate::target::{BenchTechnique, From};
use crate::targets::protocol;
use memchr::memmem;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// Timeout of a response, under Valgrind.
const DEADLINE: Duration = Duration::from_secs(60);
const STREAM: &str = "counted";
/// The end of each message of 100 bytes; occurs nowhere else.
const MESSAGE_END: &[u8] = b"xxx\"}";
const READERS: usize = 100;

/// An operation of the server, triggered by clients.
#[derive(Debug)]
pub(super) struct CountedTask {
    pub(super) what: &'static str,
    /// Number of repetitions.
    pub(super) times: usize,
    /// Number of units, described by `what`, in each repetition.
    pub(super) holds: usize,
    run: TaskRun,
}

#[derive(Debug, Clone, Copy)]
enum TaskRun {
    Append,
    /// A poll at the tail that returns 304.
    Unchanged,
    Empty,
    /// A poll that returns the last message.
    Data,
    /// An append that is delivered to [`READERS`] readers.
    Deliver(BenchTechnique),
}

/// All operations, in the order of the table.
pub(super) const TASKS: [CountedTask; 8] = [
    CountedTask {
        what: "append, served",
        times: 300,
        holds: 1,
        run: TaskRun::Append,
    },
    CountedTask {
        what: "poll, served 304",
        times: 300,
        holds: 1,
        run: TaskRun::Unchanged,
    },
    CountedTask {
        what: "poll, served an empty page",
        times: 300,
        holds: 1,
        run: TaskRun::Empty,
    },
    CountedTask {
        what: "poll, served one message",
        times: 300,
        holds: 1,
        run: TaskRun::Data,
    },
    deliver(
        "NDJSON delivery, one of 100 and of the append",
        100,
        BenchTechnique::Ndjson,
    ),
    deliver(
        "SSE delivery, one of 100 and of the append",
        100,
        BenchTechnique::Sse,
    ),
    deliver(
        "WebSocket delivery, one of 100 and of the append",
        100,
        BenchTechnique::Websocket,
    ),
    deliver(
        "long-poll delivery with the next request, one of 100 and of the append",
        10,
        BenchTechnique::LongPoll,
    ),
];

const fn deliver(what: &'static str, times: usize, technique: BenchTechnique) -> CountedTask {
    CountedTask {
        what,
        times,
        holds: READERS,
        run: TaskRun::Deliver(technique),
    }
}

/// Runs a task `times` times with a new server; returns the instructions of the server from start to end.
pub(super) fn count(
    counter: &Counter,
    server: &Path,
    task: &CountedTask,
    times: usize,
) -> Result<u64, BenchFault> {
    let arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--workers",
        "1",
        "--store",
        "memory",
    ];
    let server = counter.serve(server, &arguments)?;
    let mut writer = CountedClient::open(server.address)?;
    writer.request(&protocol::create(STREAM))?;
    let append = protocol::append(STREAM, &[message()]);
    match task.run {
        TaskRun::Append => repeat(&mut writer, &append, times, (204, 0))?,
        TaskRun::Unchanged | TaskRun::Empty | TaskRun::Data => {
            writer.request(&append)?;
            let first = writer.request(&protocol::read(
                STREAM,
                BenchTechnique::Poll,
                From::Beginning,
            ))?;
            let from = if matches!(task.run, TaskRun::Data) {
                From::Beginning
            } else {
                From::At(&first.position)
            };
            let poll = protocol::read(STREAM, BenchTechnique::Poll, from);
            let last = writer.request(&poll)?;
            let (poll, expected) = match task.run {
                TaskRun::Unchanged => (last.unchanged, (304, 0)),
                TaskRun::Data => (poll, (200, 1)),
                _ => (poll, (200, 0)),
            };
            repeat(&mut writer, &poll, times, expected)?;
        }
        TaskRun::Deliver(BenchTechnique::LongPoll) => {
            long_poll(server.address, &mut writer, &append, times)?;
        }
        TaskRun::Deliver(technique) => {
            stream(technique, server.address, &mut writer, &append, times)?;
        }
    }
    drop(writer);
    server.finish()
}

/// - `expected`: the status of each response, and its number of messages.
fn repeat(
    client: &mut CountedClient,
    request: &[u8],
    times: usize,
    expected: (u16, usize),
) -> Result<(), BenchFault> {
    (0..times).try_for_each(|_| client.request(request)?.is(expected))
}

/// Appends; each is received by every streaming reader before the next one.
fn stream(
    technique: BenchTechnique,
    address: SocketAddr,
    writer: &mut CountedClient,
    append: &[u8],
    times: usize,
) -> Result<(), BenchFault> {
    writer.request(append)?;
    let mut readers = (0..READERS)
        .map(|_| CountedClient::open(address))
        .collect::<Result<Vec<_>, _>>()?;
    let read = protocol::read(STREAM, technique, From::Beginning);
    for reader in &mut readers {
        reader.send(&read)?;
        reader.message()?;
    }
    for _ in 0..times {
        writer.request(append)?;
        readers.iter_mut().try_for_each(CountedClient::message)?;
    }
    Ok(())
}

/// Appends; each is received by every long-poll reader before the next one.
fn long_poll(
    address: SocketAddr,
    writer: &mut CountedClient,
    append: &[u8],
    times: usize,
) -> Result<(), BenchFault> {
    let first = writer.request(append)?;
    let mut readers = (0..READERS)
        .map(|_| CountedClient::open(address))
        .collect::<Result<Vec<_>, _>>()?;
    let mut positions = vec![first.position; READERS];
    let poll = protocol::read(STREAM, BenchTechnique::Poll, From::At("now"));
    for _ in 0..times {
        for (reader, position) in readers.iter_mut().zip(&positions) {
            reader.send(&protocol::read(
                STREAM,
                BenchTechnique::LongPoll,
                From::At(position),
            ))?;
        }
        // The server handles requests in order: after these responses all readers are waiting.
        writer.request(&poll)?;
        writer.request(&poll)?;
        writer.request(append)?;
        for (reader, position) in readers.iter_mut().zip(&mut positions) {
            let response = reader.response()?;
            response.is((200, 1))?;
            *position = response.position;
        }
    }
    Ok(())
}

fn message() -> Vec<u8> {
    let begin: &[u8] = b"{\"n\":1000000000,\"x\":\"";
    [begin, &vec![b'x'; 98 - begin.len()], b"\"}"].concat()
}

/// A response.
#[derive(Debug, Default)]
struct CountedResponse {
    status: u16,
    position: String,
    unchanged: Vec<u8>,
    content: Vec<u8>,
}

impl CountedResponse {
    /// Fails unless the response has the expected status and number of messages.
    fn is(&self, expected: (u16, usize)) -> Result<(), BenchFault> {
        let received = (
            self.status,
            memmem::find_iter(&self.content, MESSAGE_END).count(),
        );
        if received == expected {
            return Ok(());
        }
        Err(BenchFault::Server(format!(
            "expected {} messages with status {}, received {} with status {}",
            expected.1, expected.0, received.1, received.0
        )))
    }
}

/// A blocking connection.
struct CountedClient {
    socket: TcpStream,
    decoder: ContentDecoder,
    buffer: Vec<u8>,
    /// Received content after the last complete message.
    rest: Vec<u8>,
}

impl CountedClient {
    fn open(address: SocketAddr) -> Result<Self, BenchFault> {
        let socket = TcpStream::connect(address)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(DEADLINE))?;
        Ok(Self {
            socket,
            decoder: ContentDecoder::new(),
            buffer: vec![0; 16 << 10],
            rest: Vec::new(),
        })
    }

    fn send(&mut self, request: &[u8]) -> Result<(), BenchFault> {
        Ok(self.socket.write_all(request)?)
    }

    fn request(&mut self, request: &[u8]) -> Result<CountedResponse, BenchFault> {
        self.send(request)?;
        self.response()
    }

    /// Reads one response.
    fn response(&mut self) -> Result<CountedResponse, BenchFault> {
        let (mut response, mut ended) = (CountedResponse::default(), false);
        while !ended {
            self.read(&mut |part| {
                match part {
                    ContentPart::Head(head) if head.is_success() || head.status == 304 => {
                        response.status = head.status;
                        response.position = protocol::position(&head).unwrap_or_default();
                        response.unchanged = protocol::unchanged(STREAM, &head).unwrap_or_default();
                    }
                    ContentPart::Head(head) => {
                        return Err(BenchFault::Server(format!(
                            "expected a successful response, received {head:?}"
                        )));
                    }
                    ContentPart::Piece(piece) => response.content.extend_from_slice(piece),
                    ContentPart::End => ended = true,
                    ContentPart::Ping => {}
                }
                Ok(())
            })?;
        }
        Ok(response)
    }

    /// Reads until the end of a message.
    fn message(&mut self) -> Result<(), BenchFault> {
        let mut rest = std::mem::take(&mut self.rest);
        while memmem::find(&rest, MESSAGE_END).is_none() {
            self.read(&mut |part| {
                match part {
                    ContentPart::Piece(piece) => rest.extend_from_slice(piece),
                    ContentPart::Head(head) if !head.is_success() && head.status != 101 => {
                        return Err(BenchFault::Server(format!(
                            "expected a streaming response, received {head:?}"
                        )));
                    }
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    fn read(
        &mut self,
        take: &mut impl FnMut(ContentPart<'_>) -> Result<(), BenchFault>,
    ) -> Result<(), BenchFault> {
        match self.socket.read(&mut self.buffer)? {
            0 => Err(BenchFault::Server("the server closed a connection".into())),
            count => self.decoder.feed(&self.buffer[..count], take),
        }
    }
}
