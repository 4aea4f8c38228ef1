//! Readers that send a request and never read the response: what the server holds for them is
//! bounded, they are disconnected, and other readers get everything.

use super::probe::beside;
use super::subject::{Subject, get};
use futures_util::future::join_all;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::until;
use tailwater_harness::websocket::UPGRADE;

/// Bytes of a message. The budget has no room for one message for each reader.
const MESSAGE_BYTES: usize = 8 << 20;
/// Limit of the memory of the process, in MiB, whatever its readers do. Half of it is in use before
/// they connect.
const MEMORY_MAX_MIB: u64 = 250;
const READERS: usize = 20;

/// Observes the memory of the process during `work`; returns the maximum in MiB, and what `work`
/// returns.
async fn most_memory<T>(subject: &Subject, work: impl Future<Output = T>) -> (u64, T) {
    let mut most = 0;
    let mut work = std::pin::pin!(work);
    loop {
        most = most.max(subject.usage().memory_mib);
        tokio::select! {
            outcome = &mut work => return (most.max(subject.usage().memory_mib), outcome),
            () = tokio::time::sleep(std::time::Duration::from_millis(20)) => {}
        }
    }
}

/// A request that reads from the beginning of the stream.
fn read(live: &str) -> String {
    match live {
        "poll" => get("/v1/stream/big?offset=-1", ""),
        "export" => get("/v1/export/big", ""),
        "websocket" => get("/v1/stream/big?offset=-1&live=websocket", UPGRADE),
        live => get(&format!("/v1/stream/big?offset=-1&live={live}"), ""),
    }
}

/// Connections that the server has accepted, so that it has to close them.
async fn accepted(subject: &Subject) -> Vec<RawConnection> {
    join_all((0..READERS).map(|_| async {
        let mut wire = RawConnection::open_narrow(subject.address()).await;
        wire.send(get("/v1/stream/big?offset=now", "")).await;
        assert_eq!(wire.response().await.status, 200);
        wire
    }))
    .await
}

/// Readers of large messages, from the beginning, that read nothing.
async fn behind(live: &str) {
    let flags = [
        "--write-silence-max",
        "1s",
        "--hot-max",
        "1MiB",
        "--keep-alive",
        "60s",
        "--buffers-max",
        "64MiB",
    ];
    let subject = Subject::on_disk(&format!("silent-{live}"), &flags);
    subject.create("big", "text/plain").await;
    for letter in ["a", "b"] {
        subject
            .append("big", "text/plain", letter.repeat(MESSAGE_BYTES).as_bytes())
            .await;
    }
    // What the first read needs once does not count as growth.
    let answer = subject.ask(get("/v1/stream/big?offset=-1", "")).await;
    assert_eq!((answer.status, answer.body.len()), (200, MESSAGE_BYTES));
    let before = subject.usage();
    let (most, ()) = most_memory(
        &subject,
        beside(&subject, async {
            let mut readers = accepted(&subject).await;
            join_all(readers.iter_mut().map(|wire| wire.send(read(live)))).await;
            // A reader for which the budget has no room has its response ended, and is then an idle
            // client.
            let may_stay = ["ndjson", "sse", "websocket"].contains(&live);
            until("silent readers to be disconnected", async || {
                let files = subject.usage().files;
                let is_over = files <= before.files + 12
                    || may_stay && subject.count_readers("big").await == 0;
                is_over.then_some(())
            })
            .await;
            drop(readers);
        }),
    )
    .await;
    println!("before {before:?}, at most {most} MiB");
    assert!(
        most <= MEMORY_MAX_MIB,
        "grew from {} to {most} MiB",
        before.memory_mib
    );
    subject.returns_to(before, 12, 100).await;
}

#[tokio::test]
async fn pollers_that_never_read_are_disconnected() {
    behind("poll").await;
}

#[tokio::test]
async fn long_pollers_that_never_read_are_disconnected() {
    behind("long-poll").await;
}

#[tokio::test]
async fn ndjson_readers_that_never_read_are_disconnected() {
    behind("ndjson").await;
}

#[tokio::test]
async fn sse_readers_that_never_read_are_disconnected() {
    behind("sse").await;
}

