//! The workloads, one in each file.

pub(crate) mod catch_up;
pub(crate) mod fan_out;
pub(crate) mod flood;
pub(crate) mod idle;
pub(crate) mod loss;
pub(crate) mod many;
pub(crate) mod pipe;
pub(crate) mod polls;
pub(crate) mod smoke;

use crate::BenchFault;
use crate::load::{Load, LoadCounts};
use crate::process::MeasuredServer;
use std::thread;
use std::time::Duration;

/// How long a server is given to become idle.
const QUIET: Duration = Duration::from_millis(50);

/// Resets the counts, does `work`, and waits until all messages are delivered and checked.
///
/// - Returns the server's processor time for it, and the counts.
fn measured<'l, 'a>(
    server: &MeasuredServer,
    load: &'l mut Load<'a>,
    work: impl FnOnce(&mut Load<'a>) -> Result<(), BenchFault>,
) -> Result<(Duration, &'l LoadCounts), BenchFault> {
    load.reset_counts();
    thread::sleep(QUIET);
    let before = server.cpu()?;
    work(load)?;
    load.wait_until_delivered()?;
    thread::sleep(QUIET);
    let cpu = server.cpu()?.saturating_sub(before);
    Ok((cpu, &load.counts))
}

/// Microseconds per unit.
fn us_per(cpu: Duration, count: u64) -> f64 {
    cpu.as_secs_f64() * 1e6 / float(count)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^53"
)]
fn float(count: u64) -> f64 {
    count as f64
}

fn ms(us: Option<f64>) -> f64 {
    us.unwrap_or(f64::NAN) / 1e3
}
