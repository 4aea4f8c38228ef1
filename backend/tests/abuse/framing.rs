//! Pipelined requests, late bodies and half-closed clients: every request is answered, in order.

use super::process::DEADLINE;
use super::subject::{Subject, WITHOUT_BODIES, get, post};
use tailwater_harness::RawConnection;
use tailwater_harness::process::{output, tailwater};

fn head_of(request: &[u8]) -> (&[u8], &[u8]) {
    let end = request
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap()
        + 4;
    request.split_at(end)
}

#[tokio::test]
async fn pipelined_requests_with_late_bodies_are_answered_in_order() {
    let subject = Subject::start("pipelined-late", &[]);
    subject.create("it", "text/plain").await;
    let mut faults = Vec::new();
    let firsts: [(&str, Vec<u8>, u16); 6] = [
        ("an append", post("it", "text/plain", "", b"abc"), 204),
        ("a poll", get("/v1/stream/it?offset=now", "").into(), 200),
        (
            "a long-poll",
            get("/v1/stream/it?offset=now&live=long-poll&hold=0.1", "").into(),
            204,
        ),
        ("a refusal", get("/v1/stream/none", "").into(), 404),
        (
            "a deletion",
            "DELETE /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            404,
        ),
        ("a look", get("/v1/streams", "").into(), 200),
    ];
    let chunked = "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n";
    for (what, first, status) in firsts {
        for (framing, second) in [
            ("a length", post("it", "text/plain", "", b"def")),
            ("chunks", chunked.into()),
        ] {
            let (head, body) = head_of(&second);
            for warm in [false, true] {
                let case =
                    format!("{what}, then an append with {framing}, on a used connection: {warm}");
                let mut wire = RawConnection::open(subject.address()).await;
                if warm {
                    wire.send(get("/v1/stream/it?offset=now", "")).await;
                    wire.response().await;
                }
                wire.send([&first[..], head].concat()).await;
                // The body is sent once the first response has arrived, followed by a third
                // request.
                let one = tokio::time::timeout(DEADLINE / 4, wire.response_or_end())
                    .await
                    .unwrap_or_default();
                if one.as_ref().map(|answer| answer.status) != Some(status) {
                    faults.push(format!(
                        "{case}: first response {:?}",
                        one.map(|answer| answer.status)
                    ));
                    continue;
                }
                wire.try_send([body, get("/v1/stream/none", "").as_bytes()].concat())
                    .await;
                let mut came = Vec::new();
                for _ in 0..2 {
                    let next = tokio::time::timeout(DEADLINE / 4, wire.response_or_end())
                        .await
                        .unwrap_or_default();
                    came.push(next.map(|answer| answer.status));
                }
                if came != [Some(204), Some(404)] {
                    faults.push(format!("{case}: then {came:?}"));
                }
            }
        }
    }
    assert!(
        faults.is_empty(),
        "expected 204 and 404 afterwards:\n{}",
        faults.join("\n")
    );
}

