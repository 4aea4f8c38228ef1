//! A stop ends every response cleanly, finishes requests in progress, and does not wait for idle
//! connections.

use super::live::{STREAMING, StreamingReader, close_frame, socket};
use super::local_server::{JSON, LocalServer, TEXT};
use std::time::Duration;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// A server whose drain is longer than any deadline of these tests, which must not need it.
fn with_long_drain() -> LocalServer {
    LocalServer::with(|config| config.drain = Duration::from_secs(3_000))
}

#[tokio::test]
async fn a_stop_ends_every_live_response_with_a_last_message() {
    let mut server = with_long_drain();
    let stream = server.at("it", JSON);
    server.stream("it", JSON).await.append("1").await;
    let mut polls = Vec::new();
    for _ in 0..3 {
        polls.push(
            server
                .waiting("/v1/stream/it?offset=now&live=long-poll")
                .await,
        );
    }
    let mut lives = Vec::new();
    for technique in STREAMING {
        for offset in ["-1", "now"] {
            let mut live = StreamingReader::open(&stream, technique, offset).await;
            live.frame().await.unwrap();
            lives.push((technique, live));
        }
    }
    let mut socket = socket(&server, "/v1/stream/it?offset=now&live=websocket")
        .await
        .unwrap();
    server.tell_to_stop();

    for wire in &mut polls {
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("stream-next-offset")),
            (204, Some("0000000000000002"))
        );
        assert_eq!(head.header("stream-up-to-date"), Some("true"));
        assert_eq!(
            head.header("connection"),
            Some("close"),
            "without it the client would send the next request at once"
        );
        assert!(wire.rest().await.is_empty());
    }
    for (technique, live) in &mut lives {
        assert_eq!(live.frame().await, None, "{technique}");
    }
    let frame = close_frame(&mut socket).await;
    assert_eq!(
        (frame.code, frame.reason.is_empty()),
        (CloseCode::Away, false)
    );
    drop((lives, socket));
    server.stopped().await;
}

#[tokio::test]
async fn a_stop_finishes_an_append_in_progress() {
    let mut server = with_long_drain();
    server.stream("it", TEXT).await;
    let headers =
        "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n";
    let mut wire = server.ask_raw("POST /v1/stream/it", headers).await;
    assert_eq!(
        wire.head().await.status,
        100,
        "the server has begun to read the body"
    );
    wire.send("1\r\na\r\n").await;
    let mut poll = server
        .waiting("/v1/stream/it?offset=now&live=long-poll")
        .await;
    server.tell_to_stop();
    assert_eq!(poll.head().await.status, 204, "the stop has begun");
    wire.send("1\r\nb\r\n0\r\n\r\n").await;
    let head = wire.head().await;
    assert_eq!(
        (head.status, head.header("stream-next-offset")),
        (204, Some("0000000000000002"))
    );
    assert!(wire.rest().await.is_empty());
    server.stopped().await;
}

#[tokio::test]
async fn idle_connections_do_not_delay_a_stop() {
    let mut server = with_long_drain();
    server.stream("it", TEXT).await.append("abc").await;
    let (mut used, mut unused) = (server.connect().await, server.connect().await);
    used.send("GET /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    assert_eq!(used.head().await.status, 200);
    assert_eq!(used.body().await, "abc");
    server.tell_to_stop();
    assert!(used.rest().await.is_empty());
    server.stopped().await;
    assert!(unused.rest().await.is_empty());
}

#[tokio::test]
async fn clients_that_stall_are_disconnected_after_the_drain() {
    let mut server = LocalServer::with(|config| config.drain = Duration::from_millis(200));
    let stream = server.at("it", TEXT);
    server.stream("it", TEXT).await;
    for _ in 0..4 {
        stream.append("x".repeat(4 << 20)).await;
    }
    let mut silent = Vec::new();
    for live in ["ndjson", "sse"] {
        let mut wire = server
            .ask_raw(&format!("GET /v1/stream/it?offset=-1&live={live}"), "")
            .await;
        assert_eq!(wire.head().await.status, 200);
        silent.push(wire);
    }
    let unread = socket(&server, "/v1/stream/it?offset=-1&live=websocket")
        .await
        .unwrap();
    let headers = "Content-Type: text/plain\r\nContent-Length: 100\r\nExpect: 100-continue\r\n";
    let mut unfinished = server.ask_raw("POST /v1/stream/it", headers).await;
    assert_eq!(unfinished.head().await.status, 100);
    server.tell_to_stop();
    server.stopped().await;
    drop((silent, unread, unfinished));
}
