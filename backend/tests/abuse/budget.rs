//! What many clients together make the server hold stays within `--buffers-max`, plus a little for
//! each connection.

use super::probe::beside;
use super::subject::{Subject, get, post};
use futures_util::future::join_all;
use std::time::Duration;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::{until, within};

const CLIENTS: usize = 500;
/// Limit of the growth of the process, in MiB: the budget, 32 KiB for each connection, and what the
/// server needs to serve that many connections.
const GROWTH_MAX_MIB: u64 = 4 + 16 + 14;

fn with_small_budget(name: &str, flags: &[&str]) -> Subject {
    Subject::start(
        name,
        &[
            &[
                "--buffers-max",
                "4MiB",
                "--body-max",
                "1MiB",
                "--keep-alive",
                "60s",
            ],
            flags,
        ]
        .concat(),
    )
}

/// Opens [`CLIENTS`] connections. Each sends `request`, then as much of `more` as the server
/// accepts at once.
async fn crowd(subject: &Subject, request: &str, more: &[u8]) -> Vec<RawConnection> {
    let mut wires = join_all((0..CLIENTS).map(|_| RawConnection::open(subject.address()))).await;
    for wire in &mut wires {
        wire.send(request).await;
    }
    join_all(
        wires
            .iter_mut()
            .map(|wire| wire.send_for(Duration::from_millis(500), more)),
    )
    .await;
    wires
}

