//! The English sentences of the Race page that contain figures: the headline, the recommendation, costs and verdicts.

use std::iter;

use tailwater_lab::{Advice, AdviceReason, Doubt, Finding, Verdict};
use tailwater_protocol::Technique;

use super::LANGUAGE;
use crate::numbers::{Unit, bound_ms, bytes, count, in_ms, ms, percent, plus_minus, span_ms};
use crate::pages::race::model::headline::{Cost, Headline, LaneGroup, Losses, Ranking};
use crate::pages::race::model::lane_summary::Measure;
use crate::pages::race::text::whole_s;
use crate::techniques::look;

/// An error bound: `± 0.06 ms`.
pub(super) fn within_ms(bound: f64) -> String {
    Unit::Millisecond.of(&plus_minus(&bound_ms(bound), LANGUAGE), LANGUAGE)
}

/// Names as a list in a sentence: `NDJSON, SSE and WebSocket`.
fn names(techniques: &[Technique]) -> String {
    let names: Vec<&str> = techniques
        .iter()
        .map(|technique| look(*technique).name_in_sentence.english)
        .collect();
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
    }
}

fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters
        .next()
        .map(|first| {
            iter::once(first.to_ascii_uppercase())
                .chain(letters)
                .collect()
        })
        .unwrap_or_default()
}

pub(super) fn headline(headline: &Headline) -> String {
    match headline {
        Headline::Connecting => "Setting up the lanes…".to_owned(),
        Headline::NoLanes => "No lane is on. Switch one on to start.".to_owned(),
        Headline::Missing(stream) => format!("The stream {stream} does not exist."),
        Headline::NoSource => {
            "This server has no source of events: enter the name of a stream.".to_owned()
        }
        Headline::Unreachable => "The server does not respond.".to_owned(),
        Headline::Failed(why) => format!("The stream can't be followed: {why}."),
        Headline::Closed { events } => {
            format!(
                "The stream is closed; every lane has read all of it, {}.",
                plural(*events, "message", "messages")
            )
        }
        Headline::Waiting { lanes, before: 0 } => {
            format!("{} waiting; no message has arrived yet.", lanes_are(*lanes))
        }
        Headline::Waiting { lanes, before } => {
            format!(
                "{} caught up on {} and listening.",
                lanes_are(*lanes),
                plural(*before, "message", "messages")
            )
        }
        Headline::First { lanes, events } => {
            format!(
                "The first {} arriving in {lanes} {}; measuring…",
                plural(*events, "event is", "events are"),
                if *lanes == 1 { "lane" } else { "lanes" }
            )
        }
        Headline::Unfinished { bytes } => format!(
            "{} of a line received, but not its end. Messages of text and binary streams are counted by lines.",
            plural(*bytes as u64, "byte", "bytes")
        ),
        Headline::Broken(losses) => broken(losses),
        Headline::Starved {
            failed,
            technique,
            client_ms,
        } => format!(
            "{}The browser is too busy to compare the lanes: it takes {} for an event of {} itself.",
            failures(failed),
            in_ms(*client_ms, LANGUAGE),
            look(*technique).name_in_sentence.english
        ),
        Headline::Ranking(ranking) => sentence(ranking),
    }
}

fn broken(losses: &Losses) -> String {
    let name = capital(look(losses.technique).name_in_sentence.english);
    let lost = plural(losses.lost, "event", "events");
    let failures = failures(&losses.failed);
    let mut text = if losses.fell_behind {
        format!("{failures}{name} read too slowly: the server had already removed {lost}.")
    } else {
        let repeated = count(losses.repeated);
        format!("{failures}{name} has lost {lost} and repeated {repeated}. This must not happen.")
    };
    if !losses.others.is_empty() {
        let others = names(&losses.others);
        text.push_str(&format!(" Events were lost or repeated in {others}, too."));
    }
    text
}

/// Names the lanes that failed.
fn failures(failed: &[Technique]) -> String {
    if failed.is_empty() {
        return String::new();
    }
    format!("{} failed. ", capital(&names(failed)))
}

fn sentence(ranking: &Ranking) -> String {
    let Ranking {
        failed, unmeasured, ..
    } = ranking;
    let failures = failures(failed);
    let rest = if unmeasured.is_empty() {
        String::new()
    } else {
        format!("; no figures yet for {}", names(unmeasured))
    };
    let end = if failed.is_empty() {
        "Nothing lost, nothing repeated."
    } else {
        "Nothing lost, nothing repeated in these."
    };
    let ranking = capital(&steps(ranking));
    format!("{failures}{ranking}{rest}. {end}")
}

/// One figure, or the two ends of a range if they are written differently.
fn range_ms(group: &LaneGroup) -> String {
    let (from, to) = (ms(group.from_ms), ms(group.to_ms));
    let to = Unit::Millisecond.of(&to, LANGUAGE);
    if to == Unit::Millisecond.of(&from, LANGUAGE) {
        to
    } else {
        format!("{from} to {to}")
    }
}

