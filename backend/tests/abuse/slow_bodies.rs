//! Bodies that begin and never end: 408 with `Connection: close`, then the connection closes.

use super::probe::beside;
use super::subject::{Subject, get};
use futures_util::future::join_all;
use std::time::Duration;
use tailwater_harness::wait::until;
use tailwater_harness::{RawConnection, Response};

/// Requests whose body is read, without the fields that frame it.
const READ: [&str; 8] = [
    "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n",
    "PUT /v1/stream/new HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n",
    "PUT /v1/import/new HTTP/1.1\r\nHost: localhost\r\n",
    "PUT /v1/stream/__ds/subscriptions/new HTTP/1.1\r\nHost: localhost\r\n",
    "POST /v1/stream/__ds/subscriptions/there/claim HTTP/1.1\r\nHost: localhost\r\n",
    "POST /v1/lab/sources HTTP/1.1\r\nHost: localhost\r\n",
    "POST /v1/lab/races HTTP/1.1\r\nHost: localhost\r\n",
    "PATCH /v1/lab/races/none HTTP/1.1\r\nHost: localhost\r\n",
];
/// Requests whose body is not read.
const UNREAD: [&str; 12] = [
    "POST /v1/stream/none HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n",
    "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/html\r\n",
    "POST /v1/nothing HTTP/1.1\r\nHost: localhost\r\n",
    "PATCH /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/stream/it?offset=now&live=long-poll&hold=0.05 HTTP/1.1\r\nHost: localhost\r\n",
    "DELETE /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/clock HTTP/1.1\r\nHost: localhost\r\n",
    "GET /v1/streams HTTP/1.1\r\nHost: localhost\r\n",
    "DELETE /v1/lab/races/none HTTP/1.1\r\nHost: localhost\r\n",
    "DELETE /v1/stream/__ds/subscriptions/none HTTP/1.1\r\nHost: localhost\r\n",
    "OPTIONS /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost\r\nAccess-Control-Request-Method: GET\r\n",
];
/// Framings, each with the part of a body that is sent.
const FRAMINGS: [(&str, &str); 6] = [
    ("Content-Length: 10\r\n", ""),
    ("Content-Length: 10\r\n", "abc"),
    ("Transfer-Encoding: chunked\r\n", ""),
    ("Transfer-Encoding: chunked\r\n", "3\r\nab"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n"),
    ("Transfer-Encoding: chunked\r\n", "3\r\nabc\r\n0\r\n"),
];
/// Framings, each with a piece of a body that is sent repeatedly.
const SLOWLY: [(&str, &str); 3] = [
    ("Content-Length: 10000\r\n", "a"),
    ("Content-Length: 1000000\r\n", "a"),
    ("Transfer-Encoding: chunked\r\n", "1\r\na\r\n"),
];

async fn with_short_deadline(name: &str, flags: &[&str]) -> Subject {
    let subject = Subject::start(name, &[&["--body-silence-max", "500ms"], flags].concat());
    subject.create("it", "text/plain").await;
    let definition = "{\"type\":\"pull-wake\",\"pattern\":\"a/*\",\"wake_stream\":\"wake/a\"}";
    let length = definition.len();
    let put = format!(
        "PUT /v1/stream/__ds/subscriptions/there HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{definition}"
    );
    let answer = subject.ask(put).await;
    assert!(answer.status < 300, "{answer:?}");
    subject
}

/// Sends the beginning of a request with a body, after a poll on the same connection if `later`.
///
/// - Returns the response, if there is one, and whether the server then closed the connection.
async fn stopped(
    subject: &Subject,
    request: &str,
    framing: (&str, &str),
    later: bool,
) -> (Option<Response>, bool) {
    let mut wire = RawConnection::open(subject.address()).await;
    if later {
        wire.send(get("/v1/stream/it?offset=now", "")).await;
        assert_eq!(wire.response().await.status, 200);
    }
    wire.send(format!("{request}{}\r\n{}", framing.0, framing.1))
        .await;
    let answer = tokio::time::timeout(Duration::from_secs(10), wire.response_or_end())
        .await
        .unwrap_or_default();
    let ended = tokio::time::timeout(Duration::from_secs(10), wire.rest())
        .await
        .is_ok();
    (answer, ended)
}

#[tokio::test]
async fn a_body_that_stops_gets_408_and_the_connection_closes() {
    let subject = with_short_deadline("body-stops", &[]).await;
    let before = subject.usage();
    let mut cases = Vec::new();
    for request in READ {
        for framing in FRAMINGS {
            for later in [false, true] {
                let subject = &subject;
                cases.push(async move {
                    let (answer, ended) = stopped(subject, request, framing, later).await;
                    let what = format!(
                        "{} {framing:?}, second request: {later}",
                        request.lines().next().unwrap()
                    );
                    match answer {
                        Some(answer) if answer.status == 408 && answer.says_close() && ended => {
                            answer
                                .fault_as_problem()
                                .map(|fault| format!("{what}: {fault}"))
                        }
                        Some(answer) => Some(format!("{what}: {}, ended: {ended}", answer.status)),
                        None => Some(format!("{what}: no response, ended: {ended}")),
                    }
                });
            }
        }
    }
    let faults: Vec<_> = beside(&subject, join_all(cases))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(
        faults.is_empty(),
        "expected 408 with Connection: close, then the end:\n{}",
        faults.join("\n")
    );
    subject.returns_to(before, 12, 100).await;
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000000")
    );
    assert_eq!(subject.tail("new").await, None);
}

