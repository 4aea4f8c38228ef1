//! Every limit has its own response, and acknowledged data is not affected by any of them.

use super::local_server::{JSON, LocalServer, TEXT};
use reqwest::Method;
use tailwater_core::StreamName;
use tailwater_harness::wait::until;

#[tokio::test]
async fn a_body_at_the_limit_is_accepted_and_one_byte_more_is_413() {
    let server = LocalServer::with(|config| config.body_max = 1_000);
    let stream = server.stream("it", TEXT).await;
    stream.append(vec![b'a'; 1_000]).await;
    stream.post(vec![b'b'; 1_001]).await.refuses(413);
    let put = server
        .http
        .put(server.url("/v1/stream/other"))
        .body(vec![b'b'; 1_001]);
    server.send(put).await.refuses(413);
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/other").await.status,
        404
    );
    stream.append("c").await;
    assert_eq!(stream.get("").await.body.len(), 1_001);
}

#[tokio::test]
async fn a_client_with_a_huge_body_can_read_its_413() {
    let server = LocalServer::with(|config| config.body_max = 1_000);
    let stream = server.stream("it", TEXT).await;
    for megabytes in [1, 8] {
        for framing in ["length", "chunked"] {
            let body = vec![b'x'; megabytes << 20];
            let answer = if framing == "length" {
                stream.post(body).await
            } else {
                let parts: Vec<_> = body
                    .chunks(10_000)
                    .map(|part| Ok::<_, std::io::Error>(part.to_vec()))
                    .collect();
                stream
                    .post(reqwest::Body::wrap_stream(futures_util::stream::iter(
                        parts,
                    )))
                    .await
            };
            answer.refuses(413);
        }
    }
    assert_eq!(stream.tail().await, "0000000000000000");
}

#[tokio::test]
async fn a_path_too_long_or_too_deep_is_414() {
    let server = LocalServer::start();
    let long = "x".repeat(StreamName::BYTES_MAX);
    let deep = ["s"; StreamName::SEGMENTS_MAX].join("/");
    for fits in [&long, &deep] {
        server.stream(fits, TEXT).await.append("a").await;
    }
    for beyond in [
        format!("{long}x"),
        format!("{deep}/s"),
        "y/".repeat(2_000) + "y",
    ] {
        for method in [Method::PUT, Method::POST, Method::GET, Method::DELETE] {
            server
                .ask(method, &format!("/v1/stream/{beyond}"))
                .await
                .refuses(414);
        }
    }
}

#[tokio::test]
async fn different_paths_are_different_streams() {
    let server = LocalServer::start();
    let names = [
        "a",
        "A",
        "a%20b",
        "a+b",
        "a%252Fb",
        "a/b",
        "%ED%95%9C",
        "a%25",
        "a%2525",
        "a;b",
        "a,b",
        "a:b",
        "a%3Fb",
    ];
    for name in names {
        let stream = server.stream(name, TEXT).await;
        stream.append(name).await;
    }
    for name in names {
        assert_eq!(
            server
                .ask(Method::GET, &format!("/v1/stream/{name}"))
                .await
                .text(),
            name
        );
    }
    assert_eq!(
        server.ask(Method::GET, "/v1/stream/%61").await.text(),
        "a",
        "an unnecessary escape names the same stream"
    );
    assert_eq!(
        server.ask(Method::GET, "/v1/stream/a%2bb").await.text(),
        "a+b",
        "with digits in either case"
    );
    server
        .ask(Method::GET, "/v1/stream/a%2Fb")
        .await
        .refuses(400);
}

#[tokio::test]
async fn a_head_over_the_limit_is_431() {
    let server = LocalServer::with(|config| config.head_max = 2_000);
    let stream = server.stream("it", TEXT).await;
    let ask = |bytes: usize| {
        stream
            .request(Method::GET, "")
            .header("x-padding", "x".repeat(bytes))
    };
    assert_eq!(server.send(ask(1_000)).await.status, 200);
    server.send(ask(3_000)).await.refuses(431);
    server
        .ask(
            Method::GET,
            &format!("/v1/stream/it?x={}", "y".repeat(3_000)),
        )
        .await
        .refuses(431);
    let mut wire = server.connect().await;
    wire.try_send(format!(
        "GET /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nX: {}",
        "x".repeat(400_000)
    ))
    .await;
    assert_eq!(wire.head().await.status, 431);
}

