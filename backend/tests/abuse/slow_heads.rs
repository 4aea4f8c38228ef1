//! Heads that begin and never end: a head has a deadline from its first byte on, whatever the
//! connection did before.

use super::probe::beside;
use super::subject::{Subject, get, post};
use futures_util::future::join_all;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::{until, within};
use tailwater_harness::websocket::UPGRADE;

/// What a connection did before it sends one byte of a head and stops.
const BEFORE: [&str; 13] = [
    "nothing",
    "a poll",
    "a poll that was not modified",
    "a poll of what is not there",
    "an append",
    "a long-poll that was answered at once",
    "a long-poll that waited",
    "a long-poll that an append ended",
    "a second long-poll that an append ended",
    "an NDJSON response that ended",
    "an SSE response that ended",
    "a creation",
    "a refused handshake",
];

/// A server with a deadline of one second for a head. The limit is set by its environment variable,
/// so a server that does not know it starts all the same, and the test sees it wait forever.
fn with_short_deadline(name: &str, flags: &[&str]) -> Subject {
    let subject = Subject::spawn(
        name,
        "memory",
        flags,
        &["env", "TAILWATER_HEAD_SILENCE_MAX=1s"],
    );
    println!("the deadline of a head is one second");
    subject
}

/// Two streams for [`after`]: an open one and a closed one.
async fn streams(subject: &Subject) {
    subject.create("open", "text/plain").await;
    subject.create("closed", "text/plain").await;
    subject.append("closed", "text/plain", b"abc").await;
    subject.close("closed").await;
}

/// A connection that did `what` and has read the whole response.
async fn after(subject: &Subject, what: &str) -> RawConnection {
    let mut wire = RawConnection::open(subject.address()).await;
    let request = match what {
        "nothing" => return wire,
        "a long-poll that an append ended" => {
            waited_for_an_append(subject, &mut wire).await;
            return wire;
        }
        "a second long-poll that an append ended" => {
            wire.send(get("/v1/stream/closed?offset=-1", "")).await;
            wire.response().await;
            waited_for_an_append(subject, &mut wire).await;
            return wire;
        }
        "a poll" => get("/v1/stream/closed?offset=-1", ""),
        "a poll that was not modified" => {
            wire.send(get("/v1/stream/closed?offset=-1", "")).await;
            let tag = wire
                .response()
                .await
                .header("etag")
                .expect("an entity tag")
                .to_owned();
            get(
                "/v1/stream/closed?offset=-1",
                &format!("If-None-Match: {tag}\r\n"),
            )
        }
        "a poll of what is not there" => get("/v1/stream/none", ""),
        "an append" => String::from_utf8(post("open", "text/plain", "", b"x")).unwrap(),
        "a long-poll that was answered at once" => {
            get("/v1/stream/closed?offset=-1&live=long-poll", "")
        }
        "a long-poll that waited" => get("/v1/stream/open?offset=now&live=long-poll&hold=0.05", ""),
        "an NDJSON response that ended" => get("/v1/stream/closed?offset=-1&live=ndjson", ""),
        "an SSE response that ended" => get("/v1/stream/closed?offset=-1&live=sse", ""),
        "a creation" => {
            "PUT /v1/stream/open HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n\r\n"
                .to_owned()
        }
        "a refused handshake" => get("/v1/stream/none?offset=-1&live=websocket", UPGRADE),
        other => panic!("unknown: {other}"),
    };
    wire.send(request).await;
    let answer = wire.response().await;
    assert!(answer.status < 500, "{what}: {answer:?}");
    wire
}

/// Waits at the tail of a new stream until an append ends the wait.
async fn waited_for_an_append(subject: &Subject, wire: &mut RawConnection) {
    static STREAMS: AtomicU32 = AtomicU32::new(0);
    let name = format!("waited-{}", STREAMS.fetch_add(1, Ordering::Relaxed));
    subject.create(&name, "text/plain").await;
    wire.send(get(
        &format!("/v1/stream/{name}?offset=-1&live=long-poll&hold=60"),
        "",
    ))
    .await;
    subject.readers(&name, 1).await;
    subject.append(&name, "text/plain", b"x").await;
    let answer = wire.response().await;
    assert_eq!((answer.status, answer.text()), (200, "x"), "{answer:?}");
}

