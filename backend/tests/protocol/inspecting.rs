//! The list of streams, and the inspection of a stream (readers with their lag, producers, last
//! messages) and of the server.

use super::live::StreamingReader;
use super::local_server::{JSON, LocalServer, TEXT};
use reqwest::Method;
use tailwater_harness::Response;
use tailwater_harness::wait::{until, within};
use tailwater_protocol::Technique;
use tailwater_protocol::inspect::{ReaderCounts, ServerDetails, StreamDetails, StreamList};

async fn list(server: &LocalServer, query: &str) -> StreamList {
    parse(
        &server
            .ask(Method::GET, &format!("/v1/streams{query}"))
            .await,
    )
}

async fn inspect(server: &LocalServer, name: &str) -> StreamDetails {
    parse(
        &server
            .ask(Method::GET, &format!("/v1/streams/{name}"))
            .await,
    )
}

fn parse<T: serde::de::DeserializeOwned>(answer: &Response) -> T {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, Some(JSON)),
        "{answer:?}"
    );
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    serde_json::from_slice(&answer.body).unwrap_or_else(|fault| panic!("{fault}: {answer:?}"))
}

fn names(list: &StreamList) -> Vec<&str> {
    list.streams
        .iter()
        .map(|stream| stream.name.as_str())
        .collect()
}

#[tokio::test]
async fn the_list_is_paged_by_name_without_gaps() {
    let server = LocalServer::start();
    for name in ["b/two", "a%20b", "b/one", "c", "%C3%BC"] {
        server.stream(name, TEXT).await;
    }
    let all = list(&server, "").await;
    assert_eq!(
        (names(&all), &all.after),
        (vec!["a b", "b/one", "b/two", "c", "ü"], &None)
    );
    let first = list(&server, "?limit=3").await;
    assert_eq!(
        (names(&first), first.after.as_deref()),
        (vec!["a b", "b/one", "b/two"], Some("b/two"))
    );
    assert_eq!(
        names(&list(&server, "?limit=3&after=b/two").await),
        ["c", "ü"]
    );
    assert_eq!(
        names(&list(&server, "?prefix=b/").await),
        ["b/one", "b/two"]
    );
    assert_eq!(
        names(&list(&server, "?search=O&after=a").await),
        ["b/one", "b/two"]
    );
    assert_eq!(names(&list(&server, "?search=%C3%9C").await), ["ü"]);
    assert_eq!(
        names(&list(&server, "?search=none").await),
        Vec::<&str>::new()
    );
    for wrong in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=-1",
        "limit=1&limit=2",
        "search=a&search=b",
        "sort=bytes",
        "sort=newest&after=b/two",
        "sort=newest&sort=newest",
    ] {
        server
            .ask(Method::GET, &format!("/v1/streams?{wrong}"))
            .await
            .refuses(400);
    }
    server.ask(Method::POST, "/v1/streams").await.refuses(405);
}

#[tokio::test]
async fn the_list_excludes_a_prefix_sorts_by_creation_and_counts_all() {
    let server = LocalServer::start();
    for name in ["b", "lab/host", "a", "lab/x", "c"] {
        server.stream(name, TEXT).await;
    }
    let shown = list(&server, "?exclude=lab/&limit=2").await;
    assert_eq!(
        (names(&shown), shown.after.as_deref(), shown.total),
        (vec!["a", "b"], Some("b"), 5)
    );
    assert_eq!(names(&list(&server, "?exclude=lab/&after=b").await), ["c"]);
    let newest = list(&server, "?sort=newest&exclude=lab/&limit=2").await;
    assert_eq!(names(&newest), ["c", "a"]);
    let created: Vec<u64> = newest.streams.iter().map(|it| it.created_ms).collect();
    assert!(created[0] >= created[1] && created[1] > 1_700_000_000_000);
    let after = newest.after.unwrap();
    let rest = list(&server, &format!("?sort=newest&exclude=lab/&after={after}")).await;
    assert_eq!((names(&rest), &rest.after), (vec!["b"], &None));
    assert_eq!(
        names(&list(&server, "?sort=newest&prefix=lab/").await),
        ["lab/x", "lab/host"]
    );
    assert_eq!(
        names(&list(&server, "?sort=name&search=LAB").await),
        ["lab/host", "lab/x"]
    );
    assert_eq!(
        inspect(&server, "a").await.created_ms,
        newest.streams[1].created_ms
    );
}

#[tokio::test]
async fn the_list_shows_the_tail_and_whether_a_stream_is_closed() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    stream.append("[1,22]").await;
    stream.close().await;
    let found = &list(&server, "").await.streams[0];
    assert_eq!(
        (found.content_type.as_str(), found.closed, found.readers),
        (JSON, true, 0)
    );
    assert_eq!(found.next_offset.as_str(), stream.tail().await);
    assert_eq!(found.earliest_offset.as_str(), "0000000000000000");
    stream.delete().await;
    assert_eq!(names(&list(&server, "").await), Vec::<&str>::new());
}

