//! Forks and lifetimes over HTTP, as far as the conformance suite does not test them.

use super::live::{STREAMING, StreamingReader, messages};
use super::local_server::{BINARY, JSON, LocalServer, LocalStream, TEXT};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tailwater_harness::Response;

async fn fork<'a>(
    server: &'a LocalServer,
    name: &str,
    source: &LocalStream<'_>,
    headers: &[(&str, &str)],
) -> LocalStream<'a> {
    let path = format!("/v1/stream/{}", source.name);
    let headers: Vec<_> = headers
        .iter()
        .copied()
        .chain([("stream-forked-from", &*path)])
        .collect();
    let answer = server.put(name, &headers, "").await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.header("content-type"), Some(source.content_type));
    server.at(name, source.content_type)
}

fn bodies(pages: &[Response]) -> String {
    pages.iter().map(Response::text).collect()
}

#[tokio::test]
async fn pages_span_fork_boundaries_and_their_offsets_continue() {
    let server = LocalServer::with(|config| config.page_max = 16);
    let root = server.stream("root", JSON).await;
    let mut texts = Vec::new();
    let mut number = 0;
    let mut grow = async |stream: &LocalStream<'_>, texts: &mut Vec<String>| {
        for _ in 0..7 {
            number += 1;
            stream.append(number.to_string()).await;
            texts.push(number.to_string());
        }
    };
    grow(&root, &mut texts).await;
    let child = fork(&server, "child", &root, &[]).await;
    grow(&root, &mut Vec::new()).await;
    grow(&child, &mut texts).await;
    let grandchild = fork(&server, "grandchild", &child, &[]).await;
    root.delete().await;
    child.delete().await;
    let late = fork(&server, "late", &grandchild, &[]).await;
    grow(&grandchild, &mut Vec::new()).await;
    grow(&late, &mut texts).await;

    let pages = late.pages("-1").await;
    assert!(pages.len() > 1, "several pages");
    let read: Vec<_> = pages
        .iter()
        .flat_map(|page| page.text().trim_matches(['[', ']']).split(','))
        .collect();
    assert_eq!(read, texts);
    assert!(pages.iter().all(|page| page.body.len() <= 17), "{pages:?}");
    assert_eq!(pages.last().unwrap().next_offset(), late.tail().await);
    for (page, rest) in pages.iter().zip(1..) {
        let again = late.pages(&page.next_offset()).await;
        let expected = if rest == pages.len() {
            "[]".to_owned()
        } else {
            bodies(&pages[rest..])
        };
        assert_eq!(bodies(&again), expected);
    }
    for technique in STREAMING {
        let mut live = StreamingReader::open(&late, technique, "-1").await;
        let mut seen = Vec::new();
        while seen.len() < texts.len() {
            seen.extend(messages(&live.data().await));
        }
        assert_eq!(seen, texts, "{technique}");
    }
}

#[tokio::test]
async fn a_live_reader_of_a_fork_continues_past_the_fork_point() {
    let server = LocalServer::start();
    let source = server.stream("source", JSON).await;
    let middle = source.append("1").await;
    source.append("2").await;
    let fork = fork(&server, "fork", &source, &[]).await;
    let mut expected = vec!["2".to_owned()];
    for (technique, number) in STREAMING.into_iter().zip(["3", "4", "5"]) {
        let tail = fork.tail().await;
        let mut live = StreamingReader::open(&fork, technique, &middle).await;
        let mut seen = messages(&live.data().await);
        source.append("99").await;
        fork.append(number).await;
        expected.push(number.to_owned());
        while seen.len() < expected.len() {
            seen.extend(messages(&live.data().await));
        }
        assert_eq!(seen, expected, "{technique}");
        let polled = fork.get(&format!("offset={tail}&live=long-poll")).await;
        assert_eq!(polled.text(), format!("[{number}]"));
    }
}

