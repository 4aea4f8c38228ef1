//! Polls: connections that ask the same question as fast as they are answered.

use super::{float, us_per};
use crate::decode::ContentPart;
use crate::lines::Lines;
use crate::message::{BenchMessage, MessageScanner};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::{higher, lower};
use crate::target::{BenchTarget, BenchTechnique, From};
use crate::{BenchFault, Common, targets};
use std::time::{Duration, Instant};

/// The polled stream.
const STREAM: &str = "bench-0";
/// No answer may take longer.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Asked before anything is counted.
const WARM_UP: Duration = Duration::from_millis(300);

/// What is asked for on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct PollsArguments {
    /// How many connections ask
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
}

/// What a poll gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PollKind {
    Unchanged,
    Empty,
    Message,
}

/// Measures the three answers a poll can get.
pub(crate) fn run(common: &Common, arguments: &PollsArguments) -> Result<Measured, BenchFault> {
    let connections = arguments.connections.clamp(1, 4_096);
    let title = format!(
        "Polls by {connections} kept connections as fast as they are answered, for {} s",
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
    common: &Common,
    target: &dyn BenchTarget,
    kind: PollKind,
    connections: usize,
) -> RunOutcome {
    if !target.offers(BenchTechnique::Poll) || (kind == PollKind::Empty && !target.answers_empty())
    {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut lines = Lines::new(server.address)?;
    let Some(request) = question(common, target, kind, &mut lines)? else {
        return Ok(None);
    };
    let mut polls = Polls {
        lines,
        request,
        kind,
        size: common.size(),
        under_way: Vec::new(),
        answers: 0,
        received: 0,
    };
    let asked = (0..connections)
        .map(|_| polls.lines.open())
        .collect::<Result<Vec<_>, _>>()?;
    polls.under_way.resize_with(
        asked.iter().max().map_or(0, |last| last + 1),
        PollUnderWay::default,
    );
    for id in asked {
        polls.lines.send(id, &polls.request)?;
    }
    polls.go_on(WARM_UP)?;
    (polls.answers, polls.received) = (0, 0);
    let (before, begun) = (server.cpu()?, Instant::now());
    polls.go_on(common.duration())?;
    let (elapsed, cpu) = (begun.elapsed(), server.cpu()?.saturating_sub(before));
    Ok(Some(vec![
        lower("server CPU per poll, us", us_per(cpu, polls.answers)),
        higher("polls/s", float(polls.answers) / elapsed.as_secs_f64()),
        lower(
            "bytes per answer",
            float(polls.received) / float(polls.answers),
        ),
    ]))
}

/// Creates a stream with one message; the request that is to be repeated.
fn question(
    common: &Common,
    target: &dyn BenchTarget,
    kind: PollKind,
    lines: &mut Lines,
) -> Result<Option<Vec<u8>>, BenchFault> {
    let id = lines.open()?;
    if let Some(create) = target.create(STREAM, BenchTechnique::Poll) {
        ask(lines, id, &create, |_| ())?;
    }
    let message = BenchMessage {
        writer: 0,
        number: 0,
        due: 0,
    }
    .bytes(common.size());
    ask(lines, id, &target.append(STREAM, &[message]), |_| ())?;
    let beginning = target.read(STREAM, BenchTechnique::Poll, From::Beginning);
    if kind == PollKind::Message {
        return Ok(Some(beginning));
    }
    let position = ask(lines, id, &beginning, |head| target.position(head))?;
    let position = position
        .ok_or_else(|| BenchFault::Server("a poll's answer does not say where to go on".into()))?;
    let at_tail = target.read(STREAM, BenchTechnique::Poll, From::At(&position));
    if kind == PollKind::Empty {
        return Ok(Some(at_tail));
    }
    ask(lines, id, &at_tail, |head| target.unchanged(STREAM, head))
}

/// One request, and what `take` makes of its answer's head.
fn ask<T>(
    lines: &mut Lines,
    id: usize,
    request: &[u8],
    take: impl Fn(&tailwater_harness::http::DecodedHead<'_>) -> T,
) -> Result<T, BenchFault> {
    lines.send(id, request)?;
    let (mut taken, mut answered, begun) = (None, false, Instant::now());
    while !answered && begun.elapsed() < ANSWER_MAX {
        lines.wait(ANSWER_MAX)?;
        lines.read(id, &mut |part| {
            match part {
                ContentPart::Head(head) if head.is_success() || head.status == 304 => {
                    taken = Some(take(&head));
                }
                ContentPart::Head(head) => {
                    return Err(BenchFault::Server(format!(
                        "expected a success, came {}",
                        head.status
                    )));
                }
                ContentPart::End => answered = true,
                _ => {}
            }
            Ok(())
        })?;
    }
    taken
        .filter(|_| answered)
        .ok_or_else(|| BenchFault::Server(format!("no answer within {ANSWER_MAX:?}")))
}

/// Connections that repeat one request.
struct Polls {
    lines: Lines,
    request: Vec<u8>,
    kind: PollKind,
    size: usize,
    /// By number of connection.
    under_way: Vec<PollUnderWay>,
    answers: u64,
    received: u64,
}

/// An answer that is not whole yet: servers may send head and body apart.
#[derive(Debug, Default)]
struct PollUnderWay {
    scanner: MessageScanner,
    messages: usize,
}

impl Polls {
    fn go_on(&mut self, duration: Duration) -> Result<(), BenchFault> {
        let begun = Instant::now();
        while begun.elapsed() < duration {
            let count = self.lines.wait(ANSWER_MAX)?;
            if count == 0 {
                return Err(BenchFault::Server(format!(
                    "no answer within {ANSWER_MAX:?}"
                )));
            }
            for at in 0..count {
                self.reads(self.lines.ready(at))?;
            }
        }
        Ok(())
    }

    /// Every answer is whole, has the expected status and holds the message or none.
    fn reads(&mut self, id: usize) -> Result<(), BenchFault> {
        let Self {
            lines,
            kind,
            size,
            under_way,
            ..
        } = self;
        let (mut answered, expected) = (
            false,
            if *kind == PollKind::Unchanged {
                304
            } else {
                200
            },
        );
        let PollUnderWay { scanner, messages } = &mut under_way[id];
        let bytes = lines.read(id, &mut |part| {
            match part {
                ContentPart::Head(head) if head.status == expected => {}
                ContentPart::Head(head) => {
                    return Err(BenchFault::Void(format!(
                        "expected {expected}, came {}",
                        head.status
                    )));
                }
                ContentPart::Piece(piece) => scanner.feed(piece, *size, |message| {
                    *messages += usize::from(message.is_some());
                }),
                ContentPart::End => answered = true,
                ContentPart::Ping => {}
            }
            Ok(())
        })?;
        self.received += bytes as u64;
        if answered {
            let (came, wanted) = (
                std::mem::take(messages),
                usize::from(*kind == PollKind::Message),
            );
            if came != wanted {
                return Err(BenchFault::Void(format!(
                    "expected {wanted} messages in an answer, came {came}"
                )));
            }
            self.answers += 1;
            self.lines.send(id, &self.request)?;
        }
        Ok(())
    }
}
