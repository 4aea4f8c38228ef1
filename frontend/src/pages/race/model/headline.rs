//! The headline of the page as data: the result with its numbers, which each language's texts turn into a sentence.

use tailwater_lab::Doubt;
use tailwater_protocol::Technique;

use super::lane_summary::{LaneSummary, Measure};

/// Techniques with similar latencies.
#[derive(Debug, Clone, PartialEq)]
pub struct LaneGroup {
    /// The techniques, in the order of all lanes.
    pub techniques: Vec<Technique>,
    /// The least of their medians, ms.
    pub from_ms: f64,
    /// The greatest of their medians, ms.
    pub to_ms: f64,
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
    /// Bytes have arrived, but no complete line, so no message can be counted yet.
    Unfinished {
        /// Number of bytes of the line received.
        bytes: usize,
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
    Broken(Losses),
    /// Most of the latency of a lane is the time that the browser itself takes, so the lanes can't be compared.
    Starved {
        /// Lanes that can't be read.
        failed: Vec<Technique>,
        /// The lane for which the browser takes longest.
        technique: Technique,
        /// Mean time that the browser takes for an event of this lane, ms.
        client_ms: f64,
    },
    /// The lanes with their latencies.
    Ranking(Ranking),
}

/// Messages that lanes lost or repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Losses {
    /// Lanes that can't be read.
    pub failed: Vec<Technique>,
    /// The worst lane.
    pub technique: Technique,
    /// Messages that it lost.
    pub lost: u64,
    /// Messages that it repeated.
    pub repeated: u64,
    /// Whether the server removed the messages before the lane read them.
    pub fell_behind: bool,
    /// The other lanes that lost or repeated messages.
    pub others: Vec<Technique>,
}

/// The lanes from the fastest to the slowest.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// The reference of the latencies.
    pub measure: Measure,
    /// Lanes that can't be read.
    pub failed: Vec<Technique>,
    /// Groups of lanes, fastest first.
    pub lane_groups: Vec<LaneGroup>,
    /// Lanes without a median yet.
    pub unmeasured: Vec<Technique>,
    /// The poll interval, ms.
    pub interval_ms: f64,
}

impl Headline {
    /// A text that changes with the kind of headline and with the groups of techniques, but not with every figure.
    pub fn topic(&self) -> String {
        let kind = match self {
            Self::Connecting => "connecting",
            Self::NoLanes => "no-lanes",
            Self::Missing(_) => "missing",
            Self::NoSource => "no-source",
            Self::Unreachable => "unreachable",
            Self::Failed(_) => "failed",
            Self::Closed { .. } => "closed",
            Self::Unfinished { .. } => "unfinished",
            Self::Waiting { .. } => "waiting",
            Self::First { .. } => "first",
            Self::Broken(_) => "broken",
            Self::Starved { .. } => "starved",
            Self::Ranking(ranking) => return ranking.topic(),
        };
        kind.to_owned()
    }
}

