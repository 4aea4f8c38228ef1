//! Values that the server keeps for clients have limits, the same for every way of sending them.

use super::live::socket;
use super::local_server::{JSON, LocalServer, TEXT};
use reqwest::Method;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use tailwater_harness::wait::within;
use tailwater_protocol::headers::{self};

/// An export of a JSON stream with one message.
pub(super) fn export_of(message: &str) -> String {
    let next = format!("{:016}", message.len() + 1);
    [
        json!({"export": 1, "name": "a", "configuration": {"contentType": JSON},
               "earliestOffset": "0000000000000000", "nextOffset": next})
        .to_string(),
        format!(r#"{{"data":[{message}],"streamNextOffset":"{next}"}}"#),
        json!({"end": {"nextOffset": next, "pages": 1, "closed": false}}).to_string(),
    ]
    .join("\n")
}

/// The response to a frame on a new WebSocket.
pub(crate) async fn exchange(server: &LocalServer, name: &str, frame: &str) -> Value {
    let mut socket = socket(
        server,
        &format!("/v1/stream/{name}?offset=now&live=websocket"),
    )
    .await
    .unwrap();
    super::websocket::exchange(&mut socket, frame).await
}

#[tokio::test]
async fn no_frame_is_read_from_an_array() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    for frame in [
        "[0,true]",
        "[1]",
        "[null,true,null,null,null,null,null,null]",
        "[[1],true]",
    ] {
        let answer = exchange(&server, "it", frame).await;
        assert_eq!(answer["status"], 400, "{frame}: {answer}");
        assert!(
            answer["problem"]["detail"]
                .as_str()
                .unwrap()
                .contains("invalid frame"),
            "{answer}"
        );
    }
    assert_eq!(stream.get("offset=-1").await.text(), "[]");
}

