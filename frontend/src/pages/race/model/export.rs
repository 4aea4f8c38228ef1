//! The whole result as JSON and as CSV: settings, counts, percentiles, samples.

use tailwater_lab::Verdict;
use tailwater_protocol::Technique;

use super::json_value::{JsonObject, JsonValue};
use super::lane::SAMPLES_MAX;
use super::lane_summary::{LaneSummary, Measure};
use super::meter::total_bytes;
use super::race::RaceState;
use super::settings::{RaceSource, pattern_name};
use super::summary::{LanePath, Summary};
use super::tally::Discarded;
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
    /// The server's version; empty while it is not known.
    pub server_version: String,
    /// The seed of the generator, and of what the lanes draw at random.
    pub seed: u64,
    /// When the page's clock was 0: ISO 8601, UTC.
    pub time_origin: String,
    /// `at` as milliseconds since 1970.
    pub at_ms: u64,
    /// `time_origin` as milliseconds since 1970.
    pub time_origin_ms: u64,
}

/// The result as an indented JSON document with a line for each sample.
pub fn json(race: &RaceState, summary: &Summary, provenance: &Provenance) -> String {
    let clock = summary.clock.map(|clock| {
        let mut object = JsonObject::default();
        object
            .add("offsetMs", clock.ahead_ms)
            .add("boundMs", clock.bound_ms)
            .add("roundTripMs", clock.round_trip_ms)
            .add("probes", clock.probes as u64)
            .add("resolutionMs", race.resolution_ms);
        object
    });
    let lanes = summary.lanes.iter().map(|lane| lane_json(race, lane));
    let server_version = Some(&*provenance.server_version).filter(|version| !version.is_empty());
    let mut document = JsonObject::default();
    document
        .add("format", "tailwater-race/1")
        .add("at", provenance.at.as_str())
        .add("url", provenance.url.as_str())
        .add("userAgent", provenance.user_agent.as_str())
        .add("serverVersion", server_version)
        .add("seed", provenance.seed)
        // When `dueMs` and `atMs` of the samples are 0.
        .add("timeOrigin", provenance.time_origin.as_str())
        .add("stream", summary.stream.as_str())
        .add("measure", measure_name(race.measure()))
        .add("path", path_name(summary.path))
        .add("readers", readers_name(summary.readers))
        .add("runSeconds", round(summary.run_s))
        .add("eventsPerSecond", summary.rate_per_s.map(round))
        .add("clock", clock)
        .add("settings", settings_json(race))
        .add("lanes", JsonValue::List(lanes.collect()));
    document.to_document()
}

fn settings_json(race: &RaceState) -> JsonObject {
    let settings = &race.settings;
    let source = match settings.source {
        RaceSource::Host => "host",
        RaceSource::Generator => "generator",
        RaceSource::Named(_) => "stream",
    };
    let mut object = JsonObject::default();
    object.add("source", source);
    if settings.source == RaceSource::Generator {
        object
            .add("rate", settings.rate)
            .add("pattern", pattern_name(settings.pattern))
            .add("size", settings.size);
    }
    let (delay_up_ms, delay_down_ms) = race.added_delays();
    object
        .add("pollIntervalMs", settings.interval_ms)
        .add("holdSeconds", settings.hold_s)
        .add("delayUpMs", delay_up_ms)
        .add("delayDownMs", delay_down_ms);
    object
}

