//! What the disk store guarantees across a kill, checked over HTTP: producers, closing,
//! `Stream-Seq`, lifetimes, forks, retention, offsets and entity tags are the same afterwards.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod access;
mod lifetimes;
#[path = "../process/mod.rs"]
mod process;

use process::DEADLINE;
use process::durable_server::{DurableServer, JSON, TEXT};
use reqwest::Method;
use std::io::{Read, Write};
use std::net::TcpStream;
use tailwater_protocol::headers;

/// The largest integer that JavaScript represents exactly.
const COUNT_MAX: &str = "9007199254740991";

#[tokio::test]
async fn producer_state_and_data_agree_after_a_crash() {
    let mut server = DurableServer::new("restart-producer");
    server.put("it", &TEXT, "").await.expect(201);
    server.produce("it", "3", "0", &[], "a").await.expect(200);
    server.produce("it", "3", "1", &[], "b").await.expect(200);
    server.crash();
    for seq in ["0", "1"] {
        let again = server
            .produce("it", "3", seq, &[], "again")
            .await
            .expect(204);
        assert_eq!(
            again.header(headers::PRODUCER_SEQ),
            Some("1"),
            "the last number: {again:?}"
        );
    }
    let gap = server.produce("it", "3", "3", &[], "d").await.expect(409);
    assert_eq!(gap.header(headers::PRODUCER_EXPECTED_SEQ), Some("2"));
    let stale = server.produce("it", "2", "0", &[], "z").await.expect(403);
    assert_eq!(stale.header(headers::PRODUCER_EPOCH), Some("3"));
    server.produce("it", "4", "1", &[], "y").await.expect(400);
    server.produce("it", "3", "2", &[], "c").await.expect(200);
    server
        .produce("it", COUNT_MAX, "0", &[], "!")
        .await
        .expect(200);
    server.crash();
    server
        .produce("it", COUNT_MAX, "0", &[], "!")
        .await
        .expect(204);
    server.produce("it", "3", "3", &[], "d").await.expect(403);
    assert_eq!(server.get("it").await.body, "abc!");
}

#[tokio::test]
async fn a_closed_stream_stays_closed_and_closing_can_be_retried() {
    let mut server = DurableServer::new("restart-closed");
    let closes = [(headers::STREAM_CLOSED, "true")];
    for name in ["by-producer", "bare", "at-birth"] {
        let head = [&TEXT[..], if name == "at-birth" { &closes } else { &[] }].concat();
        server.put(name, &head, "x").await.expect(201);
    }
    server
        .produce("by-producer", "0", "0", &[], "y")
        .await
        .expect(200);
    server
        .produce("by-producer", "0", "1", &closes, "z")
        .await
        .expect(200);
    server.post("bare", &closes, "").await.expect(204);
    server.crash();
    for (name, content) in [("by-producer", "xyz"), ("bare", "x"), ("at-birth", "x")] {
        let read = server.get(name).await.expect(200);
        assert!(
            read.is(headers::STREAM_CLOSED) && read.body == content,
            "{name}: {read:?}"
        );
        let refused = server.post(name, &TEXT, "more").await.expect(409);
        assert!(
            refused.is(headers::STREAM_CLOSED) && refused.next_offset() == read.next_offset(),
            "{name}: {refused:?}"
        );
        server.put(name, &TEXT, "").await.expect(409);
        server
            .put(name, &[&TEXT[..], &closes].concat(), "")
            .await
            .expect(200);
        server.post(name, &closes, "").await.expect(204);
        server
            .get(&format!("{name}?offset=now&live=long-poll"))
            .await
            .expect(204);
    }
    let again = server
        .produce("by-producer", "0", "1", &closes, "z")
        .await
        .expect(204);
    assert!(again.is(headers::STREAM_CLOSED), "{again:?}");
    server
        .produce("by-producer", "0", "0", &[], "y")
        .await
        .expect(409);
}