#[tokio::test]
async fn an_unread_body_that_stops_closes_the_connection() {
    let subject = with_short_deadline("unread-body-stops", &[]).await;
    let before = subject.usage();
    let mut cases = Vec::new();
    for request in UNREAD {
        for framing in FRAMINGS {
            for later in [false, true] {
                let subject = &subject;
                cases.push(async move {
                    let (answer, ended) = stopped(subject, request, framing, later).await;
                    let status = answer.as_ref().map(|answer| answer.status);
                    let line = request.lines().next().unwrap();
                    (!ended)
                        .then(|| format!("{line} {framing:?}, second request: {later}: {status:?}"))
                });
            }
        }
    }
    let held: Vec<_> = beside(&subject, join_all(cases))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(
        held.is_empty(),
        "10 s after a body that may be silent for 0.5 s these are open:\n{}",
        held.join("\n")
    );
    subject.returns_to(before, 12, 100).await;
}

/// Sends a request and then its body piece by piece, so slowly that it would take hours.
///
/// - Returns the response, if there is one, and whether the server then closed the connection.
async fn sent_slowly(
    subject: &Subject,
    request: &str,
    (framing, piece): (&str, &str),
) -> (Option<Response>, bool) {
    let mut wire = RawConnection::open(subject.address()).await;
    wire.send(format!("{request}{framing}\r\n")).await;
    let dribbling = async {
        // Far more often than the deadline between two pieces of a body requires.
        while wire.try_send(piece).await
            && tokio::time::timeout(Duration::from_millis(50), wire.more())
                .await
                .is_err()
        {}
    };
    let answered = tokio::time::timeout(Duration::from_secs(10), dribbling)
        .await
        .is_ok();
    if !answered {
        return (None, false);
    }
    let answer = wire.response_or_end().await;
    let on = async {
        while wire.try_send(piece).await
            && tokio::time::timeout(Duration::from_millis(50), wire.more()).await != Ok(false)
        {
        }
    };
    (
        answer,
        tokio::time::timeout(Duration::from_secs(10), on)
            .await
            .is_ok(),
    )
}

#[tokio::test]
async fn a_body_sent_too_slowly_gets_408_and_the_connection_closes() {
    let subject = with_short_deadline("body-dribbles", &[]).await;
    let before = subject.usage();
    let mut cases = Vec::new();
    for (request, is_read) in READ
        .map(|request| (request, true))
        .into_iter()
        .chain(UNREAD.map(|request| (request, false)))
    {
        for slowly in SLOWLY {
            let subject = &subject;
            cases.push(async move {
                let (answer, ended) = sent_slowly(subject, request, slowly).await;
                let status = answer.as_ref().map(|answer| answer.status);
                // The lab accepts no body of a million bytes, and refuses it at once.
                let is_told = matches!(status, Some(408 | 413))
                    && answer.is_some_and(|answer| answer.says_close());
                let is_right = ended && (!is_read || is_told);
                (!is_right).then(|| {
                    format!(
                        "{} {slowly:?}: {status:?}, ended: {ended}",
                        request.lines().next().unwrap()
                    )
                })
            });
        }
    }
    let faults: Vec<_> = beside(&subject, join_all(cases))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(
        faults.is_empty(),
        "expected the end, and for a body that is read 408 before it:\n{}",
        faults.join("\n")
    );
    subject.returns_to(before, 12, 100).await;
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000000")
    );
    assert_eq!(subject.tail("new").await, None);
}