#[tokio::test]
async fn creating_the_same_fork_again_is_200_in_every_notation() {
    let server = LocalServer::start();
    let source = server.stream("source", JSON).await;
    source.append("[1,22,333]").await;
    let at = source.append("4").await;
    let from = ("stream-forked-from", "/v1/stream/source");
    let plain = server.put("plain", &[from], "").await;
    assert_eq!((plain.status, plain.next_offset()), (201, at.clone()));
    let offset = |digits| ("stream-fork-offset", digits);
    let sub_offset = |digits| ("stream-fork-sub-offset", digits);
    let [zero, two, five] =
        ["0000000000000000", "0000000000000002", "0000000000000005"].map(offset);
    let sub = [from, zero, sub_offset("2")];
    let cut = server.put("cut", &sub, "[5]").await;
    assert_eq!(cut.status, 201);
    source.append("6").await;
    let cut_stream = server.at("cut", JSON);
    cut_stream.append("7").await;
    assert_eq!(cut_stream.get("offset=-1").await.text(), "[1,22,5,7]");

    for (name, headers, status) in [
        ("plain", &[from][..], 200),
        ("plain", &[from, offset(&*at)], 200),
        ("plain", &[from, zero, sub_offset("4")], 200),
        ("plain", &[from, zero], 409),
        ("plain", &[("stream-forked-from", "/v1/stream/cut")], 409),
        ("plain", &[from, (CONTENT_TYPE.as_str(), TEXT)], 409),
        ("plain", &[from, ("stream-ttl", "60")], 409),
        ("plain", &[from, ("stream-closed", "true")], 409),
        ("plain", &[(CONTENT_TYPE.as_str(), JSON)], 409),
        ("source", &[from], 409),
        ("cut", &sub, 200),
        ("cut", &[from, five], 200),
        ("cut", &[from, two, sub_offset("1")], 200),
        ("cut", &[from, two, sub_offset("2")], 409),
        ("cut", &[from, two, sub_offset("9007199254740991")], 409),
    ] {
        let answer = server.put(name, headers, "").await;
        assert_eq!(answer.status, status, "{name} {headers:?}: {answer:?}");
        if status != 200 {
            answer.refuses(status);
        }
    }
    source.delete().await;
    assert_eq!(
        server.put("plain", &[from], "").await.status,
        200,
        "it exists although its source was deleted"
    );
}

#[tokio::test]
async fn invalid_forks_are_refused_and_create_nothing() {
    let server = LocalServer::start();
    let source = server.stream("a/b c", BINARY).await;
    source.append("hello").await;
    let end = source.append("world").await;
    let from = ("stream-forked-from", "/v1/stream/a/b%20c");
    let at = |offset| [from, ("stream-fork-offset", offset)];
    let within = |offset, sub| {
        [
            from,
            ("stream-fork-offset", offset),
            ("stream-fork-sub-offset", sub),
        ]
    };
    for (headers, status) in [
        (&[("stream-forked-from", "/v1/stream/none")][..], 404),
        (
            &[("stream-forked-from", "http://elsewhere/v1/stream/a/b%20c")],
            400,
        ),
        (&[("stream-forked-from", "a/b%20c")], 400),
        (&[("stream-forked-from", "/v1/streams/a/b%20c")], 400),
        (
            &[("stream-forked-from", "/v1/stream/a/b%20c?offset=-1")],
            400,
        ),
        (&[("stream-forked-from", "/v1/stream/")], 400),
        (&[("stream-forked-from", "/v1/stream/a//b")], 400),
        (&[("stream-forked-from", "")], 400),
        (&[("stream-fork-offset", "0000000000000000")], 400),
        (&[("stream-fork-sub-offset", "0")], 400),
        (&at("-1"), 400),
        (&at("now"), 400),
        (&at("7"), 400),
        (&at("0000000000000003"), 400),
        (&at("0000000000000011"), 400),
        (&[from, ("stream-fork-sub-offset", "1")], 400),
        (&within("0000000000000000", "6"), 400),
        (&within(&*end, "1"), 400),
        (
            &[
                from,
                ("stream-ttl", "1"),
                ("stream-expires-at", "2099-01-01T00:00:00Z"),
            ],
            400,
        ),
        (&[from, (CONTENT_TYPE.as_str(), JSON)], 409),
    ] {
        let answer = server.put("fork", headers, "").await;
        answer.refuses(status);
        assert_eq!(
            server.ask(Method::HEAD, "/v1/stream/fork").await.status,
            404,
            "{headers:?}"
        );
    }
    source.delete().await;
    assert_eq!(
        source.get("offset=-1").await.status,
        404,
        "refused forks are not counted"
    );
}

#[tokio::test]
async fn the_number_of_fork_generations_is_limited() {
    let server = LocalServer::start();
    let mut last = server.stream("0", TEXT).await;
    let mut number = 0;
    let refused = loop {
        last.append("x").await;
        number += 1;
        let path = format!("/v1/stream/{}", last.name);
        let answer = server
            .put(&number.to_string(), &[("stream-forked-from", &*path)], "")
            .await;
        if answer.status != 201 {
            break answer;
        }
        last = server.at(&number.to_string(), TEXT);
        assert!(number <= 1_000);
    };
    assert!(refused.refuses(409).detail.contains("limit"), "{refused:?}");
    assert_eq!(
        last.get("offset=-1").await.text().len(),
        number,
        "the last one reads through all of them"
    );
    for name in 0..number {
        assert_eq!(
            server
                .ask(Method::DELETE, &format!("/v1/stream/{name}"))
                .await
                .status,
            204
        );
    }
    for name in 0..number {
        assert_eq!(
            server
                .ask(Method::HEAD, &format!("/v1/stream/{name}"))
                .await
                .status,
            404
        );
    }
}
