//! Header fields that have a single value, sent twice, are 400, whichever of the two values an
//! intermediary would use.

use super::subject::{Subject, get};
use tailwater_harness::RawConnection;

/// Fields of an append. The third part completes the request, so that only the repetition is wrong.
const OF_APPENDS: [(&str, [&str; 2], &str); 9] = [
    ("Content-Type", ["text/plain", "text/html"], ""),
    ("Stream-Seq", ["a", "b"], ""),
    (
        "Producer-Id",
        ["p", "q"],
        "Producer-Epoch: 0\r\nProducer-Seq: 0\r\n",
    ),
    (
        "Producer-Epoch",
        ["0", "1"],
        "Producer-Id: p\r\nProducer-Seq: 0\r\n",
    ),
    (
        "Producer-Seq",
        ["0", "1"],
        "Producer-Id: p\r\nProducer-Epoch: 0\r\n",
    ),
    ("Stream-Closed", ["true", "false"], ""),
    (
        "If-Match",
        ["\"0000000000000000\"", "\"0000000000000009\""],
        "",
    ),
    ("Content-Length", ["3", "4"], ""),
    ("Host", ["localhost", "127.0.0.1"], ""),
];
/// Fields of a creation.
const OF_CREATIONS: [(&str, [&str; 2], &str); 11] = [
    ("Content-Type", ["text/plain", "text/html"], ""),
    ("Stream-TTL", ["60", "61"], ""),
    (
        "Stream-Expires-At",
        ["2099-01-01T00:00:00Z", "2099-01-02T00:00:00Z"],
        "",
    ),
    ("Stream-Closed", ["true", "false"], ""),
    ("Stream-Retention-Bytes", ["1000000", "2000000"], ""),
    ("Stream-Retention-Age", ["60", "61"], ""),
    (
        "Stream-Forked-From",
        ["/v1/stream/it", "/v1/stream/other"],
        "",
    ),
    (
        "Stream-Fork-Offset",
        ["0000000000000000", "0000000000000001"],
        "Stream-Forked-From: /v1/stream/it\r\n",
    ),
    (
        "Stream-Fork-Sub-Offset",
        ["0", "1"],
        "Stream-Forked-From: /v1/stream/it\r\nStream-Fork-Offset: 0000000000000000\r\n",
    ),
    ("Content-Length", ["3", "4"], ""),
    ("Host", ["localhost", "127.0.0.1"], ""),
];

/// A request that has the field `name` twice.
fn twice(line: &str, name: &str, values: [&str; 2], beside: &str) -> String {
    let usual = [
        ("Host", "localhost"),
        ("Content-Type", "text/plain"),
        ("Content-Length", "3"),
    ];
    let usual = usual
        .into_iter()
        .filter(|(usual, _)| !usual.eq_ignore_ascii_case(name));
    let usual: String = usual
        .map(|(name, value)| format!("{name}: {value}\r\n"))
        .collect();
    let [first, second] = values;
    format!(
        "{line} HTTP/1.1\r\n{usual}{beside}{name}: {first}\r\n{}: {second}\r\n\r\nabc",
        name.to_ascii_lowercase()
    )
}

