//! Ids, sequences, cursors, offsets and names of excessive size are refused at once and do not
//! affect other clients.

use super::probe::beside;
use super::subject::{Subject, get, post};
use serde_json::Value;
use tailwater_harness::websocket::client_frame;
use tailwater_harness::{RawConnection, Response};

/// The limit of heads is so high that only the limits of the values themselves apply.
const WIDE: [&str; 2] = ["--head-max", "128KiB"];

#[tokio::test]
async fn ids_and_sequences_over_256_bytes_are_400() {
    let subject = Subject::on_disk("huge-ids", &WIDE);
    subject.create("it", "text/plain").await;
    let producer = |id: &str, epoch: &str, seq: &str| {
        format!("Producer-Id: {id}\r\nProducer-Epoch: {epoch}\r\nProducer-Seq: {seq}\r\n")
    };
    let long = |bytes: usize| "p".repeat(bytes);
    let with_id = |bytes: usize| producer(&long(bytes), "0", "0");
    let (beyond, digits) = ("9".repeat(30), "9".repeat(20_000));
    let mut faults = Vec::new();
    beside(&subject, async {
        for (what, fields, status) in [
            ("a producer's id of 256 bytes", with_id(256), 200),
            ("a producer's id of 257 bytes", with_id(257), 400),
            ("a producer's id of 65,527 bytes", with_id(65_527), 400),
            ("a producer's id of 100,000 bytes", with_id(100_000), 400),
            ("an epoch of 30 digits", producer("p", &beyond, "0"), 400),
            ("a sequence of 30 digits", producer("p", "0", &beyond), 400),
            (
                "an epoch of 20,000 digits",
                producer("p", &digits, "0"),
                400,
            ),
            (
                "a Stream-Seq of 256 bytes",
                format!("Stream-Seq: {}\r\n", long(256)),
                204,
            ),
            (
                "a Stream-Seq of 257 bytes",
                format!("Stream-Seq: {}\r\n", long(257)),
                400,
            ),
            (
                "a Stream-Seq of 100,000 bytes",
                format!("Stream-Seq: {}\r\n", long(100_000)),
                400,
            ),
            (
                "an If-Match of 100,000 bytes",
                format!("If-Match: \"{}\"\r\n", "0".repeat(100_000)),
                400,
            ),
        ] {
            let answer = subject.ask(post("it", "text/plain", &fields, b"x")).await;
            if answer.status != status {
                faults.push(format!("{what}: {}, expected {status}", answer.status));
            }
        }
    })
    .await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000002")
    );
}

