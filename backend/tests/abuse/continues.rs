//! `Expect: 100-continue`: a client is not asked for a body that its head already has refused.

use super::subject::{Subject, get};
use super::wire::Wire;

/// Head of a request that waits to be told to go on.
fn waits(method: &str, target: &str, fields: &str) -> String {
    let host = if fields.contains("Host:") { "" } else { "Host: localhost\r\n" };
    let length = if fields.contains("Content-Length") { "" } else { "Content-Length: 3\r\n" };
    let kind = if fields.contains("Content-Type") { "" } else { "Content-Type: text/plain\r\n" };
    format!("{method} {target} HTTP/1.1\r\n{host}{kind}{length}{fields}Expect: 100-continue\r\n\r\n")
}

#[tokio::test]
async fn what_the_head_refuses_is_refused_without_100_continue() {
    let subject = Subject::start("continue", &["--body-max", "1000"]);
    subject.create("it", "text/plain").await;
    subject.create("closed", "text/plain").await;
    subject.close("closed").await;
    let at = "/v1/stream/it";
    let cases = [
        (413, waits("POST", at, "Content-Length: 1001\r\n")),
        (413, waits("PUT", "/v1/stream/new", "Content-Length: 1001\r\n")),
        (404, waits("POST", "/v1/stream/none", "")),
        (404, waits("POST", "/v1/nothing", "")),
        (403, waits("POST", at, "Origin: https://evil.example\r\n")),
        (403, waits("PUT", "/v1/stream/new", "Origin: https://evil.example\r\n")),
        (421, waits("POST", at, "Host: evil.example\r\n")),
        (405, waits("PATCH", at, "")),
        (414, waits("PUT", &format!("/v1/stream/{}", "a".repeat(3_000)), "")),
        (400, waits("PUT", "/v1/stream/a//b", "")),
        (400, waits("PUT", "/v1/stream/new", "Stream-TTL: x\r\n")),
        (400, waits("PUT", "/v1/stream/new", "Content-Type: nonsense\r\n")),
        (400, waits("POST", at, "Producer-Id: p\r\n")),
        (400, waits("POST", at, "If-Match: x\r\n")),
        (409, waits("POST", at, "Content-Type: text/html\r\n")),
        (409, waits("POST", "/v1/stream/closed", "")),
        (431, waits("POST", at, &format!("X: {}\r\n", "x".repeat(20_000)))),
        (415, waits("POST", at, "Content-Encoding: nonsense\r\n")),
    ];
    let mut faults = Vec::new();
    for (status, request) in cases {
        for later in [false, true] {
            let mut wire = Wire::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it?offset=now", "")).await;
                wire.answer().await;
            }
            wire.send(&request).await;
            let answer = wire.answer().await;
            let what = request.lines().filter(|line| line.len() < 100).collect::<Vec<_>>().join(" | ");
            if answer.status != status {
                faults.push(format!("{} instead of {status}, second request: {later}: {what}", answer.status));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn a_body_that_was_refused_by_its_head_is_never_taken_for_a_request() {
    let subject = Subject::start("continue-body", &["--body-max", "1000"]);
    subject.create("it", "text/plain").await;
    subject.create("victim", "text/plain").await;
    // Whoever is refused may send the body all the same, or not (RFC 9110 10.1.1): here it looks like a request.
    let hidden = "DELETE /v1/stream/victim HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for target in ["/v1/stream/none", "/v1/nothing", "/v1/stream/it"] {
        for kind in ["text/plain", "text/html"] {
            let fields = format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", hidden.len());
            let mut wire = Wire::open(subject.address()).await;
            wire.send(waits("POST", target, &fields)).await;
            let mut answer = wire.answer().await;
            wire.try_send(hidden).await;
            if answer.status == 100 {
                answer = wire.answer().await;
            }
            assert!([204, 404, 409].contains(&answer.status), "{target} {kind}: {answer:?}");
            wire.finish().await;
            wire.rest().await;
            assert!(subject.tail("victim").await.is_some(), "the body of a refused POST to {target} ran as a request");
        }
    }
}
