//! Bodies that take long to parse: another client of the same single worker is answered meanwhile.

use super::subject::{Subject, get, post};
use std::cell::Cell;
use tailwater_harness::{RawConnection, Response};

/// Appends and polls of the other client: more than a worker could serve between pieces of a long
/// body, far fewer than it serves while another thread parses the body.
const ROUNDS: usize = 50;

/// A JSON array that repeats `message` up to about `bytes`.
fn array(message: &str, bytes: usize) -> Vec<u8> {
    let count = bytes / (message.len() + 1);
    format!("[{}{message}]", format!("{message},").repeat(count - 1)).into_bytes()
}

/// Sends a request whose processing begins with the byte at `at`, and then appends and polls as
/// another client.
///
/// - Returns the response to `long`, which must arrive after those of the other client.
async fn after_others(subject: &Subject, long: &[u8], at: usize) -> Response {
    let address = subject.address();
    let (mut wire, mut writer, mut poller) = (
        RawConnection::open(address).await,
        RawConnection::open(address).await,
        RawConnection::open(address).await,
    );
    let (before, rest) = long.split_at(at);
    wire.send(before).await;
    let is_answered = Cell::new(false);
    let taking = async {
        wire.send(rest).await;
        let answer = wire.response().await;
        is_answered.set(true);
        answer
    };
    let others = async {
        for round in 0..ROUNDS {
            writer.send(post("other", "text/plain", "", b"x")).await;
            assert_eq!(writer.response().await.status, 204);
            poller.send(get("/v1/stream/other?offset=-1", "")).await;
            assert_eq!(poller.response().await.status, 200);
            assert!(
                !is_answered.get(),
                "the others were answered {round} times before the long body, not {ROUNDS}"
            );
        }
    };
    tokio::join!(taking, others).0
}

// A body that is invalid in its last message costs as much to parse as a valid one and nothing
// afterwards, so other clients that are answered before it were answered while it was parsed.

#[tokio::test]
async fn other_clients_are_answered_during_an_append_of_many_messages() {
    let subject = Subject::start(
        "long-append",
        &["--workers", "1", "--append-messages-max", "10000000"],
    );
    subject.create("other", "text/plain").await;
    subject.create("it", "application/json").await;
    let right = array("1", 8 << 20);
    let wrong = [&right[..right.len() - 2], b"x]"].concat();
    for (body, status) in [(wrong, 400), (right, 204)] {
        let request = post("it", "application/json", "", &body);
        let answer = after_others(&subject, &request, request.len() - 1).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}

#[tokio::test]
async fn other_clients_are_answered_during_an_import_of_a_long_line() {
    let flags = [
        "--workers",
        "1",
        "--append-messages-max",
        "10000000",
        "--page-max",
        "16MiB",
    ];
    let subject = Subject::start("long-import", &flags);
    subject.create("other", "text/plain").await;
    subject.create("it", "application/json").await;
    subject
        .append(
            "it",
            "application/json",
            &array("12345678901234567890123456789012345678901", 13 << 20),
        )
        .await;
    let right = subject
        .ask(get("/v1/export/it", ""))
        .await
        .text()
        .to_owned();
    let lines: Vec<&str> = right.split_inclusive('\n').collect();
    assert!(
        lines.len() == 3 && lines[1].len() > 12 << 20,
        "{:?}",
        lines.iter().map(|line| line.len())
    );
    let (last, line_end) = (
        right.rfind("1]").unwrap(),
        lines[0].len() + lines[1].len() - 1,
    );
    let wrong = format!("{}x{}", &right[..last], &right[last + 1..]);
    for (body, status) in [(wrong, 400), (right.clone(), 201)] {
        let head = format!(
            "PUT /v1/import/new HTTP/1.1\r\nHost: localhost\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), body.as_bytes()].concat();
        let answer = after_others(&subject, &request, head.len() + line_end).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
}
