//! Requests and responses of the lab's endpoints: event sources, races, and the clock.

use crate::Technique;
use serde::{Deserialize, Serialize};

/// `GET /v1/clock`: the server's monotonic clock, for estimating the offset between two clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClockReading {
    /// Microseconds since the server started, read when the request was received.
    pub received_us: u64,
    /// The same clock, read when the response was created.
    pub sent_us: u64,
}

/// `POST /v1/lab/sources`: starts a source, or renews the lease of a running one.
///
/// In JSON the members of the source and the others form one object: `{"kind":"host","holder":"a-random-text"}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceLeaseRequest {
    /// The requested source.
    #[serde(flatten)]
    pub source: SourceRequest,
    /// Identifies this client among the holders of the source: 1 to 64 visible ASCII characters, hard
    /// to guess, the same in all requests of the client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holder: Option<String>,
    /// The stream of a source that this client releases. If it was the last holder, that source stops
    /// before the new one starts. Requires `holder`. Ignored if the client does not hold a source of
    /// that stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
}

impl From<SourceRequest> for SourceLeaseRequest {
    /// A request without a holder.
    fn from(source: SourceRequest) -> Self {
        Self {
            source,
            holder: None,
            replaces: None,
        }
    }
}

/// The kind of a source, and its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum SourceRequest {
    /// Measurements of the host (CPU, memory, load, network), on average four times a second.
    Host(HostRequest),
    /// Generated events at a configured rate.
    Generator(GeneratorRequest),
}

/// The settings of the host source. Each pattern has its own stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostRequest {
    /// The distribution of the measurements' due times.
    #[serde(default)]
    pub pattern: HostPattern,
}

impl HostRequest {
    /// Mean measurements per second.
    pub const RATE_PER_S: f64 = 4.0;
}

/// The distribution of the due times of the host's measurements.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HostPattern {
    /// Exponentially distributed gaps, so that they are independent of a technique's timers.
    #[default]
    Poisson,
    /// Equal gaps with a random phase.
    Periodic,
}

/// The settings of a generator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GeneratorRequest {
    /// The distribution of the events' due times.
    pub pattern: Pattern,
    /// Mean events per second, 0.1 to 2,000.
    pub rate: f64,
    /// Bytes per event as JSON text, at least the size of the stamps.
    pub size: usize,
    /// The seed of the schedule: equal seeds give equal gaps.
    pub seed: u64,
}

/// The distribution of a generator's due times.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pattern {
    /// Exponentially distributed gaps.
    Poisson,
    /// Equal gaps with a random phase.
    Periodic,
    /// Bursts of ten events; the gaps between bursts are exponentially distributed.
    Burst,
}

/// The response to a [`SourceRequest`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceAnswer {
    /// The stream's name: `lab/host`.
    pub stream: String,
    /// Seconds after which the source stops, unless it is requested again or its stream has a live
    /// reader.
    pub lease_s: u64,
}

/// `POST /v1/lab/races`: opens a race with one lane per technique. Each lane has its own listener
/// in front of this server; one more listener is for control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaceRequest {
    /// The techniques; one lane is opened for each.
    pub techniques: Vec<Technique>,
    /// Delay added from client to server, 0 to 500 ms.
    #[serde(default)]
    pub delay_up_ms: f64,
    /// Delay added from server to client, 0 to 500 ms.
    #[serde(default)]
    pub delay_down_ms: f64,
}

/// `PATCH /v1/lab/races/{id}`: changes the delays of all lanes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaceChange {
    /// Delay added from client to server, 0 to 500 ms.
    pub delay_up_ms: f64,
    /// Delay added from server to client, 0 to 500 ms.
    pub delay_down_ms: f64,
}

/// `GET /v1/lab/races/{id}`: the lanes with their byte counts. The request renews the lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaceStatus {
    /// The identifier of the race, a random text.
    pub id: String,
    /// Seconds after which the lanes close, unless the race is requested again.
    pub lease_s: u64,
    /// The server's monotonic clock when the counts were read, in microseconds.
    pub at_us: u64,
    /// Delay added from client to server, in ms.
    pub delay_up_ms: f64,
    /// Delay added from server to client, in ms.
    pub delay_down_ms: f64,
    /// The TCP port on 127.0.0.1 of a further relay without delays and counts, for clock probes and for
    /// readers that need a known transit time.
    pub control_port: u16,
    /// One lane per technique, in the order of the request.
    pub lanes: Vec<RaceLane>,
}

