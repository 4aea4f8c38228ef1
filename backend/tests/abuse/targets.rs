//! Request targets and hosts: which host is effective, and problem documents for requests that are
//! refused before any handler.

use super::subject::{Subject, get};
use tailwater_harness::RawConnection;
use tailwater_harness::wait::within;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

#[tokio::test]
async fn the_host_of_an_absolute_target_overrides_the_host_field() {
    let subject = Subject::start("absolute", &[]);
    subject.create("it", "text/plain").await;
    let port = subject.address().port();
    let mut faults = Vec::new();
    for (target, host, status) in [
        (
            format!("http://127.0.0.1:{port}/v1/stream/it"),
            "evil.example",
            200,
        ),
        (
            "http://localhost/v1/stream/it".to_owned(),
            "evil.example",
            200,
        ),
        (
            "HTTP://LOCALHOST/v1/stream/it".to_owned(),
            "evil.example",
            200,
        ),
        ("http://localhost/v1/stream/it".to_owned(), "localhost", 200),
        (
            "http://localhost/v1/stream/it?offset=now".to_owned(),
            "evil.example",
            200,
        ),
        (
            "http://evil.example/v1/stream/it".to_owned(),
            "localhost",
            421,
        ),
        (
            format!("http://evil.example:{port}/v1/stream/it"),
            "localhost",
            421,
        ),
        (
            "http://localhost.evil.example/v1/stream/it".to_owned(),
            "localhost",
            421,
        ),
    ] {
        for later in [false, true] {
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"))
                    .await;
                wire.response().await;
            }
            wire.try_send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
                .await;
            let came = wire.response_or_end().await.map(|answer| answer.status);
            if came != Some(status) {
                faults
                    .push(format!("{target} with Host: {host}, second request: {later}: {came:?}, expected {status}"));
            }
        }
    }
    assert!(faults.is_empty(), "RFC 9112 3.2.2:\n{}", faults.join("\n"));
}

#[tokio::test]
async fn a_location_uses_the_host_and_no_other_field() {
    let subject = Subject::start("location", &[]);
    let forwarded = "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https\r\nX-Forwarded-For: 1.2.3.4\r\n\
                     Forwarded: host=evil.example;proto=https;for=1.2.3.4\r\n";
    for (name, host, fields) in [
        ("a", "localhost:99", ""),
        ("b", "127.0.0.1:1", forwarded),
        ("c", "LOCALHOST", forwarded),
    ] {
        let put = format!(
            "PUT /v1/stream/{name} HTTP/1.1\r\nHost: {host}\r\n{fields}Content-Length: 0\r\n\r\n"
        );
        let answer = subject.ask(put).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let expected = format!("http://{host}/v1/stream/{name}");
        assert!(
            answer
                .header("location")
                .is_some_and(|it| it.eq_ignore_ascii_case(&expected)),
            "{expected}: {answer:?}"
        );
    }
    // These fields do not change what the gate decides either.
    let mut wire = RawConnection::open(subject.address()).await;
    wire.send("GET /v1/stream/a HTTP/1.1\r\nHost: evil.example\r\nX-Forwarded-Host: localhost\r\nForwarded: host=localhost\r\n\r\n")
        .await;
    assert_eq!(wire.response().await.status, 421);
}

#[tokio::test]
async fn a_location_uses_the_public_url_if_configured() {
    for (number, public) in [
        "https://streams.example",
        "http://streams.example:8080/below",
    ]
    .into_iter()
    .enumerate()
    {
        let subject = Subject::start(&format!("public-{number}"), &["--public-url", public]);
        let forwarded = "X-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: ftp\r\nForwarded: host=evil.example\r\n";
        for fields in ["", forwarded] {
            let name = format!("a%20{}", fields.len());
            let put = format!(
                "PUT /v1/stream/{name} HTTP/1.1\r\nHost: localhost\r\n{fields}Content-Length: 0\r\n\r\n"
            );
            let answer = subject.ask(put).await;
            assert_eq!(answer.status, 201, "{answer:?}");
            assert_eq!(
                answer.header("location"),
                Some(&*format!("{public}/v1/stream/{name}"))
            );
        }
    }
}