fn lane_json(race: &RaceState, lane: &LaneSummary) -> JsonValue {
    let columns = ["seq", "dueMs", "atMs", "lateMs"].map(JsonValue::from);
    let samples = &race.lanes[lane.technique.index()].samples;
    let samples = samples.iter().map(|sample| {
        let (due_ms, at_ms) = (sample.due_ms.map(round), round(sample.at_ms));
        JsonValue::line(&(sample.seq, due_ms, at_ms, round(sample.late_ms)))
    });
    let mut object = JsonObject::default();
    object
        .add("technique", lane.technique.name())
        .add("following", lane.following.name())
        .add("on", lane.is_on())
        .add("fault", lane.fault.as_deref())
        .add("events", lane.events)
        .add("eventsBefore", lane.before)
        .add("lost", lane.lost)
        .add("repeated", lane.repeated)
        .add("requests", lane.requests)
        .add("catchUpRequests", lane.catch_up_requests)
        .add("emptyAnswers", lane.empty)
        .add("faults", lane.faults)
        .add("payloadBytes", lane.payload_bytes)
        .add("bodyBytes", lane.body_bytes)
        // Without `crossOriginPerEvent`.
        .add("bytesPerEvent", lane.bytes_per_event.map(round))
        .add(
            "crossOriginPerEvent",
            lane.cross_origin_per_event.map(round),
        )
        .add("countedEvents", lane.counted_events)
        .add("relay", JsonValue::line(&lane.counts))
        .add("rearmMs", lane.rearm_ms.map(round))
        .add("clientMs", client_json(lane))
        .add("latencyMs", latency_json(lane))
        .add("predictedMeanMs", lane.predicted_ms.map(round))
        .add("verdict", lane.verdict.as_ref().map(verdict_json))
        .add("discarded", discarded_json(&lane.discarded))
        .add("sampleColumns", JsonValue::List(columns.into()))
        // The most samples of a lane that are kept.
        .add("samplesMax", SAMPLES_MAX as u64)
        .add("samples", JsonValue::List(samples.collect()));
    object.into()
}

/// The time that the browser itself takes.
fn client_json(lane: &LaneSummary) -> JsonObject {
    let mut object = JsonObject::default();
    object
        .add("up", round(lane.client_up_ms))
        .add("down", round(lane.client_down_ms))
        .add("p99", round(lane.client_p99_ms));
    object
}

fn latency_json(lane: &LaneSummary) -> JsonObject {
    let mut object = JsonObject::default();
    object
        .add("n", lane.samples)
        .add("p50", lane.p50_ms.map(round))
        .add("p90", lane.p90_ms.map(round))
        .add("p99", lane.p99_ms.map(round))
        .add("mean", lane.mean_ms.map(round))
        .add("min", lane.min_ms.map(round))
        .add("max", lane.max_ms.map(round));
    object
}

fn verdict_json(verdict: &Verdict) -> JsonObject {
    let mut object = JsonObject::default();
    object
        .add("line", verdict.to_string().as_str())
        .add("numbers", JsonValue::line(verdict));
    object
}

fn discarded_json(discarded: &Discarded) -> JsonObject {
    let mut object = JsonObject::default();
    object
        .add("hidden", discarded.hidden)
        .add("warmUp", discarded.warm_up)
        .add("catchUp", discarded.catch_up)
        .add("beforeRun", discarded.before_run);
    object
}

/// One line per lane; the settings are repeated in each, so that results can be concatenated.
pub fn csv(race: &RaceState, summary: &Summary, provenance: &Provenance) -> String {
    let settings = &race.settings;
    let mut rows = vec![format!("{},{ORIGIN_COLUMNS}", LANE_COLUMNS.join(","))];
    let origin = origin_cells(provenance);
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
            origin.clone(),
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
    "connections_opened",
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

/// The columns of [`origin_cells`].
const ORIGIN_COLUMNS: &str = "server_version,seed,time_origin";

/// The server, the seed, and when the page's clock was 0.
fn origin_cells(provenance: &Provenance) -> String {
    let version = cell(&provenance.server_version);
    format!(
        "{version},{},{}",
        provenance.seed,
        cell(&provenance.time_origin)
    )
}

/// One line per sample, lane by lane; the last [`SAMPLES_MAX`] of each.
pub fn samples_csv(race: &RaceState, provenance: &Provenance) -> String {
    let mut rows = vec![format!(
        "technique,seq,due_ms,at_ms,late_ms,{ORIGIN_COLUMNS}"
    )];
    let origin = origin_cells(provenance);
    for technique in Technique::ALL {
        rows.extend(race.lanes[technique.index()].samples.iter().map(|sample| {
            let (due, at, late) = (
                number(sample.due_ms),
                number(Some(sample.at_ms)),
                number(Some(sample.late_ms)),
            );
            format!("{technique},{},{due},{at},{late},{origin}", sample.seq)
        }));
    }
    rows.join("\r\n") + "\r\n"
}

/// Milliseconds with three decimals, the resolution of the measurements.
pub(super) fn round(value: f64) -> f64 {
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
mod recomputed_tests;

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
        let commas = |row: &str| -> usize {
            let unquoted = row.split('"').step_by(2);
            unquoted.map(|plain| plain.matches(',').count()).sum()
        };
        for row in &rows {
            assert_eq!(commas(row), commas(rows[0]), "{row}");
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
