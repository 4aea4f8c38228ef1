//! Predictions for each technique: latency, requests, empty responses and bytes as functions of rate, interval, transit.
//!
//! Symbols of the formulas: λ events per second, I poll interval, d_u and d_d one-way transit times (uplink, downlink),
//! S server time, c client time, G re-arm gap (from sending a response to receiving the next request, at the server),
//! H hold, L lifetime of a streaming response.

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
    /// Independent of each other: exponential intervals.
    Poisson,
    /// Equal intervals with a random phase.
    Periodic,
}

/// What the poll interval is counted from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pacing {
    /// From request to request, independent of the response time.
    FixedRate,
    /// From a response to the next request: the cycle is the interval plus one round trip.
    FixedDelay,
}

/// The parameters of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Mean events per second; with 0, bytes per event are infinite.
    pub rate_per_s: f64,
    /// When events happen.
    pub arrivals: Arrivals,
    /// Poll interval; above zero.
    pub interval: Duration,
    /// What the interval is counted from.
    pub pacing: Pacing,
    /// One-way transit time from client to server.
    pub transit_up: Duration,
    /// One-way transit time from server to client.
    pub transit_down: Duration,
    /// From an event (or a request) to sending its response.
    pub server_time: Duration,
    /// From the end of a response to sending the next request.
    pub client_time: Duration,
    /// The measured re-arm gap; `None` for the sum of transit, server and client times.
    pub measured_gap: Option<Duration>,
    /// The hold of a long-poll.
    pub hold: Duration,
    /// Time after which the server ends a streaming response and the client reconnects.
    pub lifetime: Duration,
    /// Time between two heartbeats while there are no events.
    pub heartbeat: Duration,
    /// Bytes of the text of one event.
    pub payload_bytes: f64,
}

impl Default for Workload {
    /// One Poisson event of 64 bytes per second, polled every second, without transit times; the server's defaults.
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
    /// G: from sending a response to being able to respond to the next request, at the server.
    pub fn gap(&self) -> Duration {
        self.measured_gap
            .unwrap_or(self.transit_down + self.client_time + self.transit_up + self.server_time)
    }

    /// From sending a request to receiving its response, without a hold.
    pub fn round_trip(&self) -> Duration {
        self.transit_up + self.server_time + self.transit_down
    }

    /// The least latency of an event: server time and downlink time, in seconds.
    fn floor_s(&self) -> f64 {
        (self.server_time + self.transit_down).as_secs_f64()
    }

    /// Probability of no event within `span_s` seconds that begin at a random time.
    fn none_within(&self, span_s: f64) -> f64 {
        match self.arrivals {
            Arrivals::Poisson => (-self.rate_per_s * span_s).exp(),
            Arrivals::Periodic => (1.0 - self.rate_per_s * span_s).max(0.0),
        }
    }

    /// How far the mean of one run may lie from half a cycle of `cycle_s` when the period is commensurable with the cycle.
    ///
    /// If P/C = m/k in lowest terms, a run has only k phases, C/k apart, so its mean is uncertain by C/2k.
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

/// The prediction for one technique and workload.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// Latency from event to delivery.
    pub latency: LatencyDistribution,
    /// How far the mean of a single run may lie from the mean over all runs, seconds.
    ///
    /// Above zero only when periodic events and polls have a fixed phase, which differs between runs.
    pub phase_spread_s: f64,
    /// Requests per second of one client; upgrades for WebSocket.
    pub requests_per_s: f64,
    /// Share of responses without an event, 0 to 1.
    pub empty_share: f64,
    /// Events per response, empty responses included.
    pub events_per_response: f64,
    /// Share of the time in which a request is waiting at the server (or a streaming response is open), 0 to 1.
    pub armed_share: f64,
    /// Application bytes at the server's socket per delivered event.
    pub bytes_per_event: BytesPerEvent,
}

impl Prediction {
    /// Share of events with at most this latency, 0 to 1.
    pub fn cdf(&self, latency: Duration) -> f64 {
        self.latency.cdf(latency)
    }

    /// The latency that `share` (0 to 1) of the events do not exceed.
    pub fn quantile(&self, share: f64) -> Duration {
        self.latency.quantile(share)
    }

    /// The mean latency.
    pub fn mean(&self) -> Duration {
        Duration::from_secs_f64(self.latency.mean_s())
    }

    /// The largest latency.
    pub fn max(&self) -> Duration {
        Duration::from_secs_f64(self.latency.max_s())
    }
}

impl WireSizes {
    /// Typical sizes for `technique`: request heads of Chromium, response heads and envelopes of this server for a JSON
    /// stream of the same origin. Cross-origin responses, as through the relay, have about 400 bytes more for CORS.
    pub fn of(technique: Technique) -> Self {
        match technique {
            Technique::Poll => poll::wire_sizes(),
            Technique::LongPoll => long_poll::wire_sizes(),
            Technique::Ndjson => ndjson::wire_sizes(),
            Technique::Sse => sse::wire_sizes(),
            Technique::Websocket => websocket::wire_sizes(),
        }
    }
}

/// The prediction for `technique` and `workload`, with the sizes in `wire`.
///
/// [`WireSizes::of`] returns typical sizes; [`WireSizes::with_counted_heads`] replaces them by those of a lane.
pub fn predict_on(technique: Technique, workload: &Workload, wire: &WireSizes) -> Prediction {
    match technique {
        Technique::Poll => poll::predict(workload, wire),
        Technique::LongPoll => long_poll::predict(workload, wire),
        Technique::Ndjson => ndjson::predict(workload, wire),
        Technique::Sse => sse::predict(workload, wire),
        Technique::Websocket => websocket::predict(workload, wire),
    }
}

/// The prediction for `technique` and `workload`, with typical sizes.
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
                    let prediction = predict(technique, &workload);
                    let context = format!("{technique} {arrivals:?} {rate_per_s}");
                    assert_eq!(prediction.cdf(Duration::from_millis(59)), 0.0, "{context}");
                    assert!(
                        (prediction.cdf(prediction.max()) - 1.0).abs() < 1e-9,
                        "{context}"
                    );
                    assert!(
                        prediction.mean() >= Duration::from_nanos(59_999_999),
                        "{context}"
                    );
                    assert!((0.0..=1.0).contains(&prediction.empty_share), "{context}");
                    assert!(
                        (0.0..=1.0).contains(&prediction.armed_share),
                        "{context}: {}",
                        prediction.armed_share
                    );
                    assert!(prediction.requests_per_s > 0.0, "{context}");
                    assert_eq!(
                        prediction.bytes_per_event.total().is_finite(),
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
