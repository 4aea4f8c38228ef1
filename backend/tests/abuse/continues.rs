//! `Expect: 100-continue`: a client gets no `100 Continue` for a request that its head already
//! refuses.

use super::subject::{Subject, get};
use tailwater_harness::RawConnection;

/// The head of a request that waits for `100 Continue`.
fn waits(method: &str, target: &str, fields: &str) -> String {
    let host = if fields.contains("Host:") {
        ""
    } else {
        "Host: localhost\r\n"
    };
    let length = if fields.contains("Content-Length") {
        ""
    } else {
        "Content-Length: 3\r\n"
    };
    let kind = if fields.contains("Content-Type") {
        ""
    } else {
        "Content-Type: text/plain\r\n"
    };
    format!(
        "{method} {target} HTTP/1.1\r\n{host}{kind}{length}{fields}Expect: 100-continue\r\n\r\n"
    )
}

/// Sends each request on a new connection, and again after a poll on the same connection. Returns
/// those whose first response is not the expected status.
async fn faults(subject: &Subject, cases: impl IntoIterator<Item = (u16, String)>) -> Vec<String> {
    let mut faults = Vec::new();
    for (status, request) in cases {
        for later in [false, true] {
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it?offset=now", "")).await;
                wire.response().await;
            }
            wire.send(&request).await;
            let is_head = request.starts_with("HEAD ");
            let answer = if is_head {
                wire.response_to_head().await
            } else {
                wire.response().await
            };
            let what = request
                .lines()
                .filter(|line| line.len() < 100)
                .collect::<Vec<_>>()
                .join(" | ");
            if answer.status != status {
                faults.push(format!(
                    "{} instead of {status}, second request: {later}: {what}",
                    answer.status
                ));
            } else if !is_head && let Some(fault) = answer.fault_as_problem() {
                faults.push(format!("{fault}, second request: {later}: {what}"));
            } else if !answer.says_close() || answer.header("x-content-type-options").is_none() {
                faults.push(format!(
                    "{:?}, second request: {later}: {what}",
                    answer.fields
                ));
            }
        }
    }
    faults
}

