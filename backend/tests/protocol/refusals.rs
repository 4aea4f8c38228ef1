//! Every refusal is a problem document, and unsupported requests are refused, not ignored.

use super::local_server::{JSON, LocalServer, TEXT};
use reqwest::Method;

#[tokio::test]
async fn an_unknown_stream_is_404() {
    let server = LocalServer::start();
    for method in [Method::GET, Method::POST, Method::DELETE] {
        server.ask(method, "/v1/stream/none").await.refuses(404);
    }
    for live in ["long-poll", "ndjson", "sse", "websocket"] {
        server
            .ask(
                Method::GET,
                &format!("/v1/stream/none?offset=-1&live={live}"),
            )
            .await
            .refuses(404);
    }
    for path in [
        "/v1/nothing",
        "/v1",
        "/v1/stream",
        "/v2/stream/x",
        "/v1/streamsx",
        "/.env",
    ] {
        for method in [
            Method::GET,
            Method::POST,
            Method::PUT,
            Method::DELETE,
            Method::PATCH,
        ] {
            server.ask(method, path).await.refuses(404);
        }
    }
    let head = server.ask(Method::HEAD, "/v1/stream/none").await;
    assert_eq!((head.status, head.body.len()), (404, 0));
}

#[tokio::test]
async fn an_unsupported_method_is_405_with_the_allowed_ones() {
    let server = LocalServer::start();
    server.stream("it", TEXT).await;
    for method in ["PATCH", "TRACE", "PROPFIND"] {
        let answer = server.ask(method.parse().unwrap(), "/v1/stream/it").await;
        answer.refuses(405);
        let allowed = answer.header("allow").unwrap();
        for verb in ["GET", "HEAD", "PUT", "POST", "DELETE"] {
            assert!(allowed.contains(verb), "{allowed}");
        }
    }
}

#[tokio::test]
async fn paths_below_the_reserved_name_are_not_streams() {
    let server = LocalServer::start();
    for path in [
        "__ds",
        "__ds/",
        "__ds/x",
        "__ds/subscriptions/",
        "__ds/subscriptions/a/b",
        "%5F%5Fds/x",
    ] {
        for method in [Method::GET, Method::PUT, Method::POST, Method::DELETE] {
            server
                .ask(method, &format!("/v1/stream/{path}"))
                .await
                .refuses(404);
        }
    }
    for path in [
        "__ds/jwks.json",
        "__ds/subscriptions",
        "__ds/subscriptions/x",
    ] {
        server
            .ask(Method::PATCH, &format!("/v1/stream/{path}"))
            .await
            .refuses(405);
    }
    server.stream("a/__ds", TEXT).await;
    server.stream("__dsx", TEXT).await;
}

#[tokio::test]
async fn an_append_without_a_body_is_400_unless_it_closes() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    stream.post("").await.refuses(400);
    for not_true in ["false", "yes", "1", "", "true,true"] {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", TEXT)
            .header("stream-closed", not_true);
        server.send(post).await.refuses(400);
    }
    let post = stream
        .request(Method::POST, "")
        .header("content-type", "nonsense")
        .header("stream-closed", "TRUE");
    let closed = server.send(post).await;
    assert_eq!(closed.status, 204);
    assert!(closed.is("stream-closed"));
    assert_eq!(
        stream.close().await,
        closed.next_offset(),
        "closing again is not an error"
    );
}

#[tokio::test]
async fn an_append_to_a_closed_stream_is_refused_as_closed_first() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    stream.append("1").await;
    let end = stream.close().await;
    for (content_type, body) in [
        (JSON, "2"),
        (TEXT, "x"),
        (JSON, "not json"),
        (JSON, ""),
        ("nonsense", "2"),
    ] {
        for close in [false, true] {
            if close && body.is_empty() {
                continue;
            }
            let mut post = stream
                .request(Method::POST, "")
                .header("content-type", content_type)
                .body(body);
            if close {
                post = post.header("stream-closed", "true");
            }
            let answer = server.send(post).await;
            answer.refuses(409);
            assert!(answer.is("stream-closed"), "{answer:?}");
            assert_eq!(answer.next_offset(), end);
        }
    }
}

#[tokio::test]
async fn stream_seq_must_rise_in_byte_order() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let post = async |seq: &str, body: &'static str| {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", JSON)
            .header("stream-seq", seq);
        server.send(post.body(body)).await
    };
    for (seq, status) in [
        ("09", 204),
        ("1", 204),
        ("1", 409),
        ("09", 409),
        ("10", 204),
        ("2", 204),
        ("10", 409),
        ("a", 204),
    ] {
        let answer = post(seq, "1").await;
        assert_eq!(answer.status, status, "{seq}: {answer:?}");
    }
    post("b", "not json").await.refuses(400);
    assert_eq!(
        post("b", "1").await.status,
        204,
        "a refused append does not use its sequence"
    );
    stream.append("2").await;
    post("b", "1").await.refuses(409);
}

#[tokio::test]
async fn creating_a_stream_that_exists_differently_is_409() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    let put = |content_type: &'static str, closed: bool| {
        let put = stream
            .request(Method::PUT, "")
            .header("content-type", content_type);
        if closed {
            put.header("stream-closed", "true")
        } else {
            put
        }
    };
    let same = server.send(put("TEXT/plain; charset=utf-8", false)).await;
    assert_eq!(
        (same.status, same.next_offset()),
        (200, "0000000000000000".into())
    );
    server.send(put(JSON, false)).await.refuses(409);
    server.send(put(TEXT, true)).await.refuses(409);
    stream.close().await;
    server.send(put(TEXT, false)).await.refuses(409);
    assert!(server.send(put(TEXT, true)).await.is("stream-closed"));
    let again = server.send(put(TEXT, true).body("ignored")).await;
    assert_eq!(
        (again.status, again.next_offset()),
        (200, "0000000000000000".into()),
        "a second creation appends nothing"
    );
}

#[tokio::test]
async fn a_creation_returns_the_location_and_the_tail() {
    let server = LocalServer::start();
    let put = server
        .http
        .put(server.url("/v1/stream/a/b%20c"))
        .header("content-type", JSON);
    let answer = server
        .send(put.header("stream-closed", "true").body("[1,2]"))
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        answer.header("location"),
        Some(&*server.url("/v1/stream/a/b%20c"))
    );
    assert_eq!(answer.header("content-type"), Some(JSON));
    assert!(
        answer.is("stream-closed")
            && answer
                .header("stream-extensions")
                .unwrap()
                .contains("live=ndjson")
    );
    let page = server.ask(Method::GET, "/v1/stream/a/b%20c").await;
    assert_eq!(
        (page.text(), page.next_offset()),
        ("[1,2]", answer.next_offset())
    );
}

#[tokio::test]
async fn an_invalid_content_type_creates_nothing() {
    let server = LocalServer::start();
    for wrong in [
        &b"json"[..],
        b"a/b/",
        b"\xff\xfe/plain",
        b"text /plain",
        b"text/",
    ] {
        let value = reqwest::header::HeaderValue::from_bytes(wrong).unwrap();
        let put = server
            .http
            .put(server.url("/v1/stream/it"))
            .header("content-type", value);
        server.send(put).await.refuses(400);
    }
    assert_eq!(server.ask(Method::HEAD, "/v1/stream/it").await.status, 404);
}