#[tokio::test]
async fn a_slow_body_that_keeps_arriving_is_accepted() {
    const PIECE: [u8; 16 << 10] = [b'x'; 16 << 10];
    let subject = Subject::start("body-slow", &["--body-silence-max", "2s"]);
    subject.create("it", "text/plain").await;
    for (length, framing) in [
        (8, "Content-Length: 131072\r\n"),
        (3, "Content-Length: 49152\r\n"),
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(format!("{}{framing}\r\n", READ[0])).await;
        for _ in 0..length {
            // In total longer than a body may be silent.
            tokio::time::sleep(Duration::from_millis(700)).await;
            wire.send(PIECE).await;
        }
        assert_eq!(wire.response().await.status, 204, "{framing}");
    }
}

#[tokio::test]
async fn stopped_bodies_do_not_use_up_the_connection_limit() {
    let subject = with_short_deadline("bodies-hundred", &["--connections-max", "100"]).await;
    beside(&subject, async {
        for framing in [
            "Content-Length: 10\r\n\r\nabc",
            "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
        ] {
            let mut stuck = Vec::new();
            for _ in 0..100 - 4 {
                let mut wire = RawConnection::open(subject.address()).await;
                wire.send(format!("{}{framing}", READ[0])).await;
                stuck.push(wire);
            }
            until("a free slot beside stopped bodies", async || {
                let mut wire = RawConnection::open(subject.address()).await;
                wire.try_send(get("/v1/stream/it", "")).await;
                wire.response_or_end()
                    .await
                    .filter(|answer| answer.status == 200)
                    .map(drop)
            })
            .await;
            let gone = tokio::time::timeout(
                Duration::from_secs(10),
                join_all(stuck.iter_mut().map(RawConnection::rest)),
            )
            .await;
            assert!(
                gone.is_ok(),
                "connections whose body stopped are still open after 10 s"
            );
        }
    })
    .await;
}

#[tokio::test]
async fn connection_close_is_honoured_while_the_client_keeps_sending() {
    let subject =
        with_short_deadline("says-close", &["--body-max", "1000", "--head-max", "4KiB"]).await;
    let long = format!("X: {}\r\n", "x".repeat(6_000));
    let cases = [
        get("/v1/stream/it", "Connection: close\r\n"),
        get(
            "/v1/stream/it?offset=now&live=long-poll&hold=0.05",
            "Connection: close\r\n",
        ),
        get("/v1/stream/it", &long),
        format!("{}Connection: close\r\nContent-Length: 1\r\n\r\na", READ[0]),
        format!("{}Content-Length: 1001\r\n\r\n", READ[0]),
        format!(
            "{}Transfer-Encoding: chunked\r\n\r\n7d0\r\n{}",
            READ[0],
            "x".repeat(1_500)
        ),
        format!("{}Content-Length: -1\r\n\r\n", READ[0]),
        "G\0T / HTTP/1.1\r\n\r\n".to_owned(),
    ];
    let outcomes = join_all(cases.map(|request| {
        let subject = &subject;
        async move {
            let line = request.lines().next().unwrap().to_owned();
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(&request).await;
            let answer = wire.response().await;
            if !answer.says_close() {
                return Some(format!("{line}: {} does not say close", answer.status));
            }
            let more = async {
                // The client keeps sending and does not read, for as long as the connection is
                // open.
                while wire.try_send("x".repeat(100)).await {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            };
            let ended = tokio::time::timeout(Duration::from_secs(10), more)
                .await
                .is_ok();
            (!ended).then(|| {
                format!(
                    "{line}: {} says close, but the connection is open",
                    answer.status
                )
            })
        }
    }))
    .await;
    let faults: Vec<_> = outcomes.into_iter().flatten().collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
