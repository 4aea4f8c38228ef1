//! This machine's own pulse: CPU, memory, load and network, four times a second.

use serde::Serialize;
use std::io;
use std::time::{Duration, Instant};
use sysinfo::{MemoryRefreshKind, Networks, System};
use tailwater_protocol::lab::EventStamps;

/// The name of its stream.
pub(super) const STREAM: &str = "lab/host";
/// Time between two pulses; the system's own CPU times are not finer than 200 ms.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// Takes pulses, and remembers the last one where only differences mean something.
#[derive(Debug)]
pub(super) struct Host {
    system: System,
    networks: Option<Networks>,
    measured: Instant,
    next_due_us: u64,
}

/// One event: stamps first, then what was measured. What the system does not tell is `null`.
#[derive(Debug, Serialize)]
struct Pulse {
    #[serde(flatten)]
    stamps: EventStamps,
    /// Busy share of all cores together, 0 to 100.
    cpu_percent: f64,
    cores: usize,
    memory_used_bytes: u64,
    memory_total_bytes: u64,
    /// Processes that run or wait for it, averaged over a minute.
    load_1min: Option<f64>,
    /// All interfaces but loopback.
    network_in_bytes_per_s: Option<f64>,
    network_out_bytes_per_s: Option<f64>,
    /// The race itself runs over loopback.
    loopback_bytes_per_s: Option<f64>,
}

/// Bytes per second since the last look: in, out, loopback.
type Traffic = (f64, f64, f64);

impl Host {
    /// - `now_us`: the server's clock; the first pulse is one period later, as rates need two looks.
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

    /// When the next pulse is to be taken, on the server's clock.
    pub(super) fn next_due_us(&self) -> u64 {
        self.next_due_us
    }

    /// Takes a pulse and writes it. An event is due when it happens: here when the pulse has been taken.
    ///
    /// A pulse that was missed is left out, as the past can't be measured any more.
    pub(super) fn write(&mut self, seq: u64, now_us: impl Fn() -> u64, out: &mut Vec<u8>) {
        self.system.refresh_cpu_usage();
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let traffic = self.traffic();
        let taken_us = now_us();
        let pulse = Pulse {
            stamps: EventStamps {
                seq,
                due_us: taken_us,
                sent_us: taken_us,
            },
            cpu_percent: rounded(f64::from(self.system.global_cpu_usage())),
            cores: self.system.cpus().len(),
            memory_used_bytes: self.system.used_memory(),
            memory_total_bytes: self.system.total_memory(),
            load_1min: System::load_average().ok().map(|load| load.one),
            network_in_bytes_per_s: traffic.map(|(into, _, _)| rounded(into)),
            network_out_bytes_per_s: traffic.map(|(_, out, _)| rounded(out)),
            loopback_bytes_per_s: traffic.map(|(_, _, around)| rounded(around)),
        };
        // A struct of numbers can't fail to be written to memory.
        let _ = serde_json::to_writer(&mut *out, &pulse);
        let missed = taken_us.saturating_sub(self.next_due_us) / period_us();
        self.next_due_us += (missed + 1) * period_us();
    }

    fn traffic(&mut self) -> Option<Traffic> {
        let networks = self.networks.as_mut()?;
        networks.refresh(true);
        let elapsed_s = self.measured.elapsed().as_secs_f64().max(1e-3);
        self.measured = Instant::now();
        let (mut into, mut out, mut around) = (0.0, 0.0, 0.0);
        for (name, data) in networks.iter() {
            if name == "lo" || name == "lo0" {
                // What is sent over loopback is received there: count it once.
                around += data.received() as f64;
            } else {
                into += data.received() as f64;
                out += data.transmitted() as f64;
            }
        }
        Some((into / elapsed_s, out / elapsed_s, around / elapsed_s))
    }
}

fn period_us() -> u64 {
    u64::try_from(PERIOD.as_micros()).unwrap_or(u64::MAX)
}

/// To a tenth: more digits would be noise that costs bytes.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pulse_says_its_units_and_is_plausible() {
        let mut host = Host::new(1_000).unwrap();
        assert_eq!(host.next_due_us(), 251_000);
        let mut out = Vec::new();
        host.write(3, || 251_500, &mut out);
        let pulse: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (pulse["seq"].as_u64(), pulse["due_us"].as_u64()),
            (Some(3), Some(251_500))
        );
        assert!(
            (0.0..=100.0).contains(&pulse["cpu_percent"].as_f64().unwrap()),
            "{pulse}"
        );
        assert!(
            pulse["memory_used_bytes"].as_u64() <= pulse["memory_total_bytes"].as_u64(),
            "{pulse}"
        );
        assert!(pulse["cores"].as_u64() > Some(0), "{pulse}");
    }

    #[test]
    fn missed_pulses_are_left_out_and_the_rhythm_stays() {
        let mut host = Host::new(0).unwrap();
        host.write(0, || 1_010_000, &mut Vec::new());
        assert_eq!(host.next_due_us(), 1_250_000);
    }
}
