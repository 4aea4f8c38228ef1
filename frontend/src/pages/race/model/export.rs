//! The whole result as JSON and as CSV: settings, counts, percentiles, samples.

use tailwater_lab::Verdict;
use tailwater_protocol::Technique;

use super::json_value::{JsonObject, JsonValue};
use super::lane::{LatencySample, SAMPLES_MAX};
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
        .add("runSeconds", rounded(summary.run_s))
        .add("eventsPerSecond", rounded(summary.rate_per_s))
        .add("clock", clock)
        .add("settings", settings_json(race))
        .add("lanes", JsonValue::List(lanes.collect()));
    document.to_document()
}

fn settings_json(race: &RaceState) -> JsonObject {
    let settings = &race.settings;
    let mut object = JsonObject::default();
    object.add("source", source_name(&settings.source));
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
        .add("bytesPerEvent", rounded(lane.bytes_per_event))
        .add("crossOriginPerEvent", rounded(lane.cross_origin_per_event))
        .add("countedEvents", lane.counted_events)
        .add("relay", JsonValue::line(&lane.counts))
        .add("rearmMs", rounded(lane.rearm_ms))
        .add("clientMs", client_json(lane))
        .add("latencyMs", latency_json(lane))
        .add("predictedMeanMs", rounded(lane.predicted_ms))
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
        .add("up", rounded(lane.client_up_ms))
        .add("down", rounded(lane.client_down_ms))
        .add("p99", rounded(lane.client_p99_ms));
    object
}

fn latency_json(lane: &LaneSummary) -> JsonObject {
    let mut object = JsonObject::default();
    object
        .add("n", lane.samples)
        .add("p50", rounded(lane.p50_ms))
        .add("p90", rounded(lane.p90_ms))
        .add("p99", rounded(lane.p99_ms))
        .add("mean", rounded(lane.mean_ms))
        .add("min", rounded(lane.min_ms))
        .add("max", rounded(lane.max_ms));
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
    let lanes = summary.lanes.iter();
    let rows: Vec<JsonObject> = lanes
        .map(|lane| lane_row(race, summary, lane, provenance))
        .collect();
    rows.first().map(names_csv).unwrap_or_default()
        + &rows.iter().map(values_csv).collect::<String>()
}

/// The columns of a lane.
fn lane_row(
    race: &RaceState,
    summary: &Summary,
    lane: &LaneSummary,
    provenance: &Provenance,
) -> JsonObject {
    let settings = &race.settings;
    let (delay_up_ms, delay_down_ms) = race.added_delays();
    let mut row = JsonObject::default();
    let generated = settings.source == RaceSource::Generator;
    row.add("technique", lane.technique.name())
        .add("following", lane.following.name())
        .add("on", lane.is_on())
        .add("stream", summary.stream.as_str())
        .add("measure", measure_name(race.measure()))
        .add("events", lane.events)
        .add("events_before", lane.before)
        .add("lost", lane.lost)
        .add("repeated", lane.repeated)
        .add("requests", lane.requests)
        .add("catch_up_requests", lane.catch_up_requests)
        .add("empty_answers", lane.empty)
        .add("faults", lane.faults)
        .add("samples", lane.samples)
        .add("p50_ms", rounded(lane.p50_ms))
        .add("p90_ms", rounded(lane.p90_ms))
        .add("p99_ms", rounded(lane.p99_ms))
        .add("mean_ms", rounded(lane.mean_ms))
        .add("min_ms", rounded(lane.min_ms))
        .add("max_ms", rounded(lane.max_ms))
        .add("predicted_mean_ms", rounded(lane.predicted_ms))
        .add("client_down_ms", rounded(lane.client_down_ms))
        .add("client_p99_ms", rounded(lane.client_p99_ms))
        .add("payload_bytes", lane.payload_bytes)
        .add("body_bytes", lane.body_bytes)
        .add("bytes_per_event", rounded(lane.bytes_per_event))
        .add(
            "cross_origin_per_event",
            rounded(lane.cross_origin_per_event),
        )
        .add("counted_events", lane.counted_events);
    add_relay(&mut row, lane);
    row.add(
        "clock_bound_ms",
        rounded(summary.clock.map(|clock| clock.bound_ms)),
    )
    .add("path", path_name(summary.path))
    .add("source", source_name(&settings.source))
    .add("rate", generated.then_some(settings.rate))
    .add("size", generated.then_some(settings.size))
    .add("pattern", generated.then(|| pattern_name(settings.pattern)))
    .add("poll_interval_ms", settings.interval_ms)
    .add("hold_s", settings.hold_s)
    .add("delay_up_ms", delay_up_ms)
    .add("delay_down_ms", delay_down_ms)
    .add("events_per_s", rounded(summary.rate_per_s))
    .add("run_s", rounded(summary.run_s))
    .add("at", provenance.at.as_str());
    add_origin(&mut row, provenance);
    row
}

