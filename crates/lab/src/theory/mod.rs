//! The prediction for each technique: latency, requests, empty answers and bytes as functions of rate, interval, transit.
//!
//! Symbols of the formulas: λ events per second, I poll interval, d_u and d_d one-way transits, S server time, c client
//! time, G re-arm gap (from one answer leaving the server to the next request being there), H hold, L stream lifetime.

mod long_poll;
mod ndjson;
mod poll;
mod sse;
mod streaming;
mod websocket;
mod wire;

#[cfg(test)]
mod simulation;

use crate::LatencyDistribution;
use std::time::Duration;
use tailwater_protocol::Technique;

pub use wire::{BodyFraming, BytesPerEvent, WireSizes};

/// When events happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrivals {
    /// Independent of each other: exponential gaps.
    Poisson,
    /// Equal gaps, from a random phase.
    Periodic,
}

/// What the poll interval is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// From request to request, whatever the answer takes.
    FixedRate,
    /// From an answer to the next request: the cycle is the interval and one round trip.
    FixedDelay,
}

/// What is known of a run before it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Mean events per second; 0 is allowed (then bytes per event are infinite).
    pub rate_per_s: f64,
    /// When events happen.
    pub arrivals: Arrivals,
    /// Poll interval; above zero.
    pub interval: Duration,
    /// What the interval is counted from.
    pub pacing: Pacing,
    /// One-way transit from client to server.
    pub transit_up: Duration,
    /// One-way transit from server to client.
    pub transit_down: Duration,
    /// From an event (or a request) to its answer leaving the server.
    pub server_time: Duration,
    /// From the end of an answer to the next request leaving the client.
    pub client_time: Duration,
    /// The re-arm gap as measured; `None` takes transits, server and client time together.
    pub measured_gap: Option<Duration>,
    /// Longest time the server holds a long-poll.
    pub hold: Duration,
    /// Time after which the server ends a stream so that the client comes back.
    pub lifetime: Duration,
    /// Time between two heartbeats of a silent stream.
    pub heartbeat: Duration,
    /// Bytes of one event's own text.
    pub payload_bytes: f64,
}

impl Default for Workload {
    /// One Poisson event per second of 64 bytes, polled every second, on a path without delay; the server's own defaults.
    fn default() -> Self {
        Self {
            rate_per_s: 1.0,
            arrivals: Arrivals::Poisson,
            interval: Duration::from_secs(1),
            pacing: Pacing::FixedRate,
            transit_up: Duration::ZERO,
            transit_down: Duration::ZERO,
            server_time: Duration::ZERO,
            client_time: Duration::ZERO,
            measured_gap: None,
            hold: Duration::from_secs(25),
            lifetime: Duration::from_secs(60),
            heartbeat: Duration::from_secs(15),
            payload_bytes: 64.0,
        }
    }
}

impl Workload {
    /// G: from one answer leaving the server to the next request being answerable there.
    pub fn gap(&self) -> Duration {
        self.measured_gap
            .unwrap_or(self.transit_down + self.client_time + self.transit_up + self.server_time)
    }

    /// From a request leaving the client to its answer being there, when nothing is held.
    pub fn round_trip(&self) -> Duration {
        self.transit_up + self.server_time + self.transit_down
    }

    /// The least that any event takes: the server's time and the way down, in seconds.
    fn floor_s(&self) -> f64 {
        (self.server_time + self.transit_down).as_secs_f64()
    }

    /// Probability that no event happens within `span_s` seconds that begin at a random moment.
    fn none_within(&self, span_s: f64) -> f64 {
        match self.arrivals {
            Arrivals::Poisson => (-self.rate_per_s * span_s).exp(),
            Arrivals::Periodic => (1.0 - self.rate_per_s * span_s).max(0.0),
        }
    }

    /// How far one run's mean may lie from half a cycle of `cycle_s` when periodic events and cycles are commensurable.
    ///
    /// If P/C = m/k in lowest terms, a run meets only k phases, C/k apart, so its mean is uncertain by C/2k.
    fn phase_spread_s(&self, cycle_s: f64) -> f64 {
        const PHASES_MAX: u32 = 16;
        const CLOSE: f64 = 1e-4;
        if self.arrivals == Arrivals::Poisson || self.rate_per_s <= 0.0 {
            return 0.0;
        }
        let ratio = 1.0 / (self.rate_per_s * cycle_s);
        (1..=PHASES_MAX)
            .map(f64::from)
            .find(|phases| (ratio * phases - (ratio * phases).round()).abs() < CLOSE)
            .map_or(0.0, |phases| cycle_s / (2.0 * phases))
    }
}