/// All URLs of this server in its responses and webhooks, for requests whose targets begin with
/// `prefix` and whose host is `host`.
async fn urls_sent(subject: &Subject, prefix: &str, host: &str) -> Vec<(&'static str, String)> {
    let put = |path: &str, body: &str| {
        let length = body.len();
        format!(
            "PUT {prefix}{path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n{body}"
        )
    };
    let created = subject.ask(put("/v1/stream/a/1", "")).await;
    let exported = subject
        .ask(get("/v1/export/a/1", ""))
        .await
        .text()
        .to_owned();
    let imported = subject.ask(put("/v1/import/copy", &exported)).await;
    let worker = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let hook = format!("http://{}/hook", worker.local_addr().unwrap());
    let definition =
        format!("{{\"type\":\"webhook\",\"pattern\":\"a/*\",\"webhook\":{{\"url\":\"{hook}\"}}}}");
    let subscribed = subject
        .ask(put("/v1/stream/__ds/subscriptions/it", &definition))
        .await;
    for (what, answer) in [
        ("creation", &created),
        ("import", &imported),
        ("subscription", &subscribed),
    ] {
        assert_eq!(answer.status, 201, "{what}: {answer:?}");
    }
    subject
        .append("a/1", "application/octet-stream", b"x")
        .await;
    let woken = async {
        let (mut stream, _) = worker.accept().await.unwrap();
        let mut came = Vec::new();
        loop {
            assert!(
                stream.read_buf(&mut came).await.unwrap() > 0,
                "{}",
                String::from_utf8_lossy(&came)
            );
            let text = String::from_utf8_lossy(&came);
            let body = text
                .split_once("\r\n\r\n")
                .and_then(|(_, body)| serde_json::from_str(body).ok());
            if let Some(serde_json::Value::Object(body)) = body {
                return body["callback_url"].as_str().unwrap().to_owned();
            }
        }
    };
    let callback = within("a webhook", woken).await;
    let view: serde_json::Value = serde_json::from_slice(&subscribed.body).unwrap();
    vec![
        (
            "/v1/stream/a/1",
            created.header("location").unwrap().to_owned(),
        ),
        (
            "/v1/stream/copy",
            imported.header("location").unwrap().to_owned(),
        ),
        (
            "/v1/stream/__ds/jwks.json",
            view["webhook"]["signing"]["jwks_url"]
                .as_str()
                .unwrap()
                .to_owned(),
        ),
        ("/v1/stream/__ds/subscriptions/it/callback", callback),
    ]
}

