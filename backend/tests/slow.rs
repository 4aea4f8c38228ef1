//! Readers that read a kilobyte a second, beside a thousand fast ones: they delay nobody, use
//! little memory, and miss nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod process;

use process::durable_server::{DurableServer, JSON};
use std::time::Duration;
use tailwater_harness::process::resident_bytes;
use tailwater_harness::websocket::UPGRADE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const FAST: usize = 1_000;
const SLOW: usize = 30;
const MESSAGES: usize = 600;
const MESSAGE_BYTES: usize = 10_000;
/// Deadline, far above the usual time.
const DEADLINE: Duration = Duration::from_secs(240);
/// Memory for the newest messages; older ones are on disk.
const HOT_MAX_KIB: u64 = 1_024;
/// Limit of the server's growth in KiB: the newest messages, a page of 64 KiB for each reader that
/// is behind, and what the allocator and the store need anyway. The 6 MB that each slow reader has
/// still to read are not part of it, as they are read from disk page by page; a queue for each
/// reader would take 180 MB.
const GROWTH_MAX_KIB: u64 = HOT_MAX_KIB + (FAST + SLOW) as u64 * 64 + 32_000;

/// The beginning of a message; nothing else in a response looks like it.
fn message(number: usize) -> String {
    format!("\"#{number:06}{}\"", "x".repeat(MESSAGE_BYTES - 9))
}

/// The connection of one reader, and the number of the next message.
struct PacedReader {
    stream: TcpStream,
    unread: Vec<u8>,
    next: usize,
}

impl PacedReader {
    /// - `room`: bytes of its receive buffer, if not the system's default.
    async fn open(port: u16, live: &str, room: Option<u32>) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = room {
            socket.set_recv_buffer_size(bytes).unwrap();
        }
        let mut stream = socket.connect(([127, 0, 0, 1], port).into()).await.unwrap();
        let more = if live == "websocket" { UPGRADE } else { "" };
        let request = format!(
            "GET /v1/stream/it?offset=-1&live={live} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut reader = Self {
            stream,
            unread: Vec::new(),
            next: 0,
        };
        // The head and the first frame: it is at the tail.
        while !reader.unread.windows(8).any(|window| window == b"upToDate") {
            reader.more(1 << 10).await;
        }
        reader
    }

    /// Reads up to `bytes`, and checks the numbers in them.
    async fn more(&mut self, bytes: usize) {
        let mut piece = vec![0; bytes];
        let count = timeout(DEADLINE, self.stream.read(&mut piece))
            .await
            .expect("bytes in time")
            .unwrap();
        assert!(count > 0, "the response ended after {} messages", self.next);
        self.unread.extend_from_slice(&piece[..count]);
        let mut seen = 0;
        while let Some(at) = self.unread[seen..]
            .iter()
            .position(|byte| *byte == b'#')
            .map(|at| seen + at)
        {
            let Some(digits) = self.unread.get(at + 1..at + 7) else {
                seen = at;
                break;
            };
            // Chunks and frames of many messages end between messages, or at least after the first
            // digits.
            let number: usize = std::str::from_utf8(digits).unwrap().parse().unwrap();
            assert_eq!(number, self.next, "lost, repeated or out of order");
            self.next += 1;
            seen = at + 7;
        }
        if self.next > 0 {
            let kept = self.unread[seen..]
                .iter()
                .position(|byte| *byte == b'#')
                .map_or(self.unread.len(), |at| seen + at);
            self.unread.drain(..kept);
        }
    }
}

fn resident_kib(process: u32) -> u64 {
    resident_bytes(process).unwrap() >> 10
}

async fn slow(mut reader: PacedReader, mut faster: watch::Receiver<bool>) {
    while reader.next < MESSAGES {
        let in_haste = *faster.borrow_and_update();
        reader.more(if in_haste { 1 << 16 } else { 1 << 10 }).await;
        if !in_haste {
            tokio::select! {
                () = sleep(Duration::from_secs(1)) => {}
                _ = faster.changed() => {}
            }
        }
    }
}

async fn start_server() -> DurableServer {
    let mut server = DurableServer::closed(process::ServerFolder::new("slow"));
    let hot = format!("{HOT_MAX_KIB}KiB");
    server.options.sync = "never";
    // This test does not check deadlines, and its readers pause for long on a busy machine.
    server.options.more.extend(
        [
            "--hot-max",
            &hot,
            "--recycle",
            "1h",
            "--write-silence-max",
            "1h",
        ]
        .map(str::to_owned),
    );
    server.start();
    server.put("it", &JSON, "").await.expect(201);
    server
}

#[tokio::test]
async fn slow_readers_do_not_delay_others_or_use_memory() {
    let server = start_server().await;
    let (port, process) = (server.folder.port, server.process.as_ref().unwrap().id());
    let (hurry, hurries) = watch::channel(false);
    let mut behind = Vec::new();
    for _ in 0..SLOW {
        behind.push(tokio::spawn(slow(
            PacedReader::open(port, "ndjson", Some(4 << 10)).await,
            hurries.clone(),
        )));
    }
    let mut fast = Vec::new();
    for number in 0..FAST {
        let live = ["websocket", "sse"]
            .get(number % 20)
            .copied()
            .unwrap_or("ndjson");
        let mut reader = PacedReader::open(port, live, None).await;
        fast.push(tokio::spawn(async move {
            while reader.next < MESSAGES {
                reader.more(1 << 16).await;
            }
        }));
    }
    let (before, mut most) = (resident_kib(process), 0);
    for number in 0..MESSAGES {
        server.post("it", &JSON, &message(number)).await.expect(204);
        most = most.max(resident_kib(process));
    }
    for reader in fast {
        timeout(DEADLINE, reader)
            .await
            .expect("a fast reader receives everything in time")
            .unwrap();
    }
    most = most.max(resident_kib(process));
    println!(
        "server: {before} KiB with {FAST} readers, at most {most} KiB during {MESSAGES} messages"
    );
    assert!(
        behind.iter().all(|slow| !slow.is_finished()),
        "the slow readers were not slow"
    );
    assert!(
        most <= before + GROWTH_MAX_KIB,
        "grew from {before} to {most} KiB, more than by {GROWTH_MAX_KIB}"
    );
    hurry.send_replace(true);
    for slow in behind {
        timeout(DEADLINE, slow)
            .await
            .expect("a slow reader receives everything in time")
            .unwrap();
    }
}
