//! A client that disconnects is noticed at once: its slot is free for the next.

use super::live::{STREAMING, StreamingReader};
use super::local_server::{LocalServer, LocalStream, TEXT};
use tailwater_harness::wait::until;

/// A server with one slot for readers, and one stream.
fn one_slot() -> LocalServer {
    LocalServer::with(|config| config.live_readers_max = 1)
}

async fn is_full(stream: &LocalStream<'_>) -> bool {
    let answer = stream.get("offset=now&live=long-poll&hold=0").await;
    if answer.status == 503 {
        assert!(
            answer
                .header("retry-after")
                .is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
            "{answer:?}"
        );
        answer.refuses(503);
        return true;
    }
    assert_eq!(answer.status, 204, "{answer:?}");
    false
}

async fn until_free(stream: &LocalStream<'_>, who: &str) {
    until(&format!("the slot of {who} to be free again"), async || {
        (!is_full(stream).await).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_streaming_reader_that_disconnects_frees_its_slot() {
    let server = one_slot();
    let stream = server.stream("it", TEXT).await;
    for technique in STREAMING {
        for _ in 0..3 {
            let mut live = StreamingReader::open(&stream, technique, "now").await;
            live.frame().await.unwrap();
            assert!(is_full(&stream).await, "{technique} takes a slot");
            for other in STREAMING {
                assert_eq!(
                    StreamingReader::try_open(&stream, other, "now").await.err(),
                    Some(503),
                    "{other}"
                );
            }
            drop(live);
            until_free(&stream, technique.name()).await;
        }
    }
}

#[tokio::test]
async fn a_long_poll_whose_client_disconnects_frees_its_slot() {
    let server = one_slot();
    let stream = server.stream("it", TEXT).await;
    for _ in 0..3 {
        let wire = server
            .waiting(&stream.target("offset=now&live=long-poll&hold=60"))
            .await;
        assert!(is_full(&stream).await);
        drop(wire);
        until_free(&stream, "a long-poll").await;
    }
}

#[tokio::test]
async fn a_reader_that_ends_frees_its_slot() {
    let server = one_slot();
    for technique in STREAMING {
        let stream = server.stream("it", TEXT).await;
        let mut live = StreamingReader::open(&stream, technique, "now").await;
        stream.close().await;
        live.end().await;
        until_free(&server.stream("other", TEXT).await, technique.name()).await;
        stream.delete().await;
        server
            .ask(reqwest::Method::DELETE, "/v1/stream/other")
            .await;
    }
}

#[tokio::test]
async fn a_refused_reader_takes_no_slot() {
    let server = one_slot();
    let stream = server.stream("it", TEXT).await;
    stream.append("abc").await;
    for query in ["offset=0000000000000001", "offset=x", "offset=-1&hold=x"] {
        for live in ["long-poll", "ndjson", "sse", "websocket"] {
            stream
                .get(&format!("{query}&live={live}"))
                .await
                .refuses(400);
        }
    }
    stream.get("offset=-1&live=websocket").await.refuses(426);
    until_free(&stream, "nobody").await;
}

#[tokio::test]
async fn plain_reads_and_appends_work_when_all_slots_are_taken() {
    let server = one_slot();
    let stream = server.stream("it", TEXT).await;
    let mut live =
        StreamingReader::open(&stream, tailwater_protocol::Technique::Ndjson, "now").await;
    live.frame().await.unwrap();
    assert!(is_full(&stream).await);
    stream.append("abc").await;
    assert_eq!(stream.get("").await.text(), "abc");
    live.data().await;
}
