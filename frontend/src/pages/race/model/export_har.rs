//! The requests of the last two minutes as an HTTP archive, which network tools can open.
//!
//! What the page does not know is left out, or is the value that the format has for it: -1 for sizes, an empty text, and 0
//! for `send`, `wait` and `receive`, which must not be negative.
//!
//! Source: HTTP Archive (HAR) 1.2.

use tailwater_protocol::Technique;

use super::export::{Provenance, round};
use super::json_value::{JsonObject, JsonValue};
use super::race::RaceState;
use super::trace::{RequestMark, Trace};
use crate::api::request::stream_url;

/// All requests that the traces still have, lane by lane, each with the arrivals of its chunks.
///
/// - `origin`: of the server.
/// - `iso`: a time on the page's clock in ISO 8601.
pub fn har(
    race: &RaceState,
    provenance: &Provenance,
    origin: &str,
    iso: fn(f64) -> String,
) -> String {
    let url = race
        .stream
        .as_ref()
        .map_or_else(String::new, |name| stream_url(origin, name));
    let mut entries = Vec::new();
    for (technique, trace) in Technique::ALL.into_iter().zip(&race.traces) {
        for request in trace.requests(f64::NEG_INFINITY, f64::INFINITY) {
            let mut entry = JsonObject::default();
            entry
                .add("startedDateTime", &*iso(request.sent_ms))
                .add("request", request_json(request, &url))
                .add("response", response_json(request))
                .add("cache", JsonObject::default());
            add_times(&mut entry, request);
            entry
                .add("_lane", technique.name())
                .add("_technique", request.technique.name())
                .add("_open", request.end_ms.is_none())
                .add("_failed", request.failed)
                .add("_chunks", chunks_json(trace, request));
            entries.push(entry.into());
        }
    }
    let mut creator = JsonObject::default();
    creator
        .add("name", "Tailwater")
        .add("version", env!("CARGO_PKG_VERSION"));
    let mut log = JsonObject::default();
    let Provenance {
        server_version,
        seed,
        time_origin,
        ..
    } = provenance;
    log.add("version", "1.2")
        .add("creator", creator)
        .add("comment", "URLs without the query and the port of the lane")
        .add("_serverVersion", server_version.as_str())
        .add("_seed", *seed)
        .add("_timeOrigin", time_origin.as_str())
        .add("entries", JsonValue::List(entries));
    let mut document = JsonObject::default();
    document.add("log", log);
    document.to_document()
}

fn request_json(request: &RequestMark, url: &str) -> JsonObject {
    let url = match url.strip_prefix("http") {
        Some(rest) if request.technique == Technique::Websocket => format!("ws{rest}"),
        _ => url.to_owned(),
    };
    let mut object = JsonObject::default();
    object
        .add("method", "GET")
        .add("url", url.as_str())
        .add("queryString", empty_list())
        .add("bodySize", 0_u64);
    add_unknown(&mut object);
    object
}

fn response_json(request: &RequestMark) -> JsonObject {
    let mut content = JsonObject::default();
    content
        .add("size", request.bytes)
        .add("mimeType", "x-unknown");
    let mut object = JsonObject::default();
    object
        .add("status", u64::from(request.status))
        .add("statusText", "")
        .add("content", content)
        .add("redirectURL", "")
        .add("bodySize", unknown_size());
    add_unknown(&mut object);
    object
}

/// The members of requests and responses that the page does not know.
fn add_unknown(object: &mut JsonObject) {
    object
        .add("httpVersion", "")
        .add("cookies", empty_list())
        .add("headers", empty_list())
        .add("headersSize", unknown_size());
}

/// Adds the timings, and their sum. When the browser sent the request is not known: `wait` is from the call to the head.
fn add_times(entry: &mut JsonObject, request: &RequestMark) {
    let after = |from_ms: f64, at_ms: Option<f64>| at_ms.map(|at| round((at - from_ms).max(0.0)));
    let wait = after(request.sent_ms, request.head_ms.or(request.end_ms)).unwrap_or_default();
    let receive = request
        .head_ms
        .and_then(|head| after(head, request.end_ms.or(request.last_chunk_ms)))
        .unwrap_or_default();
    let mut timings = JsonObject::default();
    timings
        .add("send", 0_u64)
        .add("wait", wait)
        .add("receive", receive);
    entry
        .add("time", round(wait + receive))
        .add("timings", timings);
}

fn chunks_json(trace: &Trace, request: &RequestMark) -> JsonValue {
    let to_ms = request.end_ms.unwrap_or(f64::INFINITY);
    let chunks = trace.chunks(request.sent_ms, to_ms);
    let chunks = chunks.filter(|run| run.id == request.id).map(|run| {
        let mut chunk = JsonObject::default();
        chunk
            .add("ms", round(run.at_ms - request.sent_ms))
            .add("bytes", run.bytes);
        chunk.into()
    });
    JsonValue::List(chunks.collect())
}

/// A size that is not known: a whole number, as not every reader of the format takes `-1.0`.
fn unknown_size() -> JsonValue {
    JsonValue::line(&-1)
}

fn empty_list() -> JsonValue {
    JsonValue::List(Vec::new())
}

