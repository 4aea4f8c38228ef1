//! Recommends a technique for given needs, by the predicted cost of each technique.

use std::time::Duration;

use tailwater_protocol::{Technique, TechniqueKind};

use crate::theory::{Workload, predict};

/// The share of events that must arrive within the required time.
const SHARE: f64 = 0.95;
/// Polling is recommended if it transfers at most this many times the bytes of the cheapest technique
/// that is in time, because it needs no open connection and no code for reconnecting.
const POLL_FACTOR: f64 = 2.0;
/// Server-sent events are recommended if they transfer at most this many times the bytes of the
/// cheapest technique that is in time, because browsers parse them and reconnect automatically.
const SSE_FACTOR: f64 = 2.0;

/// The needs of an application.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// Rate and size of the events, transit times, poll interval.
    pub workload: Workload,
    /// The time within which 95 % of the events must arrive.
    pub within: Duration,
    /// Whether clients also send messages.
    pub clients_send: bool,
}

/// The predicted cost of a technique, for one client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TechniqueCost {
    /// The technique.
    pub technique: Technique,
    /// The latency that 95 % of the events do not exceed.
    pub latency: Duration,
    /// Whether the latency is within [`Needs::within`].
    pub is_in_time: bool,
    /// Requests per second.
    pub requests_per_s: f64,
    /// Application bytes per second in both directions.
    pub bytes_per_s: f64,
    /// Mean number of connections held open at the server, 0 to 1.
    pub connections: f64,
}

/// Why a technique is recommended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdviceReason {
    /// Polling is in time, costs little more than the cheapest technique, and is the simplest.
    PollingSuffices,
    /// Clients also send messages, and a frame costs less than a request.
    ClientsSend,
    /// It is in time and costs the least, or little more than that.
    Cheapest,
    /// No technique is in time; this one is the fastest.
    Fastest,
}

/// A recommendation.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The recommended technique.
    pub technique: Technique,
    /// Why it is recommended.
    pub reason: AdviceReason,
    /// The longest poll interval with which polling is in time; zero if there is none.
    pub interval_max: Duration,
    /// The cost of each technique, in the order of [`Technique::ALL`].
    pub costs: Vec<TechniqueCost>,
}

/// Recommends a technique for these needs.
///
/// The costs are those of [`predict`].
pub fn advise(needs: &Needs) -> Advice {
    let costs: Vec<TechniqueCost> = Technique::ALL
        .into_iter()
        .map(|technique| cost(technique, needs))
        .collect();
    let (technique, reason) = choose(&costs, needs.clients_send);
    let floor = needs.workload.server_time + needs.workload.transit_down;
    Advice {
        technique,
        reason,
        interval_max: needs.within.saturating_sub(floor).div_f64(SHARE),
        costs,
    }
}

fn cost(technique: Technique, needs: &Needs) -> TechniqueCost {
    let predicted = predict(technique, &needs.workload);
    let latency = predicted.quantile(SHARE);
    let rate_per_s = needs.workload.rate_per_s;
    TechniqueCost {
        technique,
        latency,
        is_in_time: latency <= needs.within,
        requests_per_s: predicted.requests_per_s,
        bytes_per_s: if rate_per_s > 0.0 {
            predicted.bytes_per_event.total() * rate_per_s
        } else {
            0.0
        },
        connections: match technique.kind() {
            TechniqueKind::Polling => 0.0,
            TechniqueKind::LongPolling | TechniqueKind::Streaming | TechniqueKind::Websocket => {
                predicted.armed_share
            }
        },
    }
}

fn choose(costs: &[TechniqueCost], clients_send: bool) -> (Technique, AdviceReason) {
    let cost_of = |technique: Technique| costs[technique.index()];
    let in_time = costs.iter().filter(|cost| cost.is_in_time);
    let Some(cheapest) = in_time.min_by(|one, other| one.bytes_per_s.total_cmp(&other.bytes_per_s))
    else {
        let fastest = costs.iter().min_by_key(|cost| cost.latency);
        let technique = fastest.map_or(Technique::Sse, |cost| cost.technique);
        return (technique, AdviceReason::Fastest);
    };
    if clients_send && cost_of(Technique::Websocket).is_in_time {
        return (Technique::Websocket, AdviceReason::ClientsSend);
    }
    let poll = cost_of(Technique::Poll);
    if poll.is_in_time && poll.bytes_per_s <= POLL_FACTOR * cheapest.bytes_per_s {
        return (Technique::Poll, AdviceReason::PollingSuffices);
    }
    let sse = cost_of(Technique::Sse);
    if sse.is_in_time && sse.bytes_per_s <= SSE_FACTOR * cheapest.bytes_per_s {
        return (Technique::Sse, AdviceReason::Cheapest);
    }
    (cheapest.technique, AdviceReason::Cheapest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(rate_per_s: f64, within_ms: u64) -> Needs {
        Needs {
            workload: Workload {
                rate_per_s,
                transit_up: Duration::from_millis(20),
                transit_down: Duration::from_millis(20),
                payload_bytes: 200.0,
                ..Workload::default()
            },
            within: Duration::from_millis(within_ms),
            clients_send: false,
        }
    }

    fn recommended(needs: &Needs) -> (Technique, AdviceReason) {
        let advice = advise(needs);
        (advice.technique, advice.reason)
    }

    #[test]
    fn polling_is_recommended_for_frequent_events_and_a_long_limit() {
        let poll = (Technique::Poll, AdviceReason::PollingSuffices);
        assert_eq!(recommended(&needs(50.0, 2_000)), poll);
        assert_eq!(recommended(&needs(0.1, 2_000)).0, Technique::Sse);
    }

    #[test]
    fn a_short_time_rules_out_polling() {
        assert_eq!(recommended(&needs(50.0, 100)).0, Technique::Sse);
        let advice = advise(&needs(4.0, 100));
        assert!(!advice.costs[Technique::Poll.index()].is_in_time);
        // (100 - 20 ms) / 0.95.
        assert_eq!(advice.interval_max.as_micros(), 84_210);
    }

    #[test]
    fn the_websocket_is_recommended_if_clients_send() {
        let send = Needs {
            clients_send: true,
            ..needs(4.0, 100)
        };
        let websocket = (Technique::Websocket, AdviceReason::ClientsSend);
        assert_eq!(recommended(&send), websocket);
    }

    #[test]
    fn the_fastest_is_recommended_if_none_is_in_time() {
        let (technique, reason) = recommended(&needs(4.0, 5));
        assert_eq!(reason, AdviceReason::Fastest);
        assert!(technique != Technique::Poll);
    }

    #[test]
    fn costs_are_finite_at_every_rate() {
        for rate_per_s in [0.0, 0.01, 1.0, 2_000.0] {
            for cost in advise(&needs(rate_per_s, 100)).costs {
                assert!(cost.bytes_per_s.is_finite(), "{cost:?}");
                assert!((0.0..=1.0).contains(&cost.connections), "{cost:?}");
            }
        }
    }
}