#[tokio::test]
async fn no_subscription_source_or_race_is_read_from_an_array() {
    let server = LocalServer::start();
    let stream = server.stream("it", JSON).await;
    let subscription = "/v1/stream/__ds/subscriptions/s";
    let good = json!({"type": "pull-wake", "pattern": "*", "wake_stream": "w"});
    let created = server
        .http
        .put(server.url(subscription))
        .body(good.to_string());
    assert_eq!(server.send(created).await.status, 201);
    stream.append("1").await;
    for (method, path, body) in [
        (
            Method::PUT,
            subscription.to_owned() + "2",
            json!(["pull-wake", "*", [], null, "w", null, null]),
        ),
        (
            Method::PUT,
            subscription.to_owned() + "2",
            json!({"type": "webhook", "pattern": "*", "webhook": ["http://127.0.0.1:9/"]}),
        ),
        (
            Method::POST,
            subscription.to_owned() + "/streams",
            json!([["it"]]),
        ),
        (
            Method::POST,
            subscription.to_owned() + "/claim",
            json!(["worker"]),
        ),
        (Method::POST, "/v1/lab/sources".to_owned(), json!(["host"])),
        (
            Method::POST,
            "/v1/lab/races".to_owned(),
            json!([["poll"], 1.0, 1.0]),
        ),
    ] {
        let request = server.http.request(method, server.url(&path));
        let answer = server.send(request.body(body.to_string())).await;
        assert_eq!(answer.status, 400, "{path} {body}: {answer:?}");
    }
    let claim = server
        .http
        .post(server.url(&format!("{subscription}/claim")))
        .body(r#"{"worker":"w"}"#);
    let claimed: Value = serde_json::from_slice(&server.send(claim).await.body).unwrap();
    let (wake, generation) = (&claimed["wake_id"], &claimed["generation"]);
    for (what, body) in [
        ("ack", json!([wake, generation, [], true])),
        (
            "ack",
            json!({"wake_id": wake, "generation": generation, "acks": [["it", "0000000000000000"]]}),
        ),
        ("release", json!([wake, generation])),
    ] {
        let request = server
            .http
            .post(server.url(&format!("{subscription}/{what}")))
            .body(body.to_string());
        let answer = server
            .send(request.bearer_auth(claimed["token"].as_str().unwrap()))
            .await;
        assert_eq!(answer.status, 400, "{what} {body}: {answer:?}");
    }
}

#[tokio::test]
async fn no_export_is_read_from_an_array() {
    let server = LocalServer::start();
    let whole = export_of("1");
    let lines: Vec<&str> = whole.lines().collect();
    let head = json!([
        1,
        "a",
        [JSON, null, null, null, null],
        null,
        "0000000000000000",
        "0000000000000002"
    ])
    .to_string();
    let inner = json!({"export": 1, "name": "a", "configuration": [JSON, null, null, null, null],
                       "earliestOffset": "0000000000000000", "nextOffset": "0000000000000002"})
    .to_string();
    let end = r#"{"end":["0000000000000002",1,false]}"#;
    for wrong in [
        [&head, lines[1], lines[2]],
        [&inner, lines[1], lines[2]],
        [lines[0], lines[1], end],
    ] {
        let import = server
            .http
            .put(server.url("/v1/import/new"))
            .body(wrong.join("\n"));
        let answer = server.send(import).await;
        assert_eq!(answer.status, 400, "{wrong:?}: {answer:?}");
    }
    assert_eq!(server.ask(Method::HEAD, "/v1/stream/new").await.status, 404);
}

#[tokio::test]
async fn unrepresentable_dates_and_numbers_are_refused_at_creation() {
    let server = LocalServer::start();
    let put = |name: &'static str, value: &'static str| {
        server
            .http
            .put(server.url("/v1/stream/new"))
            .header(CONTENT_TYPE, TEXT)
            .header(name, value)
    };
    for (name, value) in [
        (headers::STREAM_EXPIRES_AT, "9999-12-31T23:59:59-00:01"),
        (headers::STREAM_EXPIRES_AT, "9999-12-31T23:59:59.999-23:59"),
        (headers::STREAM_EXPIRES_AT, "1969-12-31T23:59:59Z"),
        (headers::STREAM_EXPIRES_AT, "1970-01-01T00:00:00+09:00"),
        (headers::STREAM_EXPIRES_AT, "0000-01-01T00:00:00Z"),
        (headers::STREAM_EXPIRES_AT, "10000-01-01T00:00:00Z"),
        (headers::STREAM_TTL, "18446744073709551615"),
        (headers::STREAM_TTL, "9007199254740992"),
        (headers::STREAM_RETENTION_AGE, "18446744073709551615"),
        (headers::STREAM_RETENTION_BYTES, "18446744073709551615"),
    ] {
        let problem = server.send(put(name, value)).await.refuses(400);
        assert!(problem.detail.contains(value), "{problem:?}");
    }
    let with = |member: &str, value: Value| {
        let mut lines: Vec<String> = export_of("1").lines().map(str::to_owned).collect();
        let mut head: Value = serde_json::from_str(&lines[0]).unwrap();
        head["configuration"][member] = value;
        lines[0] = head.to_string();
        lines.join("\n")
    };
    for (member, value) in [
        ("ttlSeconds", json!(u64::MAX)),
        ("ttlSeconds", json!(1_u64 << 53)),
        ("keepBytes", json!(u64::MAX)),
        ("keepBytes", json!(0)),
        ("keepSeconds", json!(u64::MAX)),
        ("keepSeconds", json!(0)),
        ("expiresAtMs", json!(u64::MAX)),
        ("expiresAtMs", json!(253_402_300_800_000_u64)),
        ("contentType", json!("text")),
        ("contentType", json!(format!("text/{}", "x".repeat(300)))),
    ] {
        let import = server
            .http
            .put(server.url("/v1/import/new"))
            .body(with(member, value.clone()));
        let answer = server.send(import).await;
        assert_eq!(answer.status, 400, "{member} {value}: {answer:?}");
    }
    assert_eq!(server.ask(Method::HEAD, "/v1/stream/new").await.status, 404);
    for (member, value) in [
        ("ttlSeconds", json!((1_u64 << 53) - 1)),
        ("expiresAtMs", json!(253_402_300_799_999_u64)),
    ] {
        let import = server
            .http
            .put(server.url(&format!("/v1/import/{member}")))
            .body(with(member, value));
        assert_eq!(server.send(import).await.status, 201);
        assert_eq!(
            server
                .ask(Method::HEAD, &format!("/v1/stream/{member}"))
                .await
                .status,
            200
        );
    }
}

#[tokio::test]
async fn values_kept_from_headers_have_a_maximum_length() {
    let server = LocalServer::with(|config| config.head_max = 128 << 10);
    let stream = server.stream("it", JSON).await;
    let long = |bytes: usize| "x".repeat(bytes);
    let post = |name: &'static str, value: String| {
        let request = stream
            .request(Method::POST, "")
            .header(CONTENT_TYPE, JSON)
            .body("1")
            .header(name, value);
        let is_producer = name == headers::PRODUCER_ID;
        if is_producer {
            request
                .header(headers::PRODUCER_EPOCH, "0")
                .header(headers::PRODUCER_SEQ, "0")
        } else {
            request
        }
    };
    for name in [headers::PRODUCER_ID, headers::STREAM_SEQ] {
        for bytes in [257, 4_096, 65_527, 100_000] {
            let problem = server.send(post(name, long(bytes))).await.refuses(400);
            assert!(
                problem.detail.contains("256") && problem.detail.contains(&bytes.to_string()),
                "{problem:?}"
            );
        }
    }
    assert_eq!(
        stream.get("offset=-1").await.text(),
        "[]",
        "nothing was appended, and the server still works"
    );
    for name in [headers::PRODUCER_ID, headers::STREAM_SEQ] {
        let answer = server.send(post(name, long(256))).await;
        assert!((200..300).contains(&answer.status), "{answer:?}");
    }
}

