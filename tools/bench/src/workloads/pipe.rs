//! Pipe: appends per second to one stream, by number of connections, with one reader that checks them.

use super::{float, measured, ms, us_per};
use crate::load::{Load, LoadOptions, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::{higher, lower};
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};
use std::time::Duration;

/// Time of appends before the measurement.
const WARM_UP: Duration = Duration::from_millis(300);

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct PipeArguments {
    /// Numbers of connections, each of which appends again after each response; one run for each
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
    pub(crate) connections: Vec<usize>,
    /// Technique of the reader
    #[arg(long, value_enum, default_value_t = BenchTechnique::Ndjson)]
    pub(crate) technique: BenchTechnique,
}

/// Measures every number of connections.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &PipeArguments,
) -> Result<Measured, BenchFault> {
    let title = format!(
        "Pipe: appends of {} bytes at full speed for {} s, one reader, disk with --sync {}",
        common.size(),
        common.seconds,
        common.sync
    );
    let case = |&connections: &usize| {
        let writers = connections.clamp(1, 4_096);
        let options = LoadOptions::new(arguments.technique, common.size(), writers);
        BenchCase {
            name: format!("{writers} connections"),
            run: Box::new(move |target| one(common, target, &options)),
        }
    };
    let cases: Vec<BenchCase<'_>> = arguments.connections.iter().map(case).collect();
    measure(
        common,
        &title,
        &targets::chosen(common, &["limit", "memory", "disk"])?,
        &cases,
    )
}

fn one(common: &CommonArguments, target: &dyn BenchTarget, options: &LoadOptions) -> RunOutcome {
    // A target that does not support the technique is read by another one.
    let known = [
        options.technique,
        BenchTechnique::Sse,
        BenchTechnique::Websocket,
        BenchTechnique::LongPoll,
    ];
    let Some(technique) = known
        .into_iter()
        .find(|technique| target.offers(*technique))
    else {
        return Ok(None);
    };
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(
        target,
        server.address,
        LoadOptions {
            technique,
            ..options.clone()
        },
    )?;
    load.open_readers(1)?;
    let pace = Pace::Full { batch: 1 };
    load.run(pace, WARM_UP.min(common.duration()))?;
    load.wait_until_delivered()?;
    let (cpu, counts) = measured(&server, &mut load, |load| load.run(pace, common.duration()))?;
    Ok(Some(vec![
        higher("appends/s", float(counts.appended) / counts.seconds()),
        lower("p50 to the answer, ms", ms(counts.acknowledged.p50_us())),
        lower("p99 to the answer, ms", ms(counts.acknowledged.p99_us())),
        lower("server CPU per append, us", us_per(cpu, counts.appended)),
    ]))
}