#[tokio::test]
async fn requests_sent_in_one_write_are_answered_in_order() {
    let subject = Subject::start("one-piece", &[]);
    subject.create("it", "text/plain").await;
    let put = String::from_utf8(post("new", "text/plain", "", b"abc"))
        .unwrap()
        .replacen("POST", "PUT", 1);
    let script: [(&str, Vec<u8>, u16); 9] = [
        ("an append", post("it", "text/plain", "", b"abc"), 204),
        ("a poll", get("/v1/stream/it?offset=-1", "").into(), 200),
        ("a creation", put.into(), 201),
        ("a refusal", get("/v1/stream/none", "").into(), 404),
        ("a look", get("/v1/streams/new", "").into(), 200),
        (
            "a long-poll",
            get("/v1/stream/it?offset=now&live=long-poll&hold=0.05", "").into(),
            204,
        ),
        ("an export", get("/v1/export/new", "").into(), 200),
        (
            "a deletion",
            "DELETE /v1/stream/new HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            204,
        ),
        ("an append again", post("it", "text/plain", "", b"def"), 204),
    ];
    for warm in [false, true] {
        let mut wire = RawConnection::open(subject.address()).await;
        if warm {
            wire.send(get("/v1/stream/it?offset=now", "")).await;
            wire.response().await;
        }
        wire.send(
            script
                .iter()
                .flat_map(|(_, request, _)| request.clone())
                .collect::<Vec<_>>(),
        )
        .await;
        for (what, _, status) in &script {
            let answer = wire.response().await;
            assert_eq!(
                answer.status, *status,
                "{what}, used before: {warm}: {answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn pipelined_head_requests_leave_other_bodies_intact() {
    let subject = Subject::start("one-piece-head", &[]);
    subject.create("it", "text/plain").await;
    subject.append("it", "text/plain", b"abc").await;
    let head = "HEAD /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (poll, export) = (get("/v1/stream/it?offset=-1", ""), get("/v1/export/it", ""));
    let refusal = String::from_utf8(post("none", "text/plain", "", b"abc")).unwrap();
    // Requests with status 0 are HEAD requests.
    let (poll, export, refusal, head) = (
        (poll, 200),
        (export, 200),
        (refusal, 404),
        (head.to_owned(), 0),
    );
    for piece in [
        vec![&poll, &head],
        vec![&head, &poll],
        vec![&poll, &head, &poll],
        vec![&export, &head],
        vec![&refusal, &head],
        vec![&poll, &refusal, &export, &head, &head, &poll],
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(
            piece
                .iter()
                .map(|(request, _)| request.as_str())
                .collect::<String>(),
        )
        .await;
        for (request, status) in piece {
            let what = request.lines().next().unwrap();
            if *status == 0 {
                assert_eq!(wire.response_to_head().await.status, 200, "{what}");
            } else {
                let answer = wire.response().await;
                assert_eq!(
                    (answer.status, answer.body.is_empty()),
                    (*status, false),
                    "{what}: {answer:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_long_poll_keeps_its_body_when_a_head_request_follows() {
    let subject = Subject::start("head-behind", &[]);
    subject.create("it", "text/plain").await;
    let mut wire = RawConnection::open(subject.address()).await;
    let waits = get(
        "/v1/stream/it?offset=0000000000000000&live=long-poll&hold=60",
        "",
    );
    wire.send(format!(
        "{waits}HEAD /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n\r\n"
    ))
    .await;
    subject.readers("it", 1).await;
    subject.append("it", "text/plain", b"abc").await;
    let answer = wire.response().await;
    assert_eq!((answer.status, answer.text()), (200, "abc"), "{answer:?}");
    assert_eq!(wire.response_to_head().await.status, 200);
}

#[tokio::test]
async fn a_request_is_answered_after_the_client_half_closes() {
    // With a synced disk store, an append is answered after the server has read the end of the
    // client's half.
    let subject = Subject::on_disk("half-closed", &[]);
    subject.create("it", "text/plain").await;
    let put = String::from_utf8(post("new", "text/plain", "", b"abc"))
        .unwrap()
        .replacen("POST", "PUT", 1);
    let chunked = "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let mut faults = Vec::new();
    for (what, request, status) in [
        ("an append", post("it", "text/plain", "", b"abc"), 204),
        ("a chunked append", chunked.into(), 204),
        ("a poll", get("/v1/stream/it?offset=-1", "").into(), 200),
        ("a creation", put.into(), 201),
        ("a look", get("/v1/streams", "").into(), 200),
        ("an export", get("/v1/export/it", "").into(), 200),
        ("a refusal", get("/v1/stream/none", "").into(), 404),
        (
            "a deletion",
            "DELETE /v1/stream/new HTTP/1.1\r\nHost: localhost\r\n\r\n".into(),
            204,
        ),
    ] {
        for later in [false, true] {
            if later && ["a creation", "a deletion"].contains(&what) {
                continue;
            }
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it?offset=now", "")).await;
                wire.response().await;
            }
            wire.send(&request).await;
            wire.finish().await;
            let came = wire.response_or_end().await.map(|answer| answer.status);
            if came != Some(status) {
                faults.push(format!(
                    "{what}, second request: {later}: {came:?}, expected {status}"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Sends a request whose body is sent with its head or only after its response, then another
/// request.
///
/// - `body`: the fields that frame it, and the body.
/// - Returns a fault if the response does not say whether the connection closes afterwards.
async fn fault_behind_body(
    subject: &Subject,
    line: &str,
    body: (&str, &str),
    is_late: bool,
) -> Option<String> {
    let mut wire = RawConnection::open(subject.address()).await;
    let (fields, body) = body;
    let head = format!("{line} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
    let rest = [body, &get("/v1/nothing", "")].concat();
    wire.try_send(if is_late { head } else { head + &rest })
        .await;
    let answer = if line.starts_with("HEAD ") {
        wire.response_to_head().await
    } else {
        wire.response().await
    };
    if is_late {
        wire.try_send(rest).await;
    }
    let ends = wire.response_or_end().await.is_none();
    let case = format!("{line} with {fields:?}, body after its response: {is_late}");
    (ends != answer.says_close()).then(|| {
        format!(
            "{case}: {} closes: {ends}, says so: {}",
            answer.status, !ends
        )
    })
}

#[tokio::test]
async fn an_early_response_says_whether_the_connection_closes() {
    let subject = Subject::start("before-body", &[]);
    subject.create("it", "text/plain").await;
    subject.append("it", "text/plain", b"abc").await;
    let long = "a".repeat(100_000);
    let mut faults = Vec::new();
    for line in [
        "GET /v1/stream/it?offset=-1",
        "GET /v1/stream/it?offset=0000000000000000&live=long-poll&hold=20",
        "GET /v1/stream/it?offset=now&live=long-poll&hold=0.05",
        "GET /v1/stream/it?offset=wrong",
    ]
    .into_iter()
    .chain(WITHOUT_BODIES)
    {
        for is_late in [false, true] {
            for body in [
                ("Transfer-Encoding: chunked\r\n", "5\r\nabcde\r\n0\r\n\r\n"),
                ("Content-Length: 100000\r\n", &long),
            ] {
                faults.extend(fault_behind_body(&subject, line, body, is_late).await);
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn zero_workers_are_refused_at_the_start() {
    let mut command = tailwater(env!("CARGO_BIN_EXE_tailwater"));
    command.args([
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--store",
        "memory",
        "--workers",
        "0",
    ]);
    let output = output(&mut command, b"", DEADLINE / 4).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success(), "{output:?}");
    assert!(
        said.contains("--workers") && !said.contains("panicked"),
        "{said}"
    );
}
