//! Operations of the server's internals, whose instructions `tailwater-bench instructions` counts.
//!
//! Without arguments it prints one line for each operation: its name, the number of repetitions, the number of units in each
//! repetition, and a description of the unit. `NAME TIMES` runs an operation.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints to its standard streams"
)]

use bytes::Bytes;
use std::cell::Cell;
use std::error::Error;
use std::hint::black_box;
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;
use tailwater::live::encoding::{Encoding, ReportState};
use tailwater_core::store::MemoryStore;
use tailwater_core::{Append, Log, Payload, ReadStart, StreamConfig, StreamName, Streams};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Offset, Technique};
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local, yield_now};

type PieceResult = Result<(), Box<dyn Error>>;

/// An operation that the server performs often.
struct CountedPiece {
    name: &'static str,
    /// Number of repetitions.
    times: usize,
    /// Number of units, described by `what`, in each repetition.
    holds: usize,
    what: &'static str,
    run: fn(usize) -> PieceResult,
}

const MESSAGES: usize = 100;
const READERS: usize = 1000;

const PIECES: [CountedPiece; 9] = [
    CountedPiece {
        name: "parse",
        times: 1000,
        holds: 1,
        what: "body of one JSON message, parsed",
        run: parse_one,
    },
    CountedPiece {
        name: "parse-many",
        times: 100,
        holds: MESSAGES,
        what: "message of an array of 100, parsed",
        run: parse_many,
    },
    CountedPiece {
        name: "append",
        times: 1000,
        holds: 1,
        what: "append to log and memory store",
        run: append,
    },
    CountedPiece {
        name: "read",
        times: 1000,
        holds: 1,
        what: "page of one message, read from the tail",
        run: read_one,
    },
    CountedPiece {
        name: "read-many",
        times: 200,
        holds: MESSAGES,
        what: "message of a page of 100, read from the beginning",
        run: read_many,
    },
    CountedPiece {
        name: "wake",
        times: 20,
        holds: READERS,
        what: "wake-up of one of 1,000 waiting tasks",
        run: wake,
    },
    CountedPiece {
        name: "ndjson",
        times: 1000,
        holds: 1,
        what: "batch of one message as a chunk of NDJSON",
        run: as_ndjson,
    },
    CountedPiece {
        name: "sse",
        times: 1000,
        holds: 1,
        what: "batch of one message as a chunk of SSE",
        run: as_sse,
    },
    CountedPiece {
        name: "websocket",
        times: 1000,
        holds: 1,
        what: "batch of one message as a WebSocket frame",
        run: as_websocket,
    },
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let texts: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match texts[..] {
        [] => {
            for CountedPiece {
                name,
                times,
                holds,
                what,
                ..
            } in &PIECES
            {
                println!("{name}\t{times}\t{holds}\t{what}");
            }
            Ok(())
        }
        [name, times] => run(name, times),
        _ => Err("expected NAME TIMES, or nothing".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("pieces: {fault}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, times: &str) -> PieceResult {
    let piece = PIECES
        .iter()
        .find(|piece| piece.name == name)
        .ok_or(format!("there is no piece `{name}`"))?;
    (piece.run)(times.parse()?)
}

/// A JSON message of 100 bytes.
fn message() -> String {
    format!(
        "{{\"w\":1000,\"n\":1000000000,\"x\":\"{}\"}}",
        "x".repeat(68)
    )
}

fn parse_one(times: usize) -> PieceResult {
    parse(&message(), times)
}

fn parse_many(times: usize) -> PieceResult {
    parse(&format!("[{}]", vec![message(); MESSAGES].join(",")), times)
}

fn parse(body: &str, times: usize) -> PieceResult {
    let body = Bytes::from(body.to_owned());
    for _ in 0..times {
        black_box(Payload::parse(ContentKind::Json, black_box(body.clone()))?);
    }
    Ok(())
}

fn append(times: usize) -> PieceResult {
    let (runtime, log) = log_of(0)?;
    runtime.block_on(async {
        for _ in 0..times {
            black_box(log.append(one()?).await?);
        }
        Ok(())
    })
}

fn read_one(times: usize) -> PieceResult {
    read(times, ReadStart::Now, 1)
}

fn read_many(times: usize) -> PieceResult {
    read(times, ReadStart::Beginning, MESSAGES)
}

/// Reads the same page of a stream of 1,000 messages: `messages` of them.
fn read(times: usize, start: ReadStart, messages: usize) -> PieceResult {
    let (runtime, log) = log_of(1000)?;
    let kept = message().len() + 1;
    let from = match start {
        ReadStart::Now => Offset::new(u64::try_from(kept * (1000 - messages))?)
            .ok_or("beyond the largest offset")?,
        other => log.resolve(other),
    };
    runtime.block_on(async {
        for _ in 0..times {
            let batch = black_box(log.read(from, kept * messages).await?);
            if batch.data.len() != kept * messages {
                return Err(format!(
                    "expected {messages} messages, received {} bytes",
                    batch.data.len()
                )
                .into());
            }
        }
        Ok(())
    })
}

/// Tasks that wait for the tail like live readers, and appends that wake all of them; includes the instructions of the appends.
fn wake(times: usize) -> PieceResult {
    let (runtime, log) = log_of(0)?;
    let woken = Rc::new(Cell::new(0));
    let local = LocalSet::new();
    local.block_on(&runtime, async {
        for _ in 0..READERS {
            let (mut tail, mut from, woken) = (log.tail(), Offset::ZERO, Rc::clone(&woken));
            spawn_local(async move {
                while let Ok(now) = tail
                    .wait_for(|tail| tail.is_ready_at(from))
                    .await
                    .map(|now| *now)
                {
                    from = now.next;
                    woken.set(woken.get() + 1);
                }
            });
        }
        for at in 1..=times {
            log.append(one()?).await?;
            while woken.get() < READERS * at {
                yield_now().await;
            }
        }
        Ok(())
    })
}

fn as_ndjson(times: usize) -> PieceResult {
    encode(times, Technique::Ndjson)
}

fn as_sse(times: usize) -> PieceResult {
    encode(times, Technique::Sse)
}

fn as_websocket(times: usize) -> PieceResult {
    encode(times, Technique::Websocket)
}

/// Encodes a batch, as is done once for all readers at the tail.
fn encode(times: usize, technique: Technique) -> PieceResult {
    let encoding = Encoding::of(technique).ok_or("a technique without an encoding")?;
    let (runtime, log) = log_of(1)?;
    let batch = runtime.block_on(log.read(Offset::ZERO, 1))?;
    let reported = ReportState {
        before: Some(true),
        now: true,
        cursor: 3_347_885,
    };
    for _ in 0..times {
        black_box(encoding.batch(ContentKind::Json, black_box(&batch), reported));
    }
    Ok(())
}

/// A runtime, and a JSON stream in memory with `messages` messages.
fn log_of(messages: usize) -> Result<(Runtime, Arc<Log>), Box<dyn Error>> {
    let runtime = Builder::new_current_thread().enable_time().build()?;
    let streams = Streams::new(Arc::new(MemoryStore::new(1 << 30)), 10);
    let name = StreamName::parse("bench")?;
    let log = runtime.block_on(async {
        let log = streams
            .create(&name, StreamConfig::new("application/json"), None, false)
            .await?
            .log;
        for _ in 0..messages {
            log.append(one()?).await?;
        }
        Ok::<_, Box<dyn Error>>(log)
    })?;
    Ok((runtime, log))
}

fn one() -> Result<Append, Box<dyn Error>> {
    Ok(Append {
        payload: Some(Payload::parse(ContentKind::Json, message().into())?),
        ..Append::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_runs() {
        for piece in &PIECES {
            assert!(run(piece.name, "2").is_ok(), "{}", piece.name);
        }
        assert!(run("no-such-piece", "2").is_err() && run("parse", "often").is_err());
    }

    #[test]
    fn a_message_has_100_bytes() {
        assert_eq!(message().len(), 100);
    }
}
