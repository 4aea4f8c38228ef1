//! Streams mounted in another application: under a prefix, beside other streams, behind its
//! middleware.

use super::local_server::{JSON, LocalServer, TEXT};
use actix_web::middleware::DefaultHeaders;
use actix_web::{App, HttpServer, web};
use reqwest::Method;
use tailwater::config::{Config, StoreKind};
use tailwater::mount::{Mount, open};

/// An application with two sets of streams and its own page.
fn application() -> LocalServer {
    LocalServer::run(|listener, shutdown| async move {
        let config = Config {
            listen: listener.local_addr()?,
            store: StoreKind::Memory,
            ..Config::default()
        };
        let mount = |prefix| {
            let opened = open(&config).map_err(std::io::Error::other)?;
            Mount::new(prefix, config.clone(), opened)
        };
        let (events, logs) = (mount("/events")?, mount("/some/logs")?);
        let mounted = [events.clone(), logs.clone()];
        let ending = mounted.clone();
        let ended = HttpServer::new(move || {
            let own = App::new()
                .wrap(DefaultHeaders::new().add(("x-own", "yes")))
                .route("/", web::get().to(|| async { "own" }));
            mounted.iter().fold(own, |application, mount| {
                application.configure(|service| mount.configure(service))
            })
        })
        .workers(2)
        .listen(listener)?
        .shutdown_signal(async move {
            shutdown.await;
            ending.iter().for_each(Mount::end);
        })
        .run()
        .await;
        events.close().await?;
        logs.close().await?;
        ended
    })
}

fn put(server: &LocalServer, target: &str, content_type: &'static str) -> reqwest::RequestBuilder {
    let request = server.http.put(server.url(target));
    request.header("content-type", content_type)
}

#[tokio::test]
async fn each_prefix_has_its_own_streams_beside_other_routes() {
    let server = application();
    let made = server
        .send(put(&server, "/events/v1/stream/a", TEXT).body("one"))
        .await;
    let location = server.url("/events/v1/stream/a");
    assert_eq!(
        (made.status, made.header("location"), made.header("x-own")),
        (201, Some(location.as_str()), Some("yes"))
    );
    let status = async |target: &str| server.ask(Method::GET, target).await.status;
    assert_eq!(status("/events/v1/stream/a").await, 200);
    assert_eq!(status("/some/logs/v1/stream/a").await, 404);
    assert_eq!(status("/v1/stream/a").await, 404);
    assert_eq!(status("/events/v1/streams").await, 200);
    assert_eq!(server.ask(Method::GET, "/").await.body.as_ref(), b"own");
    let nothing = server.ask(Method::GET, "/events/v1/nothing").await;
    let said = String::from_utf8_lossy(&nothing.body).into_owned();
    assert!(
        nothing.status == 404 && said.contains("#no-route"),
        "{said}"
    );
}

#[tokio::test]
async fn sources_of_forks_and_callbacks_carry_the_prefix() {
    let server = application();
    server
        .send(put(&server, "/events/v1/stream/a", JSON).body("[1,2]"))
        .await;
    for source in ["/events/v1/stream/a", "/v1/stream/a"] {
        let name = format!("/events/v1/stream/fork-{}", source.len());
        let fork = put(&server, &name, JSON).header("stream-forked-from", source);
        assert_eq!(server.send(fork).await.status, 201, "{source}");
        let read = server.ask(Method::GET, &format!("{name}?offset=-1")).await;
        assert_eq!(read.body.as_ref(), b"[1,2]", "{source}");
    }
    let wake = r#"{"type":"webhook","pattern":"**","webhook":{"url":"http://127.0.0.1:9/"}}"#;
    let made = server
        .send(put(&server, "/events/v1/stream/__ds/subscriptions/s", JSON).body(wake))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let keys = server.url("/events/v1/stream/__ds/jwks.json");
    let text = String::from_utf8_lossy(&made.body).into_owned();
    assert!(text.contains(&keys), "{text}");
    assert_eq!(
        server
            .ask(Method::GET, "/events/v1/stream/__ds/jwks.json")
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn an_invalid_prefix_is_refused() {
    for wrong in [
        "events", "/", "/events/", "//a", "/a b", "/{name}", "/a?b", "/ä",
    ] {
        let config = Config {
            store: StoreKind::Memory,
            ..Config::default()
        };
        let opened = open(&config).unwrap();
        let refused = Mount::new(wrong, config, opened).map(drop);
        assert!(
            refused
                .as_ref()
                .is_err_and(|why| why.to_string().contains(wrong)),
            "{wrong}: {refused:?}"
        );
    }
}
