//! More connections than are allowed, or than there are file descriptors for: the excess is closed;
//! other clients and the store keep working.

use super::probe::beside;
use super::process::DEADLINE;
use super::subject::{Subject, get};
use futures_util::future::join_all;
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::{until, within};

/// Connection limit of the servers in these tests.
const CONNECTIONS_MAX: usize = 100;
/// Connections over the limit that a server may keep for a moment, to answer 503 instead of closing
/// them.
const REFUSED_AT_ONCE_MAX: usize = 64;

fn with_connection_limit(name: &str) -> Subject {
    Subject::start(name, &["--connections-max", "100"])
}

/// Opens `count` connections without sending anything.
async fn crowd(subject: &Subject, count: usize) -> Vec<RawConnection> {
    join_all((0..count).map(|_| RawConnection::open(subject.address()))).await
}

/// Sends requests on new connections until one gets another status than 503.
async fn slot_for_another(subject: &Subject) {
    until("a free slot for another connection", async || {
        let mut wire = RawConnection::open(subject.address()).await;
        wire.try_send(get("/v1/stream/none", "")).await;
        let answer = wire.response_or_end().await;
        answer
            .is_some_and(|answer| answer.status == 404)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn connections_over_the_limit_are_refused_not_queued() {
    let subject = with_connection_limit("beyond");
    let before = subject.usage();
    beside(&subject, async {
        let mut within_limit = crowd(&subject, CONNECTIONS_MAX - 10).await;
        for wire in &mut within_limit {
            wire.send(get("/v1/stream/none", "")).await;
            assert_eq!(wire.response().await.status, 404);
        }
        let refusals = (0..500).map(|_| async {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.try_send(get("/v1/stream/none", "")).await;
            match wire.response_or_end().await {
                None => (wire, true),
                Some(answer) if answer.status == 503 && answer.says_close() => {
                    let ended = wire.rest().await.is_empty();
                    (wire, ended)
                }
                // The connection stays open: if it were dropped, a later one could take its slot.
                Some(_) => (wire, false),
            }
        });
        let beyond = join_all(refusals).await;
        let refused = beyond.iter().filter(|(_, refused)| *refused).count();
        assert!(
            refused >= 490,
            "{refused} of 500 connections beyond the limit were refused"
        );
        for wire in &mut within_limit {
            wire.send(get("/v1/stream/none", "")).await;
            assert_eq!(
                wire.response().await.status,
                404,
                "a new connection took the slot of an old one"
            );
        }
        drop((within_limit, beyond));
        slot_for_another(&subject).await;
    })
    .await;
    subject.returns_to(before, 12, 100).await;
}

#[tokio::test]
async fn silent_connections_over_the_limit_are_closed_at_accept() {
    // No deadline for heads or idle connections closes any of them, and one worker counts them as
    // they arrive.
    let patient = ["env", "TAILWATER_HEAD_SILENCE_MAX=1h"];
    let subject = Subject::spawn(
        "silent-beyond",
        "memory",
        &[
            "--connections-max",
            "100",
            "--keep-alive",
            "1h",
            "--workers",
            "1",
        ],
        &patient,
    );
    let before = subject.usage();
    beside(&subject, async {
        let mut within_limit = crowd(&subject, CONNECTIONS_MAX - 10).await;
        let beyond = crowd(&subject, 500).await;
        let ends = beyond.into_iter().map(|mut wire| async move {
            let said = tokio::time::timeout(DEADLINE / 2, wire.rest()).await.ok();
            (
                wire,
                said.map(|said| String::from_utf8_lossy(&said).into_owned()),
            )
        });
        let ends = join_all(ends).await;
        let is_refusal = |said: &String| said.is_empty() || said.starts_with("HTTP/1.1 503 ");
        let refused = ends
            .iter()
            .filter(|(_, said)| said.as_ref().is_some_and(is_refusal))
            .count();
        let other = ends
            .iter()
            .find_map(|(_, said)| said.as_ref().filter(|said| !is_refusal(said)));
        // The well-behaved client opens and closes connections, and a silent one may take the slot
        // of one that it closed.
        assert!(
            refused >= 480 - REFUSED_AT_ONCE_MAX,
            "{refused} of 500 silent connections were refused, others {other:?}"
        );
        let files = subject.usage().files;
        let most = before.files + CONNECTIONS_MAX + REFUSED_AT_ONCE_MAX + 12;
        assert!(
            files <= most,
            "{files} files are open, at most {most} expected"
        );
        for wire in &mut within_limit {
            wire.try_send(get("/v1/stream/none", "")).await;
            let answer = wire.response_or_end().await.map(|answer| answer.status);
            assert_eq!(
                answer,
                Some(404),
                "a silent connection within the limit was closed"
            );
        }
        drop((within_limit, ends));
        slot_for_another(&subject).await;
    })
    .await;
    subject.returns_to(before, 12, 100).await;
}

#[tokio::test]
async fn closed_connections_release_their_files_and_memory() {
    let subject = with_connection_limit("come-and-go");
    let before = subject.usage();
    beside(&subject, async {
        for round in 0..40 {
            let mut wires = crowd(&subject, 50).await;
            for (number, mut wire) in wires.drain(..).enumerate() {
                match (round + number) % 4 {
                    0 => {}
                    1 => wire.reset(),
                    2 => {
                        wire.try_send(get("/v1/stream/probe?offset=now&live=ndjson", ""))
                            .await;
                    }
                    _ => {
                        wire.try_send(get("/v1/stream/probe?offset=now&live=long-poll", ""))
                            .await;
                        wire.reset();
                    }
                }
            }
        }
        // Connections that wait to be accepted are served first.
        slot_for_another(&subject).await;
    })
    .await;
    subject.returns_to(before, 12, 100).await;
}

/// A server with a disk store and so few file descriptors that its connections could take all of
/// them.
///
/// - `files`: the process's limit of open files.
fn few_files(name: &str, files: usize, flags: &[&str]) -> Subject {
    let shell = format!("ulimit -n {files} && exec \"$@\"");
    Subject::spawn(name, "disk", flags, &["sh", "-c", &shell, "sh"])
}

/// Appends so much on an open connection that the store has to write tables and new journals.
async fn fill(wire: &mut RawConnection, what: &str) {
    let body = "x".repeat(4 << 20);
    let head = format!(
        "POST /v1/stream/big HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    for number in 0..20 {
        wire.send(&head).await;
        wire.send(&body).await;
        let answer = wire.response().await;
        assert_eq!(answer.status, 204, "append {number} {what}: {answer:?}");
    }
}

async fn check_store(subject: &Subject, connections: usize) {
    subject.create("big", "text/plain").await;
    let mut writer = RawConnection::open(subject.address()).await;
    beside(subject, async {
        let wires = join_all((0..connections).map(|_| async {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.try_send(get("/v1/stream/none", "")).await;
            // Answered, closed, or left in the system's queue: this test accepts any of these.
            let _any = tokio::time::timeout(DEADLINE / 10, wire.response_or_end()).await;
            wire
        }))
        .await;
        fill(&mut writer, "while all connections are open").await;
        drop(wires);
        fill(&mut writer, "after they were closed").await;
        slot_for_another(subject).await;
    })
    .await;
    check_log(subject).await;
}

async fn check_log(subject: &Subject) {
    within(
        "a creation afterwards",
        subject.create("another", "text/plain"),
    )
    .await;
    let log = subject.logged();
    assert!(
        !log.contains("Too many open files"),
        "the server ran out of files:\n{log}"
    );
}

#[tokio::test]
async fn a_store_keeps_writing_if_allowed_connections_need_all_files() {
    let subject = few_files("few-files", 700, &[]);
    check_store(&subject, 1_000).await;
}

#[tokio::test]
async fn a_store_keeps_writing_when_files_run_out_before_connections() {
    let subject = few_files("fewer-files", 600, &["--connections-max", "590"]);
    check_store(&subject, 580).await;
}

#[tokio::test]
async fn a_store_keeps_writing_when_many_connections_arrive_at_once() {
    let subject = few_files("all-at-once", 700, &[]);
    subject.create("big", "text/plain").await;
    let mut writer = RawConnection::open(subject.address()).await;
    subject.pause();
    let (wires, ()) = tokio::join!(crowd(&subject, 2_000), async {
        // As many as the system queues for a listener; the rest arrives while these are accepted.
        tokio::time::sleep(Duration::from_millis(300)).await;
        subject.resume();
    });
    fill(&mut writer, "while connections are accepted").await;
    drop(wires);
    slot_for_another(&subject).await;
    check_log(&subject).await;
}
