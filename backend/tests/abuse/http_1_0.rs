//! HTTP/1.0 clients: no chunks, no upgrade, and a body of unknown length ends with the connection.

use super::subject::{Subject, get};
use tailwater_harness::RawConnection;
use tailwater_harness::websocket::UPGRADE;

fn get_http_1_0(target: &str, fields: &str) -> String {
    get(target, fields).replace("HTTP/1.1", "HTTP/1.0")
}

/// A server with a closed stream of three bytes.
async fn subject(name: &str) -> Subject {
    let subject = Subject::start(name, &[]);
    subject.create("it", "text/plain").await;
    subject.append("it", "text/plain", b"abc").await;
    subject.close("it").await;
    subject
}

#[tokio::test]
async fn responses_of_known_length_state_it_and_close() {
    let subject = subject("old-length").await;
    for (target, status) in [
        ("/v1/stream/it?offset=-1", 200),
        ("/v1/stream/it?offset=-1&live=long-poll", 200),
        ("/v1/stream/none", 404),
        ("/v1/streams", 200),
        ("/v1/streams/it", 200),
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(get_http_1_0(target, "")).await;
        let answer = wire.response().await;
        assert_eq!(
            (answer.status, answer.header("transfer-encoding")),
            (status, None),
            "{target}: {answer:?}"
        );
        assert!(!answer.body.is_empty(), "{target}");
        assert!(
            wire.rest().await.is_empty(),
            "{target}: more data before the end"
        );
    }
}

#[tokio::test]
async fn keep_alive_needs_a_response_of_known_length() {
    let subject = subject("old-keep").await;
    let mut wire = RawConnection::open(subject.address()).await;
    for _ in 0..3 {
        wire.send(get_http_1_0(
            "/v1/stream/it?offset=-1",
            "Connection: keep-alive\r\n",
        ))
        .await;
        let Some(answer) = wire.response_or_end().await else {
            return;
        };
        assert_eq!((answer.status, answer.text()), (200, "abc"), "{answer:?}");
        if answer
            .header("connection")
            .is_none_or(|value| !value.eq_ignore_ascii_case("keep-alive"))
        {
            assert!(
                wire.rest().await.is_empty(),
                "the response does not say keep-alive, so the connection closes"
            );
            return;
        }
    }
}

#[tokio::test]
async fn live_responses_are_unchunked_and_end_with_the_connection() {
    let subject = subject("old-live").await;
    for live in ["ndjson", "sse"] {
        for fields in ["", "Connection: keep-alive\r\n"] {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(get_http_1_0(
                &format!("/v1/stream/it?offset=-1&live={live}"),
                fields,
            ))
            .await;
            let head = wire.head().await;
            assert_eq!(head.status, 200, "{live}: {head:?}");
            for field in ["transfer-encoding", "content-length"] {
                assert_eq!(head.header(field), None, "{live}: {head:?}");
            }
            let kept = head
                .header("connection")
                .is_some_and(|value| value.eq_ignore_ascii_case("keep-alive"));
            assert!(!kept, "{live}: {head:?}");
            let body = String::from_utf8(wire.rest().await).unwrap();
            assert!(
                body.contains("abc") && body.contains("streamClosed"),
                "{live}: {body}"
            );
            let is_chunked = body
                .lines()
                .any(|line| line.len() < 5 && usize::from_str_radix(line, 16).is_ok());
            assert!(!is_chunked, "{live}: {body}");
        }
    }
}

#[tokio::test]
async fn a_live_response_at_the_tail_receives_appends_unchunked() {
    let subject = Subject::start("old-tail", &[]);
    subject.create("it", "text/plain").await;
    for live in ["ndjson", "sse"] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(get_http_1_0(
            &format!("/v1/stream/it?offset=now&live={live}"),
            "",
        ))
        .await;
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("transfer-encoding")),
            (200, None),
            "{live}: {head:?}"
        );
        subject.readers("it", 1).await;
        subject.append("it", "text/plain", b"what comes").await;
        let mut body = String::new();
        while !body.contains("what comes") {
            body.push(char::from(wire.exactly(1).await[0]));
        }
        drop(wire);
        subject.readers("it", 0).await;
    }
}

#[tokio::test]
async fn an_export_is_not_chunked() {
    let subject = subject("old-export").await;
    let answer = subject.ask(get_http_1_0("/v1/export/it", "")).await;
    assert_eq!(
        (answer.status, answer.header("transfer-encoding")),
        (200, None),
        "{answer:?}"
    );
    let lines = answer
        .text()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).is_ok())
        .collect::<Vec<_>>();
    assert!(
        lines.len() >= 3 && lines.iter().all(|is_json| *is_json),
        "{}",
        answer.text()
    );
}

#[tokio::test]
async fn an_upgrade_is_ignored() {
    let subject = subject("old-upgrade").await;
    let answer = subject
        .ask(get_http_1_0(
            "/v1/stream/it?offset=-1&live=websocket",
            UPGRADE,
        ))
        .await;
    assert!(
        [400, 426, 505].contains(&answer.status),
        "RFC 9110 7.8: Upgrade in HTTP/1.0 is ignored: {answer:?}"
    );
    let poll = subject
        .ask(get_http_1_0("/v1/stream/it?offset=-1", UPGRADE))
        .await;
    assert_eq!((poll.status, poll.text()), (200, "abc"), "{poll:?}");
}

#[tokio::test]
async fn a_transfer_coding_in_http_1_0_ends_the_connection() {
    let subject = Subject::start("old-coding", &[]);
    subject.create("it", "text/plain").await;
    let mut wire = RawConnection::open(subject.address()).await;
    let body = "3\r\nabc\r\n0\r\n\r\n";
    wire.send(format!(
        "POST /v1/stream/it HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\nContent-Type: text/plain\r\n\
         Transfer-Encoding: chunked\r\n\r\n{body}"
    ))
    .await;
    let answer = wire.response().await;
    // RFC 9112, section 6.1: the framing is faulty, so the connection must be closed after the
    // response.
    assert!(answer.status == 400 || answer.status == 204, "{answer:?}");
    assert!(
        wire.rest().await.is_empty(),
        "the connection is not used again"
    );
}

#[tokio::test]
async fn no_100_continue_is_sent() {
    let subject = Subject::start("old-continue", &[]);
    subject.create("it", "text/plain").await;
    let fields = "Content-Type: text/plain\r\nExpect: 100-continue\r\nContent-Length: 3\r\n";
    let mut wire = RawConnection::open(subject.address()).await;
    wire.send(format!(
        "POST /v1/stream/it HTTP/1.0\r\nHost: localhost\r\n{fields}\r\nabc"
    ))
    .await;
    let answer = wire.response().await;
    assert_eq!(
        answer.status, 204,
        "RFC 9110 10.1.1: Expect in HTTP/1.0 is ignored: {answer:?}"
    );
}
