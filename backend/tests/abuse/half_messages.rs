//! Requests that are truncated anywhere, by an end or a reset of the connection, and requests with
//! endless parts.

use super::probe::beside;
use super::subject::{Subject, get, post};
use futures_util::stream::{self, StreamExt};
use tailwater_harness::RawConnection;
use tailwater_harness::websocket::{UPGRADE, client_frame};

/// Complete requests, of which the tests send only a beginning. None of them may have an effect
/// unless it is complete.
fn exchanges() -> Vec<(&'static str, Vec<u8>)> {
    let chunked = "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                   Transfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\nDigest: x\r\n\r\n";
    let handshake = get("/v1/stream/it?offset=now&live=websocket", UPGRADE);
    let appends = [
        client_frame(0x01, b"{\"append\":"),
        client_frame(0x89, b"p"),
        client_frame(0x80, b"\"a\"}"),
    ]
    .concat();
    vec![
        (
            "a poll",
            get("/v1/stream/it?offset=-1", "If-None-Match: \"a\"\r\n").into(),
        ),
        ("an append", post("it", "text/plain", "", b"abcdef")),
        ("a chunked append", chunked.into()),
        (
            "an append that waits",
            post("it", "text/plain", "Expect: 100-continue\r\n", b"abc"),
        ),
        (
            "a creation",
            String::from_utf8(post("new", "text/plain", "", b"abc"))
                .unwrap()
                .replace("POST", "PUT")
                .into(),
        ),
        (
            "a deletion",
            "DELETE /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nX: y\r\n\r\n".into(),
        ),
        ("a websocket", [handshake.as_bytes(), &appends[..]].concat()),
    ]
}

/// Sends `before` and then the first `cut` bytes of a request on the same connection, and ends or
/// resets it.
async fn send_truncated(subject: &Subject, before: &str, bytes: &[u8], ends_by_reset: bool) {
    let mut wire = RawConnection::open(subject.address()).await;
    if !before.is_empty() {
        wire.send(before).await;
        wire.response().await;
    }
    wire.try_send(bytes).await;
    if ends_by_reset {
        wire.reset();
    } else {
        wire.finish().await;
        // Whatever the server answers, it must close the connection.
        wire.rest().await;
    }
}

async fn check_every_truncation(name: &str, before: &'static str) {
    let subject = Subject::start(name, &[]);
    subject.create("it", "text/plain").await;
    subject.append("it", "text/plain", b"there").await;
    let held = subject.usage();
    beside(&subject, async {
        for (what, whole) in exchanges() {
            let cuts = (0..whole.len()).flat_map(|cut| [(cut, false), (cut, true)]);
            let cutting = stream::iter(cuts).for_each_concurrent(16, |(cut, ends_by_reset)| {
                send_truncated(&subject, before, &whole[..cut], ends_by_reset)
            });
            cutting.await;
            assert_eq!(
                subject.tail("it").await.as_deref(),
                Some("0000000000000005"),
                "{what} was truncated but had an effect"
            );
            assert_eq!(
                subject.tail("new").await,
                None,
                "{what} was truncated but had an effect"
            );
        }
    })
    .await;
    subject.returns_to(held, 12, 100).await;
    assert!(!subject.logged().contains("panic"), "{}", subject.logged());
}

#[tokio::test]
async fn a_truncated_first_request_has_no_effect() {
    check_every_truncation("cut-first", "").await;
}

#[tokio::test]
async fn a_truncated_request_after_a_poll_has_no_effect() {
    check_every_truncation(
        "cut-after-poll",
        "GET /v1/stream/it?offset=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    )
    .await;
}

#[tokio::test]
async fn a_truncated_request_after_a_long_poll_has_no_effect() {
    let before = "GET /v1/stream/it?offset=-1&live=long-poll HTTP/1.1\r\nHost: localhost\r\n\r\n";
    check_every_truncation("cut-after-long-poll", before).await;
}

/// Sends `first`, then `more` again and again, up to 64 MiB; a server that accepts that much has no
/// limit.
///
/// - Returns the status of the response, if there is one, and whether the server closed the
///   connection.
async fn endless(subject: &Subject, first: &str, more: &str) -> (Option<u16>, bool) {
    let piece = more.repeat((64 << 10) / more.len());
    let mut wire = RawConnection::open(subject.address()).await;
    let mut taken = wire.try_send(first).await;
    for _ in 0..(64 << 20) / piece.len() {
        taken = taken && wire.try_send(&piece).await;
    }
    if taken {
        return (None, false);
    }
    // A reset may have discarded the response.
    (
        wire.response_or_end().await.map(|answer| answer.status),
        true,
    )
}

#[tokio::test]
async fn endless_request_parts_are_refused_and_disconnected() {
    let subject = Subject::start("endless", &[]);
    subject.create("it", "text/plain").await;
    let chunked = "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\
                   Transfer-Encoding: chunked\r\n\r\n";
    let before = subject.usage();
    let cases = [
        ("empty lines before a request", String::new(), "\r\n"),
        ("a method", String::new(), "A"),
        ("a target", "GET /".to_owned(), "a"),
        ("a version", "GET / HTTP/1.1".to_owned(), "1"),
        ("a field's name", "GET / HTTP/1.1\r\n".to_owned(), "a"),
        (
            "a field's value",
            "GET / HTTP/1.1\r\nHost: localhost\r\nX: ".to_owned(),
            "a",
        ),
        (
            "fields",
            "GET / HTTP/1.1\r\nHost: localhost\r\n".to_owned(),
            "X: y\r\n",
        ),
        ("digits of a chunk's length", chunked.to_owned(), "0"),
        ("a chunk's extension", format!("{chunked}1;"), "a"),
        (
            "chunks' extensions",
            chunked.to_owned(),
            "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\nx\r\n",
        ),
        (
            "a trailer's value",
            format!("{chunked}1\r\na\r\n0\r\nX: "),
            "a",
        ),
        ("trailers", format!("{chunked}1\r\na\r\n0\r\n"), "X: y\r\n"),
    ];
    let mut faults = Vec::new();
    beside(&subject, async {
        for (what, first, more) in &cases {
            // On a new connection, and after a poll on the same connection.
            let (status, ended) = endless(&subject, first, more).await;
            if !ended || status.is_some_and(|status| !(400..500).contains(&status)) {
                faults.push(format!("{what}: {status:?}, ended: {ended}"));
            }
        }
    })
    .await;
    assert!(
        faults.is_empty(),
        "expected a refusal and the end:\n{}",
        faults.join("\n")
    );
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000000")
    );
    subject.returns_to(before, 12, 100).await;
}

#[tokio::test]
async fn too_many_fields_get_431_with_a_problem_document() {
    let subject = Subject::start("fields", &[]);
    subject.create("it", "text/plain").await;
    for count in [200, 1_000, 3_000] {
        for later in [false, true] {
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it", "")).await;
                wire.response().await;
            }
            wire.send(get("/v1/stream/it", &"X: y\r\n".repeat(count)))
                .await;
            let answer = wire.response().await;
            // Two hundred short fields fit into the limit of bytes.
            let expected = if count == 200 { [200, 431] } else { [431, 431] };
            assert!(
                expected.contains(&answer.status),
                "{count} fields: {answer:?}"
            );
            if answer.status != 200 {
                assert_eq!(answer.fault_as_problem(), None, "{count} fields");
            }
        }
    }
}
