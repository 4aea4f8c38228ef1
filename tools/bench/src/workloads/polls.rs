//! Polls: connections that repeat one request at full speed.

use super::{float, us_per};
use crate::connections::LoadConnections;
use crate::decode::ContentPart;
use crate::message::{BenchMessage, MessageScanner};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::{higher, lower};
use crate::target::{BenchTarget, BenchTechnique, From};
use crate::{BenchFault, CommonArguments, targets};
use std::time::{Duration, Instant};

/// The polled stream.
const STREAM: &str = "bench-0";
/// Timeout of a response.
const RESPONSE_MAX: Duration = Duration::from_secs(10);
/// Time of polls before the measurement.
const WARM_UP: Duration = Duration::from_millis(300);

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct PollsArguments {
    /// Number of connections
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
}

/// The expected response to a poll.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollKind {
    Unchanged,
    Empty,
    Message,
}

/// Measures each kind of response.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &PollsArguments,
) -> Result<Measured, BenchFault> {
    let connections = arguments.connections.clamp(1, 4_096);
    let title = format!(
        "Polls by {connections} kept connections as fast as they are ended, for {} s",
        common.seconds
    );
    let kinds = [
        (PollKind::Unchanged, "304 with If-None-Match".to_owned()),
        (PollKind::Empty, "200 without data".to_owned()),
        (
            PollKind::Message,
            format!("200 with one message of {} bytes", common.size()),
        ),
    ];
    let cases: Vec<BenchCase<'_>> = kinds
        .into_iter()
        .map(|(kind, name)| BenchCase {
            name,
            run: Box::new(move |target| one(common, target, kind, connections)),
        })
        .collect();
    measure(
        common,
        &title,
        &targets::chosen(common, &["limit", "memory"])?,
        &cases,
    )
}