#[tokio::test]
async fn if_match_and_stream_seq_hold_after_a_crash() {
    let mut server = DurableServer::new("restart-conditions");
    server.put("it", &TEXT, "").await.expect(201);
    let with = |name, value| [TEXT[0], (name, value)];
    server
        .post("it", &with(headers::STREAM_SEQ, "b"), "1")
        .await
        .expect(204);
    let tail = server
        .post("it", &with(headers::STREAM_SEQ, "c"), "2")
        .await
        .expect(204)
        .next_offset()
        .to_owned();
    server.crash();
    for seq in ["a", "b", "c"] {
        server
            .post("it", &with(headers::STREAM_SEQ, seq), "no")
            .await
            .expect(409);
    }
    let refused = server
        .post("it", &with("if-match", "\"0000000000000001\""), "no")
        .await
        .expect(412);
    assert_eq!(refused.next_offset(), tail);
    let tag = format!("\"{tail}\"");
    server
        .post("it", &[TEXT[0], ("if-match", &tag)], "3")
        .await
        .expect(204);
    server
        .post("it", &with(headers::STREAM_SEQ, "d"), "4")
        .await
        .expect(204);
    assert_eq!(server.get("it").await.body, "1234");
}

#[tokio::test]
async fn offsets_and_etags_mean_the_same_after_a_crash() {
    let mut server = DurableServer::new("restart-offsets");
    let first = server
        .put(
            "it",
            &JSON,
            r#"[{"big":9007199254740993,"a":1,"a":2},"물"]"#,
        )
        .await
        .expect(201);
    let mut offsets = vec!["-1".to_owned(), first.next_offset()];
    for body in ["1e400", "[[1],[]]", r#""\u0000é""#, "18446744073709551616"] {
        offsets.push(
            server
                .post("it", &JSON, body)
                .await
                .expect(204)
                .next_offset()
                .to_owned(),
        );
    }
    let mut before = Vec::new();
    for offset in &offsets {
        before.push(server.get(&format!("it?offset={offset}")).await.expect(200));
    }
    server.crash();
    assert!(
        before[0]
            .text()
            .contains("9007199254740993,\"a\":1,\"a\":2}"),
        "{:?}",
        before[0]
    );
    for (offset, was) in offsets.iter().zip(&before) {
        let is = server.get(&format!("it?offset={offset}")).await.expect(200);
        assert_eq!(
            (&is.body, is.next_offset(), is.header("etag")),
            (&was.body, was.next_offset(), was.header("etag")),
            "{offset}"
        );
        if let Some(tag) = was.header("etag") {
            server
                .ask(
                    Method::GET,
                    &format!("it?offset={offset}"),
                    &[("if-none-match", tag)],
                    "",
                )
                .await
                .expect(304);
        }
    }
    let tag = before[0].header("etag").unwrap();
    server
        .post("it", &[(headers::STREAM_CLOSED, "true")], "")
        .await
        .expect(204);
    server.crash();
    let closed = server
        .ask(Method::GET, "it?offset=-1", &[("if-none-match", tag)], "")
        .await
        .expect(200);
    assert!(
        closed.header("etag") != Some(tag) && closed.is(headers::STREAM_CLOSED),
        "{closed:?}"
    );
}

#[tokio::test]
async fn a_deleted_stream_stays_deleted_and_its_name_is_free() {
    let mut server = DurableServer::new("restart-deleted");
    for name in ["gone", "again"] {
        server.put(name, &TEXT, "old").await.expect(201);
        server.produce(name, "7", "0", &[], "old").await.expect(200);
    }
    let old = server.get("again").await;
    server.delete("gone").await.expect(204);
    server.delete("again").await.expect(204);
    server.put("again", &TEXT, "new").await.expect(201);
    server.crash();
    server.get("gone").await.expect(404);
    server.delete("gone").await.expect(404);
    let new = server.get("again").await.expect(200);
    assert_eq!(
        (new.text(), &*new.next_offset()),
        ("new", "0000000000000003_1"),
        "its offsets differ from the old ones"
    );
    assert_ne!(
        new.header("etag"),
        old.header("etag"),
        "another stream has other entity tags"
    );
    server
        .produce("again", "0", "0", &[], "!")
        .await
        .expect(200);
    server.put("gone", &JSON, "").await.expect(201);
    server.crash();
    assert_eq!(server.get("gone").await.body, "[]");
    assert_eq!(server.get("again").await.body, "new!");
}