impl Ranking {
    fn topic(&self) -> String {
        let letters = |techniques: &[Technique]| -> String {
            techniques
                .iter()
                .map(|technique| technique.letter())
                .collect()
        };
        let mut topic = "ranking ".to_owned() + &letters(&self.failed);
        for group in &self.lane_groups {
            topic.push(':');
            topic += &letters(&group.techniques);
        }
        topic
    }
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

/// Lanes of different groups are grouped once their difference is less than this share of the sum of their errors. Less than
/// [`SPLIT_SHARE`], so that the groups do not change with every small change.
const GROUP_SHARE: f64 = 0.8;
/// Lanes of one group are separated once their difference exceeds this share of the sum of their errors.
const SPLIT_SHARE: f64 = 1.25;

/// The headline for the lanes.
///
/// - `interval_ms`: the poll interval.
/// - `before`: the groups of the previous headline; replaced by those of this one.
pub fn headline(lanes: &[LaneSummary], interval_ms: f64, before: &mut Vec<LaneGroup>) -> Headline {
    let on: Vec<&LaneSummary> = lanes.iter().filter(|lane| lane.is_on()).collect();
    if on.is_empty() {
        return Headline::NoLanes;
    }
    if let Some(broken) = broken(&on) {
        return broken;
    }
    if on.iter().all(|lane| lane.has_failed()) {
        return Headline::Failed(on[0].fault.clone().unwrap_or_default());
    }
    let lane_groups = ranking(&on, before);
    before.clone_from(&lane_groups);
    if let Some(starved) = starved(&on) {
        return starved;
    }
    if !lane_groups.is_empty() {
        return Headline::Ranking(Ranking {
            measure: on[0].measure,
            failed: with(&on, LaneSummary::has_failed),
            lane_groups,
            unmeasured: with(&on, |lane| !lane.has_failed() && lane.p50_ms.is_none()),
            interval_ms,
        });
    }
    let events = on.iter().map(|lane| lane.events).max().unwrap_or(0);
    if on.iter().all(|lane| lane.has_ended()) {
        return Headline::Closed { events };
    }
    let before = on.iter().map(|lane| lane.before).max().unwrap_or(0);
    if on.iter().all(|lane| !lane.is_live()) {
        return Headline::Connecting;
    }
    let unfinished = on.iter().map(|lane| lane.unfinished_bytes).max();
    if let Some(bytes) = unfinished.filter(|bytes| *bytes > 0 && events == before) {
        return Headline::Unfinished { bytes };
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

/// The techniques of the lanes for which `is` is true.
fn with(on: &[&LaneSummary], is: fn(&LaneSummary) -> bool) -> Vec<Technique> {
    let lanes = on.iter().filter(|lane| is(lane));
    lanes.map(|lane| lane.technique).collect()
}

/// The lane that lost or repeated most messages, and the others that did.
fn broken(on: &[&LaneSummary]) -> Option<Headline> {
    let broken = on.iter().filter(|lane| lane.lost + lane.repeated > 0);
    let worst = broken
        .clone()
        .max_by_key(|lane| lane.lost + lane.repeated)?;
    let others = broken.filter(|lane| lane.technique != worst.technique);
    Some(Headline::Broken(Losses {
        failed: with(on, LaneSummary::has_failed),
        technique: worst.technique,
        lost: worst.lost,
        repeated: worst.repeated,
        fell_behind: worst.fell_behind,
        others: others.map(|lane| lane.technique).collect(),
    }))
}

/// The lane for which the browser itself takes longest, if that is most of what the lane measures.
fn starved(on: &[&LaneSummary]) -> Option<Headline> {
    let mut worst: Option<&LaneSummary> = None;
    for lane in on.iter().filter(|lane| !lane.has_failed()) {
        let is_starved = lane.p50_ms.is_some_and(|p50_ms| {
            lane.client_down_ms >= Doubt::BUSY_MS && lane.client_down_ms > p50_ms / 2.0
        });
        if is_starved && worst.is_none_or(|worst| lane.client_down_ms > worst.client_down_ms) {
            worst = Some(lane);
        }
    }
    worst.map(|lane| Headline::Starved {
        failed: with(on, LaneSummary::has_failed),
        technique: lane.technique,
        client_ms: lane.client_down_ms,
    })
}

/// Groups the lanes that have a median and have not failed, fastest first. Lanes whose errors overlap are in one group.
fn ranking(on: &[&LaneSummary], before: &[LaneGroup]) -> Vec<LaneGroup> {
    let working = on.iter().filter(|lane| !lane.has_failed());
    let medians = smallest_first(working.filter_map(|lane| Some((lane.technique, lane.p50_ms?))));
    let error_ms = |technique: Technique| {
        let lane = on.iter().find(|lane| lane.technique == technique);
        lane.map_or(0.0, |lane| lane.p50_error_ms)
    };
    let were_grouped = |one: Technique, other: Technique| {
        let group = before.iter().find(|group| group.techniques.contains(&one));
        group.map(|group| group.techniques.contains(&other))
    };
    let mut groups: Vec<Vec<(Technique, f64)>> = Vec::new();
    for (technique, median) in medians {
        let joins =
            groups
                .last()
                .and_then(|group| group.first())
                .is_some_and(|(fastest, from_ms)| {
                    let share = match were_grouped(*fastest, technique) {
                        Some(true) => SPLIT_SHARE,
                        Some(false) => GROUP_SHARE,
                        None => 1.0,
                    };
                    median - from_ms <= share * (error_ms(technique) + error_ms(*fastest))
                });
        match groups.last_mut() {
            Some(group) if joins => group.push((technique, median)),
            _ => groups.push(vec![(technique, median)]),
        }
    }
    groups
        .into_iter()
        .map(|group| {
            let is_member =
                |technique: &Technique| group.iter().any(|(member, _)| member == technique);
            LaneGroup {
                techniques: Technique::ALL.into_iter().filter(is_member).collect(),
                from_ms: group[0].1,
                to_ms: group[group.len() - 1].1,
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
mod tests;
