//! The headline of the page as data: the result with its numbers, which each language's texts turn into a sentence.

use tailwater_protocol::Technique;

use super::lane_summary::{LaneSummary, Measure};

/// Techniques with similar latencies.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneGroup {
    /// The techniques, in the order of all lanes.
    pub techniques: Vec<Technique>,
    /// Mean of their medians, ms.
    pub late_ms: f64,
}

/// The headline.
#[derive(Debug, Clone, PartialEq)]
pub enum Headline {
    /// The lanes are being set up.
    Connecting,
    /// No lane is on.
    NoLanes,
    /// The stream does not exist.
    Missing(String),
    /// The server has no sources of its own, and no stream was named.
    NoSource,
    /// The server does not respond.
    Unreachable,
    /// Every lane that is on has failed; the fault of the first one.
    Failed(String),
    /// The stream is closed; all of it has been read.
    Closed {
        /// Messages in each lane.
        events: u64,
    },
    /// The lanes are at the tail, and no new message has arrived.
    Waiting {
        /// Lanes that are on.
        lanes: usize,
        /// Messages that had been written before the lanes began.
        before: u64,
    },
    /// Events arrive, but there are too few for a latency.
    First {
        /// Lanes that have received one.
        lanes: usize,
        /// Events in the lane with the most.
        events: u64,
    },
    /// A lane has lost or repeated messages. This takes precedence over everything else.
    Broken {
        /// The worst lane.
        technique: Technique,
        /// Messages that it lost.
        lost: u64,
        /// Messages that it repeated.
        repeated: u64,
    },
    /// From the fastest to the slowest.
    Ranking {
        /// Counted from when.
        measure: Measure,
        /// Groups of lanes, fastest first.
        lane_groups: Vec<LaneGroup>,
        /// The poll interval, ms: it belongs beside the poll lane's number.
        interval_ms: f64,
    },
}

/// The cost of an event in bytes, for the cheapest and for the most expensive technique.
#[derive(Debug, Clone, PartialEq)]
pub struct Cost {
    /// The cheapest and its bytes per event.
    pub least: (Technique, f64),
    /// The most expensive and its bytes per event.
    pub most: (Technique, f64),
    /// Share of polls with an empty response, if polling runs.
    pub empty_polls: Option<f64>,
}

/// Medians within this factor and this many ms of the fastest in their group are told as one.
const SAME_FACTOR: f64 = 1.6;
const SAME_MS: f64 = 1.0;

/// What the lanes say together; `interval_ms` is the poll interval.
pub fn headline(lanes: &[LaneSummary], interval_ms: f64) -> Headline {
    let on: Vec<&LaneSummary> = lanes.iter().filter(|lane| lane.is_on()).collect();
    if on.is_empty() {
        return Headline::NoLanes;
    }
    if let Some(worst) = on
        .iter()
        .filter(|lane| lane.lost + lane.repeated > 0)
        .max_by_key(|lane| lane.lost + lane.repeated)
    {
        return Headline::Broken {
            technique: worst.technique,
            lost: worst.lost,
            repeated: worst.repeated,
        };
    }
    if on.iter().all(|lane| lane.has_failed()) {
        return Headline::Failed(on[0].fault.clone().unwrap_or_default());
    }
    let lane_groups = ranking(&on);
    if !lane_groups.is_empty() {
        return Headline::Ranking {
            measure: on[0].measure,
            lane_groups,
            interval_ms,
        };
    }
    let events = on.iter().map(|lane| lane.events).max().unwrap_or(0);
    if on.iter().all(|lane| lane.has_ended()) {
        return Headline::Closed { events };
    }
    let before = on.iter().map(|lane| lane.before).max().unwrap_or(0);
    if on.iter().all(|lane| !lane.is_live()) {
        return Headline::Connecting;
    }
    if events > before {
        return Headline::First {
            lanes: on.iter().filter(|lane| lane.events > 0).count(),
            events: events - before,
        };
    }
    Headline::Waiting {
        lanes: on.len(),
        before,
    }
}

/// Lanes with a median, grouped from the fastest to the slowest.
fn ranking(on: &[&LaneSummary]) -> Vec<LaneGroup> {
    let medians = smallest_first(
        on.iter()
            .filter_map(|lane| Some((lane.technique, lane.p50_ms?))),
    );
    let mut groups: Vec<Vec<(Technique, f64)>> = Vec::new();
    for (technique, median) in medians {
        match groups.last_mut() {
            Some(group) if median <= group[0].1 * SAME_FACTOR || median <= group[0].1 + SAME_MS => {
                group.push((technique, median));
            }
            _ => groups.push(vec![(technique, median)]),
        }
    }
    groups
        .into_iter()
        .map(|group| {
            let late_ms = group.iter().map(|(_, median)| median).sum::<f64>() / group.len() as f64;
            let is_here = |technique: &Technique| group.iter().any(|(here, _)| here == technique);
            LaneGroup {
                techniques: Technique::ALL.into_iter().filter(is_here).collect(),
                late_ms,
            }
        })
        .collect()
}

