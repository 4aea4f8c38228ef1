//! Many: thousands of streams with one reader each, appended to in turn.

use super::{float, measured, ms, us_per};
use crate::load::{Load, LoadTerms, Pace};
use crate::process::MeasuredServer;
use crate::rounds::{BenchCase, Measured, RunOutcome, measure};
use crate::table::lower;
use crate::target::{BenchTarget, BenchTechnique};
use crate::{BenchFault, Common, targets};
use std::time::Duration;

/// Connections that append.
const WRITERS: usize = 32;
/// Appended before anything is counted.
const WARM_UP: Duration = Duration::from_millis(500);

/// What is asked for on the command line.
#[derive(Debug, clap::Args)]
pub(crate) struct ManyArguments {
    /// How readers follow
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [BenchTechnique::Ndjson, BenchTechnique::Sse, BenchTechnique::Websocket])]
    pub(crate) techniques: Vec<BenchTechnique>,
    /// How many streams there are, each with one reader
    #[arg(long, default_value_t = 8000)]
    pub(crate) streams: usize,
    /// Appends per second to all streams together, and so deliveries
    #[arg(long, default_value_t = 5_000.0)]
    pub(crate) rate: f64,
}

/// Measures every technique.
pub(crate) fn run(common: &Common, arguments: &ManyArguments) -> Result<Measured, BenchFault> {
    let (streams, rate) = (arguments.streams.clamp(1, 15_000), arguments.rate);
    let title = format!(
        "Many: {streams} streams with a reader each, {rate} appends/s in turn for {} s",
        common.seconds
    );
    let case = |&technique: &BenchTechnique| {
        let terms = LoadTerms {
            streams,
            ..LoadTerms::new(technique, common.size(), WRITERS)
        };
        BenchCase {
            name: technique.to_string(),
            run: Box::new(move |target| one(common, target, &terms, rate)),
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

fn one(common: &Common, target: &dyn BenchTarget, terms: &LoadTerms, rate: f64) -> RunOutcome {
    if !target.offers(terms.technique) {
        return Ok(None);
    }
    let server = MeasuredServer::start(target, common.folder.as_deref())?;
    let mut load = Load::new(target, server.address, terms.clone())?;
    load.open_readers(terms.streams)?;
    let pace = Pace::Open {
        per_second: rate,
        batch: 1,
    };
    load.runs(pace, WARM_UP.min(common.duration()))?;
    load.settles()?;
    let (cpu, tally) = measured(&server, &mut load, |load| {
        load.runs(pace, common.duration())
    })?;
    Ok(Some(vec![
        lower(
            "server CPU per append and its delivery, us",
            us_per(cpu, tally.delivered),
        ),
        lower("p50, ms", ms(tally.latencies.p50_us())),
        lower("p99, ms", ms(tally.latencies.p99_us())),
        lower(
            "bytes per delivery",
            float(tally.received) / float(tally.delivered),
        ),
    ]))
}
