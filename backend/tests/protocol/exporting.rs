//! Export and import: an import restores the stream with its offsets and message boundaries, or
//! creates nothing.

use super::local_server::{BINARY, JSON, LocalServer, LocalStream, TEXT};
use reqwest::Method;
use std::sync::Arc;
use tailwater::config::Config;
use tailwater_core::store::MemoryStore;
use tailwater_core::{StreamConfig, StreamName, Streams};
use tailwater_harness::Response;
use tailwater_harness::wait::until;
use tailwater_protocol::export::{ExportDecoder, ExportEnd, ExportLine, Imported};

async fn export(server: &LocalServer, name: &str) -> Vec<u8> {
    let answer = server.ask(Method::GET, &format!("/v1/export/{name}")).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some("application/x-ndjson")),
        "{answer:?}"
    );
    answer.body.to_vec()
}

async fn import(server: &LocalServer, name: &str, body: impl Into<reqwest::Body>) -> Response {
    server
        .send(
            server
                .http
                .put(server.url(&format!("/v1/import/{name}")))
                .body(body),
        )
        .await
}

fn imported(answer: &Response) -> Imported {
    assert_eq!(answer.status, 201, "{answer:?}");
    serde_json::from_slice(&answer.body).unwrap()
}

fn lines(body: &[u8]) -> Vec<ExportLine> {
    let (mut decoder, mut lines) = (ExportDecoder::default(), Vec::new());
    decoder.push(body, &mut lines).unwrap();
    lines.extend(decoder.finish().unwrap());
    lines
}

async fn one_message_each(stream: &LocalStream<'_>) -> Vec<(String, Vec<u8>)> {
    stream
        .pages("-1")
        .await
        .into_iter()
        .map(|page| (page.next_offset(), page.body.to_vec()))
        .collect()
}

#[tokio::test]
async fn an_import_restores_content_and_message_boundaries() {
    let bodies: [(&str, &[&[u8]]); 3] = [
        (
            JSON,
            &[
                br#"[{"a": 1, "a":2}, [[1]], "x\ny"]"#,
                b"123456789012345678901234567890",
                b"[[1,\n 2],null]",
            ],
        ),
        (
            TEXT,
            &[
                "caf\u{e9}\r\n".as_bytes(),
                b"\xe2\x82",
                b"\xac and \x00\x01\"\\",
                b"x",
            ],
        ),
        (BINARY, &[b"\x00\xff", b"plain", b"{\"end\":1}\n"]),
    ];
    for (content_type, appends) in bodies {
        // A page limit of one byte returns one message at a time.
        let server = LocalServer::with(|config| config.page_max = 1);
        let stream = server.stream("from/here", content_type).await;
        for body in appends {
            stream.append(body.to_vec()).await;
        }
        let told = imported(&import(&server, "to/there", export(&server, "from/here").await).await);
        assert_eq!(
            (told.name.as_str(), told.shift_bytes, told.closed),
            ("to/there", 0, false)
        );
        let copy = server.at("to/there", content_type);
        let (was, is) = (
            one_message_each(&stream).await,
            one_message_each(&copy).await,
        );
        assert_eq!(was.len(), is.len());
        for ((was_next, was), (is_next, is)) in was.iter().zip(&is) {
            // A line break between tokens counts as a space.
            let same = |byte: &u8| {
                if content_type == JSON && *byte == b'\n' {
                    b' '
                } else {
                    *byte
                }
            };
            assert_eq!(
                (was_next, was.iter().map(same).collect::<Vec<u8>>()),
                (is_next, is.clone())
            );
        }
        assert_eq!(copy.tail().await, stream.tail().await);
        assert!(copy.append(&b"1"[..]).await > told.next_offset.to_string());
    }
}

#[tokio::test]
async fn closed_stays_closed_and_empty_stays_empty() {
    let server = LocalServer::start();
    let stream = server.stream("empty", TEXT).await;
    assert!(!imported(&import(&server, "empty2", export(&server, "empty").await).await).closed);
    stream.close().await;
    let body = export(&server, "empty").await;
    let [
        ExportLine::Head(head),
        ExportLine::End(ExportEnd {
            pages: 0,
            closed: true,
            ..
        }),
    ] = &lines(&body)[..]
    else {
        panic!("{}", String::from_utf8_lossy(&body))
    };
    assert_eq!(
        (head.name.as_str(), head.configuration.content_type.as_str()),
        ("empty", TEXT)
    );
    let answer = import(&server, "a%20closed/one", body).await;
    assert!(imported(&answer).closed && answer.is("stream-closed"));
    assert_eq!(
        answer.header("location"),
        Some(&*server.url("/v1/stream/a%20closed/one"))
    );
    let copy = server.at("a%20closed/one", TEXT);
    copy.post("x").await.refuses(409);
}

