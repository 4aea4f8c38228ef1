//! Requests whose end two parsers could see at different places: they are refused, and never run
//! twice or in parts.

use super::subject::{Subject, WITHOUT_BODIES, get, post};
use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt};
use std::cell::Cell;
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_harness::websocket::UPGRADE;

/// Requests that the tests below send concurrently.
const AT_ONCE: usize = 12;

async fn subject(name: &str) -> Subject {
    let flags = [
        "--recycle",
        "300ms",
        "--heartbeat",
        "100ms",
        "--keep-alive",
        "1s",
        "--body-silence-max",
        "1s",
    ];
    let subject = Subject::start(name, &flags);
    for stream in ["it", "other"] {
        subject.create(stream, "text/plain").await;
    }
    subject
}

/// A request that is sent inside the body of another one and must never run.
fn hidden(number: usize) -> String {
    format!("DELETE /v1/stream/victim-{number} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The header fields and the body of a request with `body`, in each framing.
fn framings(body: &str) -> [(&'static str, String, String); 3] {
    /// More than the server reads of a body before it decides.
    const LONG: usize = 100_000;
    let length = body.len();
    [
        (
            "a great length",
            format!("Content-Length: {LONG}\r\n"),
            [body, &"x".repeat(LONG - length)].concat(),
        ),
        (
            "a length",
            format!("Content-Length: {length}\r\n"),
            body.to_owned(),
        ),
        (
            "chunks",
            "Transfer-Encoding: chunked\r\n".to_owned(),
            format!("{length:x}\r\n{body}\r\n0\r\n\r\n"),
        ),
    ]
}

/// Sends requests whose bodies look like a request, on new and on used connections, with the body
/// at once or later.
///
/// - `lines`: request lines up to the version.
/// - Returns those whose body ran.
async fn bodies_that_ran(subject: &Subject, lines: &[&str]) -> Vec<String> {
    let number = Cell::new(0);
    let cases = lines.iter().flat_map(|line| {
        let ways = [(false, false), (false, true), (true, false), (true, true)];
        ways.into_iter()
            .flat_map(move |(later, waits)| [0, 1, 2].map(|framing| (*line, later, waits, framing)))
    });
    let running = stream::iter(cases).map(|(line, later, waits, framing)| {
        let own = number.replace(number.get() + 1);
        async move {
            let victim = format!("victim-{own}");
            subject.create(&victim, "text/plain").await;
            let (what, fields, body) = framings(&hidden(own))[framing].clone();
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it?offset=now", "")).await;
                wire.response().await;
            }
            wire.send(format!(
                "{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
            ))
            .await;
            if waits {
                // Once another request has been answered, the server has most likely seen the head
                // alone.
                subject.tail("it").await;
            }
            wire.try_send(body).await;
            wire.rest().await;
            let ran = subject.tail(&victim).await.is_none();
            ran.then(|| format!("{line} with {what}, second request: {later}, body later: {waits}"))
        }
    });
    let ran: Vec<Option<String>> = running.buffer_unordered(AT_ONCE).collect().await;
    ran.into_iter().flatten().collect()
}

#[tokio::test]
async fn the_body_of_a_read_is_never_run_as_a_request() {
    let subject = subject("body-of-read").await;
    let lines = [
        "GET /v1/stream/it",
        "GET /v1/stream/it?offset=-1",
        "GET /v1/stream/it?offset=now&live=long-poll&hold=0.05",
        "GET /v1/stream/it?offset=now&live=long-poll&hold=0.3",
        "GET /v1/stream/it?offset=0000000000000000&live=long-poll&hold=0.3",
        "GET /v1/stream/it?offset=now&live=ndjson",
        "GET /v1/stream/it?offset=-1&live=ndjson",
        "GET /v1/stream/it?offset=now&live=sse",
        "GET /v1/stream/it?offset=-1&live=sse",
    ];
    let ran = bodies_that_ran(&subject, &lines).await;
    assert!(
        ran.is_empty(),
        "their bodies ran as requests:\n{}",
        ran.join("\n")
    );
}

#[tokio::test]
async fn the_body_of_any_other_request_is_never_run_as_one() {
    let subject = subject("body-of-other").await;
    let lines = [
        &WITHOUT_BODIES[..],
        &["GET /v1/streams/it", "GET /", "PUT /v1/stream/a//b"],
    ]
    .concat();
    let ran = bodies_that_ran(&subject, &lines).await;
    assert!(
        ran.is_empty(),
        "their bodies ran as requests:\n{}",
        ran.join("\n")
    );
}

#[tokio::test]
async fn the_body_of_an_upgrade_that_fails_is_never_run_as_a_request() {
    let subject = subject("body-of-upgrade").await;
    let mut ran = Vec::new();
    for (number, target) in [
        "/v1/stream/none?offset=-1&live=websocket",
        "/v1/stream/it?offset=x&live=websocket",
    ]
    .into_iter()
    .enumerate()
    {
        let victim = format!("victim-{number}");
        subject.create(&victim, "text/plain").await;
        for (what, fields, body) in framings(&hidden(number)) {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(get(target, &format!("{UPGRADE}{fields}"))).await;
            wire.try_send(body).await;
            wire.rest().await;
            if subject.tail(&victim).await.is_none() {
                ran.push(format!("{target} with {what}"));
                subject.create(&victim, "text/plain").await;
            }
        }
    }
    assert!(
        ran.is_empty(),
        "their bodies ran as requests:\n{}",
        ran.join("\n")
    );
}

/// An append with these header fields, each with its line end.
fn append(fields: &str) -> String {
    format!(
        "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{fields}\r\nabc"
    )
}

/// Appends whose length is ambiguous or malformed.
fn ambiguous_lengths() -> Vec<(&'static str, String)> {
    vec![
        ("a length with a sign", append("Content-Length: +3\r\n")),
        ("a length in hex", append("Content-Length: 0x3\r\n")),
        (
            "a length with a fraction",
            append("Content-Length: 3.0\r\n"),
        ),
        ("a list of lengths", append("Content-Length: 3, 3\r\n")),
        ("a list of two lengths", append("Content-Length: 3, 4\r\n")),
        ("an empty length", append("Content-Length:\r\n")),
        (
            "a length and a coding",
            append("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n"),
        ),
        (
            "a coding and a length",
            append("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n"),
        ),
        (
            "an unknown coding",
            append("Transfer-Encoding: xchunked\r\n"),
        ),
        (
            "a coding beside identity",
            append("Transfer-Encoding: chunked, identity\r\n"),
        ),
        ("an empty coding", append("Transfer-Encoding:\r\n")),
        (
            "a coding in quotes",
            append("Transfer-Encoding: \"chunked\"\r\n"),
        ),
    ]
}

/// Malformed requests, and requests that an intermediary could understand differently. Each is sent
/// unchanged.
fn malformed() -> Vec<(&'static str, String)> {
    let sized = |fields: &str| append(&format!("{fields}Content-Length: 3\r\n"));
    let read = |fields: &str| get("/v1/stream/it?offset=now", fields);
    let line = |target: &str| get(target, "");
    let mut cases = vec![
        ("a bare CR as a line end", read("X: a\rY: b\r\n")),
        ("a NUL in a value", read("X: a\0b\r\n")),
        ("a control character in a value", read("X: a\x01b\r\n")),
        ("DEL in a value", read("X: a\x7fb\r\n")),
        ("a NUL in a name", read("X\0: a\r\n")),
        ("a space before a colon", sized("Stream-Seq : 5\r\n")),
        ("a space before a name", read(" X: a\r\n")),
        ("a folded field", read("X: a\r\n b\r\n")),
        ("a field without a colon", read("X\r\n")),
        ("a field without a name", read(": a\r\n")),
        ("a tab in a name", read("X\tY: a\r\n")),
        (
            "a request line in the query",
            line("/v1/stream/it?x=1 HTTP/1.1\r\nHost: evil"),
        ),
        ("a space in the query", line("/v1/stream/it?x=a b")),
        ("a tab in the query", line("/v1/stream/it?x=a\tb")),
        (
            "a control character in the query",
            line("/v1/stream/it?x=a\x01b"),
        ),
        ("a NUL in the path", line("/v1/stream/it\0")),
        (
            "two spaces in the line",
            "GET  /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        (
            "a space after the version",
            "GET /v1/stream/it HTTP/1.1 \r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        (
            "no target",
            "GET HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        (
            "a lower-case version",
            "GET /v1/stream/it http/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        ),
        (
            "two hosts",
            "GET /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n"
                .to_owned(),
        ),
        ("no host", "GET /v1/stream/it HTTP/1.1\r\n\r\n".to_owned()),
    ];
    cases.extend(ambiguous_lengths());
    cases
}

/// Requests in which not every line ends with CR and LF.
fn bare_line_feeds() -> Vec<(&'static str, String)> {
    let read = |fields: &str| get("/v1/stream/it?offset=now", fields);
    let append =
        |fields: &str| String::from_utf8(post("it", "text/plain", fields, b"abc")).unwrap();
    vec![
        ("line ends without CR", read("").replace("\r\n", "\n")),
        (
            "a request line without CR",
            read("").replacen("\r\n", "\n", 1),
        ),
        ("one line end without CR", read("X: a\nY: b\r\n")),
        (
            "a sequence after a bare LF",
            append("X: a\nStream-Seq: 5\r\n"),
        ),
        (
            "a length after a bare LF",
            append("X: a\nContent-Length: 0\r\n"),
        ),
        ("a bare LF as the last line", read("X: a\r\n\n")),
        ("a bare LF before the last line", read("X: a\n")),
    ]
}

/// The preceding request on the connection, if any: after it another part of the server may read
/// the next request.
const BEFORE: [&str; 6] = [
    "",
    "GET /v1/stream/it?offset=now HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "POST /v1/stream/other HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc",
    "GET /v1/stream/it?offset=now&live=long-poll&hold=0.05 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /v1/stream/it?offset=now&live=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "GET /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n\r\n",
];

/// Sends `before`, then `request`; returns the statuses of the responses to `request` until the
/// connection ends.
async fn statuses(
    subject: &Subject,
    before: &'static str,
    request: &str,
) -> (&'static str, Vec<u16>) {
    let mut wire = RawConnection::open(subject.address()).await;
    if !before.is_empty() {
        wire.send(before).await;
        wire.response().await;
    }
    wire.try_send(request).await;
    let mut statuses = Vec::new();
    // The server may wait for the rest of what looks like the beginning of a request; that counts
    // as a response, too.
    while let Ok(Some(answer)) =
        tokio::time::timeout(Duration::from_secs(8), wire.response_or_end()).await
    {
        statuses.push(answer.status);
    }
    (before.split(" HTTP").next().unwrap_or_default(), statuses)
}

/// The responses to each of `requests` after each of [`BEFORE`].
async fn answered(
    subject: &Subject,
    requests: Vec<(&'static str, String)>,
) -> Vec<(&'static str, Vec<(&'static str, Vec<u16>)>)> {
    let asking = stream::iter(requests).map(|(what, request)| async move {
        (
            what,
            join_all(BEFORE.map(|before| statuses(subject, before, &request))).await,
        )
    });
    asking.buffered(AT_ONCE).collect().await
}

async fn are_refused(name: &str, requests: Vec<(&'static str, String)>) {
    let subject = subject(name).await;
    // An unknown coding is 501, a foreign host 421.
    let refused =
        |statuses: &[u16]| matches!(statuses, [status] if [400, 421, 501, 505].contains(status));
    let mut faults = Vec::new();
    for (what, outcomes) in answered(&subject, requests).await {
        let wrong: Vec<_> = outcomes
            .iter()
            .filter(|(_, statuses)| !refused(statuses))
            .collect();
        if !wrong.is_empty() {
            faults.push(format!("{what}: {wrong:?}"));
        }
    }
    assert!(
        faults.is_empty(),
        "expected one refusal and the end:\n{}",
        faults.join("\n")
    );
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000000"),
        "something was appended"
    );
}

#[tokio::test]
async fn malformed_requests_are_refused_on_new_and_used_connections() {
    are_refused("malformed", malformed()).await;
}

#[tokio::test]
async fn bare_line_feeds_are_refused_on_new_and_used_connections() {
    are_refused("bare-lf", bare_line_feeds()).await;
}

#[tokio::test]
async fn odd_requests_get_the_same_status_on_any_connection() {
    let subject = subject("odd").await;
    let odd = [
        ("a quote in the query", get("/v1/stream/it?x=\"", "")),
        ("a fragment", get("/v1/stream/it?x=1#offset=-1", "")),
        ("a backslash", get("/v1/stream/it?x=\\", "")),
        ("raw UTF-8 in the query", get("/v1/stream/it?x=\u{e9}", "")),
        (
            "raw UTF-8 in a value",
            get("/v1/stream/it", "X: \u{e9}\r\n"),
        ),
        ("an empty value", get("/v1/stream/it", "X:\r\n")),
        ("a tab in a value", get("/v1/stream/it", "X: a\tb\r\n")),
        (
            "spaces around a value",
            get("/v1/stream/it", "X:  a \t\r\n"),
        ),
        (
            "empty lines before",
            format!("\r\n\r\n{}", get("/v1/stream/it", "")),
        ),
        (
            "a percent that escapes nothing",
            get("/v1/stream/it?x=%zz", ""),
        ),
        ("HTTP/1.0", get("/v1/stream/it", "").replace("1.1", "1.0")),
        (
            "a method in lower case",
            get("/v1/stream/it", "").replace("GET", "get"),
        ),
        (
            "a foreign host",
            get("/v1/stream/it", "").replace("localhost", "evil.example"),
        ),
        (
            "a foreign origin",
            get("/v1/stream/it", "Origin: https://evil.example\r\n"),
        ),
        (
            "a query twice",
            get("/v1/stream/it?offset=-1&offset=now", ""),
        ),
        ("a slash at the end", get("/v1/stream/it/", "")),
        ("a dot", get("/v1/stream/./it", "")),
        ("an escaped slash", get("/v1/stream/i%2Ft", "")),
        ("an asterisk", get("*", "")),
        ("an authority", get("localhost:80", "")),
        (
            "an unknown expectation",
            get("/v1/stream/it", "Expect: 200-ok\r\n"),
        ),
    ];
    let mut faults = Vec::new();
    for (what, outcomes) in answered(&subject, malformed().into_iter().chain(odd).collect()).await {
        if outcomes
            .iter()
            .any(|(_, statuses)| *statuses != outcomes[0].1)
        {
            faults.push(format!("{what}: {outcomes:?}"));
        }
    }
    assert!(
        faults.is_empty(),
        "responses differ after different requests:\n{}",
        faults.join("\n")
    );
}