#[tokio::test]
async fn a_full_store_refuses_appends_and_loses_nothing() {
    let server = LocalServer::with(|config| config.memory_max = 20_500);
    let (one, two) = (
        server.stream("one", JSON).await,
        server.stream("two", TEXT).await,
    );
    let mut kept = 0;
    let refused = loop {
        let answer = one.post(format!("\"{kept:0900}\"")).await;
        if answer.status != 204 {
            break answer;
        }
        kept += 1;
        assert!(kept < 1_000, "never full");
    };
    let problem = refused.refuses(507);
    assert!(problem.detail.contains("20500"), "{problem}");
    assert!(kept > 10, "{kept}");
    let tail = one.tail().await;
    for _ in 0..3 {
        one.post(format!("\"{}\"", "x".repeat(900)))
            .await
            .refuses(507);
        two.post("x".repeat(19_000)).await.refuses(507);
    }
    let put = server
        .http
        .put(server.url("/v1/stream/three"))
        .body("x".repeat(19_000));
    server.send(put).await.refuses(507);
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/three").await.status,
        404
    );

    assert_eq!(one.tail().await, tail, "refused appends moved the tail");
    let expected: Vec<_> = (0..kept)
        .map(|number| format!("\"{number:0900}\""))
        .collect();
    assert_eq!(
        one.get("").await.text(),
        format!("[{}]", expected.join(","))
    );
    one.append("1").await;
    two.append("small ones still fit").await;
    one.close().await;
    one.delete().await;
    two.append("x".repeat(15_000)).await;
    assert!(two.get("").await.text().starts_with("small ones still fit"));
}

#[tokio::test]
async fn streams_beyond_the_limit_are_507_until_one_is_deleted() {
    let server = LocalServer::with(|config| config.streams_max = 2);
    let one = server.stream("one", TEXT).await;
    server.stream("two", TEXT).await;
    server
        .ask(Method::PUT, "/v1/stream/three")
        .await
        .refuses(507);
    let again = server
        .http
        .put(server.url("/v1/stream/one"))
        .header("content-type", TEXT);
    assert_eq!(
        server.send(again).await.status,
        200,
        "an existing stream is found although the server is full"
    );
    one.append("abc").await;
    one.delete().await;
    assert_eq!(
        server.ask(Method::PUT, "/v1/stream/three").await.status,
        201
    );
}

#[tokio::test]
async fn a_connection_over_the_limit_is_503_and_earlier_ones_continue() {
    let server = LocalServer::with(|config| config.connections_max = 2);
    let ask = "GET /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let (mut one, mut two) = (server.connect().await, server.connect().await);
    for wire in [&mut one, &mut two] {
        wire.send(ask).await;
        let head = wire.head().await;
        assert_eq!(head.status, 404);
        wire.body().await;
    }
    let mut three = server.connect().await;
    three.send(ask).await;
    let refusal = three.head().await;
    assert_eq!(refusal.status, 503);
    assert!(refusal.header("retry-after").is_some());
    assert_eq!(refusal.header("connection"), Some("close"));
    assert_eq!(
        refusal.header("content-type"),
        Some("application/problem+json")
    );
    three.rest().await;
    let idle = server.connect().await;
    for wire in [&mut one, &mut two] {
        wire.send(ask).await;
        let head = wire.head().await;
        assert_eq!(
            head.status, 404,
            "a new connection took the slot of an old one"
        );
        wire.body().await;
    }
    drop((one, idle));
    until("a free slot for another connection", async || {
        let mut wire = server.connect().await;
        wire.send(ask).await;
        (wire.head().await.status == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_path_that_cannot_name_a_stream_is_400() {
    let server = LocalServer::start();
    for path in [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/%2e%2E/b",
        "%00",
        "a%0Ab",
        "%7f",
        "%FF",
        "a/%c3%28",
    ] {
        let mut wire = server
            .ask_raw(&format!("PUT /v1/stream/{path}"), "Content-Length: 0\r\n")
            .await;
        assert_eq!(wire.head().await.status, 400, "{path}");
    }
}

#[tokio::test]
async fn a_content_length_over_the_limit_is_refused_before_the_body() {
    let server = LocalServer::with(|config| config.body_max = 1_000);
    server.stream("it", TEXT).await;
    for expect in ["", "Expect: 100-continue\r\n"] {
        let headers = format!("Content-Type: text/plain\r\nContent-Length: 1001\r\n{expect}");
        let mut wire = server.ask_raw("POST /v1/stream/it", &headers).await;
        let head = wire.head().await;
        assert!(
            head.status == 413 || (head.status == 100 && wire.head().await.status == 413),
            "{head:?}"
        );
    }
}

#[tokio::test]
async fn many_small_messages_count_with_their_overhead() {
    let server = LocalServer::with(|config| config.memory_max = 1 << 20);
    let stream = server.stream("it", JSON).await;
    let batch = format!("[{}]", vec!["1"; 10_000].join(","));
    let mut messages = 0;
    while stream.post(batch.clone()).await.status == 204 {
        messages += 10_000;
        assert!(
            messages <= 200_000,
            "{messages} messages, each with an index entry, in a mebibyte"
        );
    }
    assert!(messages > 50_000, "{messages}");
}
