//! No web page of a foreign origin can read, write or block the streams of this machine.

use super::live::socket_with;
use super::local_server::{LocalServer, TEXT};
use reqwest::Method;
use tailwater_harness::Response;
use tailwater_harness::websocket::UPGRADE;

const FOREIGN: [&str; 7] = [
    "https://evil.example",
    "http://localhost.evil.example",
    "http://127.0.0.1.evil.example",
    "http://evil.example:4437",
    "null",
    "file://",
    "http://127.0.0.1@evil.example",
];

async fn with_origin(server: &LocalServer, method: Method, target: &str, origin: &str) -> Response {
    let request = server
        .http
        .request(method, server.url(target))
        .header("origin", origin);
    server
        .send(request.header("content-type", TEXT).body("x"))
        .await
}

#[tokio::test]
async fn a_foreign_origin_can_neither_read_nor_write() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    for origin in FOREIGN {
        for (method, target) in [
            (Method::GET, "/v1/stream/it"),
            (Method::GET, "/v1/stream/it?offset=now&live=long-poll"),
            (Method::GET, "/v1/stream/it?offset=now&live=sse"),
            (Method::POST, "/v1/stream/it"),
            (Method::PUT, "/v1/stream/other"),
            (Method::DELETE, "/v1/stream/it"),
            (Method::HEAD, "/v1/stream/it"),
        ] {
            let answer = with_origin(&server, method.clone(), target, origin).await;
            assert_eq!(answer.status, 403, "{origin} {method} {target}");
            assert_eq!(answer.header("access-control-allow-origin"), None);
            if method != Method::HEAD {
                answer.refuses(403);
            }
        }
        let target = "/v1/stream/it?offset=now&live=websocket";
        let refused = socket_with(&server, target, &[("origin", origin)]).await;
        assert_eq!(refused.err(), Some(403), "{origin}");
    }
    assert_eq!(stream.tail().await, "0000000000000000");
    assert_eq!(
        server.ask(Method::HEAD, "/v1/stream/other").await.status,
        404
    );
}

#[tokio::test]
async fn a_foreign_host_is_refused_on_loopback() {
    let server = LocalServer::start();
    server.stream("it", TEXT).await;
    for host in [
        "evil.example",
        "evil.example:4437",
        "localhost.evil.example",
        "10.0.0.1",
        "127.0.0.1.evil.example",
        "",
    ] {
        let mut wire = server.connect().await;
        wire.send(format!(
            "GET /v1/stream/it HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ))
        .await;
        let status = wire.head().await.status;
        assert!(
            status == 421 || (host.is_empty() && status == 400),
            "`{host}`: {status}"
        );
    }
    for target in [
        "http://evil.example/v1/stream/it",
        "//evil.example/v1/stream/it",
    ] {
        let mut wire = server.connect().await;
        wire.send(format!(
            "GET {target} HTTP/1.1\r\nHost: evil.example\r\n\r\n"
        ))
        .await;
        assert_ne!(wire.head().await.status, 200, "{target}");
    }
    for host in ["localhost", "127.0.0.1:1", "[::1]:80", "LOCALHOST"] {
        let mut wire = server.connect().await;
        wire.send(format!(
            "GET /v1/stream/it HTTP/1.1\r\nHost: {host}\r\n\r\n"
        ))
        .await;
        assert_eq!(wire.head().await.status, 200, "{host}");
    }
}

#[tokio::test]
async fn loopback_origins_can_read_every_header_of_the_protocol() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    for origin in [
        "http://localhost:8080",
        "http://127.0.0.1:8080",
        "http://[::1]:3000",
        "https://localhost",
    ] {
        for method in [Method::GET, Method::POST, Method::HEAD] {
            let answer = with_origin(&server, method, "/v1/stream/it", origin).await;
            assert!(answer.status < 300, "{answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), Some(origin));
            // `*` applies to every header of a response to a request without credentials.
            assert_eq!(answer.header("access-control-expose-headers"), Some("*"));
            assert_eq!(answer.header("access-control-allow-credentials"), None);
            assert_eq!(answer.header("timing-allow-origin"), Some("*"));
        }
        let refused = with_origin(&server, Method::GET, "/v1/stream/none", origin).await;
        refused.refuses(404);
        assert_eq!(
            refused.header("access-control-allow-origin"),
            Some(origin),
            "a page can read the reason"
        );
        let target = stream.target("offset=now&live=websocket");
        assert!(
            socket_with(&server, &target, &[("origin", origin)])
                .await
                .is_ok()
        );
    }
}

/// The lines of the response head to a request with these header lines.
async fn head_lines(
    server: &LocalServer,
    method: &str,
    target: &str,
    headers: &str,
) -> Vec<String> {
    let mut wire = server.connect().await;
    wire.send(format!(
        "{method} {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}\r\n"
    ))
    .await;
    wire.head().await;
    let text = wire.head_text().to_ascii_lowercase();
    let lines = text.split_inclusive("\r\n").map(str::to_owned);
    // Cursors and dates differ from one response to the next.
    let varies = |line: &String| line.starts_with("date:") || line.starts_with("stream-cursor:");
    let mut lines: Vec<_> = lines.filter(|line| !varies(line)).collect();
    // The HTTP library does not define their order.
    lines[1..].sort_unstable();
    lines
}

#[tokio::test]
async fn responses_to_another_port_have_three_more_lines() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    stream.append("x").await;
    let origin = "Origin: http://127.0.0.1:4437\r\n";
    for live in ["", "&live=long-poll", "&live=ndjson", "&live=sse"] {
        let target = stream.target(&format!("offset=-1{live}"));
        let same = head_lines(&server, "GET", &target, "").await;
        let cross = head_lines(&server, "GET", &target, origin).await;
        let added: Vec<_> = cross.iter().filter(|line| !same.contains(line)).collect();
        assert_eq!(
            added,
            [
                "access-control-allow-origin: http://127.0.0.1:4437\r\n",
                "access-control-expose-headers: *\r\n",
                "timing-allow-origin: *\r\n"
            ],
            "{live}"
        );
        assert_eq!(same.len() + 3, cross.len(), "{live}");
    }
    let target = stream.target("offset=-1&live=websocket");
    let same = head_lines(&server, "GET", &target, UPGRADE).await;
    let cross = head_lines(&server, "GET", &target, &format!("{UPGRADE}{origin}")).await;
    assert!(same[0].starts_with("http/1.1 101"), "{same:?}");
    assert_eq!(same, cross, "CORS does not apply to a handshake");
    let preflight = format!("{origin}Access-Control-Request-Method: PUT\r\n");
    let preflight = head_lines(&server, "OPTIONS", &target, &preflight).await;
    for name in ["access-control-expose-headers", "timing-allow-origin"] {
        assert!(
            !preflight.iter().any(|line| line.starts_with(name)),
            "{preflight:?}"
        );
    }
}

#[tokio::test]
async fn only_a_configured_origin_is_allowed() {
    let server = LocalServer::with(|config| {
        config.cors_origins = vec!["https://app.example".into(), "http://b.example:81/".into()];
    });
    server.stream("it", TEXT).await;
    for origin in ["https://app.example", "http://b.example:81"] {
        let answer = with_origin(&server, Method::POST, "/v1/stream/it", origin).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (204, Some(origin))
        );
    }
    for origin in [
        "http://app.example",
        "https://app.example:444",
        "https://app.example.evil.example",
        "http://b.example",
    ] {
        with_origin(&server, Method::POST, "/v1/stream/it", origin)
            .await
            .refuses(403);
    }
    let open = LocalServer::with(|config| config.cors_origins = vec!["*".into()]);
    open.stream("it", TEXT).await;
    let answer = with_origin(&open, Method::GET, "/v1/stream/it", "https://any.example").await;
    assert_eq!(answer.status, 200);
    assert!(answer.header("access-control-allow-origin").is_some());
}

