//! Names that are used again: an offset of the deleted stream is refused with an explanation, by
//! every technique.

use super::live::{STREAMING, StreamingReader, socket};
use super::local_server::{JSON, LocalServer, LocalStream, TEXT};
use super::values::exchange;
use reqwest::Method;
use reqwest::header::{CONTENT_TYPE, IF_MATCH};
use serde_json::json;
use tailwater::config::StoreKind;
use tailwater_harness::Response;
use tailwater_harness::wait::{until, within};
use tailwater_protocol::{Technique, headers};

/// A name whose stream was deleted and created again; returns the last offset of the first stream.
async fn reused<'a>(server: &'a LocalServer, name: &str) -> (LocalStream<'a>, String) {
    let stream = server.stream(name, TEXT).await;
    let old = stream.append("old").await;
    stream.delete().await;
    let stream = server.stream(name, TEXT).await;
    stream.append("new content").await;
    (stream, old)
}

/// Checks that a response says that the offset belongs to another stream.
fn gone(answer: &Response) {
    let problem = answer.refuses(410);
    assert_eq!(problem.kind, "#earlier-stream", "{problem:?}");
    assert!(
        problem.detail.contains("deleted") && problem.detail.contains("offset=-1"),
        "{problem:?}"
    );
}

/// The query of a read by `technique`.
fn query(technique: Technique, offset: &str) -> String {
    let live = technique
        .live()
        .map(|live| format!("&live={live}"))
        .unwrap_or_default();
    format!("offset={offset}{live}")
}

async fn every_technique_refuses(stream: &LocalStream<'_>, offset: &str) {
    for technique in Technique::ALL {
        if technique == Technique::Websocket {
            let opened = socket(stream.server, &stream.target(&query(technique, offset))).await;
            assert_eq!(opened.err(), Some(410), "{technique:?}");
        } else {
            gone(&within("a refusal", stream.get(&query(technique, offset))).await);
        }
    }
}

#[tokio::test]
async fn an_offset_of_a_deleted_stream_is_410_by_every_technique() {
    let server = LocalServer::start();
    let (stream, old) = reused(&server, "a/b").await;
    every_technique_refuses(&stream, &old).await;
    stream.delete().await;
    let stream = server.stream("a/b", TEXT).await;
    every_technique_refuses(&stream, &old).await;
    every_technique_refuses(&stream, &format!("{old}_1")).await;
}

#[tokio::test]
async fn a_recreated_streams_offsets_work_wherever_they_are_shown() {
    let server = LocalServer::start();
    let (stream, old) = reused(&server, "a").await;
    let tail = stream.tail().await;
    assert!(
        tail.ends_with("_1") && tail.len() == old.len() + 2,
        "{tail}"
    );
    assert_eq!(stream.append("!").await, stream.tail().await);
    let page = stream.get("offset=-1").await;
    assert_eq!(
        (page.text(), page.next_offset()),
        ("new content!", stream.tail().await)
    );
    assert_eq!(stream.get(&format!("offset={tail}")).await.text(), "!");
    for technique in STREAMING {
        let mut live = StreamingReader::open(&stream, technique, &tail).await;
        assert_eq!(
            live.data().await.next.to_string(),
            stream.tail().await,
            "{technique:?}"
        );
    }
    let list: serde_json::Value =
        serde_json::from_slice(&server.ask(Method::GET, "/v1/streams").await.body).unwrap();
    assert_eq!(
        list["streams"][0]["nextOffset"],
        json!(stream.tail().await),
        "{list}"
    );
    let one: serde_json::Value =
        serde_json::from_slice(&server.ask(Method::GET, "/v1/streams/a").await.body).unwrap();
    assert_eq!(one["nextOffset"], json!(stream.tail().await), "{one}");
}

#[tokio::test]
async fn if_match_fails_with_an_offset_of_a_deleted_stream() {
    let server = LocalServer::start();
    let stream = server.stream("a", TEXT).await;
    let old = stream.append("four").await;
    stream.delete().await;
    let stream = server.stream("a", TEXT).await;
    let new = stream.append("4our").await;
    let post = |offset: &str| {
        let request = stream
            .request(Method::POST, "")
            .header(CONTENT_TYPE, TEXT)
            .body("!");
        request.header(IF_MATCH, format!("\"{offset}\""))
    };
    let refused = server.send(post(&old)).await;
    refused.refuses(412);
    assert_eq!(refused.next_offset(), new);
    assert_eq!(server.send(post(&new)).await.status, 204);
    let frame = json!({"append": "x", "ifMatch": old}).to_string();
    assert_eq!(exchange(&server, "a", &frame).await["status"], 412);
}