/// The most memory that the process holds during a period without traffic, in MiB.
async fn settled_memory(subject: &Subject) -> u64 {
    let mut most = 0;
    for _ in 0..30 {
        most = most.max(subject.usage().memory_mib);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    most
}

/// Runs many clients at once, and checks how much memory the server then uses.
async fn check_memory(subject: &Subject, request: &str, more: &[u8], growth_max: u64) {
    let before = subject.usage();
    let most = beside(subject, async {
        let wires = crowd(subject, request, more).await;
        let most = settled_memory(subject).await;
        drop(wires);
        most
    })
    .await;
    println!("grew by {} MiB", most.saturating_sub(before.memory_mib));
    assert!(
        most <= before.memory_mib + growth_max,
        "grew from {} to {most} MiB",
        before.memory_mib
    );
    subject.returns_to(before, 12, growth_max).await;
}

#[tokio::test]
async fn bytes_sent_ahead_of_a_response_are_charged() {
    for live in ["sse", "ndjson", "long-poll&hold=60"] {
        for takeover in ["true", "false"] {
            println!("{live}, --takeover {takeover}");
            let subject = with_small_budget("ahead", &["--takeover", takeover]);
            subject.create("it", "text/plain").await;
            let request = get(&format!("/v1/stream/it?offset=-1&live={live}"), "");
            check_memory(&subject, &request, &[b'x'; 64 << 10], GROWTH_MAX_MIB).await;
        }
    }
}

#[tokio::test]
async fn short_bodies_are_charged_while_they_arrive() {
    let subject = with_small_budget("bodies", &[]);
    subject.create("it", "text/plain").await;
    let whole = post("it", "text/plain", "", &[b'x'; 64 << 10]);
    // What the HTTP library reads ahead for a request is not part of the budget.
    check_memory(&subject, "", &whole[..whole.len() - 1], GROWTH_MAX_MIB + 20).await;
}

#[tokio::test]
async fn small_requests_work_while_large_bodies_exhaust_the_budget() {
    const FREE_BYTES: usize = 16 << 10;
    const END: &[u8] = b"0\r\n\r\n";
    const BODY_BYTES: usize = FREE_BYTES + (2 << 20);
    let flags = [
        "--buffers-max",
        "16MiB",
        "--body-max",
        "4MiB",
        "--body-silence-max",
        "1h",
    ];
    let subject = Subject::start("used-up", &flags);
    for name in ["it", "short"] {
        subject.create(name, "text/plain").await;
    }
    let before = subject.usage();
    let chunked = |name: &str, body: &[u8]| {
        let head = format!(
            "POST /v1/stream/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n"
        );
        let head = format!(
            "{head}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n",
            body.len()
        );
        [head.as_bytes(), body, b"\r\n"].concat()
    };
    beside(&subject, async {
        let mut held = join_all((0..8).map(|_| async {
            let mut wire = RawConnection::open(subject.address()).await;
            wire.send(chunked("it", &[b'x'; BODY_BYTES])).await;
            wire
        }))
        .await;
        until("the budget to be exhausted", async || {
            let answer = subject
                .ask(post("short", "text/plain", "", &[b'x'; FREE_BYTES + 1]))
                .await;
            (answer.status == 503).then_some(())
        })
        .await;
        let free = [b'x'; FREE_BYTES];
        for request in [
            post("short", "text/plain", "", &free),
            [&chunked("short", &free), END].concat(),
        ] {
            let answer = subject.ask(request).await;
            assert_eq!(answer.status, 204, "{answer:?}");
        }
        for wire in &mut held {
            wire.send(END).await;
            assert_eq!(wire.response().await.status, 204);
        }
    })
    .await;
    subject.returns_to(before, 12, 8 * 3 + 50).await;
}

#[tokio::test]
async fn unread_pages_are_charged_and_other_readers_catch_up() {
    const SILENT: usize = 200;
    // The HTTP library copies each piece into a buffer of its own.
    for (live, takeover, growth_max) in [("sse", "true", 20), ("ndjson", "false", 40)] {
        println!("{live}, --takeover {takeover}");
        let subject = with_small_budget(
            "pages",
            &["--takeover", takeover, "--write-silence-max", "1h"],
        );
        subject.create("it", "text/plain").await;
        for _ in 0..16 * 64 {
            subject.append("it", "text/plain", &[b'x'; 16 << 10]).await;
        }
        let before = subject.usage();
        let most = beside(&subject, async {
            let mut silent =
                join_all((0..SILENT).map(|_| RawConnection::open_narrow(subject.address()))).await;
            for wire in &mut silent {
                wire.send(get(&format!("/v1/stream/it?offset=-1&live={live}"), ""))
                    .await;
            }
            subject.readers("it", SILENT).await;
            let most = settled_memory(&subject).await;
            let mut reader = RawConnection::open(subject.address()).await;
            reader
                .send(get("/v1/stream/it?offset=-1&live=ndjson", ""))
                .await;
            reader.head().await;
            let mut bytes = 0;
            while bytes < 16 << 20 {
                let chunk = within("the next page", reader.chunk())
                    .await
                    .expect("a chunk");
                bytes += chunk.matches('x').count();
            }
            most
        })
        .await;
        println!("grew by {} MiB", most.saturating_sub(before.memory_mib));
        assert!(
            most <= before.memory_mib + growth_max,
            "grew from {} to {most} MiB",
            before.memory_mib
        );
    }
}

#[tokio::test]
async fn unread_long_poll_responses_share_one_page() {
    // More than the buffers of the system take from the server.
    const PAGE_BYTES: usize = 12 << 20;
    const READERS: usize = 20;
    let subject = Subject::start(
        "shared",
        &["--write-silence-max", "1h", "--page-max", "16MiB"],
    );
    subject.create("it", "text/plain").await;
    let first = subject
        .ask(get("/v1/stream/it?offset=-1&live=long-poll&hold=0.05", ""))
        .await;
    let cursor: u64 = first
        .header("stream-cursor")
        .expect("a cursor")
        .parse()
        .unwrap();
    let before = subject.usage();
    let most = beside(&subject, async {
        let mut wires =
            join_all((0..READERS).map(|_| RawConnection::open_narrow(subject.address()))).await;
        for (number, wire) in wires.iter_mut().enumerate() {
            // Cursors issued by this server, each of which gets another one in the response, and
            // many origins: the heads differ, the page is shared.
            let target = format!(
                "/v1/stream/it?offset=-1&live=long-poll&hold=60&cursor={}",
                cursor + 100
            );
            wire.send(get(
                &target,
                &format!("Origin: http://localhost:{}\r\n", 1_000 + number),
            ))
            .await;
        }
        subject.readers("it", READERS).await;
        subject
            .append("it", "text/plain", &[b'x'; PAGE_BYTES])
            .await;
        until("all long-polls to be answered", async || {
            (subject.count_readers("it").await == 0).then_some(())
        })
        .await;
        let most = settled_memory(&subject).await;
        for (number, mut wire) in wires.into_iter().enumerate() {
            let answer = wire.response().await;
            assert_eq!((answer.status, answer.body.len()), (200, PAGE_BYTES));
            let own: u64 = answer
                .header("stream-cursor")
                .expect("a cursor")
                .parse()
                .unwrap();
            assert!(own > cursor + 100, "{own} after {}", cursor + 100);
            let origin = format!("http://localhost:{}", 1_000 + number);
            assert_eq!(answer.header("access-control-allow-origin"), Some(&*origin));
        }
        most
    })
    .await;
    println!("grew by {} MiB", most.saturating_sub(before.memory_mib));
    // The message itself, the body that carried it, the page, and the small pieces that the system
    // did not accept.
    assert!(
        most <= before.memory_mib + 3 * 12 + 10,
        "grew from {} to {most} MiB",
        before.memory_mib
    );
}
