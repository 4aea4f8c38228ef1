//! Lifetimes and retention over HTTP: requested values are applied, shown and compared.

use super::live::{STREAMING, StreamingReader};
use super::local_server::{LocalServer, TEXT};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use tailwater_harness::wait::until;

#[tokio::test]
async fn head_shows_lifetime_and_retention_and_creation_compares_them() {
    let server = LocalServer::start();
    let ttl = ("stream-ttl", "3600");
    let date = ("stream-expires-at", "2099-12-31T23:59:59.25+01:00");
    let (bytes, age) = (
        ("stream-retention-bytes", "1000000"),
        ("stream-retention-age", "86400"),
    );
    for (number, (headers, shown)) in [
        (&[ttl][..], &[ttl][..]),
        (
            &[date],
            &[("stream-expires-at", "2099-12-31T22:59:59.250Z")],
        ),
        (&[bytes, age], &[bytes, age]),
        (&[], &[]),
    ]
    .into_iter()
    .enumerate()
    {
        let name = number.to_string();
        let made = server.put(&name, headers, "").await;
        assert_eq!(made.status, 201, "{made:?}");
        assert!(
            made.header("stream-extensions")
                .unwrap()
                .split(", ")
                .any(|it| it == "retention")
        );
        let head = server
            .ask(Method::HEAD, &format!("/v1/stream/{name}"))
            .await;
        for name in [
            "stream-ttl",
            "stream-expires-at",
            "stream-retention-bytes",
            "stream-retention-age",
        ] {
            let expected = shown
                .iter()
                .find(|(header, _)| *header == name)
                .map(|(_, value)| *value);
            assert_eq!(head.header(name), expected, "{headers:?}");
        }
        for asked in [&[ttl][..], &[date], &[bytes, age], &[bytes], &[age], &[]] {
            let again = server.put(&name, asked, "").await;
            assert_eq!(
                again.status,
                if asked == headers { 200 } else { 409 },
                "{headers:?}, then {asked:?}"
            );
        }
    }
    let same_moment = server
        .put(
            "1",
            &[("stream-expires-at", "2099-12-31T22:59:59.250000001Z")],
            "",
        )
        .await;
    assert_eq!(
        same_moment.status, 200,
        "the same moment in another notation"
    );
    for wrong in ["0", "-1", "1.5", "01", "1e3", "", "9007199254740992"] {
        for name in ["stream-retention-bytes", "stream-retention-age"] {
            server.put("wrong", &[(name, wrong)], "").await.refuses(400);
        }
    }
}

#[tokio::test]
async fn retention_requested_at_creation_is_applied() {
    let server = LocalServer::start();
    let text = (CONTENT_TYPE.as_str(), TEXT);
    assert_eq!(
        server
            .put("bytes", &[text, ("stream-retention-bytes", "100")], "")
            .await
            .status,
        201
    );
    let bytes = server.at("bytes", TEXT);
    for _ in 0..50 {
        bytes.append("0123456789").await;
    }
    let gone = bytes.get("offset=0000000000000000").await;
    gone.refuses(410);
    let earliest: u64 = gone
        .header("stream-earliest-offset")
        .unwrap()
        .parse()
        .unwrap();
    assert!((375..=400).contains(&earliest), "{earliest}");
    assert_eq!(
        server
            .put("age", &[text, ("stream-retention-age", "1")], "old")
            .await
            .status,
        201
    );
    let age = server.at("age", TEXT);
    until("messages older than a second to be trimmed", || async {
        let gone = age.get("offset=0000000000000000").await;
        (gone.status == 410).then(|| {
            assert_eq!(
                gone.header("stream-earliest-offset"),
                Some("0000000000000003")
            );
        })
    })
    .await;
    age.append("new").await;
    assert_eq!(age.get("offset=-1").await.text(), "new");
}

#[tokio::test]
async fn no_page_may_be_cached_beyond_its_streams_expiry() {
    let server = LocalServer::start();
    for (header, value, longest) in [
        ("stream-ttl", "30", 30),
        ("stream-ttl", "3600", 60),
        ("stream-expires-at", "2099-12-31T23:59:59Z", 60),
        ("content-language", "en", 360),
    ] {
        assert_eq!(
            server.put(value, &[(header, value)], "data").await.status,
            201
        );
        let page = server
            .ask(Method::GET, &format!("/v1/stream/{value}?offset=-1"))
            .await;
        let cache = page.header("cache-control").unwrap();
        let seconds: u64 = cache
            .split(['=', ','])
            .filter_map(|part| part.parse::<u64>().ok())
            .sum();
        assert!(
            (1..=longest).contains(&seconds) && cache.starts_with("public, max-age="),
            "{header}: {cache}"
        );
    }
}

#[tokio::test]
async fn a_live_reader_keeps_an_idle_stream_from_expiring() {
    let server = LocalServer::with(|config| config.sweep = std::time::Duration::from_millis(20));
    let text = (CONTENT_TYPE.as_str(), TEXT);
    for technique in STREAMING {
        assert_eq!(
            server
                .put("it", &[text, ("stream-ttl", "1")], "data")
                .await
                .status,
            201
        );
        let stream = server.at("it", TEXT);
        let mut live = StreamingReader::open(&stream, technique, "-1").await;
        live.data().await;
        for _ in 0..30 {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            assert_eq!(
                server.ask(Method::HEAD, "/v1/stream/it").await.status,
                200,
                "{technique}"
            );
        }
        drop(live);
        until("the stream to expire", || async {
            (server.ask(Method::HEAD, "/v1/stream/it").await.status == 404).then_some(())
        })
        .await;
        stream.get("offset=-1").await.refuses(404);
        stream.post("late").await.refuses(404);
    }
}
