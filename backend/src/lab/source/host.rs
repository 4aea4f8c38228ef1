//! The host source: measures CPU, memory, load and network of this machine, on average four times a
//! second.

use super::schedule::Schedule;
use serde::Serialize;
use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};
use sysinfo::{MINIMUM_CPU_UPDATE_INTERVAL, MemoryRefreshKind, Networks, System};
use tailwater_protocol::lab::{EventStamps, HostPattern, HostRequest, Pattern};

/// The shortest interval over which rates and the CPU usage are computed. Poisson gaps can be shorter
/// than a millisecond, in which a core is either completely busy or completely idle.
const WINDOW: Duration = MINIMUM_CPU_UPDATE_INTERVAL;

/// The stream's name. Each pattern has its own stream.
pub(super) fn stream_name(pattern: HostPattern) -> &'static str {
    match pattern {
        HostPattern::Poisson => "lab/host",
        HostPattern::Periodic => "lab/host-periodic",
    }
}

/// Measures the host, and stores the last values from which differences are computed.
#[derive(Debug)]
pub(super) struct Host {
    system: System,
    networks: Option<Networks>,
    traffic: TrafficHistory,
    schedule: Schedule,
    began_us: u64,
}

/// One event: stamps, then the measurements. Values that the system does not provide are `null`.
#[derive(Debug, Serialize)]
struct HostEvent {
    #[serde(flatten)]
    stamps: EventStamps,
    /// Busy share of all cores together, 0 to 100. It is updated when the last update is at least
    /// [`WINDOW`] old.
    cpu_percent: f64,
    cores: usize,
    memory_used_bytes: u64,
    memory_total_bytes: u64,
    /// Processes that run or wait to run, averaged over a minute.
    load_1min: Option<f64>,
    /// All interfaces except loopback.
    network_in_bytes_per_s: Option<f64>,
    network_out_bytes_per_s: Option<f64>,
    /// Races use loopback.
    loopback_bytes_per_s: Option<f64>,
}

/// Bytes since the system started: in, out, loopback.
type TrafficTotals = [u64; 3];

/// The totals of the last measurements, back to the newest that is at least [`WINDOW`] old.
#[derive(Debug, Default)]
struct TrafficHistory(VecDeque<(Instant, TrafficTotals)>);

impl TrafficHistory {
    /// Adds a measurement.
    ///
    /// - Returns bytes per second since the newest measurement that is at least [`WINDOW`] older;
    ///   `None` if there is none.
    fn add(&mut self, now: Instant, totals: TrafficTotals) -> Option<[f64; 3]> {
        let is_old = |at: &Instant| now.saturating_duration_since(*at) >= WINDOW;
        while self.0.get(1).is_some_and(|(at, _)| is_old(at)) {
            self.0.pop_front();
        }
        let rates = self
            .0
            .front()
            .filter(|(at, _)| is_old(at))
            .map(|(at, before)| {
                let elapsed_s = now.saturating_duration_since(*at).as_secs_f64();
                // The total decreases when an interface is removed.
                let rate = |at: usize| totals[at].saturating_sub(before[at]) as f64 / elapsed_s;
                [rate(0), rate(1), rate(2)]
            });
        self.0.push_back((now, totals));
        rates
    }
}

impl Host {
    /// Prepares the measurements.
    ///
    /// - `seed`: the seed of the schedule.
    /// - `now_us`: the server's clock. The schedule begins [`WINDOW`] later, since rates need two
    ///   measurements.
    ///
    /// # Errors
    /// The system can't be measured.
    pub(super) fn new(
        pattern: HostPattern,
        seed: u64,
        now_us: impl Fn() -> u64,
    ) -> io::Result<Self> {
        let mut system = System::new().map_err(io::Error::other)?;
        system.refresh_cpu_usage();
        let pattern = match pattern {
            HostPattern::Poisson => Pattern::Poisson,
            HostPattern::Periodic => Pattern::Periodic,
        };
        let mut host = Self {
            system,
            networks: Networks::new_with_refreshed_list().ok(),
            traffic: TrafficHistory::default(),
            schedule: Schedule::new(pattern, HostRequest::RATE_PER_S, seed),
            began_us: 0,
        };
        host.measure_traffic();
        host.began_us = now_us().saturating_add(super::micros(WINDOW));
        Ok(host)
    }

    /// When the next measurement is due, on the server's clock.
    pub(super) fn next_due_us(&self) -> u64 {
        self.began_us.saturating_add(self.schedule.next_us())
    }