#[tokio::test]
async fn values_kept_from_frames_have_a_maximum_length() {
    let server = LocalServer::with(|config| config.head_max = 128 << 10);
    let stream = server.stream("it", JSON).await;
    let long = |bytes: usize| "x".repeat(bytes);
    let frame = |member: &str, value: &str| {
        let mut frame =
            json!({"append": 1, "producerId": "p", "producerEpoch": 0, "producerSeq": 0});
        frame[member] = json!(value);
        frame.to_string()
    };
    for member in ["producerId", "streamSeq"] {
        for wrong in [
            &*long(257),
            &long(65_527),
            &long(1 << 20),
            "a\u{0}b",
            "\u{e9}",
            "a\nb",
        ] {
            let answer = exchange(&server, "it", &frame(member, wrong)).await;
            assert_eq!(answer["status"], 400, "{member}: {answer}");
            assert!(
                answer["problem"]["detail"]
                    .as_str()
                    .unwrap()
                    .contains(member),
                "{answer}"
            );
        }
    }
    assert_eq!(
        exchange(&server, "it", &frame("producerId", "")).await["status"],
        400
    );
    assert_eq!(
        stream.get("offset=-1").await.text(),
        "[]",
        "nothing was appended, and the server still works"
    );
    assert_eq!(
        exchange(&server, "it", &frame("producerId", &long(255))).await["status"],
        200
    );
    assert_eq!(
        exchange(&server, "it", &frame("streamSeq", &"y".repeat(256))).await["status"],
        200
    );
}

