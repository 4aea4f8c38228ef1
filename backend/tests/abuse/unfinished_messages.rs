//! Large messages that are never finished: their total is bounded, and each connection is closed.

use super::probe::beside;
use super::subject::{ResourceUsage, Subject};
use futures_util::future::join_all;
use std::cell::Cell;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::until;
use tailwater_harness::websocket::{client_frame, client_frame_head};

/// Limit of the memory of the process, in MiB, whatever its clients send.
const MEMORY_MAX_MIB: u64 = 300;
const CLIENTS: usize = 40;
/// Bytes that are sent of a body or message, which may have 16 MiB.
const SENT_BYTES: usize = 15 << 20;
/// Bytes that are sent in one piece.
const PIECE_BYTES: usize = 64 << 10;

/// Opens many connections, each of which sends `first(number)` and then pieces; checks the memory,
/// and that all of them are closed.
///
/// - `piece`: sent repeatedly until [`SENT_BYTES`] of payload have been sent.
async fn unfinished(name: &str, websocket: bool, first: impl Fn(usize) -> Vec<u8>, piece: &[u8]) {
    // Long enough that a slow machine closes none of them before the last has connected.
    let subject = Subject::start(name, &["--body-silence-max", "5s"]);
    subject.create("it", "text/plain").await;
    let before = subject.usage();
    let most = Cell::new(before.memory_mib);
    beside(&subject, async {
        let first = &first;
        let (most, subject) = (&most, &subject);
        let sending = join_all((0..CLIENTS).map(|number| async move {
            let mut wire = if websocket {
                subject.websocket("it").await
            } else {
                RawConnection::open(subject.address()).await
            };
            let mut goes_on = wire.try_send(first(number)).await;
            for _ in 0..SENT_BYTES / PIECE_BYTES {
                most.set(most.get().max(subject.usage().memory_mib));
                // A server without room may close the connection, or stop reading until its
                // deadline closes it.
                goes_on = goes_on && wire.try_send(piece).await;
            }
            wire
        }))
        .await;
        until("all unfinished messages to be disconnected", async || {
            let ResourceUsage { memory_mib, files } = subject.usage();
            most.set(most.get().max(memory_mib));
            (files <= before.files + 12).then_some(())
        })
        .await;
        drop(sending);
    })
    .await;
    println!("before {before:?}, at most {} MiB", most.get());
    assert!(
        most.get() <= MEMORY_MAX_MIB,
        "grew from {before:?} to {} MiB",
        most.get()
    );
    subject.returns_to(before, 12, 100).await;
    assert_eq!(
        subject.tail("it").await.as_deref(),
        Some("0000000000000000")
    );
}

#[tokio::test]
async fn unfinished_websocket_frames_are_bounded_together() {
    let head = client_frame_head(0x81, 16 << 20);
    unfinished("frames", true, |_| head.clone(), &[b'x'; PIECE_BYTES]).await;
}

#[tokio::test]
async fn unfinished_fragmented_messages_are_bounded_together() {
    unfinished(
        "fragments",
        true,
        |_| client_frame(0x01, b"\""),
        &client_frame(0x00, &[b'x'; PIECE_BYTES]),
    )
    .await;
}

#[tokio::test]
async fn unfinished_large_bodies_are_bounded_together() {
    let head = b"POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 16777216\r\n\r\n";
    unfinished("bodies", false, |_| head.to_vec(), &[b'x'; PIECE_BYTES]).await;
}

#[tokio::test]
async fn unfinished_chunked_bodies_are_bounded_together() {
    let head =
        b"POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = [b"10000\r\n", &[b'x'; PIECE_BYTES][..], b"\r\n"].concat();
    unfinished("chunks", false, |_| head.to_vec(), &chunk).await;
}

#[tokio::test]
async fn unfinished_imports_are_bounded_together() {
    let chunk =
        |bytes: &[u8]| [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
    // A line of a text stream may be six times as long as a body, as each byte may be escaped.
    let lines = "{\"export\":1,\"name\":\"it\",\"configuration\":{\"contentType\":\"text/plain\"},\"earliestOffset\":\"0000000000000000\",\
                 \"nextOffset\":\"0000000000000015\"}\n{\"data\":\"";
    let lines = chunk(lines.as_bytes());
    let head = |number: usize| {
        let head = format!(
            "PUT /v1/import/new{number} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
        [head.as_bytes(), &lines].concat()
    };
    let chunk = chunk(&[b'x'; PIECE_BYTES]);
    unfinished("imports", false, head, &chunk).await;
}

/// WebSockets that begin a message, in every possible way, and then stop.
#[tokio::test]
async fn a_websocket_message_that_stops_closes_the_connection() {
    let subject = Subject::start(
        "message-stops",
        &["--body-silence-max", "500ms", "--heartbeat", "100ms"],
    );
    subject.create("it", "text/plain").await;
    let before = subject.usage();
    let begun: [(&str, Vec<u8>); 6] = [
        ("one byte of a frame", vec![0x81]),
        ("a frame's head", client_frame_head(0x81, 10)),
        (
            "half of a frame",
            [&client_frame_head(0x81, 10)[..], b"abc"].concat(),
        ),
        ("a first fragment", client_frame(0x01, b"abc")),
        (
            "two fragments",
            [client_frame(0x01, b"abc"), client_frame(0x00, b"abc")].concat(),
        ),
        (
            "a fragment and a ping",
            [client_frame(0x01, b"abc"), client_frame(0x89, b"")].concat(),
        ),
    ];
    let held: Vec<_> = beside(&subject, async {
        join_all(begun.map(|(what, bytes)| {
            let subject = &subject;
            async move {
                let mut wire = subject.websocket("it").await;
                wire.send(bytes).await;
                let ended = tokio::time::timeout(std::time::Duration::from_secs(10), wire.rest())
                    .await
                    .is_ok();
                (!ended).then_some(what)
            }
        }))
        .await
    })
    .await
    .into_iter()
    .flatten()
    .collect();
    assert!(
        held.is_empty(),
        "10 s after these, of which each may be silent for 0.5 s, they are open: {held:?}"
    );
    subject.returns_to(before, 12, 100).await;
}

/// A WebSocket that only reads may be silent forever.
#[tokio::test]
async fn a_websocket_between_messages_may_stay_silent() {
    let subject = Subject::start(
        "quiet",
        &["--body-silence-max", "100ms", "--heartbeat", "50ms"],
    );
    subject.create("it", "text/plain").await;
    let mut wire = subject.websocket("it").await;
    // Complete messages, the last one in two fragments, leave no message unfinished.
    wire.send(
        [
            client_frame(0x81, b"{\"append\":\"a\"}"),
            client_frame(0x01, b"{\"append\""),
            client_frame(0x80, b":\"b\"}"),
        ]
        .concat(),
    )
    .await;
    for _ in 0..40 {
        // Heartbeats arrive for twenty times as long as a body may be silent.
        wire.frame().await;
    }
    subject.append("it", "text/plain", b"x").await;
    loop {
        let (_, payload) = wire.frame().await;
        if String::from_utf8_lossy(&payload).contains("\"data\":\"x\"") {
            break;
        }
    }
}
