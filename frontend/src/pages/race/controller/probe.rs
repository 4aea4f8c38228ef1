//! Clock probes: what they add up to, and what the page's own clock can tell.

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

    /// Another server process: its clock has nothing to do with the former one's.
    pub(super) fn forget(&mut self) {
        *self = Self {
            sent: self.sent,
            ..Self::new(self.resolution_ms)
        };
    }

    /// The number of the next probe, so that no two have the same URL.
    pub(super) fn next(&mut self) -> u32 {
        self.sent = self.sent.wrapping_add(1);
        self.sent
    }

    /// Takes a probe; whether the server has begun anew since the last one.
    pub(super) fn take(&mut self, probe: ClockProbe) -> bool {
        let began_anew = probe.received_us < self.last_us;
        self.last_us = probe.received_us;
        let outcome = self.estimator.add(probe);
        began_anew && outcome == ProbeOutcome::Stepped
    }

    /// How the clocks map at `now_ms`.
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

/// The step of the page's clock, ms: browsers make it coarse on purpose.
pub(super) fn resolution_ms() -> f64 {
    // At 5 µs to 0.1 ms a step this is over in less than a millisecond or two; coarser clocks count as 1 ms.
    let readings: Vec<f64> = (0..2_000).map(|_| browser::now_ms()).collect();
    tailwater_lab::clock::resolution_ms(&readings).unwrap_or(1.0)
}
