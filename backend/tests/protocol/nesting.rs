//! The limit of JSON nesting is the same for every way of sending a message.

use super::local_server::{JSON, LocalServer};
use super::values::{exchange, export_of};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tailwater_core::Payload;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::nesting::NESTING_MAX;

/// An array nested `depth` levels deep.
fn nested(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

#[tokio::test]
async fn json_over_the_nesting_limit_is_refused_at_every_entry() {
    let server = LocalServer::start();
    let stream = server.stream("deep", JSON).await;
    for depth in [NESTING_MAX + 1, 127, 128, 129, 1_000, 100_000] {
        let objects = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
        for message in [nested(depth), objects] {
            for body in [message.clone(), format!("[1,{message}]")] {
                // The outermost brackets of an array body separate messages and do not count.
                if body.starts_with("[[") && depth == NESTING_MAX + 1 {
                    continue;
                }
                let problem = stream.post(body.clone()).await.refuses(400);
                assert!(
                    problem.detail.contains(&NESTING_MAX.to_string()),
                    "{problem:?}"
                );
                let put = server
                    .http
                    .put(server.url("/v1/stream/new"))
                    .header(CONTENT_TYPE, JSON)
                    .body(body);
                server.send(put).await.refuses(400);
            }
            let answer = exchange(&server, "deep", &format!(r#"{{"append":[{message}]}}"#)).await;
            assert_eq!(answer["status"], 400, "{depth}: {answer}");
            let import = server
                .http
                .put(server.url("/v1/import/new"))
                .body(export_of(&message));
            server.send(import).await.refuses(400);
        }
    }
    assert_eq!(server.ask(Method::HEAD, "/v1/stream/new").await.status, 404);
    assert_eq!(stream.get("offset=-1").await.text(), "[]");
}

#[tokio::test]
async fn json_at_the_nesting_limit_is_returned_by_every_technique() {
    let server = LocalServer::start();
    let stream = server.stream("deep", JSON).await;
    let message = nested(NESTING_MAX);
    stream.append(format!("[{message}]")).await;
    assert_eq!(
        exchange(&server, "deep", &format!(r#"{{"append":[{message}]}}"#)).await["status"],
        204
    );
    assert_eq!(
        stream.get("offset=-1").await.text(),
        format!("[{message},{message}]")
    );
    let export = server.ask(Method::GET, "/v1/export/deep").await;
    let imported = server
        .send(
            server
                .http
                .put(server.url("/v1/import/copy"))
                .body(export.body),
        )
        .await;
    assert_eq!(imported.status, 201, "{imported:?}");
}

#[tokio::test]
async fn messages_stored_before_the_nesting_limit_are_still_read() {
    use tailwater_core::{Append, StreamConfig, StreamName, Streams};
    let streams = std::sync::Arc::new(Streams::new(
        std::sync::Arc::new(tailwater_core::store::MemoryStore::new(1 << 20)),
        9,
    ));
    let name = StreamName::parse("old").unwrap();
    let log = streams
        .create(&name, StreamConfig::new(JSON), None, false)
        .await
        .unwrap()
        .log;
    let message = nested(5_000);
    let payload = Payload::of_messages(ContentKind::Json, [message.as_bytes()]);
    log.append(Append {
        payload,
        ..Append::default()
    })
    .await
    .unwrap();
    let server = LocalServer::run(move |listener, shutdown| {
        let config = tailwater::config::Config {
            workers: Some(1),
            ..Default::default()
        };
        tailwater::server::serve(listener, config, streams, shutdown)
    });
    let lines = server.ask(Method::GET, "/v1/export/old").await;
    let (mut decoder, mut read) = (
        tailwater_protocol::export::ExportDecoder::default(),
        Vec::new(),
    );
    decoder.push(&lines.body, &mut read).unwrap();
    let page = server.ask(Method::GET, "/v1/stream/old?offset=-1").await;
    let data = tailwater_protocol::frame::decode_body(ContentKind::Json, &page.body).unwrap();
    assert_eq!(data, tailwater_protocol::Data::Json(vec![message]));
}
