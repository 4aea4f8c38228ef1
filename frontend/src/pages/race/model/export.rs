//! The whole result as JSON and as CSV, for a colleague or a spreadsheet: settings, counts, percentiles, samples.

use tailwater_protocol::Technique;

use super::json::{Object, line};
use super::meter::total_bytes;
use super::race::Race;
use super::settings::{Source, pattern_name};
use super::summary::{LaneSummary, Measure, Path, Summary};
use crate::numbers::plain;
use crate::techniques::lane_index;

/// Where and when a result was made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Provenance {
    /// ISO 8601, UTC.
    pub at: String,
    /// The page's address with its settings: it shows the same race again.
    pub url: String,
    /// The browser, as it calls itself; head sizes depend on it.
    pub user_agent: String,
}

/// The result as a JSON document.
pub fn json(race: &Race, summary: &Summary, provenance: &Provenance) -> String {
    let lanes: Vec<String> = summary
        .lanes
        .iter()
        .map(|lane| lane_json(race, lane).to_string())
        .collect();
    let document = Object::default()
        .with("format", &"tailwater-race/1")
        .with("at", &provenance.at)
        .with("url", &provenance.url)
        .with("userAgent", &provenance.user_agent)
        .with("stream", &summary.stream)
        .with("measure", &measure_name(race.measure()))
        .with("path", &path_name(summary.path))
        .with("runSeconds", &round(summary.run_s))
        .with("eventsPerSecond", &summary.rate_per_s.map(round));
    let document = match summary.clock {
        None => document.with("clock", &None::<f64>),
        Some(clock) => document.with_object(
            "clock",
            &Object::default()
                .with("offsetMs", &clock.ahead_ms)
                .with("boundMs", &clock.bound_ms)
                .with("roundTripMs", &clock.round_trip_ms)
                .with("scriptMs", &clock.script_ms)
                .with("probes", &clock.probes)
                .with("resolutionMs", &race.resolution_ms),
        ),
    };
    document
        .with_object("settings", &settings_json(race))
        .with_list("lanes", &lanes)
        .indented()
}

fn settings_json(race: &Race) -> Object {
    let settings = &race.settings;
    let source = match &settings.source {
        Source::Host => "host",
        Source::Generator => "generator",
        Source::Named(_) => "stream",
    };
    let mut all = Object::default().with("source", &source);
    if settings.source == Source::Generator {
        all = all
            .with("rate", &settings.rate)
            .with("pattern", &pattern_name(settings.pattern))
            .with("size", &settings.size);
    }
    all.with("pollIntervalMs", &settings.interval_ms)
        .with("holdSeconds", &settings.hold_s)
        .with("delayUpMs", &settings.up_ms)
        .with("delayDownMs", &settings.down_ms)
}

fn lane_json(race: &Race, lane: &LaneSummary) -> Object {
    let samples = &race.lanes[lane_index(lane.technique)].samples;
    let samples = samples.iter().map(|sample| {
        line(&(
            sample.seq,
            sample.due_ms.map(round),
            round(sample.at_ms),
            round(sample.late_ms),
        ))
    });
    let samples: Vec<String> = samples.collect();
    let latency = Object::default()
        .with("n", &lane.samples)
        .with("p50", &lane.p50_ms.map(round))
        .with("p90", &lane.p90_ms.map(round))
        .with("p99", &lane.p99_ms.map(round))
        .with("mean", &lane.mean_ms.map(round))
        .with("min", &lane.min_ms.map(round))
        .with("max", &lane.max_ms.map(round));
    let discarded = Object::default()
        .with("hidden", &lane.discarded.hidden)
        .with("warmUp", &lane.discarded.warm_up)
        .with("catchUp", &lane.discarded.catch_up);
    let object = Object::default()
        .with("technique", &lane.technique.name())
        .with("following", &lane.following)
        .with("on", &lane.is_on())
        .with("fault", &lane.fault)
        .with("events", &lane.events)
        .with("eventsBefore", &lane.before)
        .with("lost", &lane.lost)
        .with("repeated", &lane.repeated)
        .with("requests", &lane.requests)
        .with("emptyAnswers", &lane.empty)
        .with("faults", &lane.faults)
        .with("payloadBytes", &lane.payload_bytes)
        .with("bodyBytes", &lane.body_bytes)
        .with("bytesPerEvent", &lane.bytes_per_event.map(round))
        .with("relay", &lane.counts)
        .with("rearmMs", &lane.rearm_ms.map(round))
        .with_object("latencyMs", &latency)
        .with("predictedMeanMs", &lane.predicted_ms.map(round));
    let object = match lane.verdict {
        None => object.with("verdict", &None::<f64>),
        Some(verdict) => object.with_object(
            "verdict",
            &Object::default()
                .with("line", &verdict.to_string())
                .with("numbers", &verdict),
        ),
    };
    object
        .with_object("discarded", &discarded)
        .with("sampleColumns", &["seq", "dueMs", "atMs", "lateMs"])
        .with_list("samples", &samples)
}

