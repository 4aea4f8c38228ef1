//! Catch-up: a large stream read from its beginning, as pages or as one response.

use super::{float, measured};
use crate::load::{Load, LoadOptions};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::{higher, lower};
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};

/// Bytes per append.
const BATCH_BYTES: usize = 1_000_000;
/// Connections that fill the stream.
const WRITERS: usize = 4;

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct CatchUpArguments {
    /// Techniques of the reader; `poll` reads pages
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Poll, BenchTechnique::Ndjson, BenchTechnique::Sse])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// Bytes of a message, one run for each
    #[arg(long, value_delimiter = ',', default_values_t = [100, 1000])]
    pub(crate) sizes: Vec<usize>,
    /// Size of the stream in megabytes
    #[arg(long, default_value_t = 500)]
    pub(crate) megabytes: u64,
}

/// Measures every technique with every size of messages.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &CatchUpArguments,
) -> Result<Measured, BenchFault> {
    let megabytes = arguments.megabytes.clamp(1, 3_000);
    let title = format!(
        "Catch-up: a stream of {megabytes} MB read from its beginning; servers with a disk are restarted before"
    );
    let mut cases = Vec::new();
    for &technique in &arguments.techniques {
        for &size in &arguments.sizes {
            let size = size.clamp(crate::message::SIZE_MIN, BATCH_BYTES);
            let options = LoadOptions {
                timed: false,
                ..LoadOptions::new(technique, size, WRITERS)
            };
            let by = if technique == BenchTechnique::Poll {
                "pages".to_owned()
            } else {
                technique.to_string()
            };
            cases.push(BenchCase {
                name: format!("{by}, messages of {size} bytes"),
                run: Box::new(move |target| one(common, target, &options, megabytes * 1_000_000)),
            });
        }
    }
    measure(
        common,
        &title,
        &targets::chosen(common, &["limit", "memory", "disk"])?,
        &cases,
    )
}

fn one(
    common: &CommonArguments,
    target: &dyn BenchTarget,
    options: &LoadOptions,
    bytes: u64,
) -> RunOutcome {
    if !target.offers(options.technique) {
        return Ok(None);
    }
    let mut server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(target, server.address, options.clone())?;
    // Also for a server that stores an append as one message: here only the bytes matter.
    load.fill(bytes / options.size as u64, BATCH_BYTES / options.size)?;
    if target.durable() {
        server.restart(target)?;
    }
    let mut figures = Vec::new();
    let readings = [
        (
            "MB/s, first reading",
            "server CPU per MB, first reading, us",
        ),
        (
            "MB/s, second reading",
            "server CPU per MB, second reading, us",
        ),
    ];
    for (rate, cost) in readings {
        load.reconnect(server.address)?;
        let (cpu, counts) = measured(&server, &mut load, Load::read_from_beginning)?;
        let megabytes = float(counts.delivered * options.size as u64) / 1e6;
        figures.push(higher(rate, megabytes / counts.seconds()));
        figures.push(lower(cost, cpu.as_secs_f64() * 1e6 / megabytes));
    }
    Ok(Some(figures))
}
