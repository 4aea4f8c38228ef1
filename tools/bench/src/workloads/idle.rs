//! Idle: the server's memory for each waiting reader.

use super::float;
use crate::load::{Load, LoadOptions, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::lower;
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, CommonArguments, targets};
use std::thread;
use std::time::Duration;

/// Readers before the first measurement, so that one-time allocations are not counted.
const FIRST: usize = 1_000;
/// How long to wait before each measurement of memory.
const QUIET_MAX: Duration = Duration::from_millis(1_500);

/// Options of the workload.
#[derive(Debug, clap::Args)]
pub(crate) struct IdleArguments {
    /// Techniques of the readers
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Ndjson, BenchTechnique::Sse, BenchTechnique::Websocket, BenchTechnique::LongPoll])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// Number of readers at the end
    #[arg(long, default_value_t = 5000)]
    pub(crate) readers: usize,
}

/// Measures every technique.
pub(crate) fn run(
    common: &CommonArguments,
    arguments: &IdleArguments,
) -> Result<Measured, BenchFault> {
    let readers = arguments.readers.clamp(2, 15_000);
    let first = FIRST.min(readers / 2);
    let title = format!(
        "Idle: the server's memory (proportional set size) per waiting reader, of {} after the first {first}",
        readers - first
    );
    let cases: Vec<BenchCase<'_>> = arguments
        .techniques
        .iter()
        .map(|&technique| BenchCase {
            name: technique.to_string(),
            run: Box::new(move |target| one(common, target, technique, first, readers)),
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
    common: &CommonArguments,
    target: &dyn BenchTarget,
    technique: BenchTechnique,
    first: usize,
    readers: usize,
) -> RunOutcome {
    if !target.offers(technique) {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let options = LoadOptions::new(technique, common.size(), 1);
    let mut load = Load::new(target, server.address, options)?;
    let quiet = QUIET_MAX.min(common.duration());
    load.open_readers(first)?;
    thread::sleep(quiet);
    let before = server.memory()?;
    load.open_readers(readers - first)?;
    thread::sleep(quiet);
    let kib =
        |after: u64| float(after.saturating_sub(before)) / 1024.0 / float((readers - first) as u64);
    let waiting = kib(server.memory()?);
    // One event for all readers: a reader that does not receive it makes the run void.
    load.run(
        Pace::Open {
            per_second: 1.0,
            batch: 1,
        },
        Duration::from_millis(100),
    )?;
    load.wait_until_delivered()?;
    thread::sleep(quiet);
    Ok(Some(vec![
        lower("KiB per reader that has received nothing yet", waiting),
        lower("KiB per reader after an event", kib(server.memory()?)),
    ]))
}
