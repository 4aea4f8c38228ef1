//! The content of a stream is untrusted: however it is read, no browser may run it with this
//! server's origin.

use super::subject::{Subject, get};
use tailwater_harness::websocket::UPGRADE;
use tailwater_harness::{RawConnection, Response};

const SCRIPT: &[u8] = b"<script>fetch('/v1/stream/victim', {method: 'DELETE'})</script>";

/// What is missing in the protection of a response, if anything.
fn fault(answer: &Response) -> Option<String> {
    let policy = answer.header("content-security-policy").unwrap_or_default();
    let mut words = policy.split([';', ' ']).map(str::trim);
    let allows = policy.contains("allow-scripts") || policy.contains("allow-same-origin");
    if !words.any(|word| word == "sandbox") || allows {
        return Some(format!(
            "Content-Security-Policy is `{policy}`, expected `sandbox`"
        ));
    }
    let sniffing = answer.header("x-content-type-options");
    (sniffing != Some("nosniff")).then(|| format!("X-Content-Type-Options is {sniffing:?}"))
}

/// Reads the stream at `at` in every way whose response ends. Returns the responses that lack
/// protection, and what they lack.
///
/// - `tag`: the entity tag of the last response, for the next read.
async fn unprotected_polls(
    wire: &mut RawConnection,
    at: &str,
    tag: &mut String,
) -> Vec<(&'static str, String)> {
    let mut faults = Vec::new();
    for (what, query) in [
        ("a poll", "?offset=-1"),
        ("a poll without a query", ""),
        ("a poll at the tail", "?offset=now"),
        ("a long-poll with data", "?offset=-1&live=long-poll"),
        (
            "a long-poll without data",
            "?offset=now&live=long-poll&hold=0.05",
        ),
        ("an unchanged poll", "?offset=-1&unchanged"),
    ] {
        let fields = if what == "an unchanged poll" {
            format!("If-None-Match: {tag}\r\n")
        } else {
            String::new()
        };
        wire.send(get(&format!("{at}{query}"), &fields)).await;
        let answer = wire.response().await;
        assert!(
            [200, 204, 304].contains(&answer.status),
            "{what}: {answer:?}"
        );
        if what == "a poll" {
            answer
                .header("etag")
                .expect("an entity tag")
                .clone_into(tag);
        }
        faults.extend(fault(&answer).map(|fault| (what, fault)));
    }
    faults
}

#[tokio::test]
async fn all_reads_of_a_stream_are_sandboxed() {
    let subject = Subject::start("sandbox", &[]);
    let mut faults = Vec::new();
    for content_type in [
        "text/html",
        "text/html; charset=utf-8",
        "image/svg+xml",
        "text/xml",
        "application/json",
        "text/plain",
    ] {
        let name = content_type.replace(['/', ';', ' ', '=', '+'], "-");
        subject.create(&name, content_type).await;
        let body = if content_type == "application/json" {
            b"1"
        } else {
            SCRIPT
        };
        subject.append(&name, content_type, body).await;
        let at = format!("/v1/stream/{name}");
        // Twice on one connection, as the second request may be answered outside of actix.
        let mut wire = RawConnection::open(subject.address()).await;
        let mut tag = String::new();
        for round in 1..=2 {
            for (what, fault) in unprotected_polls(&mut wire, &at, &mut tag).await {
                faults.push(format!("{content_type}, {what}, round {round}: {fault}"));
            }
            wire.send(format!("HEAD {at} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                .await;
            let answer = wire.response_to_head().await;
            faults.extend(
                fault(&answer).map(|fault| format!("{content_type}, HEAD, round {round}: {fault}")),
            );
        }
        for live in ["ndjson", "sse"] {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(get(&format!("{at}?offset=-1&live={live}"), ""))
                .await;
            faults.extend(
                fault(&wire.head().await).map(|fault| format!("{content_type}, {live}: {fault}")),
            );
        }
        let export = subject.ask(get(&format!("/v1/export/{name}"), "")).await;
        faults.extend(fault(&export).map(|fault| format!("{content_type}, export: {fault}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn refusals_and_lists_forbid_sniffing() {
    let subject = Subject::start("refusals", &[]);
    subject.create("it", "text/html").await;
    for (what, request) in [
        (
            "a name",
            get("/v1/stream/%3Cscript%3Ealert(1)%3C%2Fscript%3E", ""),
        ),
        ("a query", get("/v1/stream/it?live=%3Cscript%3E", "")),
        ("an offset", get("/v1/stream/it?offset=%3Cscript%3E", "")),
        ("a route", get("/%3Cscript%3E", "")),
        (
            "a handshake",
            get(
                "/v1/stream/it?offset=-1&live=websocket",
                &UPGRADE.replace("13", "8"),
            ),
        ),
        ("the list", get("/v1/streams", "")),
        ("a look", get("/v1/streams/it", "")),
    ] {
        let answer = subject.ask(request).await;
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{what}: {answer:?}"
        );
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.contains("json"), "{what}: {answer:?}");
    }
}
