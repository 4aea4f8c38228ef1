//! The server under test: the real binary in its own process, and the resources that this process
//! holds.

use super::process::{DEADLINE, ServerFolder, ServerOptions};
use std::net::SocketAddr;
use std::time::Duration;
use tailwater_harness::process::{open_files, resident_bytes};
use tailwater_harness::wait::until;
use tailwater_harness::websocket::UPGRADE;
use tailwater_harness::{RawConnection, Response, ServerProcess};

/// Requests other than plain reads that are answered without reading their body.
pub(crate) const WITHOUT_BODIES: [&str; 8] = [
    "HEAD /v1/stream/it",
    "DELETE /v1/stream/none",
    "OPTIONS /v1/stream/it",
    "PATCH /v1/stream/it",
    "POST /v1/stream/none",
    "POST /v1/nothing",
    "GET /v1/streams",
    "GET /v1/export/it",
];

/// A running server with small limits, on a free port; killed when dropped.
#[derive(Debug)]
pub(crate) struct Subject {
    folder: ServerFolder,
    process: Option<ServerProcess>,
}

/// Memory and files used by a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResourceUsage {
    /// Resident memory, in MiB.
    pub(crate) memory_mib: u64,
    /// Open files.
    pub(crate) files: usize,
}

impl Subject {
    /// A server with a memory store.
    ///
    /// - `name`: the name of the test.
    /// - `flags`: further arguments of `tailwater serve`.
    pub(crate) fn start(name: &str, flags: &[&str]) -> Self {
        Self::spawn(name, "memory", flags, &[])
    }

    /// A server with a disk store that syncs before it acknowledges.
    pub(crate) fn on_disk(name: &str, flags: &[&str]) -> Self {
        Self::spawn(name, "disk", flags, &[])
    }

    /// - `through`: a program with its arguments that runs the server.
    pub(crate) fn spawn(name: &str, store: &'static str, flags: &[&str], through: &[&str]) -> Self {
        let folder = ServerFolder::new(&format!("abuse-{name}"));
        let mut options = ServerOptions {
            store,
            ..ServerOptions::on_disk()
        };
        if flags.contains(&"--workers") {
            options.more.clear();
        }
        options
            .more
            .extend(flags.iter().map(|flag| (*flag).to_owned()));
        options.through = through.iter().map(|word| (*word).to_owned()).collect();
        let process = folder
            .start(&options)
            .unwrap_or_else(|wrong| panic!("{wrong}\n{}", folder.log_tail()));
        Self {
            folder,
            process: Some(process),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.folder.port))
    }

    fn process(&self) -> &ServerProcess {
        self.process.as_ref().expect("it runs")
    }

    /// Sends SIGTERM. The returned task ends when the server has ended.
    pub(crate) fn stop(&mut self) -> tokio::task::JoinHandle<std::io::Result<()>> {
        let process = self.process.take().expect("it runs");
        tokio::task::spawn_blocking(|| process.stop(DEADLINE))
    }

    /// Suspends the process: new connections stay in the queue of the system, which hands over all
    /// of them at once afterwards.
    pub(crate) fn pause(&self) {
        self.process().pause().unwrap();
    }

    /// Resumes the process.
    pub(crate) fn resume(&self) {
        self.process().resume().unwrap();
    }

    /// Everything that the server has logged.
    pub(crate) fn logged(&self) -> String {
        std::fs::read_to_string(&self.folder.log).unwrap()
    }

    /// Memory and files used by the process now.
    pub(crate) fn usage(&self) -> ResourceUsage {
        let id = self.process().id();
        ResourceUsage {
            memory_mib: resident_bytes(id).unwrap() >> 20,
            files: open_files(id).unwrap(),
        }
    }

    /// Waits until the process uses at most `files` and `memory_mib` more than `before`.
    pub(crate) async fn returns_to(&self, before: ResourceUsage, files: usize, memory_mib: u64) {
        let mut last = self.usage();
        let is_back = |now: ResourceUsage| {
            now.files <= before.files + files && now.memory_mib <= before.memory_mib + memory_mib
        };
        let looking = async {
            while !is_back(last) {
                tokio::time::sleep(Duration::from_millis(10)).await;
                last = self.usage();
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, looking).await.is_ok();
        println!("before {before:?}, afterwards {last:?}");
        assert!(
            in_time,
            "{before:?} became {last:?}, expected at most {files} files and {memory_mib} MiB more"
        );
    }

    /// Sends one request on a new connection and returns the response, whatever its status is.
    pub(crate) async fn ask(&self, request: impl AsRef<[u8]>) -> Response {
        RawConnection::open(self.address()).await.ask(request).await
    }

    /// Opens a WebSocket at the tail of a stream, and reads its handshake and first frame.
    pub(crate) async fn websocket(&self, name: &str) -> RawConnection {
        let mut wire = RawConnection::open(self.address()).await;
        wire.send(get(
            &format!("/v1/stream/{name}?offset=now&live=websocket"),
            UPGRADE,
        ))
        .await;
        let head = wire.head().await;
        assert_eq!(head.status, 101, "{head:?}");
        let (first, _) = wire.frame().await;
        assert_eq!(first, 0x81);
        wire
    }

    /// Creates a stream.
    pub(crate) async fn create(&self, name: &str, content_type: &str) {
        let request = format!(
            "PUT /v1/stream/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\nContent-Length: 0\r\n\r\n"
        );
        let answer = self.ask(request).await;
        assert_eq!(answer.status, 201, "{answer:?}");
    }

    /// Appends to a stream, and returns its tail afterwards.
    pub(crate) async fn append(&self, name: &str, content_type: &str, body: &[u8]) -> String {
        let answer = self.ask(post(name, content_type, "", body)).await;
        assert_eq!(answer.status, 204, "{answer:?}");
        answer.header("stream-next-offset").unwrap().to_owned()
    }

    /// Closes a stream.
    pub(crate) async fn close(&self, name: &str) {
        let answer = self
            .ask(post(name, "text/plain", "Stream-Closed: true\r\n", b""))
            .await;
        assert_eq!(answer.status, 204, "{answer:?}");
    }

    /// The tail of a stream; `None` if there is no such stream.
    pub(crate) async fn tail(&self, name: &str) -> Option<String> {
        let answer = self
            .ask(format!(
                "HEAD /v1/stream/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            ))
            .await;
        (answer.status == 200).then(|| answer.header("stream-next-offset").unwrap().to_owned())
    }

    /// Waits until the server counts `count` readers of a stream.
    pub(crate) async fn readers(&self, name: &str, count: usize) {
        until(&format!("{count} readers of {name}"), async || {
            (self.count_readers(name).await == count as u64).then_some(())
        })
        .await;
    }

    /// The number of readers of a stream that wait or stream.
    pub(crate) async fn count_readers(&self, name: &str) -> u64 {
        let answer = self.ask(get(&format!("/v1/streams/{name}"), "")).await;
        let details: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        details["readerCounts"]
            .as_object()
            .expect("counts")
            .values()
            .filter_map(serde_json::Value::as_u64)
            .sum()
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        self.process = None;
        if std::thread::panicking() {
            println!(
                "last lines of the server's log:\n{}",
                self.folder.log_tail()
            );
        } else {
            self.folder.remove();
        }
    }
}

/// A GET.
///
/// - `target`: path and query.
/// - `fields`: further header fields, each with its line end.
pub(crate) fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

/// A complete POST to a stream.
pub(crate) fn post(name: &str, content_type: &str, fields: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v1/stream/{name} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n{fields}\
         Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}
