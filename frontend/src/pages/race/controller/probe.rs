//! Clock probes: the resulting offset, and the resolution of the page's clock.

use tailwater_lab::{ClockEstimator, ClockProbe, ProbeOutcome};

use crate::browser;
use crate::pages::race::model::clock::ClockMapping;

/// Collects probes.
#[derive(Debug)]
pub(super) struct ClockProber {
    estimator: ClockEstimator,
    /// The server's clock at the last probe, µs.
    last_us: u64,
    sent: u32,
    resolution_ms: f64,
}

impl ClockProber {
    pub(super) fn new(resolution_ms: f64) -> Self {
        let estimator = ClockEstimator::new(resolution_ms);
        Self {
            estimator,
            last_us: 0,
            sent: 0,
            resolution_ms,
        }
    }

    /// Removes all probes, as another server process has another clock.
    pub(super) fn forget(&mut self) {
        *self = Self {
            sent: self.sent,
            ..Self::new(self.resolution_ms)
        };
    }

    /// The number of the next probe, which makes its URL unique.
    pub(super) fn next(&mut self) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        self.sent
    }

    /// Adds a probe, and returns whether the server was restarted since the last one.
    pub(super) fn take(&mut self, probe: ClockProbe) -> bool {
        let began_anew = probe.received_us < self.last_us;
        self.last_us = probe.received_us;
        let outcome = self.estimator.add(probe);
        began_anew && outcome == ProbeOutcome::Stepped
    }

    /// How the server's clock maps to the page's at `now_ms`.
    pub(super) fn mapping(&self, now_ms: f64) -> Option<ClockMapping> {
        let estimate = self.estimator.estimate(now_ms)?;
        Some(ClockMapping {
            ahead_ms: estimate.offset_ms,
            bound_ms: estimate.bound_ms,
            round_trip_ms: estimate.round_trip_ms,
            probes: estimate.probes,
        })
    }
}

/// The resolution of the page's clock, ms, which browsers reduce on purpose.
pub(super) fn resolution_ms() -> f64 {
    // For a resolution of 5 µs to 0.1 ms this takes at most two milliseconds; coarser clocks count as 1 ms.
    let readings: Vec<f64> = (0..2_000).map(|_| browser::now_ms()).collect();
    tailwater_lab::clock::resolution_ms(&readings).unwrap_or(1.0)
}