#[tokio::test]
async fn readers_are_listed_with_their_technique_and_lag() {
    let server = LocalServer::start();
    let stream = server.stream("a/b", TEXT).await;
    let first = stream.append("abc").await;
    let mut live = Vec::new();
    for technique in [Technique::Ndjson, Technique::Sse, Technique::Websocket] {
        let mut one = StreamingReader::open(&stream, technique, "-1").await;
        assert_eq!(one.frame().await.unwrap().next.as_str(), first);
        live.push(one);
    }
    let waiting = stream
        .request(Method::GET, &format!("offset={first}&live=long-poll"))
        .send();
    let waiting = tokio::spawn(waiting);
    let details = until("four readers", || async {
        let details = inspect(&server, "a/b").await;
        (details.readers.len() == 4).then_some(details)
    })
    .await;
    let all_once = ReaderCounts {
        long_poll: 1,
        ndjson: 1,
        sse: 1,
        websocket: 1,
    };
    assert_eq!(details.reader_counts, all_once, "{details:?}");
    let by: Vec<Technique> = details
        .readers
        .iter()
        .map(|reader| reader.technique)
        .collect();
    assert_eq!(
        by,
        [
            Technique::Ndjson,
            Technique::Sse,
            Technique::Websocket,
            Technique::LongPoll
        ]
    );
    for reader in &details.readers {
        assert_eq!(
            (reader.offset.as_str(), reader.lag_bytes),
            (&*first, 0),
            "{reader:?}"
        );
        assert!(reader.seconds >= 0.0);
    }
    stream.append("defg").await;
    assert_eq!(
        within("the long-poll", waiting)
            .await
            .unwrap()
            .unwrap()
            .status(),
        200
    );
    drop(live);
    stream.get("offset=-1").await;
    let details = until("no readers", || async {
        let details = inspect(&server, "a/b").await;
        details.readers.is_empty().then_some(details)
    })
    .await;
    assert_eq!(details.reader_counts.total(), 0, "{details:?}");
    assert_eq!(
        (details.kept_bytes, details.plain_reads, details.closed),
        (7, 1, false)
    );
}

#[tokio::test]
async fn the_lag_of_a_reader_that_does_not_read_is_shown() {
    let server = LocalServer::start();
    let stream = server.stream("it", super::local_server::BINARY).await;
    let idle = stream.request(Method::GET, "offset=-1&live=ndjson").send();
    let idle = within("a live response", idle).await.unwrap();
    let piece = vec![0_u8; 1 << 20];
    for _ in 0..24 {
        stream.append(piece.clone()).await;
    }
    let details = inspect(&server, "it").await;
    let [reader] = &details.readers[..] else {
        panic!("expected one reader, found {details:?}")
    };
    assert!(
        reader.lag_bytes > 0 && reader.lag_bytes <= 24 << 20,
        "{reader:?}"
    );
    let at: u64 = reader.offset.as_str().parse().unwrap();
    assert_eq!(at + reader.lag_bytes, 24 << 20);
    drop(idle);
}

#[tokio::test]
async fn producers_are_listed_with_their_position() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    for (id, epoch, seq) in [("b", "0", "0"), ("a", "3", "0"), ("b", "0", "1")] {
        let request = stream
            .request(Method::POST, "")
            .header("content-type", TEXT)
            .body("x");
        let request = request
            .header("producer-id", id)
            .header("producer-epoch", epoch)
            .header("producer-seq", seq);
        assert_eq!(server.send(request).await.status, 200);
    }
    let details = inspect(&server, "it").await;
    let found: Vec<_> = details
        .producers
        .iter()
        .map(|it| (it.id.as_str(), it.epoch, it.seq))
        .collect();
    assert_eq!(
        (found, details.producer_count),
        (vec![("a", 3, 0), ("b", 0, 1)], 2)
    );
}

#[tokio::test]
async fn an_unknown_stream_is_404_and_inspection_passes_the_gate() {
    let server = LocalServer::start();
    server
        .ask(Method::GET, "/v1/streams/none")
        .await
        .refuses(404);
    server.ask(Method::GET, "/v1/streams/").await.refuses(400);
    server
        .ask(Method::DELETE, "/v1/streams/none")
        .await
        .refuses(405);
    for path in [
        "/v1/server",
        "/v1/streams",
        "/v1/streams/it",
        "/v1/export/it",
    ] {
        let foreign = server
            .http
            .get(server.url(path))
            .header("origin", "https://evil.example");
        server.send(foreign).await.refuses(403);
    }
    let foreign = server
        .http
        .put(server.url("/v1/import/it"))
        .header("origin", "https://evil.example");
    server.send(foreign).await.refuses(403);
}

