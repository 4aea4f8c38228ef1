//! The time that the browser itself takes in one lane, measured separately from the network.

use tailwater_lab::Latencies;

use crate::lanes::message::ClientTime;

/// The fewest samples for which a mean is used.
const SAMPLES_MIN: u64 = 4;

/// The times of the browser in one lane since the run began.
#[derive(Debug, Clone, Default)]
pub struct ClientCosts {
    up: Latencies,
    down: Latencies,
    timer: Latencies,
}

impl ClientCosts {
    /// Records the times of a poll or long-poll.
    pub fn record_request(&mut self, time: ClientTime) {
        self.up.record_us(time.up_ms * 1_000.0);
        self.down.record_us(time.down_ms * 1_000.0);
    }

    /// Records the time, beyond the transit, of a chunk of a live response or of a frame.
    pub fn record_chunk(&mut self, ms: f64) {
        self.down.record_us(ms.max(0.0) * 1_000.0);
    }

    /// Records the delay of a timer on the reader's thread.
    pub fn record_timer_delay(&mut self, ms: f64) {
        self.timer.record_us(ms * 1_000.0);
    }

    /// Mean time from the script's request until its first byte is sent, ms; 0 before it is known.
    pub fn up_ms(&self) -> f64 {
        mean_ms(&self.up)
    }

    /// Mean time from the arrival of data until the script receives it, ms; 0 before it is known.
    pub fn down_ms(&self) -> f64 {
        mean_ms(&self.down)
    }

    /// 99th percentile of the time for a request, an event or a timer, ms; the maximum while there are too few samples.
    pub fn p99_ms(&self) -> f64 {
        let p99_ms = |times: &Latencies| {
            let us = times.p99_us().or_else(|| times.max_us());
            us.unwrap_or(0.0) / 1_000.0
        };
        let transfers_ms = p99_ms(&self.up).max(p99_ms(&self.down));
        transfers_ms.max(p99_ms(&self.timer))
    }
}

fn mean_ms(times: &Latencies) -> f64 {
    let mean_us = times.mean_us().filter(|_| times.count() >= SAMPLES_MIN);
    mean_us.unwrap_or(0.0) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_99th_percentile_includes_timer_delays() {
        let mut costs = ClientCosts::default();
        assert_eq!((costs.down_ms(), costs.p99_ms()), (0.0, 0.0));
        for _ in 0..10 {
            costs.record_request(ClientTime {
                up_ms: 0.2,
                down_ms: 0.5,
            });
        }
        assert!((costs.up_ms() - 0.2).abs() < 0.01);
        assert!((costs.down_ms() - 0.5).abs() < 0.01);
        costs.record_timer_delay(12.0);
        assert!((costs.p99_ms() - 12.0).abs() < 0.2, "{}", costs.p99_ms());
    }

    #[test]
    fn the_99th_percentile_includes_the_way_to_the_server() {
        let mut costs = ClientCosts::default();
        costs.record_request(ClientTime {
            up_ms: 15.0,
            down_ms: 0.5,
        });
        assert!((costs.p99_ms() - 15.0).abs() < 0.2, "{}", costs.p99_ms());
    }
}