#[tokio::test]
async fn forks_and_their_sources_survive_a_crash() {
    let mut server = DurableServer::new("restart-forks");
    server.put("source", &TEXT, "abc").await.expect(201);
    server
        .produce("source", "5", "0", &[], "def")
        .await
        .expect(200);
    let from = |source, at| {
        [
            (headers::STREAM_FORKED_FROM, source),
            (headers::STREAM_FORK_OFFSET, at),
        ]
    };
    let child = from("/v1/stream/source", "0000000000000003");
    server.put("child", &child, "X").await.expect(201);
    let grandchild = from("/v1/stream/child", "0000000000000004");
    server.put("grandchild", &grandchild, "Y").await.expect(201);
    server
        .produce("child", "0", "0", &[], "Z")
        .await
        .expect(200);
    server.delete("source").await.expect(204);
    server.crash();
    let forks = [("child", "abcXZ"), ("grandchild", "abcXY")];
    for (name, content) in forks {
        assert_eq!(server.get(name).await.expect(200).body, content, "{name}");
        assert_eq!(
            server
                .get(&format!("{name}?offset=0000000000000003"))
                .await
                .body,
            content[3..],
            "{name}"
        );
    }
    server
        .produce("child", "0", "0", &[], "Z")
        .await
        .expect(204);
    for method in [Method::GET, Method::HEAD, Method::POST, Method::DELETE] {
        server.ask(method, "source", &TEXT, "x").await.expect(410);
    }
    server.put("source", &TEXT, "").await.expect(409);
    server.put("other", &child, "").await.expect(409);
    server.put("child", &child, "").await.expect(200);
    server.delete("child").await.expect(204);
    server.crash();
    server.get("child").await.expect(410);
    server.get("source").await.expect(410);
    assert_eq!(server.get("grandchild").await.body, "abcXY");
    server.delete("grandchild").await.expect(204);
    server.crash();
    for name in ["source", "child", "grandchild"] {
        server.get(name).await.expect(404);
        server.put(name, &TEXT, "").await.expect(201);
    }
}

#[tokio::test]
async fn a_body_in_transit_during_a_crash_is_not_stored() {
    let mut server = DurableServer::new("restart-half");
    server.put("it", &TEXT, "whole").await.expect(201);
    let mut wires = Vec::new();
    for framing in [
        "Transfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        "Content-Length: 8\r\n\r\nhalf",
    ] {
        for line in ["POST /v1/stream/it", "PUT /v1/stream/other"] {
            let mut wire = TcpStream::connect(("127.0.0.1", server.folder.port)).unwrap();
            write!(
                wire,
                "{line} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{framing}"
            )
            .unwrap();
            wires.push(wire);
        }
    }
    // This request is answered after the others were read: it uses its own connection, but by then the
    // server has their heads.
    server.get("it").await.expect(200);
    server.crash();
    for mut wire in wires {
        wire.set_read_timeout(Some(DEADLINE)).unwrap();
        let mut answer = String::new();
        let _reset = wire.read_to_string(&mut answer);
        assert_eq!(answer, "", "a request with half a body gets no response");
    }
    assert_eq!(server.get("it").await.expect(200).body, "whole");
    server.get("other").await.expect(404);
}

#[tokio::test]
async fn refusals_after_a_restart_are_problem_documents() {
    let mut server = DurableServer::new("restart-refusals");
    server.put("it", &TEXT, "").await.expect(201);
    server.crash();
    let too_large = "x".repeat((16 << 20) + 1);
    for (answer, status) in [
        (server.post("it", &TEXT, &too_large).await, 413),
        (server.post("it", &JSON, "1").await, 409),
        (server.post("none", &TEXT, "x").await, 404),
        (server.get("it?offset=x%2Cy").await, 400),
    ] {
        assert!(!answer.problem().kind.is_empty());
        answer.expect(status);
    }
    assert_eq!(server.get("it").await.expect(200).body, "");
}