#[tokio::test]
async fn every_url_in_a_response_has_the_effective_host() {
    let public = [
        "--public-url",
        "https://streams.example/below",
        "--webhook-allow-local",
    ];
    for (number, (flags, prefix, host, base)) in [
        (&[][..], "", "localhost:98", "http://localhost:98"),
        (
            &[],
            "http://localhost:99",
            "127.0.0.1:1",
            "http://localhost:99",
        ),
        (
            &[],
            "http://localhost:99",
            "evil.example",
            "http://localhost:99",
        ),
        (&public, "", "localhost:98", "https://streams.example/below"),
        (
            &public,
            "http://localhost:99",
            "127.0.0.1:1",
            "https://streams.example/below",
        ),
        (
            &public,
            "http://localhost:99",
            "evil.example",
            "https://streams.example/below",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let subject = Subject::start(&format!("urls-{number}"), flags);
        for (path, told) in urls_sent(&subject, prefix, host).await {
            assert_eq!(
                told,
                format!("{base}{path}"),
                "{flags:?} {prefix:?} with Host: {host}"
            );
        }
    }
}

/// A request that the parser refuses, and the accepted statuses.
type RefusedCase = (&'static str, Vec<u8>, &'static [u16]);

fn raw(head: &str) -> Vec<u8> {
    head.as_bytes().to_vec()
}

/// Targets, versions and methods.
fn unreadable_lines() -> Vec<RefusedCase> {
    vec![
        (
            "raw UTF-8 in a path",
            raw("GET /v1/stream/caf\u{e9} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            &[400],
        ),
        (
            "raw bytes in a path",
            b"GET /v1/stream/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
            &[400],
        ),
        (
            "raw UTF-8 in a query",
            raw("GET /v1/stream/it?a=\u{20ac} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            &[200, 400],
        ),
        (
            "a space in a path",
            raw("GET /v1/stream/a b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            &[400],
        ),
        (
            "a control character in a path",
            raw("GET /v1/stream/a\x01b HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            &[400],
        ),
        (
            "no version",
            raw("GET /v1/stream/it\r\nHost: localhost\r\n\r\n"),
            &[400],
        ),
        (
            "version 2.0",
            raw("GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"),
            &[400, 505],
        ),
        (
            "version 1.9",
            raw("GET / HTTP/1.9\r\nHost: localhost\r\n\r\n"),
            &[200, 400, 505],
        ),
        (
            "an empty method",
            raw(" / HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            &[400],
        ),
        (
            "TLS",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n".to_vec(),
            &[400],
        ),
    ]
}

/// Fields, and a head that lacks one.
fn unreadable_fields() -> Vec<RefusedCase> {
    vec![
        (
            "a field without a colon",
            raw("GET / HTTP/1.1\r\nHost: localhost\r\nX\r\n\r\n"),
            &[400],
        ),
        (
            "a field without a name",
            raw("GET / HTTP/1.1\r\nHost: localhost\r\n: x\r\n\r\n"),
            &[400],
        ),
        (
            "a space before a colon",
            raw("GET / HTTP/1.1\r\nHost: localhost\r\nX : y\r\n\r\n"),
            &[400],
        ),
        (
            "a folded field",
            raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: y\r\n z\r\n\r\n"),
            &[400],
        ),
        (
            "a NUL in a field",
            raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n"),
            &[400],
        ),
        (
            "a bare CR in a field",
            raw("GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rb\r\n\r\n"),
            &[400],
        ),
        (
            "no host",
            raw("GET /v1/stream/it HTTP/1.1\r\n\r\n"),
            &[400, 421],
        ),
    ]
}

/// Lengths and codings of bodies.
fn unreadable_lengths() -> Vec<RefusedCase> {
    vec![
        (
            "a length that is no number",
            raw("POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n"),
            &[400],
        ),
        (
            "a negative length",
            raw("POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n"),
            &[400],
        ),
        (
            "a length with a sign",
            raw("POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\na"),
            &[400],
        ),
        (
            "a list of lengths",
            raw("POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 2\r\n\r\na"),
            &[400],
        ),
        (
            "a length of 2^64",
            raw(
                "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: 18446744073709551616\r\n\r\n",
            ),
            &[400, 413],
        ),
        (
            "a length and a coding",
            raw(
                "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ),
            &[400],
        ),
        (
            "an unknown coding",
            raw(
                "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n",
            ),
            &[400, 501],
        ),
        (
            "chunked not last",
            raw(
                "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
            ),
            &[400, 501],
        ),
        (
            "a chunk's length that is none",
            raw(
                "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            ),
            &[400],
        ),
    ]
}

/// Heads over the limit.
fn oversized_heads() -> Vec<RefusedCase> {
    vec![
        (
            "a head of 20 KB",
            get("/", &format!("X: {}\r\n", "x".repeat(20_000))).into(),
            &[431],
        ),
        (
            "a head of 200 KB",
            get("/", &format!("X: {}\r\n", "x".repeat(200_000))).into(),
            &[431],
        ),
        (
            "a target of 200 KB",
            get(&format!("/{}", "x".repeat(200_000)), "").into(),
            &[414, 431],
        ),
    ]
}

#[tokio::test]
async fn requests_refused_by_the_parser_get_problem_documents() {
    let subject = Subject::start("before", &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    let cases = [
        unreadable_lines(),
        unreadable_fields(),
        unreadable_lengths(),
        oversized_heads(),
    ];
    for (what, request, expected) in cases.into_iter().flatten() {
        for later in [false, true] {
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it?offset=now", "")).await;
                wire.response().await;
            }
            wire.try_send(&request).await;
            let asking =
                tokio::time::timeout(std::time::Duration::from_secs(8), wire.response_or_end());
            match asking.await {
                Err(_) => faults.push(format!(
                    "{what}, second request: {later}: no response, expected {expected:?}"
                )),
                Ok(None) => faults.push(format!(
                    "{what}, second request: {later}: closed, expected {expected:?}"
                )),
                Ok(Some(answer)) if !expected.contains(&answer.status) => {
                    faults.push(format!(
                        "{what}, second request: {later}: {}, expected {expected:?}",
                        answer.status
                    ));
                }
                Ok(Some(answer)) if answer.status >= 400 => {
                    faults.extend(
                        answer
                            .fault_as_problem()
                            .map(|it| format!("{what}, second request: {later}: {it}")),
                    );
                }
                Ok(Some(_)) => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
