//! Bodies of other requests than those to streams are limited, decoded and skipped in the same way.

use super::subject::{Subject, get};
use std::io::Write;
use tailwater_harness::RawConnection;

/// Requests of the lab that read a body, each with a valid body and the status of its response.
const REQUESTS: [(&str, &str, u16); 3] = [
    ("POST /v1/lab/sources", "{\"kind\":\"host\"}", 200),
    (
        "POST /v1/lab/races",
        "{\"techniques\":[\"poll\",\"sse\"]}",
        201,
    ),
    (
        "PATCH /v1/lab/races/none",
        "{\"delay_up_ms\":1,\"delay_down_ms\":1}",
        404,
    ),
];
/// The longest body, in bytes.
const BODY_BYTES_MAX: usize = 16 << 10;

fn request(line: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head =
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

fn chunked(line: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    [
        head.as_bytes(),
        format!("{:x}\r\n", body.len()).as_bytes(),
        body,
        b"\r\n0\r\n\r\n",
    ]
    .concat()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    out.write_all(bytes).unwrap();
    out.finish().unwrap()
}

#[tokio::test]
async fn lab_bodies_are_limited_and_decoded_like_stream_bodies() {
    let subject = Subject::start("lab-bodies", &[]);
    let mut faults = Vec::new();
    for (line, body, status) in REQUESTS {
        let padded =
            |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len())).into_bytes();
        let (fits, long) = (padded(BODY_BYTES_MAX), padded(BODY_BYTES_MAX + 1));
        let coded = |coding: &str, body: &[u8]| {
            request(line, &format!("Content-Encoding: {coding}\r\n"), body)
        };
        for (what, request, status) in [
            ("of the maximum length", request(line, "", &fits), status),
            (
                "of the maximum length, in chunks",
                chunked(line, &fits),
                status,
            ),
            ("too long", request(line, "", &long), 413),
            ("too long, in chunks", chunked(line, &long), 413),
            ("coded", coded("gzip", &gzip(&fits)), status),
            (
                "compressed, too long when decoded",
                coded("gzip", &gzip(&long)),
                413,
            ),
            (
                "not valid in its coding",
                coded("gzip", body.as_bytes()),
                400,
            ),
            (
                "of an unknown coding",
                coded("nonsense", body.as_bytes()),
                415,
            ),
            ("not JSON", request(line, "", b"{"), 400),
            ("empty", request(line, "", b""), 400),
        ] {
            let answer = subject.ask(request).await;
            if answer.status != status {
                faults.push(format!(
                    "{line}, {what}: {}, expected {status}: {}",
                    answer.status,
                    answer.text()
                ));
            } else if status >= 400 {
                faults.extend(
                    answer
                        .fault_as_problem()
                        .map(|fault| format!("{line}, {what}: {fault}")),
                );
            }
            if status == 415 && answer.header("accept-encoding").is_none() {
                faults.push(format!("{line}, {what}: no Accept-Encoding"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn a_connection_stays_usable_after_a_short_body_is_refused() {
    let subject = Subject::start("passed-over", &["--public-url", "https://streams.example"]);
    let at = "/v1/stream/__ds/subscriptions/it";
    for (line, status) in [
        ("POST /v1/lab/sources".to_owned(), 404),
        ("PATCH /v1/lab/races/none".to_owned(), 404),
        ("PUT /v1/lab/races".to_owned(), 405),
        ("POST /v1/clock".to_owned(), 405),
        (format!("POST {at}/ack"), 401),
        (format!("PATCH {at}"), 405),
        (format!("POST {at}/nothing"), 404),
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        for _ in 0..2 {
            wire.send(request(&line, "", b"{}")).await;
            let answer = wire.response().await;
            assert_eq!(
                (answer.status, answer.says_close()),
                (status, false),
                "{line}: {answer:?}"
            );
        }
        wire.send(get("/v1/clock", "")).await;
        assert_eq!(wire.response().await.status, 200, "after {line}");
    }
}