#[tokio::test]
async fn refused_stream_heads_get_no_100_continue() {
    let subject = Subject::start("continue", &["--body-max", "1000"]);
    subject.create("it", "text/plain").await;
    subject.create("closed", "text/plain").await;
    subject.close("closed").await;
    let at = "/v1/stream/it";
    let cases = [
        (413, waits("POST", at, "Content-Length: 1001\r\n")),
        (
            413,
            waits("PUT", "/v1/stream/new", "Content-Length: 1001\r\n"),
        ),
        (404, waits("POST", "/v1/stream/none", "")),
        (404, waits("POST", "/v1/nothing", "")),
        (403, waits("POST", at, "Origin: https://evil.example\r\n")),
        (
            403,
            waits("PUT", "/v1/stream/new", "Origin: https://evil.example\r\n"),
        ),
        (421, waits("POST", at, "Host: evil.example\r\n")),
        (405, waits("PATCH", at, "")),
        (
            414,
            waits("PUT", &format!("/v1/stream/{}", "a".repeat(3_000)), ""),
        ),
        (400, waits("PUT", "/v1/stream/a//b", "")),
        (400, waits("PUT", "/v1/stream/new", "Stream-TTL: x\r\n")),
        (
            400,
            waits("PUT", "/v1/stream/new", "Content-Type: nonsense\r\n"),
        ),
        (400, waits("POST", at, "Producer-Id: p\r\n")),
        (400, waits("POST", at, "If-Match: x\r\n")),
        (409, waits("POST", at, "Content-Type: text/html\r\n")),
        (409, waits("POST", "/v1/stream/closed", "")),
        (
            431,
            waits("POST", at, &format!("X: {}\r\n", "x".repeat(20_000))),
        ),
        (415, waits("POST", at, "Content-Encoding: nonsense\r\n")),
        (404, waits("GET", "/v1/stream/none", "")),
        (400, waits("GET", "/v1/stream/it?offset=x", "")),
        (404, waits("HEAD", "/v1/stream/none", "")),
        (404, waits("DELETE", "/v1/stream/none", "")),
    ];
    let faults = faults(&subject, cases).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn refused_subscription_heads_get_no_100_continue() {
    let subject = Subject::start("continue-subscriptions", &[]);
    subject.create("it", "text/plain").await;
    let at = |rest: &str| format!("/v1/stream/__ds/{rest}");
    let mut cases = vec![
        (404, waits("PUT", "/v1/stream/__ds", "")),
        (404, waits("PUT", &at("nothing"), "")),
        (405, waits("PUT", &at("subscriptions"), "")),
        (400, waits("GET", &at("subscriptions?limit=0"), "")),
        (404, waits("PUT", &at("subscriptions/"), "")),
        (404, waits("POST", &at("subscriptions/it/nothing"), "")),
        (404, waits("POST", &at("subscriptions/it/claim/more"), "")),
        (405, waits("POST", &at("jwks.json"), "")),
        (405, waits("POST", &at("subscriptions/it"), "")),
        (405, waits("PUT", &at("subscriptions/it/streams"), "")),
        (405, waits("PUT", &at("subscriptions/it/streams/a"), "")),
        (400, waits("PUT", &at("subscriptions/%zz"), "")),
        (
            400,
            waits(
                "PUT",
                &at(&format!("subscriptions/{}", "a".repeat(300))),
                "",
            ),
        ),
        (
            413,
            waits(
                "PUT",
                &at("subscriptions/it"),
                "Content-Length: 1048577\r\n",
            ),
        ),
        (
            415,
            waits(
                "PUT",
                &at("subscriptions/it"),
                "Content-Encoding: nonsense\r\n",
            ),
        ),
        (
            403,
            waits(
                "PUT",
                &at("subscriptions/it"),
                "Origin: https://evil.example\r\n",
            ),
        ),
    ];
    for task in ["streams", "pause", "claim"] {
        cases.push((
            413,
            waits(
                "POST",
                &at(&format!("subscriptions/it/{task}")),
                "Content-Length: 1048577\r\n",
            ),
        ));
    }
    let faults = faults(&subject, cases).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn refused_wake_heads_get_no_100_continue() {
    let subject = Subject::start("continue-wakes", &[]);
    subject.create("it", "text/plain").await;
    let mut cases = Vec::new();
    for task in ["ack", "callback", "release"] {
        let at = format!("/v1/stream/__ds/subscriptions/it/{task}");
        let bearer = "Authorization: Bearer a\r\n";
        cases.extend([
            (401, waits("POST", &at, "")),
            (401, waits("POST", &at, "Authorization: Basic a\r\n")),
            (401, waits("POST", &at, "Authorization: Bearer\r\n")),
            (400, waits("POST", &at, &format!("{bearer}{bearer}"))),
            (
                413,
                waits("POST", &at, &format!("{bearer}Content-Length: 1048577\r\n")),
            ),
            (
                415,
                waits(
                    "POST",
                    &at,
                    &format!("{bearer}Content-Encoding: nonsense\r\n"),
                ),
            ),
            (405, waits("PUT", &at, bearer)),
        ]);
    }
    let faults = faults(&subject, cases).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn refused_heads_of_other_requests_get_no_100_continue() {
    let subject = Subject::start("continue-others", &[]);
    subject.create("it", "text/plain").await;
    let cases = [
        (400, waits("PUT", "/v1/import/a//b", "")),
        (404, waits("PUT", "/v1/import/__ds/a", "")),
        (
            414,
            waits("PUT", &format!("/v1/import/{}", "a".repeat(3_000)), ""),
        ),
        (405, waits("POST", "/v1/import/new", "")),
        (
            415,
            waits("PUT", "/v1/import/new", "Content-Encoding: gzip\r\n"),
        ),
        (
            415,
            waits("PUT", "/v1/import/new", "Content-Encoding: nonsense\r\n"),
        ),
        (405, waits("PUT", "/v1/export/it", "")),
        (404, waits("GET", "/v1/export/none", "")),
        (405, waits("POST", "/v1/streams", "")),
        (400, waits("GET", "/v1/streams?limit=x", "")),
        (405, waits("POST", "/v1/streams/it", "")),
        (404, waits("GET", "/v1/streams/none", "")),
        (405, waits("POST", "/v1/clock", "")),
        (404, waits("POST", "/v1/lab/nothing", "")),
        (404, waits("POST", "/v1/lab", "")),
        (405, waits("PUT", "/v1/lab/sources", "")),
        (405, waits("PUT", "/v1/lab/races", "")),
        (405, waits("PUT", "/v1/lab/races/a", "")),
        (
            413,
            waits("POST", "/v1/lab/sources", "Content-Length: 16385\r\n"),
        ),
        (
            413,
            waits("POST", "/v1/lab/races", "Content-Length: 16385\r\n"),
        ),
        (
            413,
            waits("PATCH", "/v1/lab/races/a", "Content-Length: 16385\r\n"),
        ),
        (
            415,
            waits("POST", "/v1/lab/sources", "Content-Encoding: nonsense\r\n"),
        ),
        (
            415,
            waits("POST", "/v1/lab/races", "Content-Encoding: nonsense\r\n"),
        ),
        (
            415,
            waits("PATCH", "/v1/lab/races/a", "Content-Encoding: nonsense\r\n"),
        ),
        (404, waits("POST", "/v1/lab/races", "Via: 1.1 proxy\r\n")),
        (404, waits("POST", "/", "")),
        (404, waits("PUT", "/race", "")),
        (404, waits("GET", "/v1/nothing", "")),
    ];
    let faults = faults(&subject, cases).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn a_disabled_lab_is_404_without_100_continue() {
    let subject = Subject::start(
        "continue-lab-off",
        &["--public-url", "https://streams.example"],
    );
    subject.create("it", "text/plain").await;
    let lab = [
        "POST /v1/lab/sources",
        "POST /v1/lab/races",
        "PATCH /v1/lab/races/a",
        "GET /v1/lab/races/a",
    ];
    let cases = lab.map(|line| {
        let (method, target) = line.split_once(' ').unwrap();
        (404, waits(method, target, ""))
    });
    let faults = faults(&subject, cases).await;
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn a_connection_over_the_limit_gets_503_without_100_continue() {
    let subject = Subject::start("continue-connections", &["--connections-max", "2"]);
    subject.create("it", "text/plain").await;
    let mut kept = Vec::new();
    while kept.len() < 2 {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(get("/v1/stream/it", "")).await;
        if wire.response().await.status == 200 {
            kept.push(wire);
        }
    }
    for request in [
        waits("POST", "/v1/stream/it", ""),
        waits("PUT", "/v1/stream/new", ""),
        waits("PUT", "/v1/import/new", ""),
        waits("PUT", "/v1/stream/__ds/subscriptions/it", ""),
        waits("POST", "/v1/lab/races", ""),
    ] {
        let answer = subject.ask(&request).await;
        assert_eq!(answer.status, 503, "{request}: {answer:?}");
    }
    drop(kept);
}

#[tokio::test]
async fn an_accepted_head_is_answered_as_without_expect() {
    let subject = Subject::start("continue-answers", &[]);
    subject.create("it", "text/plain").await;
    let exported = subject
        .ask(get("/v1/export/it", ""))
        .await
        .text()
        .to_owned();
    let definition = "{\"type\":\"pull-wake\",\"pattern\":\"a/*\",\"wake_stream\":\"w\"}";
    for (line, body, status) in [
        ("GET /v1/stream/it", "", 200),
        ("GET /v1/streams", "abc", 200),
        ("GET /v1/streams/it", "abc", 200),
        ("GET /v1/export/it", "abc", 200),
        ("GET /v1/clock", "abc", 200),
        ("GET /v1/stream/__ds/jwks.json", "abc", 200),
        ("GET /", "abc", 200),
        ("OPTIONS /v1/streams", "abc", 204),
        ("OPTIONS /v1/lab/races", "abc", 204),
        ("OPTIONS /v1/stream/__ds/subscriptions/it", "abc", 204),
        ("PUT /v1/import/copy", &exported, 201),
        ("PUT /v1/stream/__ds/subscriptions/it", definition, 201),
        ("POST /v1/lab/sources", "{\"kind\":\"host\"}", 200),
        (
            "POST /v1/lab/races",
            "{\"techniques\":[\"poll\",\"sse\"]}",
            201,
        ),
        ("POST /v1/stream/it", "abc", 204),
    ] {
        let (method, target) = line.split_once(' ').unwrap();
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(waits(
            method,
            target,
            &format!("Content-Length: {}\r\n", body.len()),
        ))
        .await;
        let mut answer = wire.response().await;
        if answer.status == 100 {
            wire.send(body).await;
            answer = wire.response().await;
        }
        assert_eq!(answer.status, status, "{line}: {answer:?}");
    }
}

#[tokio::test]
async fn the_body_of_a_refused_head_is_never_run_as_a_request() {
    let subject = Subject::start("continue-body", &["--body-max", "1000"]);
    subject.create("it", "text/plain").await;
    subject.create("victim", "text/plain").await;
    // A client that is refused may send the body anyway, or not (RFC 9110, section 10.1.1). Here
    // the body looks like a request.
    let hidden = "DELETE /v1/stream/victim HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for target in ["/v1/stream/none", "/v1/nothing", "/v1/stream/it"] {
        for kind in ["text/plain", "text/html"] {
            let fields = format!(
                "Content-Type: {kind}\r\nContent-Length: {}\r\n",
                hidden.len()
            );
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(waits("POST", target, &fields)).await;
            let mut answer = wire.response().await;
            wire.try_send(hidden).await;
            if answer.status == 100 {
                answer = wire.response().await;
            }
            assert!(
                [204, 404, 409].contains(&answer.status),
                "{target} {kind}: {answer:?}"
            );
            wire.finish().await;
            wire.rest().await;
            assert!(
                subject.tail("victim").await.is_some(),
                "the body of a refused POST to {target} ran as a request"
            );
        }
    }
}