/// Sorts at most five figures by insertion.
fn smallest_first(figures: impl Iterator<Item = (Technique, f64)>) -> Vec<(Technique, f64)> {
    let mut sorted: Vec<(Technique, f64)> = Vec::with_capacity(Technique::ALL.len());
    for figure in figures {
        let place = sorted.partition_point(|other| other.1 <= figure.1);
        sorted.insert(place, figure);
    }
    sorted
}

/// The cost of an event, once at least two lanes have figures.
pub fn cost(lanes: &[LaneSummary]) -> Option<Cost> {
    let counted = lanes.iter().filter(|lane| lane.is_on() && lane.events >= 4);
    let known =
        smallest_first(counted.filter_map(|lane| Some((lane.technique, lane.bytes_per_event?))));
    let (least, most) = (known.first()?, known.last()?);
    if least.0 == most.0 {
        return None;
    }
    let poll = lanes
        .iter()
        .find(|lane| lane.technique == Technique::Poll && lane.is_on() && lane.requests >= 5);
    let empty_polls = poll.map(|poll| poll.empty as f64 / poll.requests as f64);
    Some(Cost {
        least: *least,
        most: *most,
        empty_polls,
    })
}

#[cfg(test)]
mod tests {
    use super::super::lane::LanePhase;
    use super::*;

    fn lane(technique: Technique, p50_ms: Option<f64>) -> LaneSummary {
        LaneSummary {
            technique,
            phase: LanePhase::Live,
            p50_ms,
            events: 10,
            ..LaneSummary::off(technique)
        }
    }

    #[test]
    fn equally_fast_lanes_share_a_rank() {
        let lanes: Vec<LaneSummary> = Technique::ALL
            .into_iter()
            .zip([507.0, 2.1, 1.4, 1.2, 1.1])
            .map(|(technique, p50)| lane(technique, Some(p50)))
            .collect();
        let Headline::Ranking { lane_groups, .. } = headline(&lanes, 1_000.0) else {
            panic!("{:?}", headline(&lanes, 1_000.0))
        };
        assert_eq!(lane_groups.len(), 2);
        assert_eq!(lane_groups[0].techniques, &Technique::ALL[1..]);
        assert!((lane_groups[0].late_ms - 1.45).abs() < 1e-9);
        assert_eq!(lane_groups[1].techniques, [Technique::Poll]);
    }

    #[test]
    fn a_loss_is_reported_before_everything_else() {
        let mut lanes = Technique::ALL.map(|technique| lane(technique, Some(1.0)));
        lanes[3].lost = 2;
        assert_eq!(
            headline(&lanes, 1.0),
            Headline::Broken {
                technique: Technique::Sse,
                lost: 2,
                repeated: 0
            }
        );
    }

    #[test]
    fn there_is_a_headline_before_there_are_numbers() {
        let off = Technique::ALL.map(LaneSummary::off);
        assert_eq!(headline(&off, 1.0), Headline::NoLanes);
        let waiting = Technique::ALL.map(|technique| LaneSummary {
            events: 7,
            before: 7,
            ..lane(technique, None)
        });
        assert_eq!(
            headline(&waiting, 1.0),
            Headline::Waiting {
                lanes: 5,
                before: 7
            }
        );
        let first = Technique::ALL.map(|technique| LaneSummary {
            events: 9,
            before: 7,
            ..lane(technique, None)
        });
        assert_eq!(
            headline(&first, 1.0),
            Headline::First {
                lanes: 5,
                events: 2
            }
        );
    }

    #[test]
    fn the_cost_sentence_names_the_cheapest_and_dearest_lane() {
        let priced = |technique, bytes| LaneSummary {
            bytes_per_event: Some(bytes),
            requests: 10,
            empty: 4,
            ..lane(technique, None)
        };
        let lanes = [
            priced(Technique::Poll, 900.0),
            priced(Technique::Sse, 80.0),
            priced(Technique::Websocket, 70.0),
        ];
        let cost = cost(&lanes).unwrap();
        assert_eq!(
            (cost.least, cost.most),
            ((Technique::Websocket, 70.0), (Technique::Poll, 900.0))
        );
        assert_eq!(cost.empty_polls, Some(0.4));
    }
}
