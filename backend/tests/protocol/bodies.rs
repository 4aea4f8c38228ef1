//! Request bodies: text and bytes, chunked in unusual pieces, and truncated bodies.

use super::local_server::{BINARY, JSON, LocalServer, TEXT};
use futures_util::stream;
use reqwest::{Body, Method};
use std::time::Duration;
use tailwater_harness::wait::until;

fn pieces(parts: Vec<Vec<u8>>) -> Body {
    Body::wrap_stream(stream::iter(parts.into_iter().map(Ok::<_, std::io::Error>)))
}

#[tokio::test]
async fn text_and_bytes_are_returned_unchanged() {
    let server = LocalServer::start();
    let text = server.stream("text", TEXT).await;
    let sent = ["a\r\nb\rc\n", "\u{feff}bom", " data: x\n\n", "\u{0}"];
    for part in sent {
        text.append(part).await;
    }
    assert_eq!(text.get("").await.text(), sent.concat());

    let bytes = server.stream("bytes", BINARY).await;
    let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    bytes.append(all.clone()).await;
    bytes.append(vec![0xff]).await;
    let answer = bytes.get("").await;
    assert_eq!(answer.body[..70_000], all);
    assert_eq!(answer.body[70_000..], [0xff]);
    assert_eq!(answer.header("content-type"), Some(BINARY));
}

#[tokio::test]
async fn a_chunked_body_is_complete_however_it_is_split() {
    let server = LocalServer::start();
    let whole: Vec<u8> = (0..200_000_u32)
        .map(|at| (at % 251).to_le_bytes()[0])
        .collect();
    for size in [1, 7, 1_021, 65_536, 200_000] {
        let stream = server.stream(&format!("cut/{size}"), BINARY).await;
        let upto = if size == 1 { 3_000 } else { whole.len() };
        stream
            .append(pieces(
                whole[..upto].chunks(size).map(<[u8]>::to_vec).collect(),
            ))
            .await;
        let pages = stream.pages("-1").await;
        assert_eq!(pages.len(), 1, "one append is one message");
        assert_eq!(pages[0].body, whole[..upto]);
    }
    let json = server.stream("cut/json", JSON).await;
    json.append(pieces(
        br#"[{"a":"x"},2]"#.chunks(1).map(<[u8]>::to_vec).collect(),
    ))
    .await;
    assert_eq!(json.get("").await.text(), r#"[{"a":"x"},2]"#);
}

#[tokio::test]
async fn chunk_extensions_and_trailers_are_ignored() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let mut wire = server
        .ask_raw(
            "POST /v1/stream/text",
            "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n",
        )
        .await;
    wire.send("2;x=y\r\nab\r\n1\r\nc\r\n0\r\nDigest: none\r\n\r\n")
        .await;
    assert_eq!(wire.head().await.status, 204);
    assert_eq!(stream.get("").await.text(), "abc");
}

#[tokio::test]
async fn a_truncated_body_appends_nothing() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let head = "Content-Type: text/plain\r\n";
    let broken = [
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhel"),
        ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n"),
        ("Transfer-Encoding: chunked\r\n", ""),
        ("Content-Length: 10\r\n", "hello"),
        ("Content-Length: 10\r\n", ""),
    ];
    for (framing, body) in broken {
        for closes in ["", "Stream-Closed: true\r\n"] {
            let mut wire = server
                .ask_raw("POST /v1/stream/text", &format!("{head}{closes}{framing}"))
                .await;
            wire.send(body).await;
            wire.finish().await;
            wire.rest().await;
            let mut wire = server
                .ask_raw("PUT /v1/stream/other", &format!("{head}{closes}{framing}"))
                .await;
            wire.send(body).await;
            wire.finish().await;
            wire.rest().await;
        }
    }
    let mut wire = server
        .ask_raw(
            "POST /v1/stream/text",
            &format!("{head}Transfer-Encoding: chunked\r\n"),
        )
        .await;
    wire.send("zz\r\nhello\r\n0\r\n\r\n").await;
    assert_eq!(wire.head().await.status, 400);
    assert_eq!(
        stream.append("x").await,
        "0000000000000001",
        "truncated bodies append nothing"
    );
    let head = server.ask(Method::HEAD, "/v1/stream/other").await;
    assert_eq!(
        head.status, 404,
        "a truncated creation creates no stream: {head:?}"
    );
}

#[tokio::test]
async fn a_client_that_waits_for_100_continue_gets_it() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let headers = "Content-Type: text/plain\r\nContent-Length: 2\r\nExpect: 100-continue\r\n";
    let mut wire = server.ask_raw("POST /v1/stream/text", headers).await;
    assert_eq!(wire.head().await.status, 100);
    wire.send("ab").await;
    assert_eq!(wire.head().await.status, 204);
    assert_eq!(stream.get("").await.text(), "ab");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let mut wire = server.connect().await;
    let host = server.address;
    let append = |byte: char| {
        format!(
            "POST /v1/stream/text HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\n{byte}"
        )
    };
    wire.send(['a', 'b', 'c'].map(append).concat()).await;
    for tail in ["0000000000000001", "0000000000000002", "0000000000000003"] {
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("stream-next-offset")),
            (204, Some(tail))
        );
    }
    assert_eq!(stream.get("").await.text(), "abc");
}

#[tokio::test]
async fn a_slow_body_does_not_delay_other_clients() {
    let server = LocalServer::with(|config| config.workers = Some(1));
    let stream = server.stream("text", TEXT).await;
    let headers = "Content-Type: text/plain\r\nTransfer-Encoding: chunked\r\n";
    let mut slow = server.ask_raw("POST /v1/stream/text", headers).await;
    slow.send("1\r\na\r\n").await;
    stream.append("b").await;
    until("another client to append and read meanwhile", async || {
        (stream.get("").await.text() == "b").then_some(())
    })
    .await;
    slow.send("1\r\nA\r\n0\r\n\r\n").await;
    assert_eq!(slow.head().await.status, 204);
    assert_eq!(stream.get("").await.text(), "baA");
}

#[tokio::test]
async fn a_body_that_stops_gets_408() {
    let server = LocalServer::with(|config| config.body_silence_max = Duration::from_millis(20));
    let stream = server.stream("text", TEXT).await;
    for framing in ["Content-Length: 10\r\n", "Transfer-Encoding: chunked\r\n"] {
        let headers = format!("Content-Type: text/plain\r\n{framing}");
        let mut wire = server.ask_raw("POST /v1/stream/text", &headers).await;
        wire.send("1\r\na\r\n").await;
        let head = wire.head().await;
        assert_eq!(
            (head.status, head.header("content-type")),
            (408, Some("application/problem+json"))
        );
        assert_eq!(head.header("connection"), Some("close"));
    }
    assert_eq!(stream.tail().await, "0000000000000000");
}