fn lanes_are(lanes: usize) -> String {
    if lanes == 1 {
        "One lane is".to_owned()
    } else {
        format!("All {lanes} lanes are")
    }
}

pub(super) fn plural(number: u64, one: &str, many: &str) -> String {
    if number == 1 {
        format!("{number} {one}")
    } else {
        format!("{} {many}", count(number))
    }
}

fn steps(ranking: &Ranking) -> String {
    let Ranking {
        measure,
        lane_groups,
        interval_ms,
        ..
    } = ranking;
    let step = |(index, group): (usize, &LaneGroup)| {
        let mut lanes = names(&group.techniques);
        if group.techniques == [Technique::Poll] {
            lanes.push_str(&format!(" every {}", span_ms(*interval_ms, LANGUAGE)));
        }
        match (index, *measure) {
            (0, Measure::FromDue) => {
                let verb = if group.techniques.len() == 1 {
                    "shows"
                } else {
                    "show"
                };
                format!(
                    "{lanes} {verb} an event {} after it was due",
                    range_ms(group)
                )
            }
            (0, Measure::BehindFirst) if lane_groups.len() == 1 => {
                format!(
                    "{lanes} show a message within {} of each other",
                    in_ms(group.to_ms.max(0.1), LANGUAGE)
                )
            }
            (0, Measure::BehindFirst) => {
                format!(
                    "{lanes} {} first",
                    if group.techniques.len() == 1 {
                        "is"
                    } else {
                        "are"
                    }
                )
            }
            (_, Measure::FromDue) => format!("{lanes} {}", range_ms(group)),
            (_, Measure::BehindFirst) => format!("{lanes} {} later", range_ms(group)),
        }
    };
    let steps: Vec<String> = lane_groups.iter().enumerate().map(step).collect();
    steps.join(", ")
}

pub(super) fn advice(advice: &Advice) -> String {
    let name = capital(look(advice.technique).name_in_sentence.english);
    let reason = match advice.reason {
        AdviceReason::PollingSuffices => {
            "it meets the limit, needs no open connection, and costs at most twice the bytes of any other"
        }
        AdviceReason::ClientsSend => {
            "it meets the limit, and clients send messages as frames instead of requests"
        }
        AdviceReason::Cheapest if advice.technique == Technique::Sse => {
            "it meets the limit, browsers reconnect by themselves, and it costs at most twice the bytes of any other"
        }
        AdviceReason::Cheapest => "it meets the limit at the lowest cost or close to it",
        AdviceReason::Fastest => {
            "no technique meets the limit at this distance; this is the fastest"
        }
    };
    let interval = advice.interval_max.as_secs_f64() * 1_000.0;
    let change = if interval >= 1.0 {
        format!(
            "Polling meets the limit up to an interval of {}.",
            span_ms(interval.floor(), LANGUAGE)
        )
    } else {
        "Polling never meets the limit.".to_owned()
    };
    format!("{name}: {reason}. {change}")
}

pub(super) fn cost(cost: &Cost) -> String {
    let name = |technique: Technique| look(technique).name_in_sentence.english;
    let mut text = format!(
        "{} costs {} bytes per event, {} {}",
        capital(name(cost.least.0)),
        bytes(cost.least.1),
        name(cost.most.0),
        bytes(cost.most.1)
    );
    if let Some(share) = cost.empty_polls.filter(|share| *share >= 0.005) {
        text.push_str(&format!(
            "; {} of the polls had an empty response",
            percent(share, LANGUAGE)
        ));
    }
    text.push('.');
    text
}

pub(super) fn judged(verdict: Verdict) -> &'static str {
    match verdict.finding {
        Finding::Confirmed => "confirmed",
        Finding::Refuted => "refuted",
        Finding::Inconclusive { .. } => "not yet clear",
    }
}

pub(super) fn needs(doubt: Doubt) -> String {
    match doubt {
        Doubt::TooFew {
            more_s: Some(more_s),
        } => format!("about {} s more are needed", count(whole_s(more_s))),
        Doubt::TooFew { more_s: None } => "more events are needed".to_owned(),
        Doubt::ClockUnsure { bound_ms: bound } => {
            format!("the clocks are only known to {}", within_ms(bound))
        }
        Doubt::BeforeItsTime { .. } => {
            "an event arrived before its due time: the clocks are wrong".to_owned()
        }
        Doubt::FixedPhase { spread_ms } => format!(
            "the phase is fixed: single runs differ by up to {}",
            within_ms(spread_ms)
        ),
        Doubt::SourceLate { late_ms } => {
            format!("the source was {} late", in_ms(late_ms, LANGUAGE))
        }
        Doubt::ClientBusy { client_ms } if client_ms < Doubt::BUSY_MS => format!(
            "too close to tell: the browser itself takes up to {}",
            in_ms(client_ms, LANGUAGE)
        ),
        Doubt::ClientBusy { client_ms } => {
            format!("the browser was busy (p99 {})", in_ms(client_ms, LANGUAGE))
        }
    }
}
