//! Invalid WebSocket handshakes, and upgrade requests where no upgrade is possible.

use super::subject::{Subject, get};
use tailwater_harness::RawConnection;
use tailwater_harness::wait::within;
use tailwater_harness::websocket::{UPGRADE, client_frame};

const TARGET: &str = "/v1/stream/it?offset=now&live=websocket";

async fn subject(name: &str) -> Subject {
    let subject = Subject::start(name, &[]);
    subject.create("it", "text/plain").await;
    subject
}

#[tokio::test]
async fn a_failed_handshake_is_426_and_says_what_is_needed() {
    let subject = subject("handshake").await;
    let without = |name: &str| -> String {
        UPGRADE
            .split_inclusive("\r\n")
            .filter(|line| !line.starts_with(name))
            .collect()
    };
    let mut faults = Vec::new();
    for (what, fields) in [
        ("no upgrade at all", String::new()),
        ("no Upgrade", without("Upgrade")),
        ("no Connection", without("Connection")),
        (
            "another Upgrade",
            UPGRADE.replace("Upgrade: websocket", "Upgrade: h2c"),
        ),
        (
            "another Connection",
            UPGRADE.replace("Connection: Upgrade", "Connection: keep-alive"),
        ),
        ("no version", without("Sec-WebSocket-Version")),
        ("version 8", UPGRADE.replace("Version: 13", "Version: 8")),
        ("version 14", UPGRADE.replace("Version: 13", "Version: 14")),
        (
            "no version number",
            UPGRADE.replace("Version: 13", "Version: x"),
        ),
    ] {
        for later in [false, true] {
            let mut wire = RawConnection::open(subject.address()).await;
            if later {
                wire.send(get("/v1/stream/it?offset=now", "")).await;
                wire.response().await;
            }
            wire.send(get(TARGET, &fields)).await;
            let answer = wire.response().await;
            let (version, upgrade) = (
                answer.header("sec-websocket-version"),
                answer.header("upgrade"),
            );
            let is_right = answer.status == 426
                && version == Some("13")
                && upgrade.is_some_and(|upgrade| upgrade.eq_ignore_ascii_case("websocket"))
                && answer.fault_as_problem().is_none();
            if !is_right {
                faults.push(format!(
                    "{what}: {}, version {version:?}, upgrade {upgrade:?}",
                    answer.status
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn an_invalid_key_is_refused() {
    let subject = subject("handshake-key").await;
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut faults = Vec::new();
    for (what, field) in [
        ("none", String::new()),
        ("empty", "Sec-WebSocket-Key:\r\n".to_owned()),
        ("too short", "Sec-WebSocket-Key: dGhl\r\n".to_owned()),
        (
            "no base64",
            "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!==\r\n".to_owned(),
        ),
        ("two", format!("{key}{key}")),
        (
            "too long",
            format!("Sec-WebSocket-Key: {}\r\n", "A".repeat(1_000)),
        ),
    ] {
        let answer = subject
            .ask(get(TARGET, &UPGRADE.replace(key, &field)))
            .await;
        if ![400, 426].contains(&answer.status) {
            faults.push(format!("{what}: {}", answer.status));
        }
    }
    assert!(
        faults.is_empty(),
        "RFC 6455 4.2.1, a key is 16 bytes in base64:\n{}",
        faults.join("\n")
    );
}

#[tokio::test]
async fn a_valid_handshake_may_be_written_in_many_ways() {
    let subject = subject("handshake-ways").await;
    for fields in [
        UPGRADE.to_owned(),
        UPGRADE
            .to_ascii_uppercase()
            .replace("DGHLIHNHBXBSZSBUB25JZQ==", "dGhlIHNhbXBsZSBub25jZQ=="),
        UPGRADE.replace("Connection: Upgrade", "Connection: keep-alive, Upgrade"),
        UPGRADE.replace(
            "Connection: Upgrade",
            "Connection: keep-alive\r\nConnection: upgrade",
        ),
        UPGRADE.replace("Upgrade: websocket", "Upgrade: WebSocket"),
        format!("{UPGRADE}Sec-WebSocket-Extensions: permessage-deflate\r\n"),
        format!("{UPGRADE}Sec-WebSocket-Protocol: a, b\r\n"),
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(get(TARGET, &fields)).await;
        let head = wire.head().await;
        assert_eq!(head.status, 101, "{fields}: {head:?}");
        assert_eq!(
            head.header("sec-websocket-accept"),
            Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            "{fields}"
        );
        assert_eq!(
            head.header("sec-websocket-extensions"),
            None,
            "none was negotiated"
        );
    }
}

/// Requests for an upgrade where none is possible, and the status of the same request without it.
fn pointless_upgrades() -> [(&'static str, String, u16); 10] {
    let body = "abc";
    let put = format!(
        "PUT /v1/stream/new HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{UPGRADE}"
    );
    let post = format!(
        "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{UPGRADE}"
    );
    [
        (
            "a POST",
            format!("{post}Content-Length: 3\r\n\r\n{body}"),
            204,
        ),
        (
            "a POST after it",
            format!("{post}Content-Length: 3\r\n\r\n{body}"),
            204,
        ),
        (
            "a chunked POST",
            format!("{post}Transfer-Encoding: chunked\r\n\r\n3\r\n{body}\r\n0\r\n\r\n"),
            204,
        ),
        (
            "a POST of h2c",
            format!("{post}Content-Length: 3\r\n\r\n{body}").replace("websocket", "h2c"),
            204,
        ),
        (
            "a PUT",
            format!("{put}Content-Length: 3\r\n\r\n{body}"),
            201,
        ),
        ("a poll", get("/v1/stream/it?offset=-1", UPGRADE), 200),
        (
            "a long-poll",
            get("/v1/stream/it?offset=-1&live=long-poll", UPGRADE),
            200,
        ),
        (
            "a HEAD",
            format!("HEAD /v1/stream/it HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n"),
            200,
        ),
        ("the list", get("/v1/streams", UPGRADE), 200),
        (
            "a DELETE",
            format!("DELETE /v1/stream/none HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n"),
            404,
        ),
    ]
}

#[tokio::test]
async fn an_upgrade_of_anything_but_a_websocket_read_is_ignored() {
    let subject = subject("upgrade-ignored").await;
    let mut faults = Vec::new();
    for (what, request, status) in pointless_upgrades() {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(&request).await;
        let asking = async {
            if request.starts_with("HEAD") {
                wire.expect_no_body();
            }
            wire.response_or_end().await
        };
        let answer = tokio::time::timeout(std::time::Duration::from_secs(10), asking)
            .await
            .unwrap_or_default();
        match answer {
            Some(answer) if answer.status == status => {
                // The connection continues with HTTP.
                wire.try_send(get("/v1/stream/none", "")).await;
                let next = tokio::time::timeout(
                    std::time::Duration::from_secs(10),
                    wire.response_or_end(),
                )
                .await;
                let next = next.unwrap_or_default().map(|next| next.status);
                if next != Some(404) && !answer.says_close() {
                    faults.push(format!(
                        "{what}: {status}, but the next request got {next:?}"
                    ));
                }
            }
            other => faults.push(format!(
                "{what}: expected {status}, got {:?}",
                other.map(|other| other.status)
            )),
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn bytes_after_a_refused_handshake_are_read_as_http() {
    let subject = subject("handshake-refused").await;
    subject.create("victim", "text/plain").await;
    for target in [
        "/v1/stream/none?offset=-1&live=websocket",
        "/v1/stream/it?offset=x&live=websocket",
    ] {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.send(get(target, UPGRADE)).await;
        let answer = wire.response().await;
        assert!((400..500).contains(&answer.status), "{answer:?}");
        if answer.says_close() {
            assert!(wire.rest().await.is_empty());
            continue;
        }
        // Bytes that a proxy passes on because it believes in the upgrade are read as an HTTP
        // request.
        wire.send(get("/v1/stream/victim", "")).await;
        let next =
            tokio::time::timeout(std::time::Duration::from_secs(10), wire.response_or_end()).await;
        let next = next.unwrap_or_default().map(|next| next.status);
        assert!(
            next.is_none_or(|status| status == 200),
            "{target}: {next:?}"
        );
    }
}

#[tokio::test]
async fn a_handshake_with_another_technique_gets_that_technique() {
    for takeover in ["true", "false"] {
        let subject = Subject::start("handshake-technique", &["--takeover", takeover]);
        subject.create("it", "text/plain").await;
        subject.append("it", "text/plain", b"abc").await;
        for live in ["sse", "ndjson"] {
            let mut wire = RawConnection::open(subject.address()).await;
            let request = get(&format!("/v1/stream/it?offset=-1&live={live}"), UPGRADE);
            wire.send(
                [
                    request.as_bytes(),
                    &client_frame(0x81, b"{\"append\":\"x\"}"),
                ]
                .concat(),
            )
            .await;
            let head = wire.head().await;
            assert_eq!(head.status, 200, "{live}, --takeover {takeover}: {head:?}");
            let chunk = wire.chunk().await.expect("a chunk");
            assert!(chunk.contains("abc"), "{live}, --takeover {takeover}");
        }
        let answer = subject.ask(get("/v1/stream/it?offset=-1", "")).await;
        assert_eq!(answer.text(), "abc", "--takeover {takeover}");
    }
}

#[tokio::test]
async fn an_upgrade_beside_a_body_is_ignored() {
    for takeover in ["true", "false"] {
        let subject = Subject::start("upgrade-body", &["--takeover", takeover]);
        subject.create("it", "text/plain").await;
        subject.append("it", "text/plain", b"abc").await;
        for (live, status) in [
            ("", 200),
            ("&live=long-poll", 200),
            ("&live=sse", 200),
            ("&live=ndjson", 200),
            ("&live=websocket", 426),
        ] {
            for body in [
                "Content-Length: 0\r\n\r\n",
                "Content-Length: 2\r\n\r\nhi",
                "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            ] {
                let what = format!("{live:?} with {body:?}, --takeover {takeover}");
                let mut wire = RawConnection::open(subject.address()).await;
                let head = get(&format!("/v1/stream/it?offset=-1{live}"), UPGRADE);
                wire.send([head.trim_end(), "\r\n", body].concat()).await;
                let head = within(&what, wire.head()).await;
                assert_eq!(head.status, status, "{what}: {head:?}");
            }
        }
    }
}