    /// Measures and writes an event. Its due time is the time of the measurement.
    ///
    /// Measurements that became due meanwhile are skipped.
    pub(super) fn write(&mut self, seq: u64, now_us: impl Fn() -> u64, out: &mut Vec<u8>) {
        self.system.refresh_cpu_usage();
        self.system
            .refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
        let traffic = self.measure_traffic();
        let measured_us = now_us();
        let rate = |at: usize| traffic.map(|rates| rounded(rates[at]));
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
            network_in_bytes_per_s: rate(0),
            network_out_bytes_per_s: rate(1),
            loopback_bytes_per_s: rate(2),
        };
        // Serializing numbers to memory can't fail.
        let _ = serde_json::to_writer(&mut *out, &event);
        while self.next_due_us() <= measured_us {
            self.schedule.advance();
        }
    }

    fn measure_traffic(&mut self) -> Option<[f64; 3]> {
        let networks = self.networks.as_mut()?;
        networks.refresh(true);
        let mut totals = TrafficTotals::default();
        for (name, data) in networks.iter() {
            if name == "lo" || name == "lo0" {
                // Bytes sent over loopback are also received there: they are counted once.
                totals[2] += data.total_received();
            } else {
                totals[0] += data.total_received();
                totals[1] += data.total_transmitted();
            }
        }
        self.traffic.add(Instant::now(), totals)
    }
}

/// Rounds to a tenth, because further digits are noise.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(pattern: HostPattern, seed: u64, now_us: u64) -> Host {
        Host::new(pattern, seed, || now_us).unwrap()
    }

    #[test]
    fn a_host_event_is_plausible_and_names_its_units() {
        let mut host = host(HostPattern::Poisson, 1, 1_000);
        let due_us = host.next_due_us();
        assert!(due_us >= 201_000, "{due_us}");
        let mut out = Vec::new();
        host.write(3, || due_us + 500, &mut out);
        let event: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(
            (event["seq"].as_u64(), event["due_us"].as_u64()),
            (Some(3), Some(due_us + 500))
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

    /// The first due times of a host that measures each time exactly when it is due.
    fn due_us(pattern: HostPattern, seed: u64, count: usize) -> Vec<u64> {
        let mut host = host(pattern, seed, 0);
        let mut next = || {
            let due_us = host.next_due_us();
            host.write(0, || due_us, &mut Vec::new());
            due_us
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn the_gaps_are_exponential_or_equal_with_a_mean_of_250_ms() {
        for (pattern, spread) in [(HostPattern::Poisson, 1.0), (HostPattern::Periodic, 0.0)] {
            let due_us = due_us(pattern, 7, 401);
            let gaps: Vec<f64> = due_us
                .windows(2)
                .map(|pair| (pair[1] - pair[0]) as f64)
                .collect();
            let mean = gaps.iter().sum::<f64>() / 400.0;
            let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 400.0;
            let variation = variance.sqrt() / mean;
            assert!(
                (mean / 250_000.0 - 1.0).abs() < 0.15,
                "{pattern:?}, seed 7: {mean}"
            );
            assert!(
                (variation - spread).abs() < 0.2,
                "{pattern:?}, seed 7: {variation}"
            );
        }
    }

    #[test]
    fn periodic_measurements_begin_at_a_random_phase() {
        let phases: Vec<u64> = (0..40)
            .map(|seed| host(HostPattern::Periodic, seed, 0).next_due_us() - 200_000)
            .collect();
        assert!(phases.iter().all(|phase| *phase < 250_000), "{phases:?}");
        let quarters = phases.iter().map(|phase| phase / 62_500);
        let found: std::collections::BTreeSet<u64> = quarters.collect();
        assert_eq!(found.len(), 4, "{phases:?}");
    }

    #[test]
    fn missed_measurements_are_skipped_without_a_shift() {
        let mut host = host(HostPattern::Periodic, 3, 0);
        let first_us = host.next_due_us();
        host.write(0, || first_us + 1_010_000, &mut Vec::new());
        assert_eq!(host.next_due_us(), first_us + 1_250_000);
    }

    #[test]
    fn rates_are_computed_over_a_whole_window() {
        let (start, mut history) = (Instant::now(), TrafficHistory::default());
        let mut at = |ms: u64, bytes: u64| {
            let rates = history.add(start + Duration::from_millis(ms), [bytes, 0, 0]);
            rates.map(|rates| rates[0].round())
        };
        assert_eq!(at(0, 1_000), None);
        assert_eq!(at(199, 1_000), None);
        assert_eq!(at(200, 3_000), Some(10_000.0));
        // A millisecond later, after 1,000 bytes: not 1,000,000 per second.
        assert_eq!(at(201, 4_000), Some(14_925.0));
        assert_eq!(at(400, 4_000), Some(5_000.0), "since 200 ms");
        assert_eq!(at(1_000, 500), Some(0.0), "an interface was removed");
    }
}