fn one(
    common: &CommonArguments,
    target: &dyn BenchTarget,
    kind: PollKind,
    count: usize,
) -> RunOutcome {
    if !target.offers(BenchTechnique::Poll)
        || (kind == PollKind::Empty && !target.returns_empty_pages())
    {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut connections = LoadConnections::new(server.address)?;
    let Some(request) = repeated_request(common, target, kind, &mut connections)? else {
        return Ok(None);
    };
    let mut load = PollLoad {
        connections,
        request,
        kind,
        size: common.size(),
        pending: Vec::new(),
        responses: 0,
        received: 0,
    };
    let opened = (0..count)
        .map(|_| load.connections.open())
        .collect::<Result<Vec<_>, _>>()?;
    load.pending.resize_with(
        opened.iter().max().map_or(0, |last| last + 1),
        PendingPoll::default,
    );
    for id in opened {
        load.connections.send(id, &load.request)?;
    }
    load.run_for(WARM_UP)?;
    (load.responses, load.received) = (0, 0);
    let (before, begun) = (server.cpu()?, Instant::now());
    load.run_for(common.duration())?;
    let (elapsed, cpu) = (begun.elapsed(), server.cpu()?.saturating_sub(before));
    Ok(Some(vec![
        lower("server CPU per poll, us", us_per(cpu, load.responses)),
        higher("polls/s", float(load.responses) / elapsed.as_secs_f64()),
        lower(
            "bytes per answer",
            float(load.received) / float(load.responses),
        ),
    ]))
}

/// Creates a stream with one message; returns the request to repeat.
fn repeated_request(
    common: &CommonArguments,
    target: &dyn BenchTarget,
    kind: PollKind,
    connections: &mut LoadConnections,
) -> Result<Option<Vec<u8>>, BenchFault> {
    let id = connections.open()?;
    if let Some(create) = target.create(STREAM, BenchTechnique::Poll) {
        send_and_wait(connections, id, &create, |_| ())?;
    }
    let message = BenchMessage {
        writer: 0,
        number: 0,
        due: 0,
    }
    .bytes(common.size());
    send_and_wait(connections, id, &target.append(STREAM, &[message]), |_| ())?;
    let beginning = target.read(STREAM, BenchTechnique::Poll, From::Beginning);
    if kind == PollKind::Message {
        return Ok(Some(beginning));
    }
    let position = send_and_wait(connections, id, &beginning, |head| target.position(head))?;
    let position = position
        .ok_or_else(|| BenchFault::Server("the response to a poll has no position".into()))?;
    let at_tail = target.read(STREAM, BenchTechnique::Poll, From::At(&position));
    if kind == PollKind::Empty {
        return Ok(Some(at_tail));
    }
    send_and_wait(connections, id, &at_tail, |head| {
        target.unchanged(STREAM, head)
    })
}

/// Sends one request and waits for its response; returns the result of `take` for its head.
fn send_and_wait<T>(
    connections: &mut LoadConnections,
    id: usize,
    request: &[u8],
    take: impl Fn(&tailwater_harness::http::DecodedHead<'_>) -> T,
) -> Result<T, BenchFault> {
    connections.send(id, request)?;
    let (mut taken, mut ended, begun) = (None, false, Instant::now());
    while !ended && begun.elapsed() < RESPONSE_MAX {
        connections.wait(RESPONSE_MAX)?;
        connections.read(id, &mut |part| {
            match part {
                ContentPart::Head(head) if head.is_success() || head.status == 304 => {
                    taken = Some(take(&head));
                }
                ContentPart::Head(head) => {
                    return Err(BenchFault::Server(format!(
                        "expected a success, received status {}",
                        head.status
                    )));
                }
                ContentPart::End => ended = true,
                _ => {}
            }
            Ok(())
        })?;
    }
    taken
        .filter(|_| ended)
        .ok_or_else(|| BenchFault::Server(format!("no response within {RESPONSE_MAX:?}")))
}

/// Connections that repeat one request.
struct PollLoad {
    connections: LoadConnections,
    request: Vec<u8>,
    kind: PollKind,
    size: usize,
    /// By number of connection.
    pending: Vec<PendingPoll>,
    responses: u64,
    received: u64,
}

/// An incomplete response: servers may send head and body separately.
#[derive(Debug, Default)]
struct PendingPoll {
    scanner: MessageScanner,
    messages: usize,
}

impl PollLoad {
    fn run_for(&mut self, duration: Duration) -> Result<(), BenchFault> {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            let count = self.connections.wait(RESPONSE_MAX)?;
            if count == 0 {
                return Err(BenchFault::Server(format!(
                    "no response within {RESPONSE_MAX:?}"
                )));
            }
            for at in 0..count {
                self.read(self.connections.ready(at))?;
            }
        }
        Ok(())
    }

    /// Reads, checks that each complete response has the expected status and number of messages, and sends the next poll.
    fn read(&mut self, id: usize) -> Result<(), BenchFault> {
        let Self {
            connections,
            kind,
            size,
            pending,
            ..
        } = self;
        let (mut ended, expected) = (
            false,
            if *kind == PollKind::Unchanged {
                304
            } else {
                200
            },
        );
        let PendingPoll { scanner, messages } = &mut pending[id];
        let bytes = connections.read(id, &mut |part| {
            match part {
                ContentPart::Head(head) if head.status == expected => {}
                ContentPart::Head(head) => {
                    return Err(BenchFault::Void(format!(
                        "expected status {expected}, received {}",
                        head.status
                    )));
                }
                ContentPart::Piece(piece) => scanner.feed(piece, *size, |message| {
                    *messages += usize::from(message.is_some());
                }),
                ContentPart::End => ended = true,
                ContentPart::Ping => {}
            }
            Ok(())
        })?;
        self.received += bytes as u64;
        if ended {
            let (received, wanted) = (
                std::mem::take(messages),
                usize::from(*kind == PollKind::Message),
            );
            if received != wanted {
                return Err(BenchFault::Void(format!(
                    "expected {wanted} messages in a response, received {received}"
                )));
            }
            self.responses += 1;
            self.connections.send(id, &self.request)?;
        }
        Ok(())
    }
}
