//! Many: thousands of streams with one reader each, appended to in turn.

use super::{float, measured, ms, us_per};
use crate::load::{Load, LoadOptions, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::lower;
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};
use std::time::Duration;

/// Connections that append.
const WRITERS: usize = 32;
/// Time of appends before the measurement.
const WARM_UP: Duration = Duration::from_millis(500);

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct ManyArguments {
    /// Techniques of the readers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Ndjson, BenchTechnique::Sse, BenchTechnique::Websocket])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// Number of streams, each with one reader
    #[arg(long, default_value_t = 8000)]
    pub(crate) streams: usize,
    /// Appends per second to all streams together, which equals deliveries per second
    #[arg(long, default_value_t = 5_000.0)]
    pub(crate) rate: f64,
}

/// Measures every technique.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &ManyArguments,
) -> Result<Measured, BenchFault> {
    let (streams, rate) = (arguments.streams.clamp(1, 15_000), arguments.rate);
    let title = format!(
        "Many: {streams} streams with a reader each, {rate} appends/s in turn for {} s",
        common.seconds
    );
    let case = |&technique: &BenchTechnique| {
        let options = LoadOptions {
            streams,
            ..LoadOptions::new(technique, common.size(), WRITERS)
        };
        BenchCase {
            name: technique.to_string(),
            run: Box::new(move |target| one(common, target, &options, rate)),
        }
    };
    let cases: Vec<BenchCase<'_>> = arguments.techniques.iter().map(case).collect();
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
    rate: f64,
) -> RunOutcome {
    if !target.offers(options.technique) {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(target, server.address, options.clone())?;
    load.open_readers(options.streams)?;
    let pace = Pace::Open {
        per_second: rate,
        batch: 1,
    };
    load.run(pace, WARM_UP.min(common.duration()))?;
    load.wait_until_delivered()?;
    let (cpu, counts) = measured(&server, &mut load, |load| load.run(pace, common.duration()))?;
    Ok(Some(vec![
        lower(
            "server CPU per append and its delivery, us",
            us_per(cpu, counts.delivered),
        ),
        lower("p50, ms", ms(counts.latencies.p50_us())),
        lower("p99, ms", ms(counts.latencies.p99_us())),
        lower(
            "bytes per delivery",
            float(counts.received) / float(counts.delivered),
        ),
    ]))
}