#[tokio::test]
async fn a_preflight_allows_loopback_origins_only() {
    let server = LocalServer::start();
    let ask = async |origin: &str| {
        let request = server
            .http
            .request(Method::OPTIONS, server.url("/v1/stream/it"))
            .header("origin", origin);
        let request = request.header("access-control-request-method", "POST");
        server
            .send(request.header(
                "access-control-request-headers",
                "content-type, stream-closed",
            ))
            .await
    };
    let answer = ask("http://localhost:8080").await;
    assert_eq!(
        (answer.status, answer.header("access-control-allow-origin")),
        (204, Some("http://localhost:8080"))
    );
    for (name, needed) in [
        (
            "access-control-allow-methods",
            &["GET", "HEAD", "PUT", "POST", "DELETE"][..],
        ),
        (
            "access-control-allow-headers",
            &[
                "content-type",
                "stream-closed",
                "stream-seq",
                "if-none-match",
                "producer-id",
                "last-event-id",
            ],
        ),
    ] {
        let allowed = answer.header(name).unwrap();
        assert!(needed.iter().all(|it| allowed.contains(it)), "{allowed}");
    }
    for origin in FOREIGN {
        assert_eq!(
            ask(origin).await.header("access-control-allow-origin"),
            None,
            "{origin}"
        );
    }
}

#[tokio::test]
async fn every_response_forbids_sniffing() {
    let server = LocalServer::start();
    let stream = server.stream("it", TEXT).await;
    let mut answers = vec![
        stream.post("x").await,
        stream.get("").await,
        stream.get("offset=x").await,
        stream.get("offset=now&live=long-poll&hold=0").await,
        with_origin(
            &server,
            Method::GET,
            "/v1/stream/it",
            "https://evil.example",
        )
        .await,
    ];
    for (method, target) in [
        (Method::HEAD, "/v1/stream/it"),
        (Method::OPTIONS, "/v1/stream/it"),
        (Method::GET, "/nothing"),
        (Method::PUT, "/v1/stream/other"),
        (Method::DELETE, "/v1/stream/it"),
    ] {
        answers.push(server.ask(method, target).await);
    }
    for answer in answers {
        assert_eq!(
            answer.header("x-content-type-options"),
            Some("nosniff"),
            "{answer:?}"
        );
        assert!(
            answer.header("cross-origin-resource-policy").is_some(),
            "{answer:?}"
        );
    }
}

#[tokio::test]
async fn a_page_cannot_embed_a_stream_that_it_may_not_fetch() {
    let server = LocalServer::start();
    server.stream("it", TEXT).await;
    let ask = async |site: &str, mode: &str| {
        let request = server.http.get(server.url("/v1/stream/it"));
        server
            .send(
                request
                    .header("sec-fetch-site", site)
                    .header("sec-fetch-mode", mode),
            )
            .await
    };
    ask("cross-site", "no-cors").await.refuses(403);
    ask("cross-site", "websocket").await.refuses(403);
    for (site, mode) in [
        ("same-origin", "cors"),
        ("same-site", "no-cors"),
        ("none", "navigate"),
        ("cross-site", "navigate"),
    ] {
        assert_eq!(ask(site, mode).await.status, 200, "{site} {mode}");
    }
}
