//! Idempotent producers and conditional appends, as far as the conformance suite does not test
//! them.

use super::local_server::{JSON, LocalServer, LocalStream, TEXT};
use reqwest::Method;
use std::collections::BTreeSet;
use tailwater_harness::Response;

/// Sends a POST as producer `p`.
async fn produce(stream: &LocalStream<'_>, epoch: u64, seq: u64, body: &str) -> Response {
    let post = stream
        .request(Method::POST, "")
        .header("content-type", stream.content_type)
        .body(body.to_owned());
    let named = post
        .header("producer-id", "p")
        .header("producer-epoch", epoch)
        .header("producer-seq", seq);
    stream.server.send(named).await
}

async fn append_if(stream: &LocalStream<'_>, condition: &str, body: &str) -> Response {
    let post = stream
        .request(Method::POST, "")
        .header("content-type", stream.content_type)
        .body(body.to_owned());
    stream.server.send(post.header("if-match", condition)).await
}

#[tokio::test]
async fn producer_numbers_go_up_to_the_largest_safe_integer() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    let largest = (1 << 53) - 1;
    let answer = produce(&stream, largest, 0, "x").await;
    assert_eq!(
        (answer.status, answer.header("producer-epoch")),
        (200, Some("9007199254740991"))
    );
    for (epoch, seq) in [(largest + 1, 0), (largest, largest + 1), (u64::MAX, 0)] {
        let problem = produce(&stream, epoch, seq, "x").await.refuses(400);
        assert!(problem.detail.contains("9007199254740991"), "{problem:?}");
    }
    assert_eq!(stream.tail().await, "0000000000000001");
}

#[tokio::test]
async fn a_refused_append_does_not_use_its_producer_number() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    assert_eq!(produce(&stream, 0, 0, "1").await.status, 200);
    produce(&stream, 0, 1, "{").await.refuses(400);
    assert_eq!(produce(&stream, 0, 1, "2").await.status, 200);
    let answer = produce(&stream, 0, 3, "3").await;
    answer.refuses(409);
    assert_eq!(
        (
            answer.header("producer-expected-seq"),
            answer.header("producer-received-seq")
        ),
        (Some("2"), Some("3"))
    );
    assert_eq!(stream.get("offset=-1").await.text(), "[1,2]");
}

#[tokio::test]
async fn a_missing_producer_header_is_named() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    let post = stream
        .request(Method::POST, "")
        .header("content-type", TEXT)
        .header("producer-seq", "0")
        .body("x");
    let problem = server.send(post).await.refuses(400);
    assert!(
        problem
            .detail
            .ends_with("missing: `producer-id`, `producer-epoch`"),
        "{problem:?}"
    );
}

#[tokio::test]
async fn concurrent_retries_are_appended_once() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    for seq in 0..40 {
        let body = seq.to_string();
        let retries = (0..4).map(|_| produce(&stream, 0, seq, &body));
        let answers = futures_util::future::join_all(retries).await;
        let new = answers.iter().filter(|answer| answer.status == 200).count();
        assert!(
            new == 1
                && answers
                    .iter()
                    .all(|answer| matches!(answer.status, 200 | 204)),
            "{answers:?}"
        );
        let tails: BTreeSet<_> = answers.iter().map(Response::next_offset).collect();
        assert_eq!(tails.len(), 1, "{tails:?}");
    }
    let all: Vec<u64> = serde_json::from_slice(&stream.get("offset=-1").await.body).unwrap();
    assert_eq!(all, (0..40).collect::<Vec<_>>());
}

#[tokio::test]
async fn if_match_appends_only_at_that_tail() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    let tail = stream.tail().await;
    assert_eq!(
        append_if(&stream, &format!("\"{tail}\""), "one")
            .await
            .status,
        204
    );
    let answer = append_if(&stream, &format!("\"{tail}\""), "two").await;
    let problem = answer.refuses(412);
    assert!(
        problem.detail.contains(&tail) && problem.detail.contains("0000000000000003"),
        "{problem:?}"
    );
    assert_eq!(answer.next_offset(), "0000000000000003");
    assert_eq!(append_if(&stream, "*", "two").await.status, 204);
    for wrong in [
        "0000000000000006",
        "\"x\"",
        "\"0000000000000003\", \"0000000000000006\"",
        "W/\"0000000000000006\"",
    ] {
        append_if(&stream, wrong, "three").await.refuses(400);
    }
    assert_eq!(stream.get("offset=-1").await.text(), "onetwo");
    stream.close().await;
    assert!(
        append_if(&stream, "\"0000000000000003\"", "x")
            .await
            .is("stream-closed"),
        "closed is checked before the condition"
    );
}

#[tokio::test]
async fn of_writers_with_the_same_if_match_only_one_succeeds() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let mut tail = format!("\"{}\"", stream.tail().await);
    for round in 0..20 {
        let race = (0..5).map(|_| append_if(&stream, &tail, "1"));
        let answers = futures_util::future::join_all(race).await;
        let won: Vec<_> = answers
            .iter()
            .filter(|answer| answer.status == 204)
            .collect();
        assert!(
            won.len() == 1
                && answers
                    .iter()
                    .all(|answer| matches!(answer.status, 204 | 412)),
            "round {round}"
        );
        tail = format!("\"{}\"", won[0].next_offset());
    }
}

#[tokio::test]
async fn a_retry_with_a_condition_is_still_a_duplicate() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    let ask = || {
        let post = stream
            .request(Method::POST, "")
            .header("content-type", TEXT)
            .header("if-match", "\"0000000000000000\"");
        post.header("producer-id", "p")
            .header("producer-epoch", 0)
            .header("producer-seq", 0)
            .body("x")
    };
    assert_eq!(server.send(ask()).await.status, 200);
    assert_eq!(server.send(ask()).await.status, 204);
}
