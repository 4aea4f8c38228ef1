//! Malformed requests are counted, and logged at most once a second, so no client can fill the disk
//! with log lines.

use super::probe::beside;
use super::subject::{Subject, get};
use futures_util::stream::{self, StreamExt};
use tailwater_harness::RawConnection;

const REQUESTS: usize = 10_000;
/// Limit of the lines that they cause: far more than one for each second that a slow machine takes.
const LINES_MAX: usize = 300;

/// Bytes that are not a request, used in turn.
const NONSENSE: [&[u8]; 8] = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 this is TLS",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET\r\n\r\n",
    b"\0\0\0\0\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: x\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
];

async fn lines_after(subject: &Subject, before: &str) -> usize {
    let lines = subject.logged().lines().count();
    beside(subject, async {
        let sending = stream::iter(0..REQUESTS).for_each_concurrent(50, |number| async move {
            let mut wire = RawConnection::open(subject.address()).await;
            if !before.is_empty() {
                wire.send(before).await;
                wire.response().await;
            }
            wire.try_send(NONSENSE[number % NONSENSE.len()]).await;
            // Once the server has closed the connection, it has looked at the bytes.
            wire.finish().await;
            wire.rest().await;
        });
        sending.await;
    })
    .await;
    subject.logged().lines().count() - lines
}

#[tokio::test]
async fn ten_thousand_malformed_requests_make_few_log_lines() {
    let subject = Subject::start("nonsense", &[]);
    let lines = lines_after(&subject, "").await;
    assert!(
        lines <= LINES_MAX,
        "{REQUESTS} malformed requests made {lines} log lines"
    );
}

#[tokio::test]
async fn ten_thousand_malformed_second_requests_make_few_log_lines() {
    let subject = Subject::start("nonsense-later", &[]);
    let lines = lines_after(&subject, &get("/v1/stream/none", "")).await;
    assert!(
        lines <= LINES_MAX,
        "{REQUESTS} malformed second requests made {lines} log lines"
    );
}

#[tokio::test]
async fn control_characters_from_clients_are_escaped_in_the_log() {
    let subject = Subject::start("log-injection", &[]);
    for request in [
        "GET /\x1b[7m HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned(),
        get("/v1/stream/%0AERROR%20forged%1b[7m", ""),
        get("/v1/stream/a", "X: \x1b]0;forged\x07\r\n"),
        get("/v1/stream/a?live=%0AERROR%20forged", ""),
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(request).await;
        wire.finish().await;
        wire.rest().await;
    }
    let log = subject.logged();
    assert!(
        !log.contains("\x1b[7m") && !log.contains("\x1b]0") && !log.contains("\nERROR forged"),
        "{log:?}"
    );
}

#[tokio::test]
async fn a_log_that_is_not_a_terminal_has_no_colours() {
    let subject = Subject::on_disk("colours", &[]);
    let mut wire = RawConnection::open(subject.address()).await;
    wire.send(NONSENSE[1]).await;
    wire.finish().await;
    wire.rest().await;
    // Opening a store is logged, whatever happens to the malformed request.
    let log = subject.logged();
    assert!(
        !log.is_empty() && !log.contains('\x1b'),
        "escape sequences in a file: {log:?}"
    );
}
