//! The host source: this machine's CPU, memory, load and network, four times a second.

use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};
use sysinfo::{MemoryRefreshKind, Networks, System};
use tailwater_protocol::lab::EventStamps;

/// The stream's name.
pub(super) const STREAM: &str = "lab/host";
/// Interval between two measurements; the system updates CPU times every 200 ms.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// Measures the host, and stores the last values from which differences are computed.
#[derive(Debug)]
pub(super) struct Host {
    system: System,
    networks: Option<Networks>,
    measured: Instant,
    next_due_us: u64,
}

/// One event: stamps, then the measurements. Values that the system does not provide are `null`.
#[derive(Debug, Serialize)]
struct HostEvent {
    #[serde(flatten)]
    stamps: EventStamps,
    /// Busy share of all cores together, 0 to 100.
    cpu_percent: f64,
    cores: usize,
    memory_used_bytes: u64,
    memory_total_bytes: u64,
    /// Processes that run or wait to run, averaged over a minute.
    load_1min: Option<f64>,
    /// All interfaces except loopback.
    network_in_bytes_per_s: Option<f64>,
    network_out_bytes_per_s: Option<f64>,
    /// The race itself runs over loopback.
    loopback_bytes_per_s: Option<f64>,
}

/// Bytes per second since the last measurement: in, out, loopback.
type Traffic = (f64, f64, f64);

impl Host {
    /// - `now_us`: the server's clock; the first event is one period later, since rates need two
    ///   measurements.
    ///
    /// # Errors
    /// The system can't be measured.
    pub(super) fn new(now_us: u64) -> io::Result<Self> {
        let mut system = System::new().map_err(io::Error::other)?;
        system.refresh_cpu_usage();
        let networks = Networks::new_with_refreshed_list().ok();
        Ok(Self {
            system,
            networks,
            measured: Instant::now(),
            next_due_us: now_us + period_us(),
        })
    }

    /// When the next measurement is due, on the server's clock.
    pub(super) fn next_due_us(&self) -> u64 {
        self.next_due_us
    }

    /// Measures and writes an event, whose due time is that of the measurement.
    ///
    /// Missed measurements are skipped.
    pub(super) fn write(&mut self, seq: u64, now_us: impl Fn() -> u64, out: &mut Vec<u8>) {
        self.system.refresh_cpu_usage();
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let traffic = self.traffic();
        let measured_us = now_us();
        let event = HostEvent {
            stamps: EventStamps {
                seq,
                due_us: measured_us,
                sent_us: measured_us,
            },
            cpu_percent: rounded(f64::from(self.system.global_cpu_usage())),
            cores: self.system.cpus().len(),
            memory_used_bytes: self.system.used_memory(),
            memory_total_bytes: self.system.total_memory(),
            load_1min: System::load_average().ok().map(|load| load.one),
            network_in_bytes_per_s: traffic.map(|(into, _, _)| rounded(into)),
            network_out_bytes_per_s: traffic.map(|(_, out, _)| rounded(out)),
            loopback_bytes_per_s: traffic.map(|(_, _, loopback)| rounded(loopback)),
        };
        // Serializing numbers to memory can't fail.
        let _ = serde_json::to_writer(&mut *out, &event);
        let missed = measured_us.saturating_sub(self.next_due_us) / period_us();
        self.next_due_us += (missed + 1) * period_us();
    }

    fn traffic(&mut self) -> Option<Traffic> {
        let networks = self.networks.as_mut()?;
        networks.refresh(true);
        let elapsed_s = self.measured.elapsed().as_secs_f64().max(1e-3);
        self.measured = Instant::now();
        let (mut into, mut out, mut loopback) = (0.0, 0.0, 0.0);
        for (name, data) in networks.iter() {
            if name == "lo" || name == "lo0" {
                // Bytes sent over loopback are also received there: they are counted once.
                loopback += data.received() as f64;
            } else {
                into += data.received() as f64;
                out += data.transmitted() as f64;
            }
        }
        Some((into / elapsed_s, out / elapsed_s, loopback / elapsed_s))
    }
}

fn period_us() -> u64 {
    u64::try_from(PERIOD.as_micros()).unwrap_or(u64::MAX)
}

/// Rounds to a tenth: more digits are noise.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_event_is_plausible_and_names_its_units() {
        let mut host = Host::new(1_000).unwrap();
        assert_eq!(host.next_due_us(), 251_000);
        let mut out = Vec::new();
        host.write(3, || 251_500, &mut out);
        let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (event["seq"].as_u64(), event["due_us"].as_u64()),
            (Some(3), Some(251_500))
        );
        assert!(
            (0.0..=100.0).contains(&event["cpu_percent"].as_f64().unwrap()),
            "{event}"
        );
        assert!(
            event["memory_used_bytes"].as_u64() <= event["memory_total_bytes"].as_u64(),
            "{event}"
        );
        assert!(event["cores"].as_u64() > Some(0), "{event}");
    }

    #[test]
    fn missed_measurements_are_skipped_without_a_shift() {
        let mut host = Host::new(0).unwrap();
        host.write(0, || 1_010_000, &mut Vec::new());
        assert_eq!(host.next_due_us(), 1_250_000);
    }
}
