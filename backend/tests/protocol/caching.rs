//! What caches may keep, and what they may not.

use super::local_server::{JSON, LocalServer, LocalStream, TEXT};
use reqwest::Method;
use reqwest::header::IF_NONE_MATCH;
use tailwater_harness::Response;

async fn again(stream: &LocalStream<'_>, query: &str, etag: &str) -> Response {
    stream
        .server
        .send(
            stream
                .request(Method::GET, query)
                .header(IF_NONE_MATCH, etag),
        )
        .await
}

#[tokio::test]
async fn the_etag_changes_when_the_stream_closes() {
    let server = LocalServer::start();
    for content in ["", "abc"] {
        let stream = server.stream(&format!("text{}", content.len()), TEXT).await;
        if !content.is_empty() {
            stream.append(content).await;
        }
        let tail = stream.tail().await;
        for query in ["offset=-1".to_owned(), format!("offset={tail}")] {
            let open = stream.get(&query).await.header("etag").unwrap().to_owned();
            assert_eq!(again(&stream, &query, &open).await.status, 304);
        }
        let open = stream
            .get("offset=-1")
            .await
            .header("etag")
            .unwrap()
            .to_owned();
        stream.close().await;
        let closed = again(&stream, "offset=-1", &open).await;
        assert_eq!(closed.status, 200, "{closed:?}");
        assert!(closed.is("stream-closed"));
        let etag = closed.header("etag").unwrap().to_owned();
        let known = again(&stream, "offset=-1", &etag).await;
        assert_eq!(known.status, 304);
        assert!(
            known.is("stream-closed"),
            "304 says that the stream is closed"
        );
    }
}

#[tokio::test]
async fn pages_with_data_are_cacheable_and_others_are_not() {
    let server =
        LocalServer::with(|config| config.long_poll_hold = std::time::Duration::from_millis(5));
    let stream = server.stream("text", TEXT).await;
    let tail = stream.append("abc").await;
    let cacheable = |answer: &Response| {
        answer
            .header("cache-control")
            .is_some_and(|value| value.contains("max-age="))
    };
    let never = |answer: &Response| answer.header("cache-control") == Some("no-store");
    for query in ["", "offset=-1", "offset=-1&live=long-poll"] {
        assert!(cacheable(&stream.get(query).await), "{query}");
    }
    for query in [
        format!("offset={tail}"),
        "offset=now".into(),
        format!("offset={tail}&live=long-poll"),
        "offset=now&live=long-poll".into(),
        "offset=9999999999999999".into(),
        "offset=wrong".into(),
    ] {
        let answer = stream.get(&query).await;
        assert!(never(&answer), "{query}: {answer:?}");
    }
    let now = stream.get("offset=now").await;
    assert_eq!(now.header("etag"), None, "a page at `now` has no validator");
    for method in [Method::HEAD, Method::DELETE] {
        let answer = server.send(stream.request(method.clone(), "")).await;
        assert!(method != Method::HEAD || never(&answer), "{answer:?}");
    }
    assert!(never(&stream.get("").await), "404 is not cacheable");
}

#[tokio::test]
async fn a_known_page_gets_304_with_its_position() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    let tail = stream.append("[1,2]").await;
    let first = stream.get("offset=-1").await;
    let etag = first.header("etag").unwrap().to_owned();
    for known in [
        etag.clone(),
        format!("W/{etag}"),
        format!("\"other\", {etag}"),
        "*".into(),
    ] {
        let answer = again(&stream, "offset=-1", &known).await;
        assert_eq!((answer.status, answer.body.len()), (304, 0), "{known}");
        assert_eq!(answer.header("etag"), Some(&*etag));
        assert_eq!(answer.next_offset(), tail);
        assert!(answer.is("stream-up-to-date"));
        assert_eq!(
            answer.header("cache-control"),
            first.header("cache-control"),
            "the same as of the 200"
        );
    }
    for unknown in [
        "\"other\"",
        "W/\"other\"",
        "",
        "etag",
        "*, \"other\"",
        "\"other\", *",
        "\"*\"",
        "W/*",
    ] {
        assert_eq!(
            again(&stream, "offset=-1", unknown).await.status,
            200,
            "{unknown}"
        );
    }
    stream.append("3").await;
    let grown = again(&stream, "offset=-1", &etag).await;
    assert_eq!((grown.status, grown.text()), (200, "[1,2,3]"));
}

#[tokio::test]
async fn a_cached_page_varies_by_origin() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    stream.append("abc").await;
    for origin in [None, Some("http://localhost:8080")] {
        let mut request = stream.request(Method::GET, "");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = server.send(request).await;
        let vary = answer
            .header("vary")
            .unwrap_or_default()
            .to_ascii_lowercase();
        assert!(
            vary.contains("origin"),
            "without it a cache returns a response that lacks CORS headers"
        );
    }
}

#[tokio::test]
async fn etags_differ_wherever_bytes_can_differ() {
    let (one, two) = (LocalServer::start(), LocalServer::start());
    let mut etags = std::collections::BTreeSet::new();
    for server in [&one, &two] {
        for name in ["a", "b"] {
            let stream = server.stream(name, TEXT).await;
            stream.append("abc").await;
            assert!(
                etags.insert(stream.get("").await.header("etag").unwrap().to_owned()),
                "{etags:?}"
            );
            stream.delete().await;
            let reborn = server.stream(name, TEXT).await;
            reborn.append("xyz").await;
            assert!(
                etags.insert(reborn.get("").await.header("etag").unwrap().to_owned()),
                "{etags:?}"
            );
        }
    }
}