#[tokio::test]
async fn a_head_that_stops_after_one_byte_is_disconnected() {
    let subject = with_short_deadline("one-byte", &[]);
    streams(&subject).await;
    let before = subject.usage();
    beside(&subject, async {
        let outcomes = join_all(BEFORE.map(|what| {
            let subject = &subject;
            async move {
                let mut wire = after(subject, what).await;
                wire.try_send("G").await;
                let ended = tokio::time::timeout(Duration::from_secs(10), wire.rest())
                    .await
                    .is_ok();
                (!ended).then_some(what)
            }
        }))
        .await;
        let held: Vec<_> = outcomes.into_iter().flatten().collect();
        assert!(
            held.is_empty(),
            "still open 10 s after one byte of a head that may take 1 s, after: {held:?}"
        );
    })
    .await;
    subject.returns_to(before, 12, 100).await;
}

#[tokio::test]
async fn a_head_sent_byte_by_byte_has_the_same_deadline() {
    let subject = with_short_deadline("dribble", &[]);
    streams(&subject).await;
    let outcomes = beside(&subject, async {
        join_all(BEFORE.map(|what| {
            let subject = &subject;
            async move {
                let mut wire = after(subject, what).await;
                // It is never silent for long, so only a deadline for the whole head ends it: 10 s
                // of bytes against 1 s.
                for byte in
                    get("/v1/stream/closed", &format!("X: {}\r\n", "x".repeat(50))).as_bytes()
                {
                    if !wire.try_send([*byte]).await {
                        return None;
                    }
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                // The system may accept bytes after the server has closed; only a response shows
                // that the server did not.
                wire.response_or_end()
                    .await
                    .filter(|answer| answer.status == 200)
                    .map(|_| what)
            }
        }))
        .await
    })
    .await;
    let taken: Vec<_> = outcomes.into_iter().flatten().collect();
    assert!(
        taken.is_empty(),
        "a head ten times slower than allowed was answered, after: {taken:?}"
    );
}

#[tokio::test]
async fn stopped_heads_do_not_use_up_the_connection_limit() {
    for what in [
        "nothing",
        "a poll",
        "a poll of what is not there",
        "a long-poll that waited",
        "a creation",
    ] {
        let subject = with_short_deadline("hundred", &["--connections-max", "100"]);
        streams(&subject).await;
        beside(&subject, async {
            // Together with the three connections of the probe they are a hundred.
            let stuck = join_all((0..97).map(|_| async {
                let mut wire = after(&subject, what).await;
                wire.send("G").await;
                wire
            }));
            let stuck = stuck.await;
            until(
                &format!("a free slot, beside heads that stopped after {what}"),
                async || {
                    let mut wire = RawConnection::open(subject.address()).await;
                    wire.try_send(get("/v1/stream/closed", "")).await;
                    let asking =
                        tokio::time::timeout(Duration::from_secs(1), wire.response_or_end());
                    asking
                        .await
                        .unwrap_or_default()
                        .filter(|answer| answer.status == 200)
                        .map(drop)
                },
            )
            .await;
            for mut wire in stuck {
                within(
                    &format!("a stopped head to be disconnected, after {what}"),
                    wire.rest(),
                )
                .await;
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_silent_connection_is_closed_after_the_idle_time() {
    let subject = with_short_deadline("idle", &["--keep-alive", "1s"]);
    streams(&subject).await;
    let ends = BEFORE.map(|what| {
        let subject = &subject;
        async move {
            let mut wire = after(subject, what).await;
            let ended = tokio::time::timeout(Duration::from_secs(10), wire.rest())
                .await
                .is_ok();
            (!ended).then_some(what)
        }
    });
    let held: Vec<_> = join_all(ends).await.into_iter().flatten().collect();
    assert!(
        held.is_empty(),
        "still open after 10 s with an idle time of 1 s, after: {held:?}"
    );
}

#[tokio::test]
async fn the_idle_time_begins_once_the_response_is_sent() {
    let subject = with_short_deadline("since", &["--keep-alive", "2s"]);
    streams(&subject).await;
    let goes_on = |before: &'static str| {
        let subject = &subject;
        async move {
            let mut wire = after(subject, before).await;
            // Held for longer than a connection may be idle.
            wire.send(get("/v1/stream/open?offset=now&live=long-poll&hold=3", ""))
                .await;
            let held = wire.response().await;
            assert_eq!(held.status, 204, "{held:?}");
            tokio::time::sleep(Duration::from_millis(300)).await;
            wire.try_send(get("/v1/stream/closed?offset=-1", "")).await;
            let next = wire.response_or_end().await;
            next.is_none_or(|next| next.status != 200).then_some(before)
        }
    };
    let befores = ["nothing", "a poll", "a long-poll that an append ended"];
    let closed: Vec<_> = join_all(befores.map(goes_on))
        .await
        .into_iter()
        .flatten()
        .collect();
    assert!(
        closed.is_empty(),
        "closed 0.3 s after its response, with an idle time of 2 s, after: {closed:?}"
    );
}
