//! Fan-out: one stream, many readers, at a fixed rate of deliveries.

use super::{float, measured, ms, us_per};
use crate::load::{Load, LoadOptions, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::lower;
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};
use std::time::Duration;

/// Connections that append.
const WRITERS: usize = 16;
/// In milliseconds; servers may close connections that are idle for longer.
const POLL_EVERY_MAX: u64 = 4_000;
/// Time of appends before the measurement.
const WARM_UP: Duration = Duration::from_millis(500);

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct FanOutArguments {
    /// Techniques of the readers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Ndjson, BenchTechnique::Sse, BenchTechnique::Websocket, BenchTechnique::LongPoll, BenchTechnique::Poll])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// Numbers of readers, one run for each
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000, 5000])]
    pub(crate) readers: Vec<usize>,
    /// Deliveries per second; appends per second times readers
    #[arg(long, default_value_t = 20_000.0)]
    pub(crate) rate: f64,
    /// Poll interval in milliseconds
    #[arg(long, default_value_t = 1_000)]
    pub(crate) poll_every: u64,
}

/// Measures every technique with every number of readers.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &FanOutArguments,
) -> Result<Measured, BenchFault> {
    let FanOutArguments {
        techniques,
        readers,
        rate,
        poll_every,
    } = arguments;
    let title = format!(
        "Fan-out: {rate} deliveries/s of {} bytes for {} s, polls every {poll_every} ms",
        common.size(),
        common.seconds
    );
    let mut cases = Vec::new();
    for &technique in techniques {
        for &readers in readers {
            let readers = readers.clamp(1, 15_000);
            let pace = Pace::Open {
                per_second: rate / float(readers as u64),
                batch: 1,
            };
            let options = LoadOptions {
                poll_every: Duration::from_millis((*poll_every).clamp(1, POLL_EVERY_MAX)),
                ..LoadOptions::new(technique, common.size(), WRITERS)
            };
            let name = format!("{technique}, {readers} readers");
            cases.push(BenchCase {
                name,
                run: Box::new(move |target| one(common, target, &options, readers, pace)),
            });
        }
    }
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
    options: &LoadOptions,
    readers: usize,
    pace: Pace,
) -> RunOutcome {
    let falls_behind = options.technique == BenchTechnique::Poll && !target.has_pages();
    if !target.offers(options.technique) || falls_behind {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(target, server.address, options.clone())?;
    load.open_readers(readers)?;
    load.run(pace, WARM_UP.min(common.duration()))?;
    load.wait_until_delivered()?;
    let (cpu, counts) = measured(&server, &mut load, |load| load.run(pace, common.duration()))?;
    let mut figures = vec![
        lower("server CPU per delivery, us", us_per(cpu, counts.delivered)),
        lower("p50, ms", ms(counts.latencies.p50_us())),
        lower("p99, ms", ms(counts.latencies.p99_us())),
        lower(
            "bytes per delivery",
            float(counts.received) / float(counts.delivered),
        ),
    ];
    if options.technique == BenchTechnique::Poll {
        figures.push(lower(
            "server CPU per poll, us",
            us_per(cpu, counts.responses),
        ));
    }
    Ok(Some(figures))
}
