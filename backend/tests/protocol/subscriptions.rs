//! Subscriptions over HTTP: refusals, and the responses whose exact bytes the protocol defines.

use super::local_server::{JSON, LocalServer, TEXT};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tailwater_harness::Response;
use tailwater_protocol::Problem;

impl LocalServer {
    /// Creates a pull-wake subscription on `events/*` with events on `wake`.
    pub(super) async fn pull(&self, id: &str) {
        self.send(
            self.http
                .put(self.url("/v1/stream/wake"))
                .header(CONTENT_TYPE, JSON),
        )
        .await;
        let asked = json!({"type": "pull-wake", "pattern": "events/*", "wake_stream": "wake"});
        let answer = self
            .ds(Method::PUT, &format!("subscriptions/{id}"), asked)
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    async fn claim(&self, id: &str, worker: &str) -> Response {
        self.ds(
            Method::POST,
            &format!("subscriptions/{id}/claim"),
            json!({"worker": worker}),
        )
        .await
    }
}

/// Checks a refusal with a problem document that also carries the protocol's code.
#[track_caller]
fn refuses(answer: &Response, status: u16, code: &str) {
    let problem = answer.refuses(status);
    assert_eq!(json_of(answer)["error"]["code"], code, "{problem}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
}

pub(super) fn json_of(answer: &Response) -> Value {
    serde_json::from_slice(&answer.body).unwrap_or_else(|_| panic!("no JSON: {answer:?}"))
}

#[tokio::test]
async fn invalid_subscriptions_are_refused_with_a_code_and_a_reason() {
    let server = LocalServer::start();
    let hook = |url: &str| json!({"type": "webhook", "pattern": "a/*", "webhook": {"url": url}});
    for (asked, code, word) in [
        (json!({"type": "push"}), "INVALID_REQUEST", "push"),
        (
            json!({"type": "webhook", "webhook": {"url": "http://localhost/"}}),
            "INVALID_REQUEST",
            "pattern",
        ),
        (
            json!({"type": "webhook", "pattern": "a*"}),
            "INVALID_REQUEST",
            "a*",
        ),
        (
            json!({"type": "pull-wake", "pattern": "a/*"}),
            "INVALID_REQUEST",
            "wake_stream",
        ),
        (
            json!({"type": "pull-wake", "streams": ["__ds/a"], "wake_stream": "w"}),
            "INVALID_REQUEST",
            "__ds",
        ),
        (hook("http://10.0.0.1/"), "WEBHOOK_URL_REJECTED", "http"),
        (
            hook("https://10.0.0.1/"),
            "WEBHOOK_URL_REJECTED",
            "10.0.0.1",
        ),
        (
            hook("https://[::ffff:169.254.169.254]/"),
            "WEBHOOK_URL_REJECTED",
            "169.254.169.254",
        ),
        (
            hook("https://0x7f000001/"),
            "WEBHOOK_URL_REJECTED",
            "127.0.0.1",
        ),
    ] {
        let answer = server
            .ds(Method::PUT, "subscriptions/x", asked.clone())
            .await;
        refuses(&answer, 400, code);
        assert!(answer.text().contains(word), "{asked}: {}", answer.text());
    }
}

#[tokio::test]
async fn invalid_bodies_and_ids_of_subscriptions_are_refused() {
    let server = LocalServer::start();
    for body in ["", "{", "[]", "null"] {
        let request = server
            .http
            .put(server.url("/v1/stream/__ds/subscriptions/x"))
            .body(body);
        refuses(&server.send(request).await, 400, "INVALID_REQUEST");
    }
    let large = json!({"type": "pull-wake", "wake_stream": "w", "streams": ["a".repeat(1 << 20)]});
    let answer = server.ds(Method::PUT, "subscriptions/x", large).await;
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (413, Some(Problem::CONTENT_TYPE))
    );
    refuses(
        &server
            .ask(Method::GET, "/v1/stream/__ds/subscriptions/x")
            .await,
        404,
        "SUBSCRIPTION_NOT_FOUND",
    );
    for id in ["%2E%2E%2Fx", "a%0Ab", &"x".repeat(129)] {
        let path = format!("/v1/stream/__ds/subscriptions/{id}");
        refuses(
            &server.ask(Method::GET, &path).await,
            400,
            "INVALID_REQUEST",
        );
    }
}

#[tokio::test]
async fn claims_and_stale_reports_get_the_protocols_responses() {
    let server = LocalServer::start();
    server.pull("pull").await;
    refuses(&server.claim("pull", "one").await, 409, "NO_PENDING_WORK");
    refuses(
        &server.claim("none", "one").await,
        404,
        "SUBSCRIPTION_NOT_FOUND",
    );
    refuses(&server.claim("pull", "").await, 400, "INVALID_REQUEST");
    server.stream("events/a", TEXT).await.append("abc").await;
    let claim = json_of(&server.claim("pull", "one").await);
    assert_eq!(
        (&claim["generation"], &claim["lease_ttl_ms"]),
        (&json!(1), &json!(30_000))
    );
    let expected = json!([{"path": "events/a", "link_type": "glob", "acked_offset": "0000000000000000",
                           "tail_offset": "0000000000000003", "has_pending": true}]);
    assert_eq!(claim["streams"], expected);

    let busy = server.claim("pull", "two").await;
    let expected = r#"{"error":{"code":"ALREADY_CLAIMED","current_holder":"one","generation":1}}"#;
    assert_eq!(
        (busy.status, busy.header("content-type"), busy.text()),
        (409, Some(JSON), expected)
    );

    let token = claim["token"].as_str().unwrap();
    let report = |generation: u64, offset: &str| json!({"wake_id": claim["wake_id"], "generation": generation, "acks": [{"stream": "events/a", "offset": offset}]});
    let ack = |body: Value| server.ds_with(token, "subscriptions/pull/ack", body);
    for offset in ["0000000000000004", "-1", "now", "3"] {
        refuses(&ack(report(1, offset)).await, 409, "INVALID_OFFSET");
    }
    assert_eq!(
        ack(report(1, "0000000000000002")).await.text(),
        r#"{"ok":true,"next_wake":false}"#
    );
    refuses(
        &ack(report(1, "0000000000000001")).await,
        409,
        "INVALID_OFFSET",
    );
    let fenced = r#"{"error":{"code":"FENCED"}}"#;
    let stale = ack(report(2, "0000000000000003")).await;
    assert_eq!(
        (stale.status, stale.header("content-type"), stale.text()),
        (409, Some(JSON), fenced)
    );
    let release = json!({"wake_id": claim["wake_id"], "generation": 1});
    let released = server
        .ds_with(token, "subscriptions/pull/release", release.clone())
        .await;
    assert_eq!((released.status, released.text()), (204, ""));
    let again = server
        .ds_with(token, "subscriptions/pull/release", release)
        .await;
    assert_eq!((again.status, again.text()), (409, fenced));
}

#[tokio::test]
async fn callbacks_need_the_token_of_their_own_subscription() {
    let server = LocalServer::start();
    server.pull("one").await;
    server.pull("two").await;
    server.stream("events/a", TEXT).await.append("abc").await;
    let (one, two) = (
        json_of(&server.claim("one", "w").await),
        json_of(&server.claim("two", "w").await),
    );
    let report = json!({"wake_id": one["wake_id"], "generation": one["generation"], "done": true});
    for token in ["", "x", "x.y", two["token"].as_str().unwrap()] {
        for path in ["subscriptions/one/ack", "subscriptions/one/release"] {
            let answer = server.ds_with(token, path, report.clone()).await;
            refuses(&answer, 401, "TOKEN_INVALID");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
        }
    }
    let answer = server
        .ds(Method::POST, "subscriptions/one/ack", report.clone())
        .await;
    refuses(&answer, 401, "TOKEN_INVALID");
    let token = one["token"].as_str().unwrap();
    let wrong_way = server
        .ds_with(token, "subscriptions/one/callback", report.clone())
        .await;
    refuses(&wrong_way, 400, "INVALID_REQUEST");
    assert_eq!(
        server
            .ds_with(token, "subscriptions/one/ack", report)
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_subscription_is_created_once_found_again_and_deleted() {
    let server = LocalServer::start();
    let asked = json!({"type": "pull-wake", "streams": ["b", "/a"], "wake_stream": "wake", "description": "d"});
    let path = "subscriptions/my%20sub";
    let created = server.ds(Method::PUT, path, asked.clone()).await;
    assert_eq!(created.status, 201);
    let view = json_of(&created);
    assert_eq!(
        (&view["id"], &view["subscription_id"]),
        (&json!("my sub"), &json!("my sub"))
    );
    assert_eq!(
        (&view["pattern"], &view["webhook"], &view["wake_stream"]),
        (&Value::Null, &Value::Null, &json!("wake"))
    );
    let link = |path: &str| json!({"path": path, "link_type": "explicit", "acked_offset": "0000000000000000"});
    assert_eq!(view["streams"], json!([link("a"), link("b")]));
    assert_eq!(
        server.ds(Method::PUT, path, asked.clone()).await.status,
        200
    );
    let mut other = asked.clone();
    other["lease_ttl_ms"] = json!(1_000);
    refuses(
        &server.ds(Method::PUT, path, other).await,
        409,
        "SUBSCRIPTION_ALREADY_EXISTS",
    );
    assert_eq!(
        server
            .ds(
                Method::POST,
                &format!("{path}/streams"),
                json!({"streams": ["c/d"]})
            )
            .await
            .status,
        204
    );
    for gone in ["b", "c%2Fd", "c/d"] {
        assert_eq!(
            server
                .ds(Method::DELETE, &format!("{path}/streams/{gone}"), json!({}))
                .await
                .status,
            204
        );
    }
    assert_eq!(
        json_of(&server.ds(Method::PUT, path, asked).await)["streams"],
        json!([link("a")])
    );
    for _ in 0..2 {
        assert_eq!(server.ds(Method::DELETE, path, json!({})).await.status, 204);
    }
    refuses(
        &server
            .ds(
                Method::POST,
                &format!("{path}/streams"),
                json!({"streams": ["a"]}),
            )
            .await,
        404,
        "SUBSCRIPTION_NOT_FOUND",
    );
}

#[tokio::test]
async fn a_subscription_is_paused_and_resumed() {
    let server = LocalServer::start();
    server.pull("my sub").await;
    server.stream("events/a", TEXT).await.append("abc").await;
    let path = "/v1/stream/__ds/subscriptions/my%20sub";
    let post = async |action: &str| server.ask(Method::POST, &format!("{path}/{action}")).await;
    let paused = async || json_of(&server.ask(Method::GET, path).await)["paused"].clone();
    assert_eq!(paused().await, json!(false));
    let claim = json_of(&server.claim("my sub", "one").await);
    for _ in 0..2 {
        let answer = post("pause").await;
        assert_eq!((answer.status, answer.text()), (204, ""));
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        assert_eq!(paused().await, json!(true));
    }
    let refused = server.claim("my sub", "two").await;
    refuses(&refused, 409, "SUBSCRIPTION_PAUSED");
    assert_eq!(json_of(&refused)["type"], "#subscription-paused");
    let release = json!({"wake_id": claim["wake_id"], "generation": 1});
    let token = claim["token"].as_str().unwrap();
    let released = server
        .ds_with(token, "subscriptions/my%20sub/release", release)
        .await;
    assert_eq!(released.status, 204, "a lease can be released");
    let again = json!({"type": "pull-wake", "pattern": "events/*", "wake_stream": "wake"});
    let found = server
        .ds(Method::PUT, "subscriptions/my%20sub", again)
        .await;
    assert_eq!(
        (found.status, &json_of(&found)["paused"]),
        (200, &json!(true)),
        "a PUT does not resume"
    );
    for _ in 0..2 {
        // A body is not needed, and does no harm.
        let path = "subscriptions/my%20sub/resume";
        assert_eq!(server.ds(Method::POST, path, json!({})).await.status, 204);
        assert_eq!(paused().await, json!(false));
    }
    assert_eq!(
        json_of(&server.claim("my sub", "two").await)["generation"],
        2
    );
    for action in ["pause", "resume"] {
        let none = format!("/v1/stream/__ds/subscriptions/none/{action}");
        refuses(
            &server.ask(Method::POST, &none).await,
            404,
            "SUBSCRIPTION_NOT_FOUND",
        );
        let get = server.ask(Method::GET, &format!("{path}/{action}")).await;
        get.refuses(405);
        assert_eq!(get.header("allow"), Some("POST, OPTIONS"));
    }
    assert_eq!(
        server.ask(Method::DELETE, path).await.status,
        204,
        "whether paused or not"
    );
}

#[tokio::test]
async fn subscriptions_and_their_streams_are_limited() {
    let server = LocalServer::with(|config| {
        (config.subscriptions_max, config.subscription_streams_max) = (1, 2);
    });
    let asked = json!({"type": "pull-wake", "pattern": "events/*", "wake_stream": "wake"});
    for name in ["a", "b", "c"] {
        server.stream(&format!("events/{name}"), TEXT).await;
    }
    let path = "subscriptions/one";
    refuses(
        &server.ds(Method::PUT, path, asked.clone()).await,
        507,
        "TOO_MANY_STREAMS",
    );
    let answer = server.ask(Method::DELETE, "/v1/stream/events/c").await;
    assert_eq!(answer.status, 204);
    assert_eq!(
        server.ds(Method::PUT, path, asked.clone()).await.status,
        201
    );
    let added = server
        .ds(
            Method::POST,
            &format!("{path}/streams"),
            json!({"streams": ["x"]}),
        )
        .await;
    refuses(&added, 507, "TOO_MANY_STREAMS");
    refuses(
        &server.ds(Method::PUT, "subscriptions/two", asked).await,
        507,
        "TOO_MANY_SUBSCRIPTIONS",
    );
}

#[tokio::test]
async fn subscriptions_pass_the_same_origin_and_host_checks() {
    let server = LocalServer::start();
    server.pull("pull").await;
    for target in [
        "subscriptions",
        "subscriptions/pull",
        "subscriptions/pull/pause",
        "jwks.json",
        "subscriptions/pull/claim",
    ] {
        let url = server.url(&format!("/v1/stream/__ds/{target}"));
        let foreign = server
            .http
            .get(&url)
            .header("origin", "https://evil.example");
        server.send(foreign).await.refuses(403);
        let elsewhere = server.http.get(&url).header("host", "evil.example");
        server.send(elsewhere).await.refuses(421);
        let preflight = server
            .http
            .request(Method::OPTIONS, &url)
            .header("origin", "http://localhost:3000");
        let preflight = server
            .send(preflight.header("access-control-request-method", "POST"))
            .await;
        assert_eq!(preflight.status, 204);
        let allowed = preflight.header("access-control-allow-headers").unwrap();
        assert!(
            allowed.contains("authorization") && allowed.contains("content-type"),
            "{allowed}"
        );
    }
}
