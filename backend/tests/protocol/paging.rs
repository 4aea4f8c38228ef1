//! Pages: complete messages, increasing offsets, and a correct `Stream-Up-To-Date`.

use super::local_server::{BINARY, JSON, LocalServer, TEXT};
use std::collections::BTreeSet;
use tailwater_protocol::Technique;

#[tokio::test]
async fn only_the_last_page_is_up_to_date_and_pages_join_up() {
    let server = LocalServer::with(|config| config.page_max = 64);
    for (name, kind) in [("json", JSON), ("text", TEXT)] {
        let stream = server.stream(name, kind).await;
        let mut whole = Vec::new();
        for number in 0..60 {
            let message = format!("\"{}\"", "x".repeat(number % 23));
            whole.push(message.clone());
            stream.append(message).await;
        }
        let pages = stream.pages("-1").await;
        assert!(pages.len() > 5, "{}", pages.len());
        for page in &pages[..pages.len() - 1] {
            assert!(!page.is("stream-up-to-date"), "{page:?}");
            assert!(
                page.body.len() <= 64 + 1,
                "a page of {} bytes",
                page.body.len()
            );
        }
        let offsets: Vec<_> = pages.iter().map(|page| page.next_offset()).collect();
        assert!(
            offsets.is_sorted() && offsets.iter().collect::<BTreeSet<_>>().len() == offsets.len()
        );
        assert_eq!(offsets.last(), Some(&stream.tail().await));
        let joined: String = pages
            .iter()
            .map(|page| page.text().trim_matches(['[', ']']))
            .collect::<Vec<_>>()
            .join(if kind == JSON { "," } else { "" });
        assert_eq!(joined, whole.join(if kind == JSON { "," } else { "" }));
    }
}

#[tokio::test]
async fn a_message_larger_than_a_page_is_sent_whole_and_alone() {
    let server = LocalServer::with(|config| config.page_max = 10);
    let stream = server.stream("bytes", BINARY).await;
    for length in [3, 3, 5_000, 3, 10, 11, 1] {
        stream.append(vec![b'x'; length]).await;
    }
    let pages = stream.pages("-1").await;
    let lengths: Vec<_> = pages.iter().map(|page| page.body.len()).collect();
    assert_eq!(lengths, [6, 5_000, 3, 10, 11, 1]);

    let json = server.stream("json", JSON).await;
    json.append(format!(r#"["{}",1,2]"#, "y".repeat(100))).await;
    let bodies: Vec<_> = json
        .pages("-1")
        .await
        .iter()
        .map(|page| page.text().to_owned())
        .collect();
    assert_eq!(
        bodies,
        [format!(r#"["{}"]"#, "y".repeat(100)), "[1,2]".into()]
    );
}

#[tokio::test]
async fn an_offset_inside_a_message_is_refused_by_every_technique() {
    let server = LocalServer::start();
    let stream = server.stream("json", JSON).await;
    stream.append("[10,20]").await;
    for inside in ["0000000000000001", "0000000000000002", "0000000000000005"] {
        stream.get(&format!("offset={inside}")).await.refuses(400);
        for live in ["long-poll", "ndjson", "sse", "websocket"] {
            stream
                .get(&format!("offset={inside}&live={live}"))
                .await
                .refuses(400);
        }
    }
    assert_eq!(stream.get("offset=0000000000000003").await.text(), "[20]");
}

#[tokio::test]
async fn an_offset_beyond_the_tail_is_refused_with_the_real_tail() {
    let server = LocalServer::start();
    let stream = server.stream("text", TEXT).await;
    let tail = stream.append("abc").await;
    for beyond in ["0000000000000004", "9999999999999999"] {
        let page = stream.get(&format!("offset={beyond}")).await;
        assert_eq!(
            (page.status, page.text(), page.next_offset()),
            (200, "", tail.clone())
        );
        assert!(page.is("stream-up-to-date"));
        let poll = stream
            .get(&format!("offset={beyond}&live=long-poll&hold=0.01"))
            .await;
        assert_eq!((poll.status, poll.next_offset()), (204, tail.clone()));
        for technique in super::live::STREAMING {
            let mut live = super::live::StreamingReader::open(&stream, technique, beyond).await;
            let first = live.frame().await.unwrap();
            assert_eq!(
                (first.data, first.next.as_str()),
                (None, &*tail),
                "{technique}"
            );
        }
    }
}

#[tokio::test]
async fn a_malformed_empty_or_repeated_offset_is_refused() {
    let server = LocalServer::start();
    server.stream("text", TEXT).await.append("abc").await;
    for query in [
        "offset=",
        "offset=0",
        "offset=3",
        "offset=-2",
        "offset=NOW",
        "offset=00000000000000003",
        "offset=000000000000000x",
        "offset=%2B000000000000003",
        "offset=0000000000000003%00",
        "offset=-1&offset=-1",
        "offset=-1&offset=now",
        "offset=../../etc",
    ] {
        let target = format!("/v1/stream/text?{query}");
        server.ask(reqwest::Method::GET, &target).await.refuses(400);
        server
            .ask(reqwest::Method::GET, &format!("{target}&live=long-poll"))
            .await
            .refuses(400);
    }
    for live in Technique::ALL
        .iter()
        .filter_map(|technique| technique.live())
    {
        server
            .ask(
                reqwest::Method::GET,
                &format!("/v1/stream/text?live={live}"),
            )
            .await
            .refuses(400);
    }
    for query in [
        "offset=-1&live=",
        "offset=-1&live=carrier-pigeon",
        "offset=-1&live=sse&live=sse",
    ] {
        server
            .ask(reqwest::Method::GET, &format!("/v1/stream/text?{query}"))
            .await
            .refuses(400);
    }
    let ignored = server
        .ask(
            reqwest::Method::GET,
            "/v1/stream/text?offset=-1&unknown=1&cursor=words",
        )
        .await;
    assert_eq!((ignored.status, ignored.text()), (200, "abc"));
}

#[tokio::test]
async fn offset_now_returns_no_data_and_the_tail() {
    let server = LocalServer::start();
    for (name, kind, empty) in [("json", JSON, "[]"), ("text", TEXT, "")] {
        let stream = server.stream(name, kind).await;
        let tail = stream.append("1").await;
        let now = stream.get("offset=now").await;
        assert_eq!(
            (now.status, now.text(), now.next_offset()),
            (200, empty, tail.clone())
        );
        assert!(now.is("stream-up-to-date") && !now.is("stream-closed"));
        stream.close().await;
        let now = stream.get("offset=now").await;
        assert_eq!(
            (now.status, now.text(), now.next_offset()),
            (200, empty, tail)
        );
        assert!(now.is("stream-up-to-date") && now.is("stream-closed"));
    }
}

#[tokio::test]
async fn only_the_page_that_reaches_the_end_says_closed() {
    let server = LocalServer::with(|config| config.page_max = 1);
    let stream = server.stream("text", TEXT).await;
    for part in ["a", "b", "c"] {
        stream.append(part).await;
    }
    stream.close().await;
    let pages = stream.pages("-1").await;
    let ends: Vec<_> = pages.iter().map(|page| page.is("stream-closed")).collect();
    assert_eq!(ends, [false, false, true]);
}
