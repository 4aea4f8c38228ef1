//! The whole result as JSON and as CSV: settings, counts, percentiles, samples.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tailwater_lab::Verdict;
use tailwater_protocol::Technique;
use tailwater_protocol::lab::LaneCounts;

use super::lane::SAMPLES_MAX;
use super::lane_summary::{LaneSummary, Measure};
use super::meter::total_bytes;
use super::race::RaceState;
use super::settings::{RaceSource, pattern_name};
use super::summary::{LanePath, Summary};
use crate::lanes::ReaderPlace;
use crate::numbers::shortest;

/// Where and when a result was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// ISO 8601, UTC.
    pub at: String,
    /// The page's address with its settings, which repeats the same race.
    pub url: String,
    /// The browser's user agent, on which the size of heads depends.
    pub user_agent: String,
}

/// The result as an indented JSON document with a line for each sample.
pub fn json(race: &RaceState, summary: &Summary, provenance: &Provenance) -> String {
    let settings = &race.settings;
    let generated = settings.source == RaceSource::Generator;
    let document = ResultDocument {
        format: "tailwater-race/1",
        at: &provenance.at,
        url: &provenance.url,
        user_agent: &provenance.user_agent,
        stream: &summary.stream,
        measure: measure_name(race.measure()),
        path: path_name(summary.path),
        readers: readers_name(summary.readers),
        run_seconds: round(summary.run_s),
        events_per_second: summary.rate_per_s.map(round),
        clock: summary.clock.map(|clock| ClockDocument {
            offset_ms: clock.ahead_ms,
            bound_ms: clock.bound_ms,
            round_trip_ms: clock.round_trip_ms,
            probes: clock.probes,
            resolution_ms: race.resolution_ms,
        }),
        settings: SettingsDocument {
            source: match &settings.source {
                RaceSource::Host => "host",
                RaceSource::Generator => "generator",
                RaceSource::Named(_) => "stream",
            },
            rate: generated.then_some(settings.rate),
            pattern: generated.then(|| pattern_name(settings.pattern)),
            size: generated.then_some(settings.size),
            poll_interval_ms: settings.interval_ms,
            hold_seconds: settings.hold_s,
            delay_up_ms: race.added_delays().0,
            delay_down_ms: race.added_delays().1,
        },
        lanes: summary
            .lanes
            .iter()
            .map(|lane| lane_document(race, lane))
            .collect(),
    };
    // Structs of numbers and texts can always be encoded.
    serde_json::to_string_pretty(&document).unwrap_or_default()
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultDocument<'a> {
    format: &'static str,
    at: &'a str,
    url: &'a str,
    user_agent: &'a str,
    stream: &'a str,
    measure: &'static str,
    path: &'static str,
    readers: &'static str,
    run_seconds: f64,
    events_per_second: Option<f64>,
    clock: Option<ClockDocument>,
    settings: SettingsDocument,
    lanes: Vec<LaneDocument<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClockDocument {
    offset_ms: f64,
    bound_ms: f64,
    round_trip_ms: f64,
    probes: usize,
    resolution_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingsDocument {
    source: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<f64>,
    poll_interval_ms: f64,
    hold_seconds: f64,
    delay_up_ms: f64,
    delay_down_ms: f64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LaneDocument<'a> {
    technique: &'static str,
    following: Technique,
    on: bool,
    fault: Option<&'a str>,
    events: u64,
    events_before: u64,
    lost: u64,
    repeated: u64,
    requests: u64,
    catch_up_requests: u64,
    empty_answers: u64,
    faults: u64,
    payload_bytes: u64,
    body_bytes: u64,
    /// Without `cross_origin_per_event`.
    bytes_per_event: Option<f64>,
    cross_origin_per_event: Option<f64>,
    counted_events: Option<u64>,
    relay: Option<LaneCounts>,
    rearm_ms: Option<f64>,
    client_ms: ClientDocument,
    latency_ms: LatencyDocument,
    predicted_mean_ms: Option<f64>,
    verdict: Option<VerdictDocument>,
    discarded: DiscardedDocument,
    sample_columns: [&'static str; 4],
    /// The most samples of a lane that are kept.
    samples_max: usize,
    samples: Vec<Box<RawValue>>,
}

/// The time that the browser itself takes.
#[derive(Serialize)]
struct ClientDocument {
    up: f64,
    down: f64,
    p99: f64,
}

#[derive(Serialize)]
struct LatencyDocument {
    n: u64,
    p50: Option<f64>,
    p90: Option<f64>,
    p99: Option<f64>,
    mean: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
}

#[derive(Serialize)]
struct VerdictDocument {
    line: String,
    numbers: Verdict,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiscardedDocument {
    hidden: u64,
    warm_up: u64,
    catch_up: u64,
    before_run: u64,
}

fn lane_document<'a>(race: &RaceState, lane: &'a LaneSummary) -> LaneDocument<'a> {
    let samples = &race.lanes[lane.technique.index()].samples;
    let samples = samples.iter().filter_map(|sample| {
        let (due_ms, at_ms) = (sample.due_ms.map(round), round(sample.at_ms));
        to_raw_value(&(sample.seq, due_ms, at_ms, round(sample.late_ms))).ok()
    });
    LaneDocument {
        technique: lane.technique.name(),
        following: lane.following,
        on: lane.is_on(),
        fault: lane.fault.as_deref(),
        events: lane.events,
        events_before: lane.before,
        lost: lane.lost,
        repeated: lane.repeated,
        requests: lane.requests,
        catch_up_requests: lane.catch_up_requests,
        empty_answers: lane.empty,
        faults: lane.faults,
        payload_bytes: lane.payload_bytes,
        body_bytes: lane.body_bytes,
        bytes_per_event: lane.bytes_per_event.map(round),
        cross_origin_per_event: lane.cross_origin_per_event.map(round),
        counted_events: lane.counted_events,
        relay: lane.counts,
        rearm_ms: lane.rearm_ms.map(round),
        client_ms: ClientDocument {
            up: round(lane.client_up_ms),
            down: round(lane.client_down_ms),
            p99: round(lane.client_p99_ms),
        },
        latency_ms: LatencyDocument {
            n: lane.samples,
            p50: lane.p50_ms.map(round),
            p90: lane.p90_ms.map(round),
            p99: lane.p99_ms.map(round),
            mean: lane.mean_ms.map(round),
            min: lane.min_ms.map(round),
            max: lane.max_ms.map(round),
        },
        predicted_mean_ms: lane.predicted_ms.map(round),
        verdict: lane.verdict.map(|verdict| VerdictDocument {
            line: verdict.to_string(),
            numbers: verdict,
        }),
        discarded: DiscardedDocument {
            hidden: lane.discarded.hidden,
            warm_up: lane.discarded.warm_up,
            catch_up: lane.discarded.catch_up,
            before_run: lane.discarded.before_run,
        },
        sample_columns: ["seq", "dueMs", "atMs", "lateMs"],
        samples_max: SAMPLES_MAX,
        samples: samples.collect(),
    }
}

/// One line per lane; the settings are repeated in each, so that results can be concatenated.
pub fn csv(race: &RaceState, summary: &Summary, provenance: &Provenance) -> String {
    let settings = &race.settings;
    let mut rows = vec![LANE_COLUMNS.join(",")];
    for lane in &summary.lanes {
        let counts = lane.counts.unwrap_or_default();
        let relay = |value: u64| lane.counts.map_or_else(String::new, |_| value.to_string());
        let cells = [
            lane.technique.name().to_owned(),
            cell(&summary.stream),
            measure_name(race.measure()).to_owned(),
            lane.events.to_string(),
            lane.before.to_string(),
            lane.lost.to_string(),
            lane.repeated.to_string(),
            lane.requests.to_string(),
            lane.catch_up_requests.to_string(),
            lane.empty.to_string(),
            lane.faults.to_string(),
            lane.samples.to_string(),
            number(lane.p50_ms),
            number(lane.p90_ms),
            number(lane.p99_ms),
            number(lane.mean_ms),
            number(lane.min_ms),
            number(lane.max_ms),
            number(lane.predicted_ms),
            number(Some(lane.client_down_ms)),
            number(Some(lane.client_p99_ms)),
            lane.payload_bytes.to_string(),
            lane.body_bytes.to_string(),
            number(lane.bytes_per_event),
            number(lane.cross_origin_per_event),
            lane.counted_events
                .map_or_else(String::new, |events| events.to_string()),
            relay(total_bytes(&counts)),
            relay(counts.request_head_bytes),
            relay(counts.response_head_bytes),
            relay(counts.request_framing_bytes + counts.response_framing_bytes),
            relay(counts.request_body_bytes + counts.response_body_bytes),
            relay(counts.connections),
            relay(counts.connections_open),
            number(summary.clock.map(|clock| clock.bound_ms)),
            shortest(settings.interval_ms),
            shortest(settings.hold_s),
            shortest(race.added_delays().0),
            shortest(race.added_delays().1),
            number(summary.rate_per_s),
            number(Some(summary.run_s)),
            cell(&provenance.at),
        ];
        rows.push(cells.join(","));
    }
    rows.join("\r\n") + "\r\n"
}

const LANE_COLUMNS: [&str; 41] = [
    "technique",
    "stream",
    "measure",
    "events",
    "events_before",
    "lost",
    "repeated",
    "requests",
    "catch_up_requests",
    "empty_answers",
    "faults",
    "samples",
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "mean_ms",
    "min_ms",
    "max_ms",
    "predicted_mean_ms",
    "client_down_ms",
    "client_p99_ms",
    "payload_bytes",
    "body_bytes",
    "bytes_per_event",
    "cross_origin_per_event",
    "counted_events",
    "wire_bytes",
    "request_head_bytes",
    "response_head_bytes",
    "framing_bytes",
    "wire_body_bytes",
    "connections",
    "connections_open",
    "clock_bound_ms",
    "poll_interval_ms",
    "hold_s",
    "delay_up_ms",
    "delay_down_ms",
    "events_per_s",
    "run_s",
    "at",
];

/// One line per sample, lane by lane.
pub fn samples_csv(race: &RaceState) -> String {
    let mut rows = vec!["technique,seq,due_ms,at_ms,late_ms".to_owned()];
    for technique in Technique::ALL {
        rows.extend(race.lanes[technique.index()].samples.iter().map(|sample| {
            let (due, at, late) = (
                number(sample.due_ms),
                number(Some(sample.at_ms)),
                number(Some(sample.late_ms)),
            );
            format!("{technique},{},{due},{at},{late}", sample.seq)
        }));
    }
    rows.join("\r\n") + "\r\n"
}

/// Milliseconds with three decimals, the resolution of the measurements.
fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn number(value: Option<f64>) -> String {
    value
        .map(|value| shortest(round(value)))
        .unwrap_or_default()
}

/// A text as one CSV cell. Source: RFC 4180, section 2.
fn cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn measure_name(measure: Measure) -> &'static str {
    match measure {
        Measure::FromDue => "from-due",
        Measure::BehindFirst => "behind-first-lane",
    }
}

fn readers_name(place: ReaderPlace) -> &'static str {
    match place {
        ReaderPlace::OwnWorkers => "own-workers",
        ReaderPlace::OneWorker => "one-worker",
        ReaderPlace::Page => "page",
    }
}