async fn are_refused(name: &str, line: &str, fields: &[(&str, [&str; 2], &str)]) {
    let subject = Subject::start(name, &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    for (field, [first, second], beside) in fields {
        for values in [[*first, *first], [*first, *second], [*second, *first]] {
            for later in [false, true] {
                let mut wire = RawConnection::open(subject.address()).await;
                if later {
                    wire.send(get("/v1/stream/it?offset=now", "")).await;
                    wire.response().await;
                }
                wire.send(twice(line, field, values, beside)).await;
                let status = wire.response_or_end().await.map(|answer| answer.status);
                if status != Some(400) {
                    faults.push(format!(
                        "{field}: {values:?}, second request: {later}: {status:?}"
                    ));
                }
            }
        }
        let (there, made) = (subject.tail("it").await, subject.tail("new").await);
        if there.as_deref() != Some("0000000000000000") || made.is_some() {
            faults.push(format!("{field}: the request had an effect"));
            for stream in ["it", "new"] {
                subject
                    .ask(format!(
                        "DELETE /v1/stream/{stream} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                    ))
                    .await;
            }
            subject.create("it", "text/plain").await;
        }
    }
    assert!(faults.is_empty(), "expected 400:\n{}", faults.join("\n"));
}

#[tokio::test]
async fn single_valued_fields_of_an_append_sent_twice_are_400() {
    are_refused("twice-append", "POST /v1/stream/it", &OF_APPENDS).await;
}

#[tokio::test]
async fn single_valued_fields_of_a_creation_sent_twice_are_400() {
    are_refused("twice-create", "PUT /v1/stream/new", &OF_CREATIONS).await;
}

#[tokio::test]
async fn single_valued_fields_of_a_read_sent_twice_are_400() {
    let subject = Subject::start("twice-read", &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    for fields in [
        "Host: localhost\r\nHost: evil.example\r\n",
        "Host: evil.example\r\nHost: localhost\r\n",
        "Host: localhost\r\nHost: localhost\r\n",
        "Host: localhost\r\nOrigin: http://localhost\r\nOrigin: https://evil.example\r\n",
        "Host: localhost\r\nOrigin: https://evil.example\r\nOrigin: http://localhost\r\n",
        "Host: localhost\r\nLast-Event-ID: 0000000000000000\r\nLast-Event-ID: 0000000000000001\r\n",
        "Host: localhost\r\nContent-Length: 0\r\nContent-Length: 1\r\n",
        "Host: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ] {
        let answer = subject
            .ask(format!(
                "GET /v1/stream/it HTTP/1.1\r\n{fields}\r\n0\r\n\r\n"
            ))
            .await;
        // A foreign origin may be refused first.
        let expected = if fields.contains("Origin") {
            [400, 403]
        } else {
            [400, 400]
        };
        if !expected.contains(&answer.status) {
            faults.push(format!("{fields:?}: {}", answer.status));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A valid definition of a subscription.
const DEFINITION: &str = "{\"type\":\"pull-wake\",\"pattern\":\"a/*\",\"wake_stream\":\"w\"}";
/// Requests other than those to streams that read a body, with a valid body.
const WITH_BODIES: [(&str, &str); 9] = [
    ("PUT /v1/stream/__ds/subscriptions/it", DEFINITION),
    (
        "POST /v1/stream/__ds/subscriptions/it/streams",
        "{\"streams\":[\"a\"]}",
    ),
    (
        "POST /v1/stream/__ds/subscriptions/it/claim",
        "{\"worker\":\"w\"}",
    ),
    (
        "POST /v1/stream/__ds/subscriptions/it/ack",
        "{\"wake_id\":\"w\",\"generation\":1}",
    ),
    (
        "POST /v1/stream/__ds/subscriptions/it/callback",
        "{\"wake_id\":\"w\",\"generation\":1}",
    ),
    (
        "POST /v1/stream/__ds/subscriptions/it/release",
        "{\"wake_id\":\"w\",\"generation\":1}",
    ),
    ("PUT /v1/import/new", ""),
    ("POST /v1/lab/sources", "{\"kind\":\"host\"}"),
    ("POST /v1/lab/races", "{\"techniques\":[\"poll\",\"sse\"]}"),
];
/// Requests other than those to streams that have no body.
const BODILESS: [&str; 10] = [
    "GET /v1/stream/__ds/subscriptions",
    "GET /v1/stream/__ds/subscriptions/it",
    "GET /v1/stream/__ds/jwks.json",
    "GET /v1/export/it",
    "GET /v1/streams",
    "GET /v1/streams/it",
    "GET /v1/clock",
    "GET /v1/lab/races/none",
    "GET /",
    "GET /race",
];

#[tokio::test]
async fn single_valued_fields_of_other_requests_sent_twice_are_400() {
    let subject = Subject::start("twice-beside", &[]);
    subject.create("it", "text/plain").await;
    let mut requests = Vec::new();
    for (line, body) in WITH_BODIES {
        let mut fields = vec![
            ("Content-Type", ["application/json", "text/plain"]),
            ("Host", ["localhost", "127.0.0.1"]),
            ("Origin", ["http://localhost", "http://127.0.0.1"]),
            ("Sec-Fetch-Site", ["same-origin", "none"]),
        ];
        if ["/ack", "/callback", "/release"]
            .iter()
            .any(|end| line.ends_with(end))
        {
            fields.push(("Authorization", ["Bearer a", "Bearer b"]));
        }
        requests.extend(
            fields
                .into_iter()
                .map(|(name, values)| (line, body, name, values)),
        );
    }
    for line in BODILESS {
        for (name, values) in [
            ("Host", ["localhost", "127.0.0.1"]),
            ("Origin", ["http://localhost", "http://127.0.0.1"]),
            ("Sec-Fetch-Site", ["same-origin", "none"]),
            ("Sec-Fetch-Mode", ["cors", "navigate"]),
        ] {
            requests.push((line, "", name, values));
        }
    }
    let mut faults = Vec::new();
    for (line, body, name, [first, second]) in requests {
        for values in [[first, first], [first, second], [second, first]] {
            let host = if name == "Host" {
                ""
            } else {
                "Host: localhost\r\n"
            };
            let token = if name == "Authorization" {
                ""
            } else {
                "Authorization: Bearer a\r\n"
            };
            let [one, other] = values.map(|value| format!("{name}: {value}\r\n"));
            let length = body.len();
            let request = format!(
                "{line} HTTP/1.1\r\n{host}{token}{one}{other}Content-Length: {length}\r\n\r\n{body}"
            );
            let answer = subject.ask(request).await;
            if answer.status != 400 {
                faults.push(format!("{line} with {name}: {values:?}: {}", answer.status));
            } else if let Some(fault) = answer.fault_as_problem() {
                faults.push(format!("{line} with {name}: {values:?}: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "expected 400:\n{}", faults.join("\n"));
}

#[tokio::test]
async fn list_fields_may_be_sent_twice() {
    let subject = Subject::start("twice-lists", &[]);
    subject.create("it", "text/plain").await;
    subject.append("it", "text/plain", b"abc").await;
    let tag = subject
        .ask(get("/v1/stream/it", ""))
        .await
        .header("etag")
        .expect("an entity tag")
        .to_owned();
    let fields = format!(
        "Accept: text/html\r\nAccept: */*\r\nX: y\r\nX: z\r\nIf-None-Match: \"a\"\r\nIf-None-Match: {tag}\r\n"
    );
    assert_eq!(subject.ask(get("/v1/stream/it", &fields)).await.status, 304);
}
