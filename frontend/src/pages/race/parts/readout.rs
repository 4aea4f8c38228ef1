//! The values at a vertical line in a chart: where keys move the line, and what each lane has at its place.
//!
//! A place is a share of the axis: 0 is its left end, 1 its right end. A running chart moves below its line.

use tailwater_protocol::Technique;

use crate::language::Language;
use crate::numbers::{Unit, fixed, in_ms, seconds, size};
use crate::pages::race::model::lane::LanePhase;
use crate::pages::race::model::race::RaceState;
use crate::pages::race::model::trace::{EventRun, RequestMark, Trace};
use crate::pages::race::parts::draw::distribution::{Curve, DistributionChart, PointKind};
use crate::pages::race::text::RaceText;
use crate::techniques::look;

/// How far an arrow key moves the line, as a share of the axis.
const STEP: f64 = 0.005;
/// With Shift it moves as many steps.
const STEPS_WITH_SHIFT: f64 = 10.0;

/// The place of the line after a key; `None` if the key does not move it.
///
/// - `place`: where it is; without a line, keys begin in the middle.
/// - `key`: as in `KeyboardEvent.key`.
pub fn moved(place: Option<f64>, key: &str, shift: bool) -> Option<f64> {
    let step = if shift { STEP * STEPS_WITH_SHIFT } else { STEP };
    let from = place.unwrap_or(0.5);
    let to = match key {
        "ArrowLeft" => from - step,
        "ArrowRight" => from + step,
        "Home" => 0.0,
        "End" => 1.0,
        _ => return None,
    };
    Some(to.clamp(0.0, 1.0))
}

/// The event whose arrival or due time is nearest to `at_ms`, of those that had arrived at `to_ms`.
pub fn nearest_event(trace: &Trace, (from_ms, to_ms): (f64, f64), at_ms: f64) -> Option<&EventRun> {
    let distance = |run: &EventRun| {
        let from_due = run.due_ms.map_or(f64::INFINITY, |due| (due - at_ms).abs());
        from_due.min((run.at_ms - at_ms).abs())
    };
    trace
        .events(from_ms, to_ms)
        .filter(|run| run.at_ms <= to_ms)
        .min_by(|one, other| distance(one).total_cmp(&distance(other)))
}

/// The request that was open at `at_ms`, the latest if there were several, else the one that began or ended nearest to it.
pub fn nearest_request(
    trace: &Trace,
    (from_ms, to_ms): (f64, f64),
    at_ms: f64,
) -> Option<&RequestMark> {
    let distance = |request: &RequestMark| {
        let ended_before = at_ms - request.end_ms.unwrap_or(f64::INFINITY);
        ended_before.max(request.sent_ms - at_ms).max(0.0)
    };
    trace
        .requests(from_ms, to_ms)
        // The last of several equal ones.
        .max_by(|one, other| distance(other).total_cmp(&distance(one)))
}

/// The share that arrived within `ms`, of a curve that is drawn in steps; `None` for an empty curve.
pub fn share_of_steps(curve: &[(f64, f64)], ms: f64) -> Option<f64> {
    let reached = curve.partition_point(|(latency, _)| *latency <= ms);
    let before = curve[..reached].last();
    (!curve.is_empty()).then(|| before.map_or(0.0, |(_, share)| *share))
}

/// The share that arrived within `ms`, of a curve whose points are joined by straight lines; `None` for an empty curve.
pub fn share_of_lines(curve: &[(f64, f64)], ms: f64) -> Option<f64> {
    let share = share_of_steps(curve, ms)?;
    let reached = curve.partition_point(|(latency, _)| *latency <= ms);
    let (Some((ms0, share0)), Some((ms1, share1))) = (curve[..reached].last(), curve.get(reached))
    else {
        return Some(share);
    };
    Some(share0 + (share1 - share0) * (ms - ms0) / (ms1 - ms0))
}

/// The values of the sequence diagram at a place: the nearest event of each lane.
///
/// - `now_ms`: the right end of the axis.
pub fn events(race: &RaceState, now_ms: f64, place: f64, language: Language) -> String {
    let text = RaceText::of(language);
    let (from_ms, at_ms) = times(race, now_ms, place);
    let head = before(now_ms, at_ms, language);
    lines(head, language, &|technique| {
        let trace = shown_trace(race, technique)?;
        let run = nearest_event(trace, (from_ms, now_ms), at_ms)?;
        let mut number = run.first_seq.to_string();
        if run.last_seq != run.first_seq {
            number = format!("{number}–{}", run.last_seq);
        }
        let received = before(now_ms, run.at_ms, language);
        let received = format!("{} {received}", text.value_received);
        Some(run.due_ms.map_or_else(
            || format!(" #{number}: {received}"),
            |due_ms| {
                format!(
                    " #{number}: {} {}, {received}, {} {}",
                    text.value_due,
                    before(now_ms, due_ms, language),
                    text.value_latency,
                    in_ms(run.at_ms - due_ms, language),
                )
            },
        ))
    })
}