/// One line per lane; the settings are repeated in each so that results can be put under each other.
pub fn csv(race: &Race, summary: &Summary, provenance: &Provenance) -> String {
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
            lane.payload_bytes.to_string(),
            lane.body_bytes.to_string(),
            number(lane.bytes_per_event),
            relay(total_bytes(&counts)),
            relay(counts.request_head_bytes),
            relay(counts.response_head_bytes),
            relay(counts.request_framing_bytes + counts.response_framing_bytes),
            relay(counts.request_body_bytes + counts.response_body_bytes),
            relay(counts.connections),
            number(summary.clock.map(|clock| clock.bound_ms)),
            plain(settings.interval_ms),
            plain(settings.hold_s),
            plain(settings.up_ms),
            plain(settings.down_ms),
            number(summary.rate_per_s),
            number(Some(summary.run_s)),
            cell(&provenance.at),
        ];
        rows.push(cells.join(","));
    }
    rows.join("\r\n") + "\r\n"
}

const LANE_COLUMNS: [&str; 35] = [
    "technique",
    "stream",
    "measure",
    "events",
    "events_before",
    "lost",
    "repeated",
    "requests",
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
    "payload_bytes",
    "body_bytes",
    "bytes_per_event",
    "wire_bytes",
    "request_head_bytes",
    "response_head_bytes",
    "framing_bytes",
    "wire_body_bytes",
    "connections",
    "clock_bound_ms",
    "poll_interval_ms",
    "hold_s",
    "delay_up_ms",
    "delay_down_ms",
    "events_per_s",
    "run_s",
    "at",
];

/// One line per sample that is kept, lane after lane.
pub fn samples_csv(race: &Race) -> String {
    let mut rows = vec!["technique,seq,due_ms,at_ms,late_ms".to_owned()];
    for technique in Technique::ALL {
        rows.extend(
            race.lanes[lane_index(technique)]
                .samples
                .iter()
                .map(|sample| {
                    let (due, at, late) = (
                        number(sample.due_ms),
                        number(Some(sample.at_ms)),
                        number(Some(sample.late_ms)),
                    );
                    format!("{technique},{},{due},{at},{late}", sample.seq)
                }),
        );
    }
    rows.join("\r\n") + "\r\n"
}

/// Microseconds are the finest that was measured.
fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn number(value: Option<f64>) -> String {
    value.map(|value| plain(round(value))).unwrap_or_default()
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

fn path_name(path: Path) -> &'static str {
    match path {
        Path::Unknown => "unknown",
        Path::Relay => "relay",
        Path::LabOff => "lab-off",
        Path::NoneFree => "none-free",
        Path::PortsShut => "ports-shut",
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::Settings;
    use super::*;

    fn race() -> Race {
        let mut race = Race::new(Settings::default(), 0.0);
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
    }
}
