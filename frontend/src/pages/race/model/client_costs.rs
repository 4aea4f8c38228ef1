//! What the browser itself takes in one lane, measured apart from the network.

use tailwater_lab::Latencies;

use crate::lanes::message::ClientTime;

/// Observations from which a mean is used.
const ENOUGH: u64 = 4;

/// The browser's own time in one lane since the run began.
#[derive(Debug, Clone, Default)]
pub struct ClientCosts {
    up: Latencies,
    down: Latencies,
    late: Latencies,
}

impl ClientCosts {
    /// Takes what one request and its answer cost, of a lane that polls or long-polls.
    pub fn request(&mut self, time: ClientTime) {
        self.up.record_us(time.up_ms * 1_000.0);
        self.down.record_us(time.down_ms * 1_000.0);
    }

    /// Takes what one piece of a live answer, or one frame, cost beyond its way.
    pub fn piece(&mut self, ms: f64) {
        self.down.record_us(ms.max(0.0) * 1_000.0);
    }

    /// Takes how late a timer of the reader's thread fired.
    pub fn late(&mut self, ms: f64) {
        self.late.record_us(ms * 1_000.0);
    }

    /// Mean from the script's request to the first byte that leaves, ms; 0 before it is known.
    pub fn up_ms(&self) -> f64 {
        mean_ms(&self.up)
    }

    /// Mean from what arrived to the script, ms; 0 before it is known.
    pub fn down_ms(&self) -> f64 {
        mean_ms(&self.down)
    }

    /// 99th percentile of what it takes for an event, ms; as far as is known, the most.
    pub fn p99_ms(&self) -> f64 {
        let p99_ms = |times: &Latencies| {
            let us = times.p99_us().or_else(|| times.max_us());
            us.unwrap_or(0.0) / 1_000.0
        };
        p99_ms(&self.down).max(p99_ms(&self.late))
    }
}

fn mean_ms(times: &Latencies) -> f64 {
    let mean_us = times.mean_us().filter(|_| times.count() >= ENOUGH);
    mean_us.unwrap_or(0.0) / 1_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_timer_or_answer_shows_in_the_99th_percentile() {
        let mut costs = ClientCosts::default();
        assert_eq!((costs.down_ms(), costs.p99_ms()), (0.0, 0.0));
        for _ in 0..10 {
            costs.request(ClientTime {
                up_ms: 0.2,
                down_ms: 0.5,
            });
        }
        assert!((costs.up_ms() - 0.2).abs() < 0.01);
        assert!((costs.down_ms() - 0.5).abs() < 0.01);
        costs.late(12.0);
        assert!((costs.p99_ms() - 12.0).abs() < 0.2, "{}", costs.p99_ms());
    }
}
