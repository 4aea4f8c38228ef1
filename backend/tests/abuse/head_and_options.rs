//! HEAD has the fields of GET and no other length; OPTIONS lists the methods.

use super::subject::{Subject, get};
use tailwater_harness::{RawConnection, Response};

/// Fields that differ with the time or the method, not with what is requested.
const OWN: [&str; 6] = [
    "date",
    "connection",
    "keep-alive",
    "content-length",
    "transfer-encoding",
    "cache-control",
];

async fn subject(name: &str) -> Subject {
    let subject = Subject::start(name, &[]);
    subject.create("text", "text/plain").await;
    subject.append("text", "text/plain", b"abc").await;
    subject.create("json", "application/json").await;
    subject
        .append("json", "application/json", b"[1,22,333]")
        .await;
    subject.create("empty", "text/plain").await;
    subject
}

async fn both(subject: &Subject, target: &str) -> (Response, Response) {
    let get = subject.ask(get(target, "")).await;
    let mut wire = RawConnection::open(subject.address()).await;
    wire.send(format!("HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
        .await;
    let head = wire.response_to_head().await;
    // The response to another request shows that no body was sent.
    wire.send("HEAD /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    if !head.says_close() {
        let next = wire.response_to_head().await;
        assert_eq!(next.status, 404, "after HEAD {target}: {next:?}");
    }
    (head, get)
}

#[tokio::test]
async fn head_has_no_content_length_other_than_that_of_get() {
    let subject = subject("head-length").await;
    let mut faults = Vec::new();
    for target in [
        "/v1/stream/text",
        "/v1/stream/json",
        "/v1/stream/empty",
        "/v1/stream/none",
        "/v1/stream/a//b",
        "/v1/streams",
        "/v1/streams/text",
        "/v1/streams/none",
        "/v1/export/text",
        "/v1/export/none",
        "/v1/nothing",
        "/",
    ] {
        let (head, get) = both(&subject, target).await;
        let told = head.header("content-length");
        if told.is_some() && told != get.header("content-length") {
            faults.push(format!(
                "{target}: HEAD says {told:?}, GET {:?}",
                get.header("content-length")
            ));
        }
    }
    assert!(faults.is_empty(), "RFC 9110 8.6:\n{}", faults.join("\n"));
}

#[tokio::test]
async fn head_matches_get_for_lists_inspections_and_exports() {
    let subject = subject("head-same").await;
    let mut faults = Vec::new();
    for target in [
        "/v1/streams",
        "/v1/streams?limit=1",
        "/v1/streams/text",
        "/v1/streams/none",
        "/v1/export/text",
        "/v1/export/none",
        "/v1/clock",
        "/v1/lab/races/none",
        "/v1/stream/__ds/jwks.json",
        "/v1/stream/__ds/subscriptions",
        "/v1/stream/__ds/subscriptions/none",
    ] {
        let (head, get) = both(&subject, target).await;
        if head.status != get.status {
            faults.push(format!(
                "{target}: HEAD is {}, GET is {}",
                head.status, get.status
            ));
            continue;
        }
        for (name, value) in get
            .fields
            .iter()
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
        {
            if head.header(name) != Some(value) {
                faults.push(format!(
                    "{target}: HEAD says {name}: {:?}, GET {value}",
                    head.header(name)
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn options_without_cors_gets_204_with_the_methods() {
    let subject = subject("options").await;
    let mut faults = Vec::new();
    for (target, methods) in [
        (
            "/v1/stream/text",
            &["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"][..],
        ),
        (
            "/v1/stream/none",
            &["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS"],
        ),
        ("/v1/streams", &["GET", "HEAD", "OPTIONS"]),
        ("/v1/streams/text", &["GET", "HEAD", "OPTIONS"]),
        ("/v1/export/text", &["GET", "HEAD", "OPTIONS"]),
        ("/v1/import/new", &["PUT", "OPTIONS"]),
        ("/v1/clock", &["GET", "HEAD", "OPTIONS"]),
        ("/v1/server", &["GET", "HEAD", "OPTIONS"]),
        ("/v1/lab/sources", &["POST", "OPTIONS"]),
        ("/v1/lab/races", &["POST", "OPTIONS"]),
        (
            "/v1/lab/races/a",
            &["GET", "HEAD", "PATCH", "DELETE", "OPTIONS"],
        ),
        ("/v1/stream/__ds/jwks.json", &["GET", "HEAD", "OPTIONS"]),
        ("/v1/stream/__ds/subscriptions", &["GET", "HEAD", "OPTIONS"]),
        (
            "/v1/stream/__ds/subscriptions/a/pause",
            &["POST", "OPTIONS"],
        ),
        (
            "/v1/stream/__ds/subscriptions/a",
            &["GET", "HEAD", "PUT", "DELETE", "OPTIONS"],
        ),
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(format!(
            "OPTIONS {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
        ))
        .await;
        let answer = wire.response().await;
        let allowed: Vec<_> = answer
            .header("allow")
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .collect();
        let missing: Vec<_> = methods
            .iter()
            .filter(|method| !allowed.contains(method))
            .collect();
        if answer.status != 204 || !missing.is_empty() {
            faults.push(format!(
                "{target}: {}, Allow is {allowed:?}, expected {methods:?}",
                answer.status
            ));
        }
        if answer.status == 204 && answer.header("content-length").is_some() {
            faults.push(format!(
                "{target}: a 204 has no Content-Length (RFC 9110 8.6)"
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn responses_without_a_body_have_no_content_length() {
    let subject = subject("no-length").await;
    let mut wire = RawConnection::open(subject.address()).await;
    wire.send(get("/v1/stream/text?offset=-1", "")).await;
    let tag = wire
        .response()
        .await
        .header("etag")
        .expect("an entity tag")
        .to_owned();
    for (status, request) in [
        (
            204,
            get("/v1/stream/text?offset=now&live=long-poll&hold=0.05", ""),
        ),
        (
            204,
            get("/v1/stream/text?offset=now&live=long-poll&hold=0.05", ""),
        ),
        (
            304,
            get(
                "/v1/stream/text?offset=-1",
                &format!("If-None-Match: {tag}\r\n"),
            ),
        ),
        (
            204,
            String::from_utf8(super::subject::post("text", "text/plain", "", b"d")).unwrap(),
        ),
        (
            204,
            String::from_utf8(super::subject::post("text", "text/plain", "", b"e")).unwrap(),
        ),
        (
            204,
            "DELETE /v1/stream/text HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
    ] {
        wire.send(&request).await;
        let answer = wire.response().await;
        assert_eq!(answer.status, status, "{request}: {answer:?}");
        let expected = if status == 304 { Some("3") } else { None };
        let told = answer.header("content-length");
        assert!(told.is_none() || told == expected, "{request}: {answer:?}");
        assert_eq!(
            answer.header("transfer-encoding"),
            None,
            "{request}: {answer:?}"
        );
    }
}
