//! What caches may keep, and what they may not.

use super::harness::{Answer, Server, Stream, TEXT};
use reqwest::Method;
use reqwest::header::IF_NONE_MATCH;

async fn again(stream: &Stream<'_>, query: &str, etag: &str) -> Answer {
    stream.server.send(stream.request(Method::GET, query).header(IF_NONE_MATCH, etag)).await
}

#[tokio::test]
async fn the_etag_changes_when_the_stream_closes() {
    let server = Server::start();
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
        let open = stream.get("offset=-1").await.header("etag").unwrap().to_owned();
        stream.close().await;
        let closed = again(&stream, "offset=-1", &open).await;
        assert_eq!(closed.status, 200, "{closed:?}");
        assert!(closed.is("stream-closed"));
        let etag = closed.header("etag").unwrap().to_owned();
        let known = again(&stream, "offset=-1", &etag).await;
        assert_eq!(known.status, 304);
        assert!(known.is("stream-closed"), "304 tells the end, too");
    }
}

#[tokio::test]
async fn pages_with_data_may_be_cached_and_answers_of_the_moment_may_not() {
    let server = Server::with(|config| config.long_poll_hold = std::time::Duration::from_millis(5));
    let stream = server.stream("text", TEXT).await;
    let tail = stream.append("abc").await;
    let cacheable = |answer: &Answer| answer.header("cache-control").is_some_and(|value| value.contains("max-age="));
    let never = |answer: &Answer| answer.header("cache-control") == Some("no-store");
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
    assert_eq!(now.header("etag"), None, "what `now` means cannot be validated");
    for method in [Method::HEAD, Method::DELETE] {
        let answer = server.send(stream.request(method.clone(), "")).await;
        assert!(method != Method::HEAD || never(&answer), "{answer:?}");
    }
    assert!(never(&stream.get("").await), "404 is of the moment");
}
