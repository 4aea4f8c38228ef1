//! How a long-poll ends: whatever happens to its stream, it gets exactly one complete response.

use super::subject::{Subject, get, post};
use tailwater_harness::wait::within;
use tailwater_harness::{RawConnection, Response};

/// What happens to a stream, and the status that its long-polls then get.
const ENDINGS: [(&str, u16); 5] = [
    ("an append", 200),
    ("a close", 204),
    ("an append that closes", 200),
    ("a deletion", 404),
    ("the hold", 204),
];

async fn end_wait(subject: &Subject, name: &str, what: &str) {
    match what {
        "an append" => drop(subject.append(name, "text/plain", b"x").await),
        "a close" => subject.close(name).await,
        "an append that closes" => {
            let answer = subject
                .ask(post(name, "text/plain", "Stream-Closed: true\r\n", b"x"))
                .await;
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        "a deletion" => {
            let answer = subject
                .ask(format!(
                    "DELETE /v1/stream/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n"
                ))
                .await;
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        "the hold" => {}
        other => panic!("unknown: {other}"),
    }
}

/// Every way in which a long-poll can wait at the tail of an empty stream, with the header fields
/// that belong to it.
fn long_polls(name: &str, hold: &str) -> Vec<String> {
    let target = |offset: &str, more: &str| {
        format!("/v1/stream/{name}?offset={offset}&live=long-poll&hold={hold}{more}")
    };
    vec![
        get(&target("-1", ""), ""),
        get(&target("now", ""), ""),
        get(&target("-1", "&cursor=1"), "Origin: http://localhost:1\r\n"),
        get(&target("-1", ""), "If-None-Match: \"x\"\r\n"),
        get(&target("-1", ""), "Connection: close\r\n"),
    ]
}

#[tokio::test]
async fn a_long_poll_ends_with_exactly_one_complete_response() {
    for takeover in ["true", "false"] {
        let subject = Subject::start("endings", &["--takeover", takeover]);
        for (number, (what, status)) in ENDINGS.into_iter().enumerate() {
            let name = format!("it-{number}");
            subject.create(&name, "text/plain").await;
            let asks = long_polls(&name, if what == "the hold" { "1" } else { "60" });
            let mut waiting = Vec::new();
            for ask in &asks {
                // As the first request of a connection, and as a later one that is answered outside
                // of actix.
                for before in [0, 1] {
                    let mut wire = RawConnection::open(subject.address()).await;
                    for _ in 0..before {
                        wire.send(get("/v1/stream/none", "")).await;
                        assert_eq!(wire.response().await.status, 404);
                    }
                    wire.send(ask).await;
                    waiting.push((wire, ask));
                }
            }
            if what != "the hold" {
                subject.readers(&name, waiting.len()).await;
            }
            end_wait(&subject, &name, what).await;
            for (mut wire, ask) in waiting {
                let what = format!("{what}, --takeover {takeover}, {ask}");
                let answer = wire.response().await;
                assert_eq!(answer.status, status, "{what}: {answer:?}");
                assert!(
                    answer.header("x-content-type-options").is_some(),
                    "{what}: {answer:?}"
                );
                if ask.contains("Connection: close") {
                    assert!(within("the end", wire.rest()).await.is_empty(), "{what}");
                } else {
                    wire.send(get("/v1/stream/none", "")).await;
                    assert_eq!(
                        wire.response().await.status,
                        404,
                        "the next request after {what}"
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn a_stop_ends_long_polls_with_one_complete_response() {
    for takeover in ["true", "false"] {
        let mut subject = Subject::start("stopped", &["--takeover", takeover]);
        subject.create("it", "text/plain").await;
        let asks = long_polls("it", "60");
        let mut waiting = Vec::new();
        for ask in &asks {
            for _ in 0..10 {
                let mut wire = RawConnection::open(subject.address()).await;
                wire.send(ask).await;
                waiting.push((wire, ask));
            }
        }
        subject.readers("it", waiting.len()).await;
        let stopped = subject.stop();
        for (mut wire, ask) in waiting {
            let answer: Response = wire.response().await;
            assert_eq!(
                (answer.status, answer.says_close()),
                (204, true),
                "--takeover {takeover}, {ask}: {answer:?}"
            );
            assert!(
                within("the end", wire.rest()).await.is_empty(),
                "--takeover {takeover}, {ask}"
            );
        }
        within("the server to end", stopped).await.unwrap().unwrap();
    }
}
