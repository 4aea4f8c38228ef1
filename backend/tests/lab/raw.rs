//! A server on a free port, and a client that knows every byte it sent and got.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tailwater_protocol::lab::LaneCounts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

/// Nothing on loopback takes longer, unless it hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A Tailwater server in a thread of its own, stopped when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Server {
    /// On loopback, so with the lab.
    pub(crate) fn start() -> Self {
        Self::start_with(Config::default())
    }

    pub(crate) fn start_with(config: Config) -> Self {
        let listener = TcpListener::bind((config.listen.ip(), 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let config = Config {
                workers: Some(1),
                drain: Duration::from_secs(1),
                store: StoreKind::Memory,
                ..config
            };
            let until_stopped = async move { drop(stopped.await) };
            actix_web::rt::System::new()
                .block_on(tailwater::server::run(listener, config, until_stopped))
                .unwrap();
        });
        Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// One connection, every byte counted.
pub(crate) struct Client {
    socket: TcpStream,
    came: Vec<u8>,
    pub(crate) sent_bytes: u64,
    pub(crate) got_bytes: u64,
}

impl Client {
    pub(crate) async fn connect(port: u16) -> Self {
        let socket = within("connecting", TcpStream::connect(("127.0.0.1", port)))
            .await
            .unwrap();
        Self {
            socket,
            came: Vec::new(),
            sent_bytes: 0,
            got_bytes: 0,
        }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
        self.sent_bytes += bytes.len() as u64;
    }

    /// Reads until `enough` is content with all that is unread.
    async fn read_until(&mut self, what: &str, enough: impl Fn(&[u8]) -> bool) {
        let mut buffer = [0; 4096];
        while !enough(&self.came) {
            let read = within(what, self.socket.read(&mut buffer)).await.unwrap();
            assert!(
                read > 0,
                "the end came while waiting for {what}: {}",
                String::from_utf8_lossy(&self.came)
            );
            self.got_bytes += read as u64;
            self.came.extend_from_slice(&buffer[..read]);
        }
    }

    /// Reads up to and with `mark`; what is beyond stays for the next read.
    pub(crate) async fn through(&mut self, mark: &str) -> String {
        let mark = mark.as_bytes();
        let find = |bytes: &[u8]| bytes.windows(mark.len()).position(|window| window == mark);
        self.read_until(&String::from_utf8_lossy(mark), |bytes| {
            find(bytes).is_some()
        })
        .await;
        let end = find(&self.came).unwrap() + mark.len();
        String::from_utf8_lossy(&self.came.drain(..end).collect::<Vec<u8>>()).into_owned()
    }

    /// Reads exactly `count` bytes.
    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        self.read_until("bytes", |bytes| bytes.len() >= count).await;
        self.came.drain(..count).collect()
    }

    /// Sends a request and reads its answer, whose body has a length or which has none: status and body.
    pub(crate) async fn ask(&mut self, request: &str) -> (u16, String) {
        let (head, body) = self.ask_whole(request).await;
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
    }

    /// The same with the whole head.
    pub(crate) async fn ask_whole(&mut self, request: &str) -> (String, String) {
        self.send(request.as_bytes()).await;
        let head = self.through("\r\n\r\n").await;
        let lower = head.to_ascii_lowercase();
        let length = lower
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next());
        let length = if request.starts_with("HEAD") {
            0
        } else {
            length.map_or(0, |text| text.parse().unwrap())
        };
        (head, String::from_utf8(self.exactly(length).await).unwrap())
    }

    /// The rest until the other side closes.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut rest = std::mem::take(&mut self.came);
        within("the end", self.socket.read_to_end(&mut rest))
            .await
            .unwrap();
        rest
    }
}

pub(crate) async fn within<T>(what: &str, doing: impl Future<Output = T>) -> T {
    timeout(PATIENCE, doing)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {PATIENCE:?}"))
}

/// Waits until `done` holds; what it waits for is a state, so looking often is enough.
pub(crate) async fn eventually(what: &str, mut done: impl FnMut() -> bool) {
    within(what, async {
        while !done() {
            sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// A request with `headers` (each line ended) and `body`.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() && method != "POST" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n{body}")
}

/// All bytes to the server, and all bytes to the client.
pub(crate) fn sums(counts: &LaneCounts) -> (u64, u64) {
    (
        counts.request_head_bytes + counts.request_body_bytes + counts.request_framing_bytes,
        counts.response_head_bytes + counts.response_body_bytes + counts.response_framing_bytes,
    )
}
