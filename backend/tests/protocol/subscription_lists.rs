//! The list of subscriptions over HTTP: pages, filters and refusals.

use super::local_server::{LocalServer, TEXT};
use super::subscriptions::json_of;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn subscriptions_are_listed_in_pages() {
    let server = LocalServer::start();
    let list = async |query: &str| {
        let answer = server
            .ask(
                Method::GET,
                &format!("/v1/stream/__ds/subscriptions{query}"),
            )
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        json_of(&answer)
    };
    let empty = json!({"subscriptions": [], "total": 0});
    assert_eq!(list("").await, empty);
    server.stream("events/a", TEXT).await.append("abc").await;
    for id in ["b%20c", "a", "b"] {
        server.pull(id).await;
    }
    server.stream("events/b", TEXT).await.append("abc").await;
    let first = list("?limit=2&prefix=&sort=name").await;
    assert_eq!((&first["after"], &first["total"]), (&json!("b"), &json!(3)));
    let mut shown = first["subscriptions"][0].clone();
    let created = shown["created_at"].take();
    assert!(created.as_str().unwrap().ends_with('Z'));
    let generation = shown["generation"].take();
    assert!(generation.is_u64());
    let expected = json!({"id": "a", "subscription_id": "a", "type": "pull-wake", "pattern": "events/*",
        "stream_count": 2, "pending_count": 1, "webhook": null, "wake_stream": "wake", "lease_ttl_ms": 30_000,
        "created_at": null, "status": "active", "paused": false, "description": null, "generation": null});
    assert_eq!(shown, expected);
    let second = list("?limit=2&after=b").await;
    assert_eq!(second["subscriptions"][0]["id"], "b c");
    assert_eq!(second.get("after"), None);
    let ids = |page: &Value| page["subscriptions"].as_array().unwrap().len();
    assert_eq!(ids(&list("?prefix=b").await), 2);
    assert_eq!(ids(&list("?search=C").await), 1);
    assert_eq!(ids(&list("?exclude=b").await), 1);
}

#[tokio::test]
async fn lists_of_subscriptions_are_refused_as_those_of_streams_are() {
    let server = LocalServer::start();
    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "prefix=a&prefix=b",
        "sort=x",
    ] {
        let [streams, subscriptions] = [
            format!("/v1/streams?{query}"),
            format!("/v1/stream/__ds/subscriptions?{query}"),
        ];
        let expected = server.ask(Method::GET, &streams).await;
        let answer = server.ask(Method::GET, &subscriptions).await;
        assert_eq!(answer.refuses(400), expected.refuses(400));
    }
    let list = "/v1/stream/__ds/subscriptions";
    let newest = server
        .ask(Method::GET, &format!("{list}?sort=newest"))
        .await;
    assert!(newest.refuses(400).detail.contains("newest"));
    let head = server.ask(Method::HEAD, list).await;
    assert_eq!((head.status, head.text()), (200, ""));
    let post = server.ask(Method::POST, list).await;
    post.refuses(405);
    assert_eq!(post.header("allow"), Some("GET, HEAD, OPTIONS"));
    server
        .ask(Method::GET, &format!("{list}/"))
        .await
        .refuses(404);
}