#[tokio::test]
async fn ids_and_sequences_over_256_bytes_are_400_on_a_websocket() {
    let subject = Subject::on_disk("huge-ws-ids", &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    beside(&subject, async {
        for (what, field, bytes, status) in [
            ("a producer's id", "producerId", 256, 200),
            ("a producer's id", "producerId", 257, 400),
            ("a producer's id", "producerId", 65_527, 400),
            ("a producer's id", "producerId", 1 << 20, 400),
            ("a streamSeq", "streamSeq", 256, 204),
            ("a streamSeq", "streamSeq", 257, 400),
            ("a streamSeq", "streamSeq", 65_536, 400),
        ] {
            let value = "p".repeat(bytes);
            let more = if field == "producerId" {
                ",\"producerEpoch\":0,\"producerSeq\":0"
            } else {
                ""
            };
            let mut wire = subject.websocket("it").await;
            wire.send(client_frame(
                0x81,
                format!("{{\"append\":\"x\",\"{field}\":\"{value}\"{more}}}").as_bytes(),
            ))
            .await;
            let answer = loop {
                let (_, payload) = wire.frame().await;
                let frame: Value = serde_json::from_slice(&payload).unwrap_or_default();
                if let Some(answer) = frame.get("appended") {
                    break answer.clone();
                }
            };
            if answer["status"] != status {
                faults.push(format!(
                    "{what} of {bytes} bytes: {}, expected {status}",
                    answer["status"]
                ));
            }
        }
    })
    .await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is sent, the request, and the accepted statuses.
type OversizedCase = (&'static str, String, &'static [u16]);

fn put(target: &str, fields: &str, body: &str) -> String {
    format!(
        "PUT {target} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

async fn check_refused(server: &str, cases: Vec<OversizedCase>) {
    let subject = Subject::start(server, &WIDE);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    beside(&subject, async {
        for (what, request, expected) in &cases {
            let answer = subject.ask(request).await;
            if !expected.contains(&answer.status) {
                faults.push(format!("{what}: {}, expected {expected:?}", answer.status));
            } else if answer.status != 200 {
                faults.extend(
                    answer
                        .fault_as_problem()
                        .map(|fault| format!("{what}: {fault}")),
                );
            }
        }
    })
    .await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn oversized_names_are_refused() {
    let long = "a".repeat(60_000);
    let subscription = "{\"type\":\"pull-wake\",\"pattern\":\"a/*\",\"wake_stream\":\"w\"}";
    let cases: Vec<OversizedCase> = vec![
        ("a name", put(&format!("/v1/stream/{long}"), "", ""), &[414]),
        (
            "a name of many segments",
            put(&format!("/v1/stream/{}a", "a/".repeat(20_000)), "", ""),
            &[414],
        ),
        (
            "a name to import to",
            put(&format!("/v1/import/{long}"), "", ""),
            &[414],
        ),
        (
            "a name to look at",
            get(&format!("/v1/streams/{long}"), ""),
            &[414],
        ),
        (
            "a name to export",
            get(&format!("/v1/export/{long}"), ""),
            &[414],
        ),
        (
            "a subscription's id",
            put(
                &format!("/v1/stream/__ds/subscriptions/{long}"),
                "",
                subscription,
            ),
            &[400, 414],
        ),
    ];
    check_refused("huge-names", cases).await;
}

#[tokio::test]
async fn oversized_offsets_and_queries_are_refused() {
    let (long, digits) = ("a".repeat(60_000), "9".repeat(60_000));
    let cases: Vec<OversizedCase> = vec![
        (
            "an offset",
            get(&format!("/v1/stream/it?offset={digits}"), ""),
            &[400],
        ),
        (
            "an offset of 2^64",
            get("/v1/stream/it?offset=18446744073709551616", ""),
            &[400],
        ),
        (
            "a negative offset",
            get("/v1/stream/it?offset=-9223372036854775808", ""),
            &[400],
        ),
        (
            "an offset for a long-poll",
            get(&format!("/v1/stream/it?offset={digits}&live=long-poll"), ""),
            &[400],
        ),
        (
            "a hold",
            get(
                &format!("/v1/stream/it?offset=now&live=long-poll&hold={digits}"),
                "",
            ),
            &[400],
        ),
        (
            "a hold of 1e308",
            get("/v1/stream/it?offset=now&live=long-poll&hold=1e308", ""),
            &[400],
        ),
        (
            "a hold that is no number",
            get("/v1/stream/it?offset=now&live=long-poll&hold=nan", ""),
            &[400],
        ),
        (
            "a limit",
            get(&format!("/v1/streams?limit={digits}"), ""),
            &[400],
        ),
        (
            "a technique",
            get(&format!("/v1/stream/it?offset=now&live={long}"), ""),
            &[400],
        ),
    ];
    check_refused("huge-queries", cases).await;
}

#[tokio::test]
async fn oversized_fields_are_refused() {
    let (long, digits) = ("a".repeat(60_000), "9".repeat(60_000));
    let cases: Vec<OversizedCase> = vec![
        (
            "a content type",
            put(
                "/v1/stream/a",
                &format!("Content-Type: text/{long}\r\n"),
                "",
            ),
            &[400],
        ),
        (
            "a TTL",
            put("/v1/stream/b", &format!("Stream-TTL: {digits}\r\n"), ""),
            &[400],
        ),
        (
            "a TTL of 2^64-1",
            put("/v1/stream/c", "Stream-TTL: 18446744073709551615\r\n", ""),
            &[400],
        ),
        (
            "a retention",
            put(
                "/v1/stream/d",
                &format!("Stream-Retention-Bytes: {digits}\r\n"),
                "",
            ),
            &[400],
        ),
        (
            "a fork's source",
            put(
                "/v1/stream/e",
                &format!("Stream-Forked-From: /v1/stream/{long}\r\n"),
                "",
            ),
            &[400, 414],
        ),
        (
            "a fork's offset",
            put(
                "/v1/stream/f",
                &format!("Stream-Forked-From: /v1/stream/it\r\nStream-Fork-Offset: {digits}\r\n"),
                "",
            ),
            &[400],
        ),
        (
            "an unknown field",
            get("/v1/stream/it", &format!("X: {long}\r\n")),
            &[200],
        ),
    ];
    check_refused("huge-fields", cases).await;
}

#[tokio::test]
async fn a_refusal_quotes_only_part_of_a_long_value() {
    let subject = Subject::start("quotes", &WIDE);
    subject.create("it", "text/plain").await;
    let digits = "9".repeat(60_000);
    let mut faults = Vec::new();
    for (what, request) in [
        (
            "an offset",
            get(&format!("/v1/stream/it?offset={digits}"), ""),
        ),
        (
            "a hold",
            get(
                &format!("/v1/stream/it?offset=now&live=long-poll&hold={digits}"),
                "",
            ),
        ),
        (
            "a technique",
            get(&format!("/v1/stream/it?offset=now&live={digits}"), ""),
        ),
        ("a limit", get(&format!("/v1/streams?limit={digits}"), "")),
        ("a route", get(&format!("/{digits}"), "")),
        ("a host", get("/", "").replace("localhost", &digits)),
        (
            "an origin",
            get("/v1/stream/it", &format!("Origin: http://{digits}\r\n")),
        ),
        (
            "an epoch",
            String::from_utf8(post(
                "it",
                "text/plain",
                &format!("Producer-Id: p\r\nProducer-Epoch: {digits}\r\nProducer-Seq: 0\r\n"),
                b"x",
            ))
            .unwrap(),
        ),
        (
            "a condition",
            String::from_utf8(post(
                "it",
                "text/plain",
                &format!("If-Match: \"{digits}\"\r\n"),
                b"x",
            ))
            .unwrap(),
        ),
    ] {
        let answer = subject.ask(request).await;
        assert!(
            (400..500).contains(&answer.status),
            "{what}: {}",
            answer.status
        );
        if answer.body.len() > 2_000 {
            faults.push(format!("{what}: a refusal of {} bytes", answer.body.len()));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Cursors that this server never issued, or would issue only in millions of years.
const ABSURD: [&str; 7] = [
    "18446744073709551615",
    "18446744073709551614",
    "9223372036854775807",
    "1000000000000",
    "99999999999999999999999999",
    "-1",
    "x",
];
/// Greater than every cursor of the next centuries: cursors count intervals of 20 seconds since
/// 2024.
const SANE_MAX: u64 = 1_000_000_000;

fn cursor(answer: &Response) -> u64 {
    answer
        .header("stream-cursor")
        .expect("a cursor")
        .parse()
        .unwrap()
}

#[tokio::test]
async fn an_absurd_cursor_does_not_change_other_cursors() {
    let subject = Subject::start("cursors", &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    for absurd in ABSURD {
        let at = subject.tail("it").await.unwrap();
        let target = format!("/v1/stream/it?offset={at}&live=long-poll&hold=60");
        let mut others = Vec::new();
        for _ in 0..4 {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(get(&target, "")).await;
            others.push(wire);
        }
        let mut own = Vec::new();
        for live in ["long-poll&hold=60", "sse", "ndjson"] {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(get(
                &format!("/v1/stream/it?offset={at}&live={live}&cursor={absurd}"),
                "",
            ))
            .await;
            own.push(wire);
        }
        subject.readers("it", 7).await;
        subject.append("it", "text/plain", b"x").await;
        for wire in &mut others {
            let told = cursor(&wire.response().await);
            if told > SANE_MAX {
                faults.push(format!(
                    "another long-poll beside cursor={absurd} got {told}"
                ));
            }
        }
        let told = cursor(&own[0].response().await);
        if told > SANE_MAX {
            faults.push(format!("the long-poll with cursor={absurd} got {told}"));
        }
        drop(own);
        let after = subject
            .ask(get("/v1/stream/it?offset=now&live=long-poll&hold=0", ""))
            .await;
        if cursor(&after) > SANE_MAX {
            faults.push(format!(
                "a long-poll after cursor={absurd} got {}",
                cursor(&after)
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn an_absurd_cursor_does_not_change_other_live_responses() {
    let subject = Subject::start("live-cursors", &[]);
    subject.create("it", "text/plain").await;
    for absurd in &ABSURD[..4] {
        for live in ["ndjson", "sse"] {
            let ask = async |query: &str| {
                let mut wire = RawConnection::open(subject.address()).await;
                wire.send(get(
                    &format!("/v1/stream/it?offset=now&live={live}{query}"),
                    "",
                ))
                .await;
                assert_eq!(wire.head().await.status, 200);
                let first = wire.chunk().await.expect("a first chunk");
                (wire, first)
            };
            let _absurd = ask(&format!("&cursor={absurd}")).await;
            // NDJSON sends its cursor in the first object only, SSE in each.
            let (mut other, first) = ask("").await;
            subject.append("it", "text/plain", b"x").await;
            let second = other.chunk().await.expect("a chunk");
            let text = if live == "ndjson" { first } else { second };
            let told = text
                .split("streamCursor\":\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap();
            assert!(
                told.parse::<u64>().unwrap() <= SANE_MAX,
                "{live} beside cursor={absurd}: {told}"
            );
        }
    }
}
