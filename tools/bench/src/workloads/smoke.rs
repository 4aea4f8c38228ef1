//! Smoke: a short run of every workload, for its checks and not for its figures.

use super::{catch_up, fan_out, flood, idle, loss, many, pipe, polls};
use crate::rounds::Measured;
use crate::target::BenchTechnique::{self, LongPoll, Ndjson, Poll, Sse, Websocket};
use crate::{BenchFault, CommonArguments};

const ALL: [BenchTechnique; 5] = [Ndjson, Sse, Websocket, LongPoll, Poll];
const STREAMS: [BenchTechnique; 3] = [Ndjson, Sse, Websocket];
const WAITING: [BenchTechnique; 4] = [Ndjson, Sse, Websocket, LongPoll];

/// Runs every workload once, with few readers.
///
/// # Errors
/// [`BenchFault::Void`] when a message was lost, repeated or reordered.
pub(crate) fn run(common: &CommonArguments) -> Result<(), BenchFault> {
    let mut common = CommonArguments {
        rounds: 1,
        seconds: 0.3,
        quiet: true,
        ..common.clone()
    };
    if common.targets.is_empty() {
        common.targets = ["limit", "memory", "disk"].map(Into::into).into();
    }
    waiting_readers(&common)?;
    requests(&common)
}

/// Workloads with waiting readers.
fn waiting_readers(common: &CommonArguments) -> Result<(), BenchFault> {
    passed(
        "fan-out",
        fan_out::run(
            common,
            &fan_out::FanOutArguments {
                techniques: ALL.to_vec(),
                readers: vec![50],
                rate: 2_000.0,
                poll_every: 100,
            },
        ),
    )?;
    passed(
        "flood",
        flood::run(
            common,
            &flood::FloodArguments {
                techniques: WAITING.to_vec(),
                writers: 4,
                readers: 20,
            },
        ),
    )?;
    passed(
        "many",
        many::run(
            common,
            &many::ManyArguments {
                techniques: STREAMS.to_vec(),
                streams: 100,
                rate: 500.0,
            },
        ),
    )?;
    passed(
        "loss",
        loss::run(
            common,
            &loss::LossArguments {
                techniques: WAITING.to_vec(),
                rate: 5_000.0,
                batch: 5,
            },
        ),
    )
}

/// Workloads of requests, and idle readers.
fn requests(common: &CommonArguments) -> Result<(), BenchFault> {
    passed(
        "pipe",
        pipe::run(
            common,
            &pipe::PipeArguments {
                connections: vec![8],
                technique: Ndjson,
            },
        ),
    )?;
    passed(
        "poll",
        polls::run(common, &polls::PollsArguments { connections: 8 }),
    )?;
    passed(
        "idle",
        idle::run(
            common,
            &idle::IdleArguments {
                techniques: WAITING.to_vec(),
                readers: 100,
            },
        ),
    )?;
    passed(
        "catch-up",
        catch_up::run(
            common,
            &catch_up::CatchUpArguments {
                techniques: ALL.to_vec(),
                sizes: vec![100],
                megabytes: 3,
            },
        ),
    )
}

fn passed(name: &str, measured: Result<Measured, BenchFault>) -> Result<(), BenchFault> {
    if measured?.failed {
        return Err(BenchFault::Void(format!(
            "{name}: a message was lost, repeated or reordered; see above"
        )));
    }
    eprintln!("{name}: no message was lost, repeated or reordered");
    Ok(())
}