#[cfg(test)]
mod tests {
    use super::super::settings::RaceSettings;
    use super::*;
    use serde_json::Value;
    use tailwater_client::FollowReport;
    use tailwater_protocol::StreamName;

    /// A finished request, one that is open with a chunk, one without a response, and one that failed before its head.
    fn race() -> RaceState {
        let mut race = RaceState::new(RaceSettings::default(), 0.0);
        let name = StreamName::parse("odd \"name\"").ok();
        race.open(name.as_ref(), 0.0);
        let trace = &mut race.traces[Technique::Websocket.index()];
        let requested = |id, at_ms| FollowReport::Requested {
            id,
            at_ms,
            technique: Technique::Websocket,
        };
        let responded = |id, at_ms| FollowReport::Responded {
            id,
            at_ms,
            status: 101,
        };
        let chunk = |id, at_ms| FollowReport::Chunk {
            id,
            at_ms,
            bytes: 64,
        };
        let ended = |id, at_ms, fault: Option<&str>| FollowReport::Ended {
            id,
            at_ms,
            fault: fault.map(str::to_owned),
        };
        for report in [
            requested(0, 100.1),
            responded(0, 120.3),
            chunk(0, 130.0),
            chunk(0, 140.0),
            ended(0, 150.7, None),
            requested(1, 200.0),
            ended(1, 230.0, Some("refused")),
            requested(2, 300.0),
            responded(2, 320.0),
            chunk(2, 350.0),
            requested(3, 400.0),
        ] {
            trace.report(&report);
        }
        race
    }

    fn entries() -> Vec<Value> {
        let provenance = Provenance {
            server_version: "1.2.3".to_owned(),
            ..Provenance::default()
        };
        let text = har(&race(), &provenance, "http://127.0.0.1:4437", |ms| {
            format!("2026-01-01T00:00:00.{ms:03.0}Z")
        });
        let document: Value = serde_json::from_str(&text).unwrap();
        let log = &document["log"];
        assert_eq!(log["version"], "1.2");
        assert_eq!(log["_serverVersion"], "1.2.3");
        assert!(log["creator"]["name"].is_string() && log["creator"]["version"].is_string());
        log["entries"].as_array().unwrap().clone()
    }

    #[test]
    fn every_entry_has_what_har_requires() {
        let entries = entries();
        assert_eq!(entries.len(), 4);
        let texts = [
            "/startedDateTime",
            "/request/method",
            "/request/url",
            "/request/httpVersion",
            "/response/statusText",
            "/response/httpVersion",
            "/response/content/mimeType",
            "/response/redirectURL",
        ];
        let numbers = [
            "/time",
            "/request/headersSize",
            "/request/bodySize",
            "/response/status",
            "/response/content/size",
            "/response/headersSize",
            "/response/bodySize",
            "/timings/send",
            "/timings/wait",
            "/timings/receive",
        ];
        let lists = ["cookies", "headers"]
            .map(|list| [format!("/request/{list}"), format!("/response/{list}")]);
        for entry in &entries {
            let at = |path: &str| entry.pointer(path).unwrap_or(&Value::Null);
            for path in texts {
                assert!(at(path).is_string(), "{path} in {entry}");
            }
            for path in numbers {
                assert!(at(path).is_number(), "{path} in {entry}");
            }
            for path in lists.as_flattened() {
                assert!(at(path).is_array(), "{path} in {entry}");
            }
            assert!(at("/request/queryString").is_array() && at("/cache").is_object());
            assert_eq!(
                at("/request/url"),
                "ws://127.0.0.1:4437/v1/stream/odd%20%22name%22"
            );
            let own = entry.as_object().unwrap().keys();
            let own = own.filter(|name| name.starts_with('_'));
            assert_eq!(own.count(), 5);
        }
        assert_eq!(entries[0]["startedDateTime"], "2026-01-01T00:00:00.100Z");
    }

    #[test]
    fn the_time_is_the_sum_of_the_timings_none_of_which_is_negative() {
        let entries = entries();
        let timings = |entry: &Value| {
            ["send", "wait", "receive"].map(|name| entry["timings"][name].as_f64().unwrap())
        };
        for entry in &entries {
            assert!(timings(entry).iter().all(|ms| *ms >= 0.0), "{entry}");
            let sum: f64 = timings(entry).iter().sum();
            assert!(
                (sum - entry["time"].as_f64().unwrap()).abs() < 1e-6,
                "{entry}"
            );
        }
        assert_eq!(timings(&entries[0]), [0.0, 20.2, 30.4]);
        assert_eq!(timings(&entries[1]), [0.0, 30.0, 0.0], "it failed");
        assert_eq!(timings(&entries[2]), [0.0, 20.0, 30.0], "so far");
        assert_eq!(timings(&entries[3]), [0.0, 0.0, 0.0], "no response yet");
        assert_eq!(entries[2]["_open"], true);
        assert_eq!(entries[1]["_failed"], true);
        assert_eq!(
            entries[0]["_chunks"],
            serde_json::json!([{ "ms": 29.9, "bytes": 64 }, { "ms": 39.9, "bytes": 64 }])
        );
    }
}
