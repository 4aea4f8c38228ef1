//! Streams with retention: trimmed offsets are refused, and reads from the beginning return what is
//! kept.

use super::live::{STREAMING, StreamingReader};
use super::local_server::{JSON, LocalServer, LocalStream, TEXT};
use std::sync::Arc;
use std::time::Duration;
use tailwater::config::Config;
use tailwater_core::store::MemoryStore;
use tailwater_core::{Append, Payload, StreamConfig, StreamName, Streams};
use tailwater_protocol::Data;
use tailwater_protocol::headers::ContentKind;

/// A server with one stream, `it`, that keeps `keep_bytes`, and its store.
async fn keeping(keep_bytes: u64, content_type: &'static str) -> (LocalServer, Arc<MemoryStore>) {
    let store = Arc::new(MemoryStore::new(1 << 24));
    let streams = Arc::new(Streams::new(store.clone(), 10));
    let config = StreamConfig {
        keep_bytes: Some(keep_bytes),
        ..StreamConfig::new(content_type)
    };
    streams
        .create(&StreamName::parse("it").unwrap(), config, None, false)
        .await
        .unwrap();
    let settings = Config {
        workers: Some(2),
        page_max: 100,
        recycle: Duration::from_millis(200),
        ..Config::default()
    };
    let server = LocalServer::run(move |listener, shutdown| {
        tailwater::server::serve(listener, settings, streams, shutdown)
    });
    (server, store)
}

fn it<'a>(server: &'a LocalServer, content_type: &'static str) -> LocalStream<'a> {
    server.at("it", content_type)
}

#[tokio::test]
async fn trimmed_offsets_are_410_with_the_earliest_one() {
    let (server, store) = keeping(1_000, TEXT).await;
    let stream = it(&server, TEXT);
    for _ in 0..500 {
        stream.append("0123456789").await;
    }
    let gone = stream.get("offset=0000000000000000").await;
    let problem = gone.refuses(410);
    let earliest = gone.header("stream-earliest-offset").unwrap().to_owned();
    assert!(problem.detail.contains(&earliest), "{problem}");
    for live in ["long-poll", "ndjson", "sse", "websocket"] {
        let gone = stream
            .get(&format!("offset=0000000000000000&live={live}"))
            .await;
        gone.refuses(410);
        assert_eq!(
            gone.header("stream-earliest-offset"),
            Some(&*earliest),
            "{live}"
        );
    }
    let kept: u64 = 5_000 - earliest.parse::<u64>().unwrap();
    assert!((1_000..=1_250).contains(&kept), "{kept} bytes are readable");
    let in_use = store.kept_bytes();
    assert!(
        in_use < 1_250 / 10 * (10 + 96) + 1_000,
        "the store frees them, too: {in_use} bytes in use"
    );
}

#[tokio::test]
async fn the_beginning_is_the_earliest_kept_message() {
    let (server, _) = keeping(1_000, JSON).await;
    let stream = it(&server, JSON);
    for number in 0..1_000 {
        stream
            .append(format!("{number:04}").replacen('0', "1", 1))
            .await;
    }
    let earliest = stream
        .get("offset=0000000000000000")
        .await
        .header("stream-earliest-offset")
        .unwrap()
        .to_owned();
    let (whole, named) = (stream.pages("-1").await, stream.pages(&earliest).await);
    let texts = |pages: &[tailwater_harness::Response]| {
        pages
            .iter()
            .map(|it| it.text().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(&whole), texts(&named));
    assert_eq!(whole.last().unwrap().next_offset(), stream.tail().await);
    for technique in STREAMING {
        let first = StreamingReader::open(&stream, technique, "-1")
            .await
            .data()
            .await;
        assert_eq!(
            super::live::messages(&first).join(","),
            whole[0].text().trim_matches(['[', ']']),
            "{technique}"
        );
    }
}

#[tokio::test]
async fn a_reader_that_falls_behind_gets_an_error_and_no_gap() {
    let (server, _) = keeping(2_000, TEXT).await;
    let stream = it(&server, TEXT);
    let (mut told, mut number) = (0, 0_u64);
    for technique in STREAMING {
        let mut live = StreamingReader::open(&stream, technique, &stream.tail().await).await;
        live.frame().await.unwrap();
        let mut from: u64 = stream.tail().await.parse().unwrap();
        for _ in 0..600 {
            number += 1;
            stream.append(format!("{number:010}")).await;
        }
        while let Some(frame) = live.frame().await {
            let Some(Data::Text(text)) = frame.data else {
                continue;
            };
            let next: u64 = frame.next.as_str().parse().unwrap();
            assert_eq!(next, from + text.len() as u64, "{technique} has a gap");
            let first: u64 = text[..10].parse().unwrap();
            assert_eq!(
                first,
                from / 10 + 1,
                "{technique} has other bytes than were appended"
            );
            from = next;
            if technique == tailwater_protocol::Technique::Websocket && frame.up_to_date {
                break;
            }
        }
        let again = stream
            .get(&format!("offset={from:016}&live=long-poll&hold=0"))
            .await;
        told += u32::from(again.status == 410);
        assert!([200, 204, 410].contains(&again.status), "{again:?}");
    }
    // Whether a reader falls behind depends on the machine; that it gets an error then does not.
    assert!(told <= 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reading_from_the_beginning_never_yields_410() {
    let (server, _) = keeping(50, TEXT).await;
    let stream = it(&server, TEXT);
    let (done, writing) = tokio::sync::watch::channel(false);
    let write = async {
        let each = (0..4).map(|_| async {
            for _ in 0..400 {
                stream.append("0123456789").await;
            }
        });
        futures_util::future::join_all(each).await;
        done.send_replace(true);
    };
    let read = async {
        while !*writing.borrow() {
            let answer = stream.get("offset=-1").await;
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.body.len() % 10, 0);
        }
    };
    tokio::join!(write, read);
}

#[test]
fn appends_from_many_threads_may_trim_concurrently() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .build()
        .unwrap();
    runtime.block_on(async {
        let streams = Streams::new(Arc::new(MemoryStore::new(1 << 24)), 1);
        let config = StreamConfig {
            keep_bytes: Some(64),
            ..StreamConfig::new(TEXT)
        };
        let log = streams
            .create(&StreamName::parse("it").unwrap(), config, None, false)
            .await
            .unwrap()
            .log;
        let writers: Vec<_> = (0..4)
            .map(|_| {
                let log = Arc::clone(&log);
                tokio::spawn(async move {
                    for _ in 0..10_000 {
                        let payload = Payload::parse(ContentKind::Text, "12345678".into()).unwrap();
                        log.append(Append {
                            payload: Some(payload),
                            ..Append::default()
                        })
                        .await
                        .unwrap();
                    }
                })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap();
        }
        let (earliest, tail) = (log.earliest().bytes(), log.tail_now().next.bytes());
        assert_eq!(tail, 4 * 10_000 * 8);
        assert!(
            (64..=64 + 16 + 8).contains(&(tail - earliest)),
            "{} bytes are kept",
            tail - earliest
        );
    });
}
