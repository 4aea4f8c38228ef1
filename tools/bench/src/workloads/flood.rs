//! Flood: writers at full speed, and the deliveries and latency of their readers.

use super::{float, measured, ms, us_per};
use crate::load::{Load, LoadOptions, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::{higher, lower};
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct FloodArguments {
    /// Techniques of the readers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Ndjson, BenchTechnique::Sse, BenchTechnique::Websocket])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// Number of writers, each of which appends again after each response
    #[arg(long, default_value_t = 8)]
    pub(crate) writers: usize,
    /// Number of readers
    #[arg(long, default_value_t = 100)]
    pub(crate) readers: usize,
}

/// Measures every technique.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &FloodArguments,
) -> Result<Measured, BenchFault> {
    let (writers, readers) = (
        arguments.writers.clamp(1, 1_024),
        arguments.readers.clamp(1, 10_000),
    );
    let title = format!(
        "Flood: {writers} writers at full speed for {} s, {readers} readers",
        common.seconds
    );
    let case = |&technique: &BenchTechnique| {
        let options = LoadOptions::new(technique, common.size(), writers);
        BenchCase {
            name: technique.to_string(),
            run: Box::new(move |target| one(common, target, &options, readers)),
        }
    };
    let cases: Vec<BenchCase<'_>> = arguments.techniques.iter().map(case).collect();
    measure(
        common,
        &title,
        &targets::chosen(common, &["limit", "limit-joined", "memory"])?,
        &cases,
    )
}

fn one(
    common: &CommonArguments,
    target: &dyn BenchTarget,
    options: &LoadOptions,
    readers: usize,
) -> RunOutcome {
    if !target.offers(options.technique) {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(target, server.address, options.clone())?;
    load.open_readers(readers)?;
    let pace = Pace::Full { batch: 1 };
    let (cpu, counts) = measured(&server, &mut load, |load| load.run(pace, common.duration()))?;
    Ok(Some(vec![
        higher("deliveries/s", float(counts.delivered) / counts.seconds()),
        lower("p50, ms", ms(counts.latencies.p50_us())),
        lower("p99, ms", ms(counts.latencies.p99_us())),
        higher("appends/s", float(counts.appended) / counts.seconds()),
        lower("server CPU per delivery, us", us_per(cpu, counts.delivered)),
    ]))
}
