//! Appends by POST and by WebSocket frame: equal requests get equal responses.

use super::live::send_text;
use super::local_server::{BINARY, JSON, LocalServer, LocalStream, TEXT};
use super::websocket::{answer, exchange, open, open_far_behind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tailwater_harness::Response;
use tailwater_protocol::headers::ContentKind;

/// Fields of a response beside its status: the header field of a POST, and the member of a frame.
const OUTCOME_FIELDS: [(&str, &str); 6] = [
    ("stream-next-offset", "streamNextOffset"),
    ("stream-closed", "streamClosed"),
    ("producer-epoch", "producerEpoch"),
    ("producer-seq", "producerSeq"),
    ("producer-expected-seq", "producerExpectedSeq"),
    ("producer-received-seq", "producerReceivedSeq"),
];

/// An append as a client requests it, with the field names of a POST.
#[derive(Debug, Clone, Copy)]
struct AppendCase {
    /// The body of a POST; `None` for a frame without `append`.
    data: Option<&'static str>,
    close: bool,
    fields: &'static [(&'static str, &'static str)],
}

/// Status, kind of problem, and the other fields.
type AppendOutcome = (u64, Option<String>, Vec<(&'static str, String)>);

impl AppendCase {
    async fn post(&self, stream: &LocalStream<'_>) -> AppendOutcome {
        let mut request = stream
            .request(Method::POST, "")
            .header("content-type", stream.content_type);
        for (name, value) in self.fields {
            request = request.header(*name, value.as_bytes());
        }
        if self.close {
            request = request.header("stream-closed", "true");
        }
        let answer = stream
            .server
            .send(request.body(self.data.unwrap_or_default()))
            .await;
        let outcome = OUTCOME_FIELDS
            .iter()
            .filter_map(|(name, _)| Some((*name, answer.header(name)?.to_owned())));
        let kind = (answer.status >= 400).then(|| answer.refuses(answer.status).kind);
        (answer.status.into(), kind, outcome.collect())
    }

    fn frame(&self, kind: ContentKind) -> String {
        let mut frame = Map::new();
        if let Some(data) = self.data {
            let value = match kind {
                ContentKind::Json => serde_json::from_str(data).unwrap(),
                ContentKind::Text => data.into(),
                ContentKind::Binary => BASE64_STANDARD.encode(data).into(),
            };
            frame.insert("append".into(), value);
        }
        if self.close {
            frame.insert("close".into(), true.into());
        }
        for (name, value) in self.fields {
            let (member, value) = match *name {
                "stream-seq" => ("streamSeq", json!(value)),
                "if-match" => ("ifMatch", json!(value.trim_matches('"'))),
                "producer-id" => ("producerId", json!(value)),
                "producer-epoch" => ("producerEpoch", number(value)),
                "producer-seq" => ("producerSeq", number(value)),
                other => panic!("{other} has no member in a frame"),
            };
            frame.insert(member.into(), value);
        }
        Value::from(frame).to_string()
    }
}

/// Status and fields of the response to a frame.
fn outcome_of(answer: &Value) -> AppendOutcome {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let outcome = OUTCOME_FIELDS
        .iter()
        .filter_map(|(name, member)| Some((*name, text(answer.get(member)?))));
    let kind = answer
        .get("problem")
        .map(|problem| problem["type"].as_str().unwrap().to_owned());
    (answer["status"].as_u64().unwrap(), kind, outcome.collect())
}

/// A JSON number if `text` is one, whether the server accepts it or not, otherwise a string.
fn number(text: &str) -> Value {
    serde_json::from_str(text)
        .ok()
        .filter(Value::is_number)
        .unwrap_or_else(|| text.into())
}

const fn case(
    data: Option<&'static str>,
    close: bool,
    fields: &'static [(&'static str, &'static str)],
) -> AppendCase {
    AppendCase {
        data,
        close,
        fields,
    }
}

/// A value of 257 bytes.
const LONG: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\
    aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

const ID: (&str, &str) = ("producer-id", "p");
const EPOCH: (&str, &str) = ("producer-epoch", "1");
const SEQ: (&str, &str) = ("producer-seq", "1");
const NEXT: (&str, &str) = ("producer-seq", "2");

/// Sent to a stream whose content is `12` in two appends of producer `p`, with epoch 1, numbers 0
/// and 1, and `Stream-Seq` `m`.
const CASES: [AppendCase; 54] = [
    case(Some("3"), false, &[]),
    case(Some("3"), true, &[]),
    case(None, true, &[]),
    case(None, false, &[]),
    case(None, false, &[("stream-seq", "n")]),
    // Producers: duplicates, gaps, epochs.
    case(Some("3"), false, &[ID, EPOCH, SEQ]),
    case(Some("3"), false, &[ID, EPOCH, ("producer-seq", "0")]),
    case(Some("3"), true, &[ID, EPOCH, SEQ]),
    case(Some("3"), false, &[ID, EPOCH, NEXT]),
    case(Some("3"), true, &[ID, EPOCH, NEXT]),
    case(None, true, &[ID, EPOCH, NEXT]),
    case(None, false, &[ID, EPOCH, NEXT]),
    case(Some("3"), false, &[ID, EPOCH, ("producer-seq", "5")]),
    case(
        Some("3"),
        false,
        &[ID, ("producer-epoch", "0"), ("producer-seq", "0")],
    ),
    case(
        Some("3"),
        false,
        &[ID, ("producer-epoch", "2"), ("producer-seq", "0")],
    ),
    case(
        Some("3"),
        false,
        &[ID, ("producer-epoch", "2"), ("producer-seq", "3")],
    ),
    case(
        Some("3"),
        false,
        &[("producer-id", "q"), EPOCH, ("producer-seq", "0")],
    ),
    case(
        Some("3"),
        false,
        &[("producer-id", "q"), EPOCH, ("producer-seq", "1")],
    ),
    // All three fields or none.
    case(Some("3"), false, &[ID]),
    case(Some("3"), false, &[EPOCH]),
    case(Some("3"), false, &[SEQ]),
    case(Some("3"), false, &[ID, EPOCH]),
    case(Some("3"), false, &[ID, SEQ]),
    case(Some("3"), false, &[EPOCH, SEQ]),
    // Invalid values.
    case(Some("3"), false, &[("producer-id", ""), EPOCH, SEQ]),
    case(Some("3"), false, &[("producer-id", " "), EPOCH, SEQ]),
    case(Some("3"), false, &[("producer-id", " p "), EPOCH, SEQ]),
    case(Some("3"), false, &[("producer-id", "\u{e9}"), EPOCH, SEQ]),
    case(Some("3"), false, &[("producer-id", "\u{a0}p"), EPOCH, SEQ]),
    case(Some("3"), false, &[("producer-id", LONG), EPOCH, SEQ]),
    case(
        Some("3"),
        false,
        &[
            ID,
            ("producer-epoch", "9007199254740991"),
            ("producer-seq", "0"),
        ],
    ),
    case(
        Some("3"),
        false,
        &[
            ID,
            ("producer-epoch", "9007199254740992"),
            ("producer-seq", "0"),
        ],
    ),
    case(
        Some("3"),
        false,
        &[ID, EPOCH, ("producer-seq", "9007199254740992")],
    ),
    case(
        Some("3"),
        false,
        &[ID, EPOCH, ("producer-seq", "99999999999999999999")],
    ),
    case(Some("3"), false, &[ID, EPOCH, ("producer-seq", "-1")]),
    case(Some("3"), false, &[ID, EPOCH, ("producer-seq", "1.0")]),
    case(Some("3"), false, &[ID, EPOCH, ("producer-seq", "")]),
    case(Some("3"), false, &[ID, ("producer-epoch", "x"), SEQ]),
    // Stream-Seq.
    case(Some("3"), false, &[("stream-seq", "n")]),
    case(Some("3"), false, &[("stream-seq", "m")]),
    case(Some("3"), false, &[("stream-seq", "a")]),
    case(Some("3"), false, &[("stream-seq", "")]),
    case(Some("3"), false, &[("stream-seq", " n\t")]),
    case(Some("3"), false, &[("stream-seq", "n\u{e9}")]),
    case(Some("3"), false, &[("stream-seq", LONG)]),
    // If-Match; `TAIL` is replaced by the stream's tail.
    case(Some("3"), false, &[("if-match", "TAIL")]),
    case(Some("3"), false, &[("if-match", "\"0000000000000000\"")]),
    case(Some("3"), false, &[("if-match", "*")]),
    case(Some("3"), false, &[("if-match", "\"x\"")]),
    case(Some("3"), false, &[("if-match", "")]),
    case(None, true, &[("if-match", "\"0000000000000000\"")]),
    // The order of checks.
    case(
        Some("3"),
        false,
        &[
            ID,
            EPOCH,
            SEQ,
            ("if-match", "\"0000000000000000\""),
            ("stream-seq", "a"),
        ],
    ),
    case(
        Some("3"),
        false,
        &[
            ID,
            EPOCH,
            NEXT,
            ("if-match", "\"0000000000000000\""),
            ("stream-seq", "a"),
        ],
    ),
    case(None, false, &[("if-match", "\"x\"")]),
];

/// The requests, with data that is valid only in this kind of stream.
fn of_kind(kind: ContentKind) -> Vec<AppendCase> {
    let data: &[&str] = match kind {
        ContentKind::Json => &["[]", "[3,[4]]", "null"],
        ContentKind::Text | ContentKind::Binary => &["", "\u{e9}"],
    };
    data.iter()
        .flat_map(|data| [case(Some(data), false, &[]), case(Some(data), true, &[])])
        .collect()
}

/// Brings a stream into the state that [`CASES`] expects.
async fn prepare<'a>(
    server: &'a LocalServer,
    name: &str,
    content_type: &'static str,
) -> LocalStream<'a> {
    let stream = server.stream(name, content_type).await;
    for (data, seq) in [("1", "0"), ("2", "1")] {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", content_type)
            .body(data);
        let post = post
            .header("producer-id", "p")
            .header("producer-epoch", "1")
            .header("producer-seq", seq);
        let post = if seq == "1" {
            post.header("stream-seq", "m")
        } else {
            post
        };
        assert_eq!(server.send(post).await.status, 200);
    }
    stream
}

#[tokio::test]
async fn equal_appends_by_post_and_frame_get_equal_responses() {
    let server = LocalServer::start();
    let mut wrong = Vec::new();
    for content_type in [JSON, TEXT, BINARY] {
        let kind = ContentKind::of(content_type);
        for (number, case) in CASES.into_iter().chain(of_kind(kind)).enumerate() {
            let posted = prepare(&server, &format!("{kind:?}/{number}/posted"), content_type).await;
            let framed = prepare(&server, &format!("{kind:?}/{number}/framed"), content_type).await;
            let mut socket = open(&framed).await;
            let tail = &*Box::leak(format!("\"{}\"", posted.tail().await).into_boxed_str());
            let fields: Vec<_> = case
                .fields
                .iter()
                .map(|(name, value)| (*name, if *value == "TAIL" { tail } else { *value }))
                .collect();
            let case = AppendCase {
                fields: Vec::leak(fields),
                ..case
            };
            let outcome = [
                case.post(&posted).await,
                outcome_of(&exchange(&mut socket, &case.frame(kind)).await),
            ];
            let after = async |stream: &LocalStream<'_>| {
                let page: Response = stream.get("").await;
                (page.is("stream-closed"), page.next_offset(), page.body)
            };
            if outcome[0] != outcome[1] || after(&posted).await != after(&framed).await {
                wrong.push(format!(
                    "{kind:?} {case:?}\n  POST  {:?}\n  frame {:?}",
                    outcome[0], outcome[1]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn equal_appends_to_a_closed_stream_get_equal_responses() {
    let server = LocalServer::start();
    let mut wrong = Vec::new();
    for (content_type, by_producer) in [(JSON, true), (TEXT, false)] {
        let kind = ContentKind::of(content_type);
        let stream = prepare(&server, &format!("{kind:?}"), content_type).await;
        // The connection was opened before the stream was closed. Requests to a closed stream
        // change nothing.
        let mut socket = open_far_behind(&stream).await;
        let fields: &[_] = if by_producer { &[ID, EPOCH, NEXT] } else { &[] };
        assert!(matches!(
            case(Some("3"), true, fields).post(&stream).await.0,
            200 | 204
        ));
        let cases: Vec<_> = CASES.into_iter().chain(of_kind(kind)).collect();
        for case in &cases {
            send_text(&mut socket, &case.frame(kind)).await;
        }
        for case in cases {
            let outcome = [
                case.post(&stream).await,
                outcome_of(&answer(&mut socket).await),
            ];
            if outcome[0] != outcome[1] {
                wrong.push(format!(
                    "{kind:?} {case:?}\n  POST  {:?}\n  frame {:?}",
                    outcome[0], outcome[1]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
