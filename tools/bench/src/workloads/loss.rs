//! Loss: an open-loop load above the capacity of most servers, on one stream; every acknowledged message must be delivered.

use super::{float, measured, ms, us_per};
use crate::load::{Load, LoadOptions, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::{higher, lower};
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};

/// Connections that append.
const WRITERS: usize = 64;

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct LossArguments {
    /// Techniques of the reader
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Ndjson, BenchTechnique::Sse, BenchTechnique::Websocket, BenchTechnique::LongPoll])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// Offered messages per second
    #[arg(long, default_value_t = 100_000.0)]
    pub(crate) rate: f64,
    /// Messages per append, for servers that split arrays
    #[arg(long, default_value_t = 20)]
    pub(crate) batch: usize,
}

/// Measures every technique.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &LossArguments,
) -> Result<Measured, BenchFault> {
    let (rate, batch) = (arguments.rate, arguments.batch.clamp(1, 10_000));
    let title = format!(
        "Loss: {rate} messages/s offered to one stream for {} s, {batch} per append for servers that split arrays",
        common.seconds
    );
    let case = |&technique: &BenchTechnique| {
        let options = LoadOptions::new(technique, common.size(), WRITERS);
        BenchCase {
            name: technique.to_string(),
            run: Box::new(move |target| one(common, target, &options, rate, batch)),
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
    batch: usize,
) -> RunOutcome {
    if !target.offers(options.technique) {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(target, server.address, options.clone())?;
    load.open_readers(1)?;
    let pace = Pace::Open {
        per_second: rate,
        batch: if target.batches() { batch } else { 1 },
    };
    let (cpu, counts) = measured(&server, &mut load, |load| load.run(pace, common.duration()))?;
    Ok(Some(vec![
        higher(
            "messages/s taken and delivered",
            float(counts.delivered) / counts.seconds(),
        ),
        lower("p99, ms", ms(counts.latencies.p99_us())),
        lower("server CPU per message, us", us_per(cpu, counts.delivered)),
    ]))
}