#[tokio::test]
async fn forks_and_sources_name_each_other_and_hidden_are_unlisted() {
    let server = LocalServer::start();
    let source = server.stream("a/source", JSON).await;
    source.append("[1,2,3]").await;
    for (name, at) in [("z", "0000000000000002"), ("b", "0000000000000004")] {
        let fork = server
            .http
            .put(server.url(&format!("/v1/stream/{name}")))
            .header("content-type", JSON);
        let fork = fork
            .header("stream-forked-from", "/v1/stream/a/source")
            .header("stream-fork-offset", at);
        assert_eq!(server.send(fork).await.status, 201);
    }
    let details = inspect(&server, "a/source").await;
    assert_eq!(
        (details.fork_count, details.forks),
        (2, vec!["b".to_owned(), "z".to_owned()])
    );
    let fork = inspect(&server, "b").await;
    let origin = fork.forked_from.unwrap();
    assert_eq!(
        (origin.stream.as_str(), origin.offset.as_str()),
        ("a/source", "0000000000000004")
    );
    assert_eq!(
        (fork.earliest_offset.as_str(), fork.kept_bytes),
        ("0000000000000000", 4),
        "including inherited messages"
    );
    assert_eq!(
        list(&server, "?prefix=z").await.streams[0]
            .forked_from
            .as_deref(),
        Some("a/source")
    );

    let exported = server.ask(Method::GET, "/v1/export/b").await;
    let imported = server
        .send(
            server
                .http
                .put(server.url("/v1/import/copy"))
                .body(exported.body),
        )
        .await;
    assert_eq!(imported.status, 201, "{imported:?}");
    assert_eq!(
        server
            .ask(Method::GET, "/v1/stream/copy?offset=-1")
            .await
            .text(),
        "[1,2]"
    );

    source.delete().await;
    assert_eq!(names(&list(&server, "").await), ["b", "copy", "z"]);
    server
        .ask(Method::GET, "/v1/streams/a/source")
        .await
        .refuses(410);
}

async fn inspect_server(server: &LocalServer) -> ServerDetails {
    parse(&server.ask(Method::GET, "/v1/server").await)
}

#[tokio::test]
async fn the_server_reports_its_store_memory_and_readers() {
    let server = LocalServer::with(|config| config.memory_max = 1 << 30);
    let before = inspect_server(&server).await;
    assert_eq!(before.version, env!("CARGO_PKG_VERSION"));
    assert_eq!((before.stream_count, before.live_readers), (0, 0));
    assert!(before.connections >= Some(1), "{before:?}");
    if cfg!(target_os = "linux") {
        assert!(before.resident_bytes > Some(1 << 20), "{before:?}");
    }
    assert_eq!(
        (before.store.kind.as_str(), before.store.limit_bytes),
        ("memory", Some(1 << 30))
    );
    assert_eq!(before.store.free_bytes, None);
    let stream = server.stream("it", TEXT).await;
    stream.append(vec![b'x'; 100_000]).await;
    let first = "0000000000100000";
    let mut live = StreamingReader::open(&stream, Technique::Sse, "-1").await;
    assert_eq!(live.frame().await.unwrap().next.as_str(), first);
    let after = inspect_server(&server).await;
    assert_eq!((after.stream_count, after.live_readers), (1, 1));
    assert!(
        after.store.stored_bytes.unwrap() >= before.store.stored_bytes.unwrap() + 100_000,
        "{after:?}"
    );
    assert!(after.uptime_seconds >= before.uptime_seconds);
    drop(live);
    until("no readers", || async {
        (inspect_server(&server).await.live_readers == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_last_messages_are_listed_with_offsets_and_times() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    assert_eq!(inspect(&server, "it?last=5").await.last_messages, []);
    stream.append("[1,22]").await;
    stream.append("333").await;
    let details = inspect(&server, "it?last=2").await;
    let offsets: Vec<_> = details
        .last_messages
        .iter()
        .map(|it| (it.offset.as_str(), it.next_offset.as_str()))
        .collect();
    assert_eq!(
        offsets,
        [
            ("0000000000000002", "0000000000000005"),
            ("0000000000000005", "0000000000000009")
        ]
    );
    let times = details.last_messages.iter().map(|it| it.appended_ms);
    assert!(times.is_sorted_by(|a, b| details.created_ms <= *a && a <= b));
    let read = server
        .ask(Method::GET, "/v1/stream/it?offset=0000000000000002")
        .await;
    assert_eq!(read.text(), "[22,333]", "the same messages");
    assert_eq!(
        inspect(&server, "it?last=1000").await.last_messages.len(),
        3
    );
    assert_eq!(inspect(&server, "it").await.last_messages, []);
    for wrong in ["last=1001", "last=x", "last=-1", "last=1&last=1"] {
        let target = format!("/v1/streams/it?{wrong}");
        server.ask(Method::GET, &target).await.refuses(400);
    }

    let fork = server
        .http
        .put(server.url("/v1/stream/fork"))
        .header("content-type", JSON)
        .header("stream-forked-from", "/v1/stream/it")
        .header("stream-fork-offset", "0000000000000005");
    assert_eq!(server.send(fork).await.status, 201);
    let inherited = inspect(&server, "fork?last=9").await.last_messages;
    let all = inspect(&server, "it?last=9").await.last_messages;
    assert_eq!(inherited, all[..2]);
    let append = server
        .http
        .post(server.url("/v1/stream/fork"))
        .header("content-type", JSON)
        .body("4444");
    assert_eq!(server.send(append).await.status, 204);
    let both = inspect(&server, "fork?last=2").await.last_messages;
    assert_eq!((&both[0], both.len()), (&all[1], 2));
    assert_eq!(both[1].offset, both[0].next_offset);
}