fn path_name(path: LanePath) -> &'static str {
    match path {
        LanePath::Unknown => "unknown",
        LanePath::Relay => "relay",
        LanePath::LabOff => "lab-off",
        LanePath::NoneFree => "none-free",
        LanePath::PortsShut => "ports-shut",
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::RaceSettings;
    use super::*;

    fn race() -> RaceState {
        let mut race = RaceState::new(RaceSettings::default(), 0.0);
        race.open(
            tailwater_protocol::StreamName::parse("odd \"name\", with comma")
                .ok()
                .as_ref(),
            0.0,
        );
        race
    }

    #[test]
    fn every_csv_row_has_as_many_columns_as_the_head() {
        let race = race();
        let text = csv(&race, &race.summary(1_000.0), &Provenance::default());
        let rows: Vec<&str> = text.trim_end().split("\r\n").collect();
        assert_eq!(rows.len(), 6);
        for row in &rows {
            let quoted = row
                .split('"')
                .step_by(2)
                .map(|plain| plain.matches(',').count())
                .sum::<usize>();
            assert_eq!(quoted + 1, LANE_COLUMNS.len(), "{row}");
        }
        assert!(
            rows[1].starts_with("poll,\"odd \"\"name\"\", with comma\",from-due,0,"),
            "{}",
            rows[1]
        );
    }

    #[test]
    fn the_json_parses_and_names_every_lane() {
        let race = race();
        let text = json(&race, &race.summary(1_000.0), &Provenance::default());
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["stream"], "odd \"name\", with comma");
        let names: Vec<&str> = document["lanes"]
            .as_array()
            .unwrap()
            .iter()
            .map(|lane| lane["technique"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["poll", "long-poll", "ndjson", "sse", "websocket"]);
        assert_eq!(document["lanes"][0]["lost"], 0);
        assert!(text.starts_with("{\n  \"format\": "), "{text:.40}");
    }
}