#[tokio::test]
async fn websockets_that_never_read_are_disconnected() {
    behind("websocket").await;
}

#[tokio::test]
async fn exports_that_are_never_read_are_disconnected() {
    behind("export").await;
}

/// Reads frames or lines until `bytes` bytes of `x` have arrived.
async fn take(wire: &mut RawConnection, live: &str, mut bytes: usize) {
    while bytes > 0 {
        let piece = if live == "websocket" {
            wire.frame().await.1
        } else {
            let chunk = wire.chunk().await;
            chunk.expect("a chunk before the end").into_bytes()
        };
        bytes = bytes.saturating_sub(piece.iter().filter(|byte| **byte == b'x').count());
    }
}

/// Readers at the tail that read nothing of what is appended, beside one that reads all of it.
async fn at_the_tail(live: &str) {
    // More than the buffers of the system hold for a client that does not read.
    let (messages, message_bytes) = if live == "long-poll" {
        (2, 12 << 20)
    } else {
        (24, 1 << 20)
    };
    let subject = Subject::start(&format!("tail-{live}"), &["--write-silence-max", "1s"]);
    subject.create("big", "text/plain").await;
    let request = match live {
        "websocket" => get("/v1/stream/big?offset=now&live=websocket", UPGRADE),
        live => get(
            &format!("/v1/stream/big?offset=now&live={live}&hold=60"),
            "",
        ),
    };
    let before = subject.usage();
    beside(&subject, async {
        let mut silent = Vec::new();
        for _ in 0..READERS {
            let mut wire = RawConnection::open_narrow(subject.address()).await;
            wire.send(&request).await;
            silent.push(wire);
        }
        let other = if live == "long-poll" { "ndjson" } else { live };
        let mut reader = RawConnection::open(subject.address()).await;
        reader
            .send(request.replace("live=long-poll", "live=ndjson"))
            .await;
        reader.head().await;
        subject.readers("big", READERS + 1).await;
        let body = "x".repeat(message_bytes);
        let writing = async {
            for _ in 0..messages {
                subject.append("big", "text/plain", body.as_bytes()).await;
            }
        };
        tokio::join!(writing, take(&mut reader, other, messages * message_bytes));
        until("silent readers to be disconnected", async || {
            (subject.usage().files <= before.files + 12 + 1).then_some(())
        })
        .await;
        subject.readers("big", 1).await;
        subject.append("big", "text/plain", b"x").await;
        take(&mut reader, other, 1).await;
        drop(silent);
    })
    .await;
    // The stream itself is in memory.
    subject.returns_to(before, 12, 150).await;
}

#[tokio::test]
async fn long_polls_at_the_tail_that_never_read_are_disconnected() {
    at_the_tail("long-poll").await;
}

#[tokio::test]
async fn ndjson_readers_at_the_tail_that_never_read_are_disconnected() {
    at_the_tail("ndjson").await;
}

#[tokio::test]
async fn sse_readers_at_the_tail_that_never_read_are_disconnected() {
    at_the_tail("sse").await;
}

#[tokio::test]
async fn websockets_at_the_tail_that_never_read_are_disconnected() {
    at_the_tail("websocket").await;
}

#[tokio::test]
async fn a_client_that_pipelines_and_never_reads_is_disconnected() {
    let subject = Subject::start("pipelined", &["--write-silence-max", "1s"]);
    subject.create("big", "text/plain").await;
    subject.append("big", "text/plain", &[b'x'; 1 << 20]).await;
    let before = subject.usage();
    let (most, ()) = most_memory(
        &subject,
        beside(&subject, async {
            let many = get("/v1/stream/big?offset=-1", "").repeat(2_000);
            let mut readers = accepted(&subject).await;
            // The server need not read all of them, and may close the connection.
            join_all(readers.iter_mut().map(|wire| wire.try_send(&many))).await;
            until("silent readers to be disconnected", async || {
                (subject.usage().files <= before.files + 12).then_some(())
            })
            .await;
            drop(readers);
        }),
    )
    .await;
    println!("before {before:?}, at most {most} MiB");
    assert!(
        most <= MEMORY_MAX_MIB,
        "grew from {} to {most} MiB",
        before.memory_mib
    );
    subject.returns_to(before, 12, 100).await;
}
