//! Long-polling: no append is missed, and no request is held longer than necessary.

use super::local_server::{JSON, LocalServer, TEXT};
use std::time::Duration;
use tailwater_harness::wait::within;

/// How often a race between a new reader and an append is run.
const ROUNDS: usize = 60;

#[tokio::test]
async fn a_waiting_reader_gets_what_is_appended() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    for offset in ["0000000000000000", "now"] {
        let from = if offset == "now" {
            offset.to_owned()
        } else {
            stream.tail().await
        };
        let mut wire = server
            .waiting(&stream.target(&format!("offset={from}&live=long-poll")))
            .await;
        let tail = stream.append("[1,2]").await;
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("stream-next-offset")),
            (200, Some(&*tail))
        );
        assert_eq!(head.header("stream-up-to-date"), Some("true"));
        assert!(
            head.header("stream-cursor")
                .is_some_and(|cursor| cursor.parse::<u64>().is_ok())
        );
        assert_eq!(wire.body().await, "[1,2]");
    }
}

#[tokio::test]
async fn a_reader_that_arrives_during_an_append_gets_it() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    let mut from = stream.tail().await;
    for round in 0..ROUNDS {
        let query = format!("offset={from}&live=long-poll");
        let (answer, tail) = tokio::join!(stream.get(&query), async {
            for _ in 0..round % 20 {
                tokio::task::yield_now().await;
            }
            stream.append(format!("{round}")).await
        });
        assert_eq!(
            (answer.status, answer.text()),
            (200, &*format!("[{round}]"))
        );
        assert_eq!(answer.next_offset(), tail);
        from = tail;
    }
}

#[tokio::test]
async fn a_close_ends_the_wait_with_or_without_data() {
    let server = LocalServer::start();
    for data in ["", "z"] {
        let stream = server.stream(&format!("text{data}"), TEXT).await;
        stream.append("a").await;
        let mut wire = server
            .waiting(&stream.target("offset=now&live=long-poll"))
            .await;
        let post = stream
            .request(reqwest::Method::POST, "")
            .header("stream-closed", "true");
        let end = server
            .send(post.header("content-type", TEXT).body(data))
            .await
            .next_offset();
        let head = wire.head().await;
        assert_eq!(head.status, if data.is_empty() { 204 } else { 200 });
        assert_eq!(head.header("stream-next-offset"), Some(&*end));
        for name in ["stream-closed", "stream-up-to-date"] {
            assert_eq!(head.header(name), Some("true"), "{head:?}");
        }
        assert_eq!(wire.body().await, data);
    }
}

#[tokio::test]
async fn a_deletion_ends_the_wait_with_404() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let mut wire = server
        .waiting(&stream.target("offset=now&live=long-poll"))
        .await;
    stream.delete().await;
    assert_eq!(wire.head().await.status, 404);
    for round in 0..ROUNDS {
        let stream = server.stream("text", TEXT).await;
        let (answer, ()) = tokio::join!(stream.get("offset=now&live=long-poll"), async {
            for _ in 0..round % 20 {
                tokio::task::yield_now().await;
            }
            stream.delete().await;
        });
        answer.refuses(404);
    }
}

#[tokio::test]
async fn a_closed_stream_answers_at_once() {
    let server = LocalServer::with(|config| {
        config.long_poll_hold = Duration::from_secs(3_600);
        config.long_poll_hold_max = Duration::from_secs(3_600);
    });
    let stream = server.stream("text", TEXT).await;
    let tail = stream.append("a").await;
    stream.close().await;
    for offset in [&*tail, "now", "9999999999999999"] {
        let answer = stream.get(&format!("offset={offset}&live=long-poll")).await;
        assert_eq!(
            (answer.status, answer.body.len(), answer.next_offset()),
            (204, 0, tail.clone())
        );
        assert!(answer.is("stream-closed") && answer.is("stream-up-to-date"));
        assert_eq!(answer.header("content-type"), None);
    }
    let data = stream.get("offset=-1&live=long-poll").await;
    assert_eq!((data.status, data.text()), (200, "a"));
    assert!(data.is("stream-closed"));
}

#[tokio::test]
async fn an_expired_hold_says_where_to_continue() {
    let server = LocalServer::with(|config| config.long_poll_hold = Duration::from_millis(5));
    let stream = server.stream("text", TEXT).await;
    let tail = stream.append("a").await;
    let mut cursor = 0;
    for offset in [&*tail, "now", &*tail] {
        let answer = stream
            .get(&format!("offset={offset}&live=long-poll&cursor={cursor}"))
            .await;
        assert_eq!(
            (answer.status, answer.body.len(), answer.next_offset()),
            (204, 0, tail.clone())
        );
        assert!(answer.is("stream-up-to-date") && !answer.is("stream-closed"));
        let next: u64 = answer.header("stream-cursor").unwrap().parse().unwrap();
        assert!(next > cursor, "{next} after {cursor}");
        cursor = next;
    }
}