/// The values of the waterfall at a place: the nearest request of each lane.
///
/// - `now_ms`: the right end of the axis.
pub fn requests(race: &RaceState, now_ms: f64, place: f64, language: Language) -> String {
    let text = RaceText::of(language);
    let (from_ms, at_ms) = times(race, now_ms, place);
    let head = before(now_ms, at_ms, language);
    lines(head, language, &|technique| {
        let trace = shown_trace(race, technique)?;
        let request = nearest_request(trace, (from_ms, now_ms), at_ms)?;
        let status = match request.status {
            0 => String::new(),
            status => format!(", {status}"),
        };
        let end_ms = request.end_ms.filter(|end| *end <= now_ms);
        let lasted = end_ms.map_or_else(
            || text.still_open.to_owned(),
            |end| {
                let lasted = in_ms(end - request.sent_ms, language);
                format!("{} {lasted}", text.value_lasted)
            },
        );
        Some(format!(
            " #{}: {} {}{status}, {}, {lasted}",
            request.id,
            text.value_sent,
            before(now_ms, request.sent_ms, language),
            size(request.bytes, language),
        ))
    })
}

/// The values of the distribution at a place: the share of each lane's events that arrived within its latency.
pub fn shares(chart: &DistributionChart, place: f64, language: Language) -> String {
    let text = RaceText::of(language);
    let latency_ms = chart.latency_at(place);
    let head = (text.value_within)(&in_ms(latency_ms, language));
    lines(head, language, &|technique| {
        let is_its = |curve: &&Curve| curve.technique == technique;
        let curve = chart.curves.iter().find(is_its);
        let saved = chart.saved.iter().find(is_its);
        let shares = [
            (
                text.value_measured,
                curve.and_then(|it| measured_share(it, latency_ms)),
            ),
            (
                text.value_predicted,
                curve.and_then(|it| share_of_lines(&it.theory, latency_ms)),
            ),
            (
                text.saved,
                saved.and_then(|it| measured_share(it, latency_ms)),
            ),
        ];
        let known = shares.into_iter().filter_map(|(word, share)| {
            let share = Unit::Percent.of(&fixed(share? * 100.0, 1), language);
            Some(format!("{word} {share}"))
        });
        let known: Vec<String> = known.collect();
        (!known.is_empty()).then(|| format!(": {}", known.join(", ")))
    })
}

fn measured_share(curve: &Curve, ms: f64) -> Option<f64> {
    match curve.kind {
        PointKind::Samples | PointKind::Buckets => share_of_steps(&curve.measured, ms),
        PointKind::Quantiles => share_of_lines(&curve.measured, ms),
    }
}

/// The left end of an axis of time that ends at `now_ms`, and the time at a place.
fn times(race: &RaceState, now_ms: f64, place: f64) -> (f64, f64) {
    let span_ms = race.settings.window_s * 1_000.0;
    (now_ms - span_ms, now_ms - span_ms * (1.0 - place))
}

/// The trace of a lane that is on.
fn shown_trace(race: &RaceState, technique: Technique) -> Option<&Trace> {
    let index = technique.index();
    (race.lanes[index].phase != LanePhase::Off).then(|| &race.traces[index])
}

/// `head`, and each lane that has values, separated by semicolons with line breaks.
fn lines(head: String, language: Language, values: &dyn Fn(Technique) -> Option<String>) -> String {
    let mut lines = head;
    for technique in Technique::ALL {
        if let Some(values) = values(technique) {
            lines += ";\n";
            lines += look(technique).label.in_language(language);
            lines += &values;
        }
    }
    lines
}

/// A time relative to the right end, as the axis writes it: `−2.350 s`.
fn before(now_ms: f64, at_ms: f64, language: Language) -> String {
    let ago = Unit::Second.of(&seconds(now_ms - at_ms), language);
    format!("\u{2212}{ago}")
}

#[cfg(test)]
mod tests;