#[tokio::test]
async fn a_fork_point_must_be_an_offset_of_the_current_source() {
    let server = LocalServer::start();
    let (stream, old) = reused(&server, "source").await;
    let fork = |name: &str, offset: &str| {
        let request = server.http.put(server.url(&format!("/v1/stream/{name}")));
        let request = request.header(headers::STREAM_FORKED_FROM, "/v1/stream/source");
        request.header(headers::STREAM_FORK_OFFSET, offset.to_owned())
    };
    gone(&server.send(fork("f", &old)).await);
    let at = stream.tail().await;
    assert_eq!(server.send(fork("f", &at)).await.status, 201);
    assert_eq!(
        server.send(fork("f", &at)).await.status,
        200,
        "a retry finds the fork"
    );
    assert_eq!(
        server
            .send(fork("g", "0000000000000000_0000000000000000"))
            .await
            .status,
        201,
        "the beginning of any stream"
    );
    let child = server.at("f", TEXT);
    child.append(" and more").await;
    assert_eq!(
        child.get(&format!("offset={at}")).await.text(),
        " and more",
        "read from the fork point"
    );
    let beyond = stream.append("beyond").await;
    gone(&child.get(&format!("offset={beyond}")).await);
}

#[tokio::test]
async fn after_expiry_a_new_stream_of_the_name_has_its_own_offsets() {
    let server = LocalServer::with(|config| config.sweep = std::time::Duration::from_millis(10));
    let put = || {
        server
            .http
            .put(server.url("/v1/stream/a"))
            .header(CONTENT_TYPE, TEXT)
            .body("old")
    };
    let first = server.send(put().header(headers::STREAM_TTL, "1")).await;
    let old = first.next_offset();
    until("the stream to expire", || async {
        let listed = server.ask(Method::GET, "/v1/streams").await;
        listed.text().contains(r#""streams":[]"#).then_some(())
    })
    .await;
    assert_eq!(server.send(put()).await.status, 201);
    let stream = server.at("a", TEXT);
    every_technique_refuses(&stream, &old).await;
}

#[tokio::test]
async fn an_import_under_a_deleted_name_gets_its_own_offsets() {
    let server = LocalServer::start();
    let stream = server.stream("a", TEXT).await;
    let old = stream.append("old").await;
    let export = server.ask(Method::GET, "/v1/export/a").await;
    stream.delete().await;
    let imported = server
        .send(
            server
                .http
                .put(server.url("/v1/import/a"))
                .body(export.body.clone()),
        )
        .await;
    assert_eq!(
        (imported.status, imported.next_offset()),
        (201, format!("{old}_1"))
    );
    gone(&stream.get(&format!("offset={old}")).await);
    // An export contains positions, which are the same in the next stream of that name.
    assert_eq!(
        server.ask(Method::GET, "/v1/export/a").await.body,
        export.body
    );
}

#[tokio::test]
async fn streams_of_one_name_are_distinguished_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let start = || {
        let path = directory.path().to_owned();
        LocalServer::with(move |config| {
            config.store = StoreKind::Disk;
            config.data_dir = path;
            config.disk_reserve = 1;
        })
    };
    let mut server = start();
    let (_, old) = reused(&server, "there").await;
    let deleted = server.stream("gone", JSON).await;
    let old_of_gone = deleted.append("[1,2]").await;
    deleted.delete().await;
    server.tell_to_stop();
    server.stopped().await;
    let server = start();
    let there = server.at("there", TEXT);
    every_technique_refuses(&there, &old).await;
    assert_eq!(there.get("offset=-1").await.text(), "new content");
    let again = server.stream("gone", JSON).await;
    every_technique_refuses(&again, &old_of_gone).await;
    assert!(again.append("1").await.ends_with("_1"));
}