/// A listener on loopback for one technique.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RaceLane {
    /// The technique for which the lane was opened. The lane forwards any HTTP/1.1 request.
    pub technique: Technique,
    /// TCP port on 127.0.0.1.
    pub port: u16,
    /// Bytes and messages forwarded since the lane was opened.
    pub counts: LaneCounts,
}

/// Exact counts of application bytes at the server's socket, without TCP/IP headers and earlier hops.
///
/// The sum of the six byte counts equals the TCP payload in a packet capture of the lane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneCounts {
    /// TCP connections accepted.
    pub connections: u64,
    /// TCP connections that are open now.
    pub connections_open: u64,
    /// Complete request heads.
    pub requests: u64,
    /// Complete response heads.
    pub responses: u64,
    /// Responses without stream data (204, 304, or a body without messages).
    pub empty_responses: u64,
    /// Request lines and headers.
    pub request_head_bytes: u64,
    /// Request bodies, and payloads of WebSocket frames from the client.
    pub request_body_bytes: u64,
    /// Chunk framing of request bodies, and heads of WebSocket frames from the client.
    pub request_framing_bytes: u64,
    /// Status lines and headers.
    pub response_head_bytes: u64,
    /// Response bodies without chunk framing, and payloads of WebSocket frames to the client.
    pub response_body_bytes: u64,
    /// Chunk framing of response bodies, and heads of WebSocket frames to the client.
    pub response_framing_bytes: u64,
    /// Bytes of the header lines that are only present because the lane's port gives it an origin other
    /// than the page's; they are part of the head bytes.
    ///
    /// These are `Origin` of GET and HEAD requests (except WebSocket handshakes, which always have it),
    /// `Access-Control-*` and `Timing-Allow-Origin` of responses, and the whole heads of a preflight and
    /// its response. Lines that are also present within the page's own origin are not counted:
    /// `Referer`, `Sec-Fetch-Site`, `Vary`, `Cross-Origin-Resource-Policy`.
    #[serde(default)]
    pub cross_origin_bytes: u64,
}

/// The timestamps and the sequence number in a lab event, which may have other fields as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventStamps {
    /// The number of the event, from 0 without gaps.
    pub seq: u64,
    /// When the event was due, in microseconds of the server's monotonic clock. Latency is measured
    /// from this time.
    pub due_us: u64,
    /// When the server appended the event, in microseconds of the same clock. `sent_us - due_us` is
    /// the delay of the source itself.
    pub sent_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document;

    #[test]
    fn the_default_pattern_of_the_host_is_poisson() {
        for (text, pattern) in [
            (r#"{"kind":"host"}"#, HostPattern::Poisson),
            (
                r#"{"kind":"host","pattern":"poisson"}"#,
                HostPattern::Poisson,
            ),
            (
                r#"{"kind":"host","pattern":"periodic"}"#,
                HostPattern::Periodic,
            ),
        ] {
            let request: SourceRequest = document::read(text.as_bytes()).unwrap();
            assert_eq!(
                request,
                SourceRequest::Host(HostRequest { pattern }),
                "{text}"
            );
        }
        assert!(document::read::<SourceRequest>(br#"{"kind":"host","pattern":"burst"}"#).is_err());
    }

    #[test]
    fn holder_and_replaced_stream_are_members_beside_the_source() {
        let request = SourceLeaseRequest {
            source: SourceRequest::Generator(GeneratorRequest {
                pattern: Pattern::Burst,
                rate: 5.0,
                size: 64,
                seed: u64::MAX,
            }),
            holder: Some("a".to_owned()),
            replaces: Some("lab/host".to_owned()),
        };
        let text = r#"{"kind":"generator","pattern":"burst","rate":5.0,"size":64,"seed":18446744073709551615,"holder":"a","replaces":"lab/host"}"#;
        assert_eq!(serde_json::to_string(&request).unwrap(), text);
        let read: SourceLeaseRequest = document::read(text.as_bytes()).unwrap();
        assert_eq!(read, request);
        let host = SourceRequest::Host(HostRequest::default());
        let read: SourceLeaseRequest = document::read(br#"{"kind":"host"}"#).unwrap();
        assert_eq!(read, host.into());
    }
}