/// Adds what the relay of a lane counted.
fn add_relay(row: &mut JsonObject, lane: &LaneSummary) {
    let counts = lane.counts.unwrap_or_default();
    let relay = |value: u64| lane.counts.map(|_| value);
    let framing_bytes = counts.request_framing_bytes + counts.response_framing_bytes;
    let body_bytes = counts.request_body_bytes + counts.response_body_bytes;
    row.add("wire_bytes", relay(total_bytes(&counts)))
        .add("request_head_bytes", relay(counts.request_head_bytes))
        .add("response_head_bytes", relay(counts.response_head_bytes))
        .add("framing_bytes", relay(framing_bytes))
        .add("wire_body_bytes", relay(body_bytes))
        .add("connections_opened", relay(counts.connections))
        .add("connections_open", relay(counts.connections_open));
}

/// Adds the server, the seed, and when the page's clock was 0.
fn add_origin(row: &mut JsonObject, provenance: &Provenance) {
    row.add("server_version", provenance.server_version.as_str())
        .add("seed", provenance.seed)
        .add("time_origin", provenance.time_origin.as_str());
}

/// One line per sample, lane by lane; the last [`SAMPLES_MAX`] of each.
pub fn samples_csv(race: &RaceState, provenance: &Provenance) -> String {
    let row = |technique: Technique, sample: &LatencySample| {
        let mut row = JsonObject::default();
        row.add("technique", technique.name())
            .add("seq", sample.seq)
            .add("due_ms", rounded(sample.due_ms))
            .add("at_ms", rounded(sample.at_ms))
            .add("late_ms", rounded(sample.late_ms));
        add_origin(&mut row, provenance);
        row
    };
    let mut text = names_csv(&row(Technique::Poll, &LatencySample::default()));
    for technique in Technique::ALL {
        let samples = race.lanes[technique.index()].samples.iter();
        text.extend(samples.map(|sample| values_csv(&row(technique, sample))));
    }
    text
}

/// The names of the members as a line of CSV.
fn names_csv(row: &JsonObject) -> String {
    csv_line(row.members().map(|(name, _)| (*name).to_owned()))
}

/// The values of the members as a line of CSV.
fn values_csv(row: &JsonObject) -> String {
    csv_line(row.members().map(|(_, value)| cell(value)))
}

fn csv_line(cells: impl Iterator<Item = String>) -> String {
    cells.collect::<Vec<_>>().join(",") + "\r\n"
}

/// Milliseconds with three decimals, the resolution of the measurements.
pub(super) fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A number with three decimals; `null` without one.
fn rounded(value: impl Into<Option<f64>>) -> JsonValue {
    value.into().map(round).into()
}

/// A value as one CSV cell. A text that a spreadsheet would compute follows an apostrophe. Source: RFC 4180, section 2.
fn cell(value: &JsonValue) -> String {
    let text = match value {
        JsonValue::Null => String::new(),
        JsonValue::Text(text) if text.starts_with(['=', '+', '-', '@']) => format!("'{text}"),
        JsonValue::Text(text) => text.clone(),
        JsonValue::Number(number) => shortest(*number),
        other => serde_json::to_string(other).unwrap_or_default(),
    };
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
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

fn source_name(source: &RaceSource) -> &'static str {
    match source {
        RaceSource::Host => "host",
        RaceSource::Generator => "generator",
        RaceSource::Named(_) => "stream",
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
            rows[1].starts_with("poll,poll,true,\"odd \"\"name\"\", with comma\",from-due,0,"),
            "{}",
            rows[1]
        );
    }

    #[test]
    fn texts_are_not_formulas() {
        let text = |text: &str| cell(&JsonValue::from(text));
        assert_eq!(text("=1+2"), "'=1+2");
        assert_eq!(text("@a,b"), "\"'@a,b\"");
        assert_eq!(text("a=1"), "a=1");
        assert_eq!(cell(&(-1.5).into()), "-1.5");
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