#[tokio::test]
async fn values_kept_for_subscriptions_have_a_maximum_length() {
    let server = LocalServer::with(|config| config.head_max = 128 << 10);
    let path = |id: &str| format!("/v1/stream/__ds/subscriptions/{id}");
    let long = |bytes: usize| "x".repeat(bytes);
    let whole = |member: &str, value: Value| {
        let mut asked = json!({"type": "pull-wake", "pattern": "*", "wake_stream": "w"});
        asked[member] = value;
        asked.to_string()
    };
    let put = |id: &str, body: String| server.http.put(server.url(&path(id))).body(body);
    for (member, value) in [
        ("pattern", json!(long(513))),
        ("pattern", json!("a/".repeat(16) + "a")),
        ("streams", json!([long(513)])),
        ("wake_stream", json!(long(513))),
        ("wake_stream", json!("a/".repeat(16) + "a")),
        ("description", json!(long(1_025))),
    ] {
        let answer = server.send(put("s", whole(member, value))).await;
        assert_eq!(answer.status, 400, "{member}: {answer:?}");
    }
    let url = format!("http://127.0.0.1:9/{}", long(2_048));
    let hook = json!({"type": "webhook", "pattern": "*", "webhook": {"url": url}});
    assert_eq!(server.send(put("s", hook.to_string())).await.status, 400);
    for id in [long(129), long(65_000), "a%00b".to_owned()] {
        assert_eq!(
            server
                .send(put(&id, whole("pattern", json!("*"))))
                .await
                .status,
            400
        );
    }
    assert_eq!(
        server
            .send(put("s", whole("pattern", json!("*"))))
            .await
            .status,
        201
    );
    for worker in [String::new(), long(257), long(100_000)] {
        let body = json!({"worker": worker}).to_string();
        let answer = server
            .send(
                server
                    .http
                    .post(server.url(&(path("s") + "/claim")))
                    .body(body),
            )
            .await;
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    let body = json!({"streams": [long(513)]}).to_string();
    let answer = server
        .send(
            server
                .http
                .post(server.url(&(path("s") + "/streams")))
                .body(body),
        )
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
}

#[tokio::test]
async fn the_number_of_messages_in_an_append_is_limited() {
    let server = LocalServer::with(|config| {
        config.append_messages_max = 3;
        config.page_max = 8;
    });
    let stream = server.stream("it", JSON).await;
    let problem = stream.post("[1,2,3,4]").await.refuses(400);
    assert!(problem.detail.contains("3 messages"), "{problem:?}");
    let put = |body: &'static str| {
        server
            .http
            .put(server.url("/v1/stream/new"))
            .header(CONTENT_TYPE, JSON)
            .body(body)
    };
    server.send(put("[1,2,3,4]")).await.refuses(400);
    let fork = server
        .http
        .put(server.url("/v1/stream/new"))
        .header(headers::STREAM_FORKED_FROM, "/v1/stream/it");
    server.send(fork.body("[1,2,3,4]")).await.refuses(400);
    assert_eq!(
        exchange(&server, "it", r#"{"append":[1,2,3,4]}"#).await["status"],
        400
    );
    assert_eq!(stream.get("offset=-1").await.text(), "[]");
    stream.append("[1,2,3]").await;
    assert_eq!(server.send(put("[[1,2,3,4],[],[]]")).await.status, 201);
    // A page of 8 bytes holds four messages, so an export may have as many.
    for (count, status) in [(4, 201), (5, 400)] {
        let list = vec!["1"; count].join(",");
        let next = format!("{:016}", 2 * count);
        let whole = export_of("1")
            .replace("\"data\":[1]", &format!("\"data\":[{list}]"))
            .replace("0000000000000002", &next);
        let answer = server
            .send(
                server
                    .http
                    .put(server.url(&format!("/v1/import/{count}")))
                    .body(whole),
            )
            .await;
        assert_eq!(answer.status, status, "{count}: {answer:?}");
    }
}

#[tokio::test]
async fn too_many_messages_and_overlong_import_lines_are_refused() {
    let server = LocalServer::with(|config| {
        config.body_max = 1 << 20;
        config.page_max = 64 << 10;
    });
    let stream = server.stream("it", JSON).await;
    let ones = format!("[{}1]", "1,".repeat(100_000));
    stream.post(ones.clone()).await.refuses(400);
    let put = server
        .http
        .put(server.url("/v1/stream/new"))
        .header(CONTENT_TYPE, JSON)
        .body(ones.clone());
    server.send(put).await.refuses(400);
    let whole = export_of("1");
    let long = |bytes: usize| "x".repeat(bytes);
    for body in [
        whole.replace("\"data\":[1]", &format!("\"data\":{ones}")),
        whole.replace("\"data\":[1]", &format!("\"data\":[\"{}\"]", long(3 << 20))),
        whole.replace("\"name\":\"a\"", &format!("\"name\":\"{}\"", long(1 << 20))),
        whole.replace(JSON, TEXT).replace(
            "\"data\":[1]",
            &format!("\"data\":\"{}\"", long((1 << 20) + 2)),
        ),
    ] {
        let import = server.http.put(server.url("/v1/import/new")).body(body);
        let answer = within("a refusal", import.send()).await;
        // The refusal may arrive before the whole body has been sent, and close the connection.
        assert!(answer.is_err() || answer.is_ok_and(|answer| answer.status() == 400));
    }
    assert_eq!(server.ask(Method::HEAD, "/v1/stream/new").await.status, 404);
    assert_eq!(stream.get("offset=-1").await.text(), "[]");
    stream.append(format!("\"{}\"", long((1 << 20) - 2))).await;
    let export = server.ask(Method::GET, "/v1/export/it").await;
    let imported = server
        .send(
            server
                .http
                .put(server.url("/v1/import/copy"))
                .body(export.body),
        )
        .await;
    assert_eq!(imported.status, 201, "{imported:?}");
}