#[tokio::test]
async fn the_requested_hold_counts_up_to_its_maximum() {
    let hour = Duration::from_secs(3_600);
    let server = LocalServer::with(|config| config.long_poll_hold = hour);
    let stream = server.stream("text", TEXT).await;
    for hold in ["0", "0.01"] {
        assert_eq!(
            stream
                .get(&format!("offset=now&live=long-poll&hold={hold}"))
                .await
                .status,
            204,
            "{hold}"
        );
    }
    let capped = LocalServer::with(|config| {
        config.long_poll_hold = hour;
        config.long_poll_hold_max = Duration::from_millis(5);
    });
    let stream = capped.stream("text", TEXT).await;
    for hold in ["", "&hold=60", "&hold=86400"] {
        assert_eq!(
            stream
                .get(&format!("offset=now&live=long-poll{hold}"))
                .await
                .status,
            204,
            "{hold}"
        );
    }
    for wrong in ["", "-1", "abc", "NaN", "inf", "1e9", "25s"] {
        stream
            .get(&format!("offset=now&live=long-poll&hold={wrong}"))
            .await
            .refuses(400);
    }
}

#[tokio::test]
async fn an_append_wakes_every_waiting_reader() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let target = stream.target("offset=now&live=long-poll");
    let waits = (0..40).map(|_| server.waiting(&target));
    let mut waiting = within("forty readers", futures_util::future::join_all(waits)).await;
    stream.append("x").await;
    for wire in &mut waiting {
        assert_eq!(wire.head().await.status, 200);
        assert_eq!(wire.body().await, "x");
    }
}

#[tokio::test]
async fn the_connection_stays_usable_after_an_append_ends_the_wait() {
    let server = LocalServer::start();
    for size in [1, 100_000] {
        let stream = server.stream(&format!("text/{size}"), TEXT).await;
        let content = "x".repeat(size);
        let post = |fields: &str| {
            let line = format!(
                "POST {} HTTP/1.1\r\nHost: {}",
                stream.target(""),
                server.address
            );
            format!(
                "{line}\r\nContent-Type: text/plain\r\n{fields}Content-Length: {size}\r\n\r\n{content}"
            )
        };
        let mut wire = server.connect().await;
        let mut from = "now".to_owned();
        for round in 0..3 {
            server
                .wait_on(
                    &mut wire,
                    &stream.target(&format!("offset={from}&live=long-poll")),
                )
                .await;
            stream.append(content.clone()).await;
            let head = wire.head().await;
            assert_eq!(
                (head.status, head.header("connection")),
                (200, None),
                "round {round}"
            );
            assert_eq!(wire.body().await, content, "round {round}");
            // An append on the same connection, in two pieces.
            let (first, second) = (post(""), post("").split_off(40));
            wire.send(&first[..40]).await;
            wire.send(second).await;
            let head = wire.head().await;
            assert_eq!(
                (head.status, head.header("connection")),
                (204, None),
                "round {round}"
            );
            from = head.header("stream-next-offset").unwrap().to_owned();
            assert_eq!(from, stream.tail().await);
        }
        // What asks to close a connection closes it after the response: `Connection: close`.
        wire.send(post("Connection: close\r\n")).await;
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("connection")),
            (204, Some("close"))
        );
        assert_eq!(wire.rest().await, b"", "nothing follows");
    }
}

#[tokio::test]
async fn a_client_that_half_closes_after_its_last_request_gets_the_response() {
    let server = LocalServer::start();
    for size in [1, 100_000] {
        let stream = server.stream(&format!("text/{size}"), TEXT).await;
        let content = "x".repeat(size);
        let (tail, mut wire) = (
            stream.tail().await,
            server
                .waiting(&stream.target("offset=now&live=long-poll"))
                .await,
        );
        stream.append(content.clone()).await;
        assert_eq!(wire.head().await.status, 200);
        assert_eq!(wire.body().await, content);
        wire.send(format!(
            "GET {} HTTP/1.1\r\nHost: {}\r\n\r\n",
            stream.target(&format!("offset={tail}")),
            server.address
        ))
        .await;
        wire.finish().await;
        let head = wire.head().await;
        assert_eq!((head.status, wire.body().await), (200, content));
        assert_eq!(wire.rest().await, b"", "the server closes its half, too");
    }
}
