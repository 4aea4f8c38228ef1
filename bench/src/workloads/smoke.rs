//! Smoke: every measurement for a moment, for what it checks and not for its figures.

use super::{catch_up, fan_out, flood, idle, loss, many, pipe, polls};
use crate::rounds::Measured;
use crate::target::Technique::{self, LongPoll, Ndjson, Poll, Sse, Websocket};
use crate::{Common, Fault};

const STREAMS: [Technique; 3] = [Ndjson, Sse, Websocket];
const WAITING: [Technique; 4] = [Ndjson, Sse, Websocket, LongPoll];

/// Runs everything once, with few readers.
///
/// # Errors
/// [`Fault::Void`] when anything was lost, repeated or reordered.
pub(crate) fn run(common: &Common) -> Result<(), Fault> {
    let mut common = Common { rounds: 1, seconds: 0.3, ..common.clone() };
    if common.targets.is_empty() {
        common.targets = ["limit", "limit-joined", "memory", "disk"].map(Into::into).into();
    }
    let common = &common;
    let all = [Ndjson, Sse, Websocket, LongPoll, Poll].to_vec();
    let measured: [Result<Measured, Fault>; 8] = [
        fan_out::run(
            common,
            &fan_out::Arguments { techniques: all, readers: vec![50], rate: 2_000.0, poll_every: 100 },
        ),
        flood::run(common, &flood::Arguments { techniques: WAITING.to_vec(), writers: 4, readers: 20 }),
        pipe::run(common, &pipe::Arguments { connections: vec![8], technique: Ndjson }),
        polls::run(common, &polls::Arguments { connections: 8 }),
        idle::run(common, &idle::Arguments { techniques: WAITING.to_vec(), readers: 100 }),
        catch_up::run(
            common,
            &catch_up::Arguments {
                techniques: vec![Poll, Ndjson, Sse, Websocket, LongPoll],
                sizes: vec![100],
                megabytes: 3,
            },
        ),
        many::run(common, &many::Arguments { techniques: STREAMS.to_vec(), streams: 100, rate: 500.0 }),
        loss::run(common, &loss::Arguments { techniques: WAITING.to_vec(), rate: 5_000.0, batch: 5 }),
    ];
    for one in measured {
        if one?.failed {
            return Err(Fault::Void("something was lost, repeated or reordered; see above".into()));
        }
    }
    Ok(())
}
