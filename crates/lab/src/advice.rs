//! Which technique suits given needs, by the cost model: what each costs, which one to take, and what would change that.

use std::time::Duration;

use tailwater_protocol::Technique;

use crate::theory::{Workload, predict};

/// The share of events that have to arrive in the wanted time.
const SHARE: f64 = 0.95;
/// Polling is taken if it costs at most this many times the bytes of the cheapest technique in time: it needs no open
/// connection and no code that reconnects.
const POLL_FACTOR: f64 = 2.0;
/// Server-sent events are taken if they cost at most this many times the bytes of the cheapest technique in time: browsers
/// read and reconnect them by themselves.
const SSE_FACTOR: f64 = 2.0;

/// What is needed.
#[derive(Debug, Clone, PartialEq)]
pub struct Needs {
    /// Events, their size, the way, the poll interval.
    pub workload: Workload,
    /// 95 % of the events shall arrive within this time.
    pub within: Duration,
    /// Whether clients send as well.
    pub clients_send: bool,
}

/// What one technique costs one client.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TechniqueCost {
    /// The technique.
    pub technique: Technique,
    /// The latency that 95 % of the events do not exceed.
    pub latency: Duration,
    /// Whether that is within what is needed.
    pub is_in_time: bool,
    /// Requests per second.
    pub requests_per_s: f64,
    /// Application bytes per second in both directions.
    pub bytes_per_s: f64,
    /// Connections that are held open at the server, 0 to 1 on average.
    pub connections: f64,
}

/// Why a technique is the one to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdviceReason {
    /// Polling is in time, costs little more than anything else, and is the simplest.
    PollingSuffices,
    /// Clients send as well, and a frame costs less than a request.
    ClientsSend,
    /// It is in time and costs the least, or next to it.
    Cheapest,
    /// None is in time; it is the fastest.
    Fastest,
}

/// What to take.
#[derive(Debug, Clone, PartialEq)]
pub struct Advice {
    /// The technique.
    pub technique: Technique,
    /// Why.
    pub reason: AdviceReason,
    /// The poll interval from which on polling is too slow for what is needed; zero if it always is.
    pub interval_max: Duration,
    /// What each costs, in the order of [`Technique::ALL`].
    pub costs: Vec<TechniqueCost>,
}

/// The technique to take for these needs.
///
/// Source of the costs: [`predict`].
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
    let says = predict(technique, &needs.workload);
    let latency = says.quantile(SHARE);
    let rate_per_s = needs.workload.rate_per_s;
    TechniqueCost {
        technique,
        latency,
        is_in_time: latency <= needs.within,
        requests_per_s: says.requests_per_s,
        bytes_per_s: if rate_per_s > 0.0 {
            says.bytes_per_event.total() * rate_per_s
        } else {
            0.0
        },
        connections: match technique {
            Technique::Poll => 0.0,
            Technique::LongPoll | Technique::Ndjson | Technique::Sse | Technique::Websocket => {
                says.armed_share
            }
        },
    }
}

fn choose(costs: &[TechniqueCost], clients_send: bool) -> (Technique, AdviceReason) {
    let of = |technique: Technique| costs[technique.index()];
    let in_time = costs.iter().filter(|cost| cost.is_in_time);
    let Some(cheapest) = in_time.min_by(|one, other| one.bytes_per_s.total_cmp(&other.bytes_per_s))
    else {
        let fastest = costs.iter().min_by_key(|cost| cost.latency);
        let technique = fastest.map_or(Technique::Sse, |cost| cost.technique);
        return (technique, AdviceReason::Fastest);
    };
    if clients_send && of(Technique::Websocket).is_in_time {
        return (Technique::Websocket, AdviceReason::ClientsSend);
    }
    let poll = of(Technique::Poll);
    if poll.is_in_time && poll.bytes_per_s <= POLL_FACTOR * cheapest.bytes_per_s {
        return (Technique::Poll, AdviceReason::PollingSuffices);
    }
    let sse = of(Technique::Sse);
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

    fn taken(needs: &Needs) -> (Technique, AdviceReason) {
        let advice = advise(needs);
        (advice.technique, advice.reason)
    }

    #[test]
    fn many_events_and_little_hurry_is_what_polling_is_for() {
        let poll = (Technique::Poll, AdviceReason::PollingSuffices);
        assert_eq!(taken(&needs(50.0, 2_000)), poll);
        assert_eq!(taken(&needs(0.1, 2_000)).0, Technique::Sse);
    }

    #[test]
    fn a_short_time_leaves_the_live_techniques() {
        assert_eq!(taken(&needs(50.0, 100)).0, Technique::Sse);
        let advice = advise(&needs(4.0, 100));
        assert!(!advice.costs[Technique::Poll.index()].is_in_time);
        // (100 - 20 ms) / 0.95.
        assert_eq!(advice.interval_max.as_micros(), 84_210);
    }

    #[test]
    fn clients_that_send_take_the_websocket() {
        let send = Needs {
            clients_send: true,
            ..needs(4.0, 100)
        };
        let websocket = (Technique::Websocket, AdviceReason::ClientsSend);
        assert_eq!(taken(&send), websocket);
    }

    #[test]
    fn where_nothing_is_in_time_the_fastest_is_taken_and_said_so() {
        let (technique, reason) = taken(&needs(4.0, 5));
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