#[tokio::test]
async fn a_truncated_or_altered_export_creates_no_stream() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    for number in 0..50 {
        stream.append(format!("{{\"n\":{number}}}")).await;
    }
    stream.close().await;
    let whole = String::from_utf8(export(&server, "it").await).unwrap();
    let changed = [
        String::new(),
        whole[..whole.len() - 2].to_owned(),
        whole[..whole.find("{\"end\"").unwrap()].to_owned(),
        whole[..whole.len() / 2].to_owned(),
        whole.replacen("{\"n\":7}", "{\"n\":77}", 1),
        whole.replacen("{\"n\":7}", "{\"n\":7", 1),
        whole.replacen("[{\"n\":0},", "[", 1),
        whole.replacen("application/json", "text/plain", 1),
        whole.replacen("application/json", "nothing", 1),
        whole.clone() + &whole,
        "{\"a\":1}\n".to_owned(),
    ];
    for body in changed {
        let problem = import(&server, "copy", body.clone()).await.refuses(400);
        assert!(
            problem.detail.contains("no stream was created") || problem.kind == "#header",
            "{problem}"
        );
        assert_eq!(
            server.ask(Method::HEAD, "/v1/stream/copy").await.status,
            404,
            "{body}"
        );
    }
    assert_eq!(import(&server, "copy", whole).await.status, 201);
}

#[tokio::test]
async fn an_import_does_not_replace_an_existing_stream() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    stream.append("kept").await;
    let body = export(&server, "it").await;
    import(&server, "it", body).await.refuses(409);
    assert_eq!(stream.get("offset=-1").await.text(), "kept");
}

#[tokio::test]
async fn an_import_over_the_budget_is_503_and_creates_no_stream() {
    let server = LocalServer::with(|config| {
        (config.body_max, config.page_max, config.buffers_max) = (2 << 20, 2 << 20, 4 << 20);
    });
    let stream = server.stream("it", TEXT).await;
    // In an export each of these bytes takes six.
    stream.append(vec![1; 1 << 20]).await;
    let body = export(&server, "it").await;
    assert!(body.len() > 6 << 20, "{}", body.len());
    import(&server, "copy", body).await.refuses(503);
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/copy").await.status,
        404
    );
    // The charge has been released, and lines are charged one at a time.
    let many = server.stream("many", TEXT).await;
    for _ in 0..8 {
        many.append(vec![b'x'; 1 << 20]).await;
    }
    let body = export(&server, "many").await;
    assert!(
        imported(&import(&server, "copy", body).await)
            .next_offset
            .to_string()
            .ends_with("8388608")
    );
}

#[tokio::test]
async fn a_truncated_import_leaves_nothing_in_the_store() {
    let store = Arc::new(MemoryStore::new(1 << 24));
    let streams = Arc::new(Streams::new(store.clone(), 10));
    let settings = Config {
        workers: Some(2),
        ..Config::default()
    };
    let server = LocalServer::run(move |listener, shutdown| {
        tailwater::server::serve(listener, settings, streams, shutdown)
    });
    let stream = server.stream("it", BINARY).await;
    for _ in 0..8 {
        stream.append(vec![7_u8; 1 << 18]).await;
    }
    let before = store.kept_bytes();
    let whole = export(&server, "it").await;
    let half = whole[..whole.len() / 2].to_vec();
    let (send, pieces) = tokio::sync::mpsc::channel::<Result<Vec<u8>, std::io::Error>>(1);
    let body =
        reqwest::Body::wrap_stream(futures_util::stream::unfold(pieces, |mut pieces| async {
            Some((pieces.recv().await?, pieces))
        }));
    let request = tokio::spawn(
        server
            .http
            .put(server.url("/v1/import/copy"))
            .body(body)
            .send(),
    );
    send.send(Ok(half)).await.unwrap();
    until("a part of it in the store", || async {
        (store.kept_bytes() > before).then_some(())
    })
    .await;
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/copy").await.status,
        404,
        "not visible before it is complete"
    );
    send.send(Err(std::io::Error::other("the client fails")))
        .await
        .unwrap();
    assert!(request.await.unwrap().is_err());
    until("no part of it in the store", || async {
        (store.kept_bytes() == before).then_some(())
    })
    .await;
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/copy").await.status,
        404
    );
}

#[tokio::test]
async fn an_import_of_a_trimmed_stream_reports_its_offset_shift() {
    let streams = Arc::new(Streams::new(Arc::new(MemoryStore::new(1 << 24)), 10));
    let config = StreamConfig {
        keep_bytes: Some(100),
        ..StreamConfig::new(TEXT)
    };
    streams
        .create(&StreamName::parse("it").unwrap(), config, None, false)
        .await
        .unwrap();
    let settings = Config {
        workers: Some(2),
        ..Config::default()
    };
    let server = LocalServer::run(move |listener, shutdown| {
        tailwater::server::serve(listener, settings, streams, shutdown)
    });
    let stream = server.at("it", TEXT);
    for number in 0..90 {
        stream.append(format!("{number:010}")).await;
    }
    let was = stream.get("offset=-1").await;
    let told = imported(&import(&server, "copy", export(&server, "it").await).await);
    assert!(told.shift_bytes > 0);
    let copy = server.at("copy", TEXT);
    let is = copy.get("offset=-1").await;
    assert_eq!(was.text(), is.text());
    assert_eq!(
        was.next_offset().parse::<u64>().unwrap(),
        is.next_offset().parse::<u64>().unwrap() + told.shift_bytes
    );
    let body = export(&server, "copy").await;
    assert!(
        matches!(&lines(&body)[0], ExportLine::Head(head) if head.configuration.keep_bytes == Some(100))
    );
}
