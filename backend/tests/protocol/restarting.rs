//! Streams after a server with a disk store was stopped and started again.

use super::local_server::{LocalServer, TEXT};
use reqwest::Method;
use std::path::Path;
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tailwater_core::store::SyncMode;
use tailwater_harness::Response;
use tailwater_harness::wait::until;

fn start(directory: &Path) -> LocalServer {
    LocalServer::with(|config: &mut Config| {
        config.store = StoreKind::Disk;
        config.data_dir = directory.to_owned();
        config.sync = SyncMode::Never;
        config.disk_reserve = 1;
        config.sweep = Duration::from_millis(50);
    })
}

async fn stop(mut server: LocalServer) {
    server.tell_to_stop();
    server.stopped().await;
}

/// Creates a text stream.
async fn put(
    server: &LocalServer,
    name: &str,
    headers: &[(&str, &str)],
    body: &'static str,
) -> Response {
    let text = [("content-type", TEXT)];
    server.put(name, &[&text, headers].concat(), body).await
}

async fn head(server: &LocalServer, name: &str) -> Response {
    server
        .ask(Method::HEAD, &format!("/v1/stream/{name}"))
        .await
}

#[tokio::test]
async fn forks_and_hidden_sources_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    assert_eq!(put(&server, "a", &[], "root ").await.status, 201);
    let from = |source: &'static str| ("stream-forked-from", source);
    let of_a = [from("/v1/stream/a")];
    let of_b = [from("/v1/stream/b")];
    let inside_a = [
        of_a[0],
        ("stream-fork-offset", "0000000000000000"),
        ("stream-fork-sub-offset", "4"),
    ];
    for (name, headers, body) in [
        ("b", &of_a[..], "child "),
        ("c", &of_b, "grandchild"),
        ("d", &inside_a, "ed"),
    ] {
        assert_eq!(
            put(&server, name, headers, body).await.status,
            201,
            "{name}"
        );
    }
    server.at("a", TEXT).append("later").await;
    server.at("b", TEXT).delete().await;
    stop(server).await;

    let server = start(directory.path());
    assert_eq!(
        server.at("a", TEXT).get("offset=-1").await.text(),
        "root later"
    );
    assert_eq!(
        server.at("c", TEXT).get("offset=-1").await.text(),
        "root child grandchild"
    );
    assert_eq!(server.at("d", TEXT).get("offset=-1").await.text(), "rooted");
    assert_eq!(head(&server, "b").await.status, 410);
    assert_eq!(put(&server, "b", &[], "").await.status, 409);
    assert_eq!(put(&server, "d", &inside_a, "").await.status, 200);
    server.at("a", TEXT).delete().await;
    server.at("d", TEXT).delete().await;
    assert_eq!(
        head(&server, "a").await.status,
        410,
        "c still reads from it"
    );
    server.at("c", TEXT).delete().await;
    for name in ["a", "b", "c", "d"] {
        until("all streams to be deleted", || async {
            (head(&server, name).await.status == 404).then_some(())
        })
        .await;
    }
    stop(server).await;

    let server = start(directory.path());
    for name in ["a", "b", "c", "d"] {
        assert_eq!(
            put(&server, name, &[], "new").await.status,
            201,
            "{name} can be used again"
        );
        assert_eq!(server.at(name, TEXT).get("offset=-1").await.text(), "new");
    }
}

#[tokio::test]
async fn retention_and_lifetime_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let server = start(directory.path());
    let lasting = [
        ("stream-ttl", "2"),
        ("stream-retention-bytes", "20"),
        ("stream-retention-age", "1000"),
    ];
    assert_eq!(put(&server, "idle", &lasting, "").await.status, 201);
    assert_eq!(
        put(&server, "over", &[("stream-ttl", "0")], "")
            .await
            .status,
        201
    );
    let dated = [("stream-expires-at", "2099-12-31T23:59:59.123456Z")];
    assert_eq!(put(&server, "dated", &dated, "").await.status, 201);
    let stream = server.at("idle", TEXT);
    for number in 0..9 {
        stream.append(format!("{number:010}")).await;
    }
    let earliest = |gone: Response| {
        gone.refuses(410);
        gone.header("stream-earliest-offset").unwrap().to_owned()
    };
    let before = earliest(stream.get("offset=0000000000000000").await);
    let kept = stream.get("offset=-1").await.text().to_owned();
    stop(server).await;

    let server = start(directory.path());
    let stream = server.at("idle", TEXT);
    assert_eq!(
        earliest(stream.get("offset=0000000000000000").await),
        before
    );
    assert_eq!(stream.get("offset=-1").await.text(), kept);
    let shown = head(&server, "idle").await;
    assert!(
        lasting
            .iter()
            .all(|(name, value)| shown.header(name) == Some(value)),
        "{shown:?}"
    );
    assert_eq!(put(&server, "idle", &lasting, "").await.status, 200);
    assert_eq!(put(&server, "dated", &dated, "").await.status, 200);
    assert_eq!(head(&server, "over").await.status, 404);
    until("the idle stream to expire", || async {
        (head(&server, "idle").await.status == 404).then_some(())
    })
    .await;
    stop(server).await;

    let server = start(directory.path());
    assert_eq!(
        head(&server, "idle").await.status,
        404,
        "an expired stream does not return"
    );
    assert_eq!(head(&server, "dated").await.status, 200);
}