/// What theory says about one technique under one workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// How late events arrive, counted from when they happened.
    pub latency: LatencyDistribution,
    /// How far the mean of a single run may lie from the mean over all runs, seconds.
    ///
    /// Above zero only when periodic events and polls lock in phase: every run then measures its own phase.
    pub phase_spread_s: f64,
    /// Requests per second of one client; upgrades for WebSocket.
    pub requests_per_s: f64,
    /// Share of answers without an event, 0 to 1.
    pub empty_share: f64,
    /// Events per answer, empty answers included.
    pub events_per_response: f64,
    /// Share of the time in which a request is waiting at the server (or a stream is open), 0 to 1.
    pub armed_share: f64,
    /// Application bytes at the server's socket per delivered event.
    pub bytes_per_event: BytesPerEvent,
}

impl Prediction {
    /// Share of events at most `latency` late, 0 to 1: the curve to draw.
    pub fn cdf(&self, latency: Duration) -> f64 {
        self.latency.cdf(latency)
    }

    /// The latency that `share` (0 to 1) of the events do not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        self.latency.quantile(share)
    }

    /// Mean latency.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.latency.mean_s())
    }

    /// The largest latency.
    pub fn max(&self) -> Duration {
        Duration::from_secs_f64(self.latency.max_s())
    }
}

/// What `technique` will do under `workload`, with the head sizes and envelopes of `wire`.
///
/// `WireSizes::of(technique)` has typical sizes; [`WireSizes::with_counted_heads`] puts the lane's own in.
pub fn predict_on(technique: Technique, workload: &Workload, wire: &WireSizes) -> Prediction {
    match technique {
        Technique::Poll => poll::predict(workload, wire),
        Technique::LongPoll => long_poll::predict(workload, wire),
        Technique::Ndjson => ndjson::predict(workload, wire),
        Technique::Sse => sse::predict(workload, wire),
        Technique::Websocket => websocket::predict(workload, wire),
    }
}

/// What `technique` will do under `workload`, with typical head sizes.
pub fn predict(technique: Technique, workload: &Workload) -> Prediction {
    predict_on(technique, workload, &WireSizes::of(technique))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_is_at_least_the_transit_and_shares_are_valid() {
        for technique in Technique::ALL {
            for arrivals in [Arrivals::Poisson, Arrivals::Periodic] {
                for rate_per_s in [0.0, 0.01, 0.5, 1.0, 7.3, 200.0, 2_000.0] {
                    let workload = Workload {
                        rate_per_s,
                        arrivals,
                        transit_up: Duration::from_millis(40),
                        transit_down: Duration::from_millis(60),
                        ..Workload::default()
                    };
                    let says = predict(technique, &workload);
                    let context = format!("{technique} {arrivals:?} {rate_per_s}");
                    assert_eq!(says.cdf(Duration::from_millis(59)), 0.0, "{context}");
                    assert!((says.cdf(says.max()) - 1.0).abs() < 1e-9, "{context}");
                    assert!(says.mean() >= Duration::from_nanos(59_999_999), "{context}");
                    assert!((0.0..=1.0).contains(&says.empty_share), "{context}");
                    assert!(
                        (0.0..=1.0).contains(&says.armed_share),
                        "{context}: {}",
                        says.armed_share
                    );
                    assert!(says.requests_per_s > 0.0, "{context}");
                    assert_eq!(
                        says.bytes_per_event.total().is_finite(),
                        rate_per_s > 0.0,
                        "{context}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_measured_gap_overrides_the_sum_of_its_parts() {
        let mut workload = Workload {
            transit_up: Duration::from_millis(10),
            ..Workload::default()
        };
        assert_eq!(workload.gap(), Duration::from_millis(10));
        workload.measured_gap = Some(Duration::from_millis(17));
        assert_eq!(workload.gap(), Duration::from_millis(17));
    }
}
