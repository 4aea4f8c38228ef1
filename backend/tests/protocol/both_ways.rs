//! An append by POST and by WebSocket frame: what is asked the same is answered the same.

use super::live::say;
use super::local_server::{BINARY, JSON, LocalServer, LocalStream, TEXT};
use super::websocket::{answer, exchange, open, open_far_behind};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use reqwest::Method;
use serde_json::{Map, Value, json};
use tailwater_harness::Response;
use tailwater_protocol::headers::ContentKind;

/// What an answer may tell beside its status: the header field of a POST, the member of a frame.
const TOLD: [(&str, &str); 6] = [
    ("stream-next-offset", "streamNextOffset"),
    ("stream-closed", "streamClosed"),
    ("producer-epoch", "producerEpoch"),
    ("producer-seq", "producerSeq"),
    ("producer-expected-seq", "producerExpectedSeq"),
    ("producer-received-seq", "producerReceivedSeq"),
];

/// An append as a client asks for it, by the names of a POST.
#[derive(Debug, Clone, Copy)]
struct Ask {
    /// The body of a POST; `None` for no `append` in a frame.
    data: Option<&'static str>,
    close: bool,
    fields: &'static [(&'static str, &'static str)],
}

/// Status, kind of problem, and what else is told.
type ToldAppend = (u64, Option<String>, Vec<(&'static str, String)>);

impl Ask {
    async fn post(&self, stream: &LocalStream<'_>) -> ToldAppend {
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
        let told = TOLD
            .iter()
            .filter_map(|(name, _)| Some((*name, answer.header(name)?.to_owned())));
        let kind = (answer.status >= 400).then(|| answer.refuses(answer.status).kind);
        (answer.status.into(), kind, told.collect())
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

/// What the answer to a frame tells.
fn told_by(answer: &Value) -> ToldAppend {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let told = TOLD
        .iter()
        .filter_map(|(name, member)| Some((*name, text(answer.get(member)?))));
    let kind = answer
        .get("problem")
        .map(|problem| problem["type"].as_str().unwrap().to_owned());
    (answer["status"].as_u64().unwrap(), kind, told.collect())
}

/// A number where it is one, whatever the server takes, and else a string.
fn number(text: &str) -> Value {
    serde_json::from_str(text)
        .ok()
        .filter(Value::is_number)
        .unwrap_or_else(|| text.into())
}

const fn ask(
    data: Option<&'static str>,
    close: bool,
    fields: &'static [(&'static str, &'static str)],
) -> Ask {
    Ask {
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

/// Asked of a stream whose content is `12` in two appends, of producer `p` with epoch 1, numbers 0 and 1, and `Stream-Seq` `m`.
const ASKS: [Ask; 54] = [
    ask(Some("3"), false, &[]),
    ask(Some("3"), true, &[]),
    ask(None, true, &[]),
    ask(None, false, &[]),
    ask(None, false, &[("stream-seq", "n")]),
    // Producers: duplicates, gaps, epochs.
    ask(Some("3"), false, &[ID, EPOCH, SEQ]),
    ask(Some("3"), false, &[ID, EPOCH, ("producer-seq", "0")]),
    ask(Some("3"), true, &[ID, EPOCH, SEQ]),
    ask(Some("3"), false, &[ID, EPOCH, NEXT]),
    ask(Some("3"), true, &[ID, EPOCH, NEXT]),
    ask(None, true, &[ID, EPOCH, NEXT]),
    ask(None, false, &[ID, EPOCH, NEXT]),
    ask(Some("3"), false, &[ID, EPOCH, ("producer-seq", "5")]),
    ask(
        Some("3"),
        false,
        &[ID, ("producer-epoch", "0"), ("producer-seq", "0")],
    ),
    ask(
        Some("3"),
        false,
        &[ID, ("producer-epoch", "2"), ("producer-seq", "0")],
    ),
    ask(
        Some("3"),
        false,
        &[ID, ("producer-epoch", "2"), ("producer-seq", "3")],
    ),
    ask(
        Some("3"),
        false,
        &[("producer-id", "q"), EPOCH, ("producer-seq", "0")],
    ),
    ask(
        Some("3"),
        false,
        &[("producer-id", "q"), EPOCH, ("producer-seq", "1")],
    ),
    // All three or none.
    ask(Some("3"), false, &[ID]),
    ask(Some("3"), false, &[EPOCH]),
    ask(Some("3"), false, &[SEQ]),
    ask(Some("3"), false, &[ID, EPOCH]),
    ask(Some("3"), false, &[ID, SEQ]),
    ask(Some("3"), false, &[EPOCH, SEQ]),
    // What they may be.
    ask(Some("3"), false, &[("producer-id", ""), EPOCH, SEQ]),
    ask(Some("3"), false, &[("producer-id", " "), EPOCH, SEQ]),
    ask(Some("3"), false, &[("producer-id", " p "), EPOCH, SEQ]),
    ask(Some("3"), false, &[("producer-id", "\u{e9}"), EPOCH, SEQ]),
    ask(Some("3"), false, &[("producer-id", "\u{a0}p"), EPOCH, SEQ]),
    ask(Some("3"), false, &[("producer-id", LONG), EPOCH, SEQ]),
    ask(
        Some("3"),
        false,
        &[
            ID,
            ("producer-epoch", "9007199254740991"),
            ("producer-seq", "0"),
        ],
    ),
    ask(
        Some("3"),
        false,
        &[
            ID,
            ("producer-epoch", "9007199254740992"),
            ("producer-seq", "0"),
        ],
    ),
    ask(
        Some("3"),
        false,
        &[ID, EPOCH, ("producer-seq", "9007199254740992")],
    ),
    ask(
        Some("3"),
        false,
        &[ID, EPOCH, ("producer-seq", "99999999999999999999")],
    ),
    ask(Some("3"), false, &[ID, EPOCH, ("producer-seq", "-1")]),
    ask(Some("3"), false, &[ID, EPOCH, ("producer-seq", "1.0")]),
    ask(Some("3"), false, &[ID, EPOCH, ("producer-seq", "")]),
    ask(Some("3"), false, &[ID, ("producer-epoch", "x"), SEQ]),
    // Stream-Seq.
    ask(Some("3"), false, &[("stream-seq", "n")]),
    ask(Some("3"), false, &[("stream-seq", "m")]),
    ask(Some("3"), false, &[("stream-seq", "a")]),
    ask(Some("3"), false, &[("stream-seq", "")]),
    ask(Some("3"), false, &[("stream-seq", " n\t")]),
    ask(Some("3"), false, &[("stream-seq", "n\u{e9}")]),
    ask(Some("3"), false, &[("stream-seq", LONG)]),
    // If-Match; `TAIL` stands for where the stream ends.
    ask(Some("3"), false, &[("if-match", "TAIL")]),
    ask(Some("3"), false, &[("if-match", "\"0000000000000000\"")]),
    ask(Some("3"), false, &[("if-match", "*")]),
    ask(Some("3"), false, &[("if-match", "\"x\"")]),
    ask(Some("3"), false, &[("if-match", "")]),
    ask(None, true, &[("if-match", "\"0000000000000000\"")]),
    // What is said first.
    ask(
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
    ask(
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
    ask(None, false, &[("if-match", "\"x\"")]),
];

/// The asks with data that only this kind of stream has.
fn of_kind(kind: ContentKind) -> Vec<Ask> {
    let data: &[&str] = match kind {
        ContentKind::Json => &["[]", "[3,[4]]", "null"],
        ContentKind::Text | ContentKind::Binary => &["", "\u{e9}"],
    };
    data.iter()
        .flat_map(|data| [ask(Some(data), false, &[]), ask(Some(data), true, &[])])
        .collect()
}

/// Brings a stream into the state that [`ASKS`] are about.
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
        for (number, ask) in ASKS.into_iter().chain(of_kind(kind)).enumerate() {
            let posted = prepare(&server, &format!("{kind:?}/{number}/posted"), content_type).await;
            let framed = prepare(&server, &format!("{kind:?}/{number}/framed"), content_type).await;
            let mut socket = open(&framed).await;
            let tail = &*Box::leak(format!("\"{}\"", posted.tail().await).into_boxed_str());
            let fields: Vec<_> = ask
                .fields
                .iter()
                .map(|(name, value)| (*name, if *value == "TAIL" { tail } else { *value }))
                .collect();
            let ask = Ask {
                fields: Vec::leak(fields),
                ..ask
            };
            let told = [
                ask.post(&posted).await,
                told_by(&exchange(&mut socket, &ask.frame(kind)).await),
            ];
            let after = async |stream: &LocalStream<'_>| {
                let page: Response = stream.get("").await;
                (page.is("stream-closed"), page.next_offset(), page.body)
            };
            if told[0] != told[1] || after(&posted).await != after(&framed).await {
                wrong.push(format!(
                    "{kind:?} {ask:?}\n  POST  {:?}\n  frame {:?}",
                    told[0], told[1]
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
        // Its connection is open although the stream is closed; what is asked of it changes nothing any more.
        let mut socket = open_far_behind(&stream).await;
        let fields: &[_] = if by_producer { &[ID, EPOCH, NEXT] } else { &[] };
        assert!(matches!(
            ask(Some("3"), true, fields).post(&stream).await.0,
            200 | 204
        ));
        let asks: Vec<_> = ASKS.into_iter().chain(of_kind(kind)).collect();
        for ask in &asks {
            say(&mut socket, &ask.frame(kind)).await;
        }
        for ask in asks {
            let told = [ask.post(&stream).await, told_by(&answer(&mut socket).await)];
            if told[0] != told[1] {
                wrong.push(format!(
                    "{kind:?} {ask:?}\n  POST  {:?}\n  frame {:?}",
                    told[0], told[1]
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
