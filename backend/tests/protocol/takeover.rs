//! Connections that have left their dispatcher: later requests, disconnects, stalled readers, and a
//! stop.

use super::live::{STREAMING, StreamingReader, messages};
use super::local_server::{JSON, LocalServer, LocalStream, TEXT};
use reqwest::Method;
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::until;

async fn readers(stream: &LocalStream<'_>) -> usize {
    let answer = stream
        .server
        .ask(Method::GET, &format!("/v1/streams/{}", stream.name))
        .await;
    let details: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    details["readers"].as_array().unwrap().len()
}

async fn until_readers(stream: &LocalStream<'_>, count: usize) {
    until(&format!("{count} readers"), async || {
        (readers(stream).await == count).then_some(())
    })
    .await;
}

fn get(target: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// A connection whose long-poll waits, and which has left its dispatcher.
async fn waiting(stream: &LocalStream<'_>, offset: &str) -> RawConnection {
    let target = stream.target(&format!("offset={offset}&live=long-poll&hold=60"));
    stream.server.waiting(&target).await
}

/// A connection with a live response at the tail.
async fn streaming(stream: &LocalStream<'_>, live: &str) -> RawConnection {
    let mut wire = stream.server.connect().await;
    wire.send(get(&stream.target(&format!("offset=now&live={live}"))))
        .await;
    assert_eq!(wire.head().await.status, 200);
    wire.chunk().await.unwrap();
    wire
}

#[tokio::test]
async fn a_connection_serves_the_next_request_after_a_live_response() {
    let server = LocalServer::with(|config| config.recycle = Duration::from_millis(200));
    for live in ["ndjson", "sse"] {
        for (way, early) in [
            ("recycled", false),
            ("recycled", true),
            ("closed", false),
            ("closed", true),
        ] {
            let stream = server.stream("it", TEXT).await;
            stream.append("abc").await;
            let mut wire = streaming(&stream, live).await;
            for round in 0..2 {
                let next = get(&stream.target("offset=-1"));
                if early {
                    wire.send(&next).await;
                }
                if way == "closed" && round == 0 {
                    stream.close().await;
                }
                while wire.chunk().await.is_some() {}
                if !early {
                    wire.send(&next).await;
                }
                let head = wire.head().await;
                assert_eq!(
                    (head.status, &*wire.body().await),
                    (200, "abc"),
                    "{live}, {way}, early: {early}"
                );
                wire.send(get(&stream.target(&format!("offset=now&live={live}"))))
                    .await;
                assert_eq!(wire.head().await.status, 200);
            }
            stream.delete().await;
        }
    }
}

#[tokio::test]
async fn a_detached_long_poll_frees_its_slot_when_its_client_leaves() {
    let server = LocalServer::with(|config| config.live_readers_max = 1);
    let stream = server.stream("it", TEXT).await;
    for _ in 0..3 {
        let wire = waiting(&stream, "0000000000000000").await;
        stream
            .get("offset=now&live=long-poll&hold=0")
            .await
            .refuses(503);
        drop(wire);
        until_readers(&stream, 0).await;
        assert_eq!(
            stream.get("offset=now&live=long-poll&hold=0").await.status,
            204
        );
    }
}

#[tokio::test]
async fn a_detached_long_poll_holds_its_slot_only_while_it_waits() {
    let server = LocalServer::with(|config| config.live_readers_max = 1);
    let stream = server.stream("it", TEXT).await;
    let mut wire = waiting(&stream, "0000000000000000").await;
    for round in 1..4 {
        let tail = stream.append("a").await;
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("stream-next-offset")),
            (200, Some(&*tail))
        );
        assert_eq!(wire.body().await, "a");
        until_readers(&stream, 0).await;
        assert_eq!(
            stream.get("offset=now&live=long-poll&hold=0").await.status,
            204,
            "round {round}"
        );
        wire.send(get(
            &stream.target(&format!("offset={tail}&live=long-poll&hold=60"))
        ))
        .await;
        until_readers(&stream, 1).await;
    }
}

#[tokio::test]
async fn a_stop_answers_a_detached_long_poll_and_closes() {
    let mut server = LocalServer::with(|config| config.drain = Duration::from_secs(3_000));
    server.stream("it", TEXT).await;
    let stream = server.at("it", TEXT);
    let tail = stream.append("a").await;
    let mut wires = [waiting(&stream, &tail).await, waiting(&stream, &tail).await];
    server.tell_to_stop();
    for wire in &mut wires {
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("stream-next-offset")),
            (204, Some(&*tail))
        );
        assert_eq!(head.header("connection"), Some("close"));
        assert!(wire.rest().await.is_empty());
    }
    server.stopped().await;
}

#[tokio::test]
async fn a_connection_whose_long_poll_ended_does_not_delay_a_stop() {
    let mut server = LocalServer::with(|config| config.drain = Duration::from_secs(3_000));
    server.stream("it", TEXT).await;
    let stream = server.at("it", TEXT);
    let mut wire = waiting(&stream, "0000000000000000").await;
    stream.append("a").await;
    assert_eq!(wire.head().await.status, 200);
    assert_eq!(wire.body().await, "a");
    server.tell_to_stop();
    assert!(wire.rest().await.is_empty(), "no further request was sent");
    server.stopped().await;
}

#[tokio::test]
async fn a_stalled_reader_is_disconnected_and_others_continue() {
    const MESSAGES: usize = 12;
    let server = LocalServer::with(|config| {
        config.write_silence_max = Duration::from_secs(2);
        // A dispatcher has no deadline for a client that does not read.
        config.takeover = true;
    });
    let stream = server.stream("it", JSON).await;
    let message = format!("\"{}\"", "x".repeat(1 << 20));
    for technique in STREAMING {
        let from = stream.tail().await;
        let silent = match technique.name() {
            "websocket" => {
                let target = stream.target(&format!("offset={from}&live=websocket"));
                let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
                let mut wire = server.ask_raw(&format!("GET {target}"), upgrade).await;
                assert_eq!(wire.head().await.status, 101);
                wire
            }
            live => streaming(&stream, live).await,
        };
        let mut other = StreamingReader::open(&stream, technique, "now").await;
        other.frame().await.unwrap();
        until_readers(&stream, 2).await;
        let writing = async {
            for _ in 0..MESSAGES {
                stream.append(message.clone()).await;
            }
        };
        let reading = async {
            let mut came = 0;
            while came < MESSAGES {
                came += messages(&other.data().await).len();
            }
        };
        tokio::join!(writing, reading);
        until_readers(&stream, 1).await;
        stream.append("1").await;
        assert_eq!(messages(&other.data().await), ["1"], "{technique}");
        drop((silent, other));
        until_readers(&stream, 0).await;
    }
}
