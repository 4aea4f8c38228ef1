//! Webhooks as their receiver sees them: signed, bounded, and retried after failures.

use super::local_server::{JSON, LocalServer, TEXT};
use super::webhook_receiver::WebhookReceiver;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use ring::signature::{ED25519, UnparsedPublicKey};
use serde_json::{Value, json};
use tailwater::config::{Config, StoreKind};
use tailwater_harness::Response;
use tailwater_harness::wait::until;

impl LocalServer {
    /// Sends a request to the subscription API.
    pub(crate) async fn ds(&self, method: Method, path: &str, body: Value) -> Response {
        let request = self
            .http
            .request(method, self.url(&format!("/v1/stream/__ds/{path}")));
        self.send(request.header(CONTENT_TYPE, JSON).body(body.to_string()))
            .await
    }

    /// Sends a POST to the subscription API with a bearer token.
    pub(crate) async fn ds_with(&self, token: &str, path: &str, body: Value) -> Response {
        let request = self.http.post(self.url(&format!("/v1/stream/__ds/{path}")));
        let request = request
            .header(CONTENT_TYPE, JSON)
            .header(AUTHORIZATION, format!("Bearer {token}"));
        self.send(request.body(body.to_string())).await
    }

    /// Creates a webhook subscription `hook` on `events/*`.
    pub(crate) async fn hook(&self, url: &str) -> Value {
        let asked = json!({"type": "webhook", "pattern": "events/*", "webhook": {"url": url}});
        let answer = self.ds(Method::PUT, "subscriptions/hook", asked).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    pub(crate) async fn subscription(&self, id: &str) -> Value {
        let answer = self
            .ask(Method::GET, &format!("/v1/stream/__ds/subscriptions/{id}"))
            .await;
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Waits until a subscription has this status.
    async fn until_status(&self, id: &str, status: &str) -> Value {
        until("the subscription's status", || async {
            Some(self.subscription(id).await).filter(|it| it["status"] == status)
        })
        .await
    }
}

/// The public key that belongs to the signatures of a webhook subscription.
async fn published_key(server: &LocalServer, signing: &Value) -> Value {
    let jwks = server.http.get(signing["jwks_url"].as_str().unwrap());
    let jwks = server.send(jwks).await;
    assert_eq!(
        jwks.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(jwks.header("cache-control"), Some("public, max-age=300"));
    let jwks: Value = serde_json::from_slice(&jwks.body).unwrap();
    let key = jwks["keys"][0].clone();
    assert_eq!(key["kid"], signing["kid"]);
    assert_eq!(
        (&key["kty"], &key["crv"], &key["use"], &key["alg"]),
        (
            &json!("OKP"),
            &json!("Ed25519"),
            &json!("sig"),
            &json!("EdDSA")
        )
    );
    assert!(key.get("d").is_none(), "the private key is not published");
    key
}

#[tokio::test]
async fn a_webhooks_signature_verifies_with_the_published_key() {
    let server = LocalServer::start();
    let mut receiver = WebhookReceiver::start().await;
    let created = server.hook(&receiver.url).await;
    let key = published_key(&server, &created["webhook"]["signing"]).await;

    server.stream("events/ä b", TEXT).await.append("x").await;
    let received = receiver.next().await;
    assert!(
        received.head.starts_with("POST /hook?a=1 HTTP/1.1"),
        "{}",
        received.head
    );
    assert_eq!(received.header("content-type"), JSON);
    let [t, kid, signature] = received
        .header("webhook-signature")
        .split(',')
        .collect::<Vec<_>>()[..]
    else {
        panic!()
    };
    assert_eq!(kid.strip_prefix("kid="), key["kid"].as_str());
    let signature = BASE64
        .decode(signature.strip_prefix("ed25519=").unwrap())
        .unwrap();
    let signed = [
        t.strip_prefix("t=").unwrap().as_bytes(),
        b".",
        &received.body,
    ]
    .concat();
    let public =
        UnparsedPublicKey::new(&ED25519, BASE64.decode(key["x"].as_str().unwrap()).unwrap());
    assert!(public.verify(&signed, &signature).is_ok());

    let body = received.json();
    assert_eq!(body["subscription_id"], "hook");
    assert_eq!(
        body["callback_url"],
        server.url("/v1/stream/__ds/subscriptions/hook/callback")
    );
    let stream = &body["streams"][0];
    assert_eq!(
        (
            &stream["path"],
            &stream["link_type"],
            &stream["has_pending"]
        ),
        (&json!("events/ä b"), &json!("glob"), &json!(true))
    );
    until("the ack", || async {
        let view = server.subscription("hook").await;
        (view["streams"][0]["acked_offset"] == stream["tail_offset"]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failed_webhook_is_retried_with_the_same_wake_id() {
    let server = LocalServer::start();
    let mut receiver = WebhookReceiver::start().await;
    receiver.answer_json("500 Internal Server Error", "{\"done\":true}");
    server.hook(&receiver.url).await;
    server.stream("events/a", TEXT).await.append("x").await;
    let first = receiver.next().await.json();
    let failed = server.until_status("hook", "failed").await;
    assert!(
        failed["last_error"].as_str().unwrap().contains("500"),
        "{failed}"
    );
    assert!(
        failed["next_attempt_at"].as_str().unwrap().ends_with('Z'),
        "{failed}"
    );
    receiver.answer_json("200 OK", "{\"done\":true}");
    let second = receiver.next().await.json();
    assert_eq!(
        (&first["wake_id"], &first["generation"]),
        (&second["wake_id"], &second["generation"])
    );
    let active = server.until_status("hook", "active").await;
    assert!(active.get("last_error").is_none(), "{active}");
}

#[tokio::test]
async fn webhook_redirects_are_failures_and_not_followed() {
    let server = LocalServer::start();
    let (mut receiver, mut elsewhere) = (
        WebhookReceiver::start().await,
        WebhookReceiver::start().await,
    );
    receiver.answer_with(&format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n",
        elsewhere.url
    ));
    server.hook(&receiver.url).await;
    server.stream("events/a", TEXT).await.append("x").await;
    receiver.next().await;
    let failed = server.until_status("hook", "failed").await;
    assert!(
        failed["last_error"].as_str().unwrap().contains("307"),
        "{failed}"
    );
    assert!(elsewhere.is_quiet());
}

#[tokio::test]
async fn a_webhook_response_counts_only_if_it_is_short_json() {
    let server = LocalServer::start();
    let mut receiver = WebhookReceiver::start().await;
    server.hook(&receiver.url).await;
    let stream = server.stream("events/a", TEXT).await;
    let huge = format!("{{\"done\":true,\"x\":\"{}\"}}", "x".repeat(70_000));
    let chunked = format!(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{huge}\r\n0\r\n\r\n",
        huge.len()
    );
    let announced = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{huge}",
        huge.len()
    );
    let empty = "HTTP/1.1 204 No Content\r\n\r\n".to_owned();
    let text = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone".to_owned();
    let short = "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"done\":true}".to_owned();
    for (generation, answer) in (1..).zip([chunked, announced, empty, text, short]) {
        receiver.answer_with(&answer);
        let tail = stream.append("x").await;
        let received = receiver.next().await.json();
        assert_eq!(
            received["generation"].as_u64(),
            Some(generation),
            "{answer:.60}"
        );
        let view = server.subscription("hook").await;
        assert_ne!(
            view["streams"][0]["acked_offset"],
            tail.as_str(),
            "{answer:.60}"
        );
        let report = json!({"wake_id": received["wake_id"], "generation": generation, "done": true,
                            "acks": [{"stream": "events/a", "offset": tail}]});
        let token = received["callback_token"].as_str().unwrap();
        let called_back = server
            .ds_with(token, "subscriptions/hook/callback", report)
            .await;
        assert_eq!(
            (called_back.status, called_back.text()),
            (200, r#"{"ok":true,"next_wake":false}"#)
        );
    }
    assert!(receiver.is_quiet(), "each wake was delivered once");
}

#[tokio::test]
async fn webhooks_carry_the_public_url() {
    let server = LocalServer::with(|config| {
        config.public_url = Some("https://streams.example/sub".to_owned());
        config.webhook_allow_local = true;
    });
    let mut receiver = WebhookReceiver::start().await;
    let created = server.hook(&receiver.url).await;
    let expected = "https://streams.example/sub/v1/stream/__ds/jwks.json";
    assert_eq!(created["webhook"]["signing"]["jwks_url"], expected);
    server.stream("events/a", TEXT).await.append("x").await;
    let expected = "https://streams.example/sub/v1/stream/__ds/subscriptions/hook/callback";
    assert_eq!(receiver.next().await.json()["callback_url"], expected);
}

#[tokio::test]
async fn local_webhooks_need_a_loopback_server_or_a_flag() {
    for allow in [false, true] {
        let (tell, told) = std::sync::mpsc::channel();
        let mut server = LocalServer::run(move |_, shutdown| {
            let open = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
            tell.send(open.local_addr().unwrap().port()).unwrap();
            let listen = open.local_addr().unwrap();
            let config = Config {
                listen,
                store: StoreKind::Memory,
                workers: Some(1),
                webhook_allow_local: allow,
                ..Config::default()
            };
            tailwater::server::run(open, config, shutdown)
        });
        server.address.set_port(told.recv().unwrap());
        let asked =
            json!({"type": "webhook", "pattern": "a/*", "webhook": {"url": "http://127.0.0.1:9/"}});
        let answer = server.ds(Method::PUT, "subscriptions/hook", asked).await;
        if allow {
            assert_eq!(answer.status, 201, "{answer:?}");
        } else {
            assert!(
                answer.refuses(400).detail.contains("--webhook-allow-local"),
                "{answer:?}"
            );
        }
    }
}

#[tokio::test]
async fn local_webhooks_are_refused_for_clients_behind_a_proxy() {
    let asked =
        json!({"type": "webhook", "pattern": "a/*", "webhook": {"url": "http://127.0.0.1:9/"}});
    for allow in [false, true] {
        let public = LocalServer::with(|config| {
            config.public_url = Some("https://streams.example".to_owned());
            config.webhook_allow_local = allow;
        });
        let answer = public
            .ds(Method::PUT, "subscriptions/hook", asked.clone())
            .await;
        assert_eq!(answer.status, if allow { 201 } else { 400 }, "{answer:?}");
        let server = LocalServer::with(|config| config.webhook_allow_local = allow);
        for (number, (name, value)) in FORWARDED.into_iter().enumerate() {
            let url = server.url(&format!("/v1/stream/__ds/subscriptions/{number}"));
            let answer = server
                .send(
                    server
                        .http
                        .put(url)
                        .header(name, value)
                        .body(asked.to_string()),
                )
                .await;
            assert_eq!(
                answer.status,
                if allow { 201 } else { 400 },
                "{name}: {answer:?}"
            );
        }
    }
}

/// Header fields with which proxies name their clients.
const FORWARDED: [(&str, &str); 6] = [
    ("forwarded", "for=192.0.2.43;proto=https"),
    ("via", "1.1 proxy.example"),
    ("x-forwarded-for", "192.0.2.43"),
    ("x-forwarded-host", "streams.example"),
    ("x-forwarded-proto", "https"),
    ("X-Real-IP", "192.0.2.43"),
];

#[tokio::test]
async fn subscriptions_survive_a_restart_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let start = || {
        LocalServer::with(|config| {
            config.store = StoreKind::Disk;
            config.data_dir.clone_from(&data);
        })
    };
    let mut receiver = WebhookReceiver::start().await;
    receiver.answer_json("200 OK", "{}");
    let mut server = start();
    let created = server.hook(&receiver.url).await;
    server.stream("events/a", TEXT).await.append("abc").await;
    let wake = receiver.next().await;
    let jwks = server
        .ask(Method::GET, "/v1/stream/__ds/jwks.json")
        .await
        .body;
    server.tell_to_stop();
    server.stopped().await;

    let mut server = start();
    assert_eq!(
        server
            .ask(Method::GET, "/v1/stream/__ds/jwks.json")
            .await
            .body,
        jwks
    );
    let view = server.subscription("hook").await;
    assert_eq!(
        (&view["created_at"], &view["generation"]),
        (&created["created_at"], &json!(wake.generation()))
    );
    let body = wake.json();
    let report = json!({"wake_id": body["wake_id"], "generation": body["generation"], "done": true,
                        "acks": [{"stream": "events/a", "offset": body["streams"][0]["tail_offset"]}]});
    let token = body["callback_token"].as_str().unwrap();
    let answer = server
        .ds_with(token, "subscriptions/hook/callback", report.clone())
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    server.tell_to_stop();
    server.stopped().await;

    let server = start();
    let view = server.subscription("hook").await;
    assert_eq!(
        view["streams"][0]["acked_offset"],
        body["streams"][0]["tail_offset"]
    );
    assert_eq!(
        server
            .ds_with(token, "subscriptions/hook/callback", report)
            .await
            .status,
        409
    );
    while !receiver.is_quiet() {}
    server.at("events/a", TEXT).append("d").await;
    assert!(receiver.next().await.generation() > wake.generation());
}
