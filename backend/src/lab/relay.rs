//! The counting relay: a listener on loopback in front of the server that counts bytes, and can add
//! delay.
//!
//! Bytes are forwarded unchanged. Requests are counted when they are read from the client's socket,
//! responses when they are written to it, so the six byte counts add up to a capture of that
//! socket. When one side closes, the other is closed after the delay. A lane's connections end with
//! the lane.

mod cross_origin;
mod frames;
mod message;
mod observer;
mod pipe;

use observer::TrafficObserver;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;
use tailwater_protocol::Problem;
use tailwater_protocol::lab::LaneCounts;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Limits of a lane.
#[derive(Debug, Clone, Copy)]
pub struct RelayLimits {
    /// Concurrent connections of one lane; beyond it 503.
    pub connections: usize,
    /// Bytes in flight in one direction of one connection; with a delay of 500 ms this allows 8
    /// MiB/s.
    pub in_flight_bytes: usize,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            connections: 32,
            in_flight_bytes: 4 << 20,
        }
    }
}

/// Time limit for connecting to the server, which is on this machine.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limit for the second direction after the first has ended.
const LINGER: Duration = Duration::from_secs(2);
/// Pause after a failed accept, usually for lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The delays of a race, which can change while bytes are in flight.
#[derive(Debug, Default)]
pub struct Delays {
    up_us: AtomicU64,
    down_us: AtomicU64,
}

impl Delays {
    /// Delay towards the server.
    pub fn up(&self) -> Duration {
        Duration::from_micros(self.up_us.load(Ordering::Relaxed))
    }

    /// Delay towards the client.
    pub fn down(&self) -> Duration {
        Duration::from_micros(self.down_us.load(Ordering::Relaxed))
    }

    /// Sets the delays of bytes read from now on.
    pub fn set(&self, up: Duration, down: Duration) {
        self.up_us.store(
            u64::try_from(up.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
        self.down_us.store(
            u64::try_from(down.as_micros()).unwrap_or(u64::MAX),
            Ordering::Relaxed,
        );
    }
}

/// A lane's listener before it accepts.
#[derive(Debug)]
pub struct Relay {
    listener: TcpListener,
    port: u16,
    shared: Arc<RelayState>,
}

#[derive(Debug)]
struct RelayState {
    upstream: SocketAddr,
    delays: Arc<Delays>,
    limits: RelayLimits,
    counts: Mutex<LaneCounts>,
}

impl RelayState {
    fn counts(&self) -> MutexGuard<'_, LaneCounts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads a lane's counts, during its run and afterwards.
#[derive(Debug, Clone)]
pub struct ByteMeter(Arc<RelayState>);

impl ByteMeter {
    /// The counts so far.
    pub fn counts(&self) -> LaneCounts {
        *self.0.counts()
    }
}

impl Relay {
    /// Listens on a free port of 127.0.0.1 in front of `upstream`.
    ///
    /// # Errors
    /// The system has no free port or file descriptor.
    pub async fn bind(
        upstream: SocketAddr,
        delays: Arc<Delays>,
        limits: RelayLimits,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let shared = Arc::new(RelayState {
            upstream,
            delays,
            limits,
            counts: Mutex::default(),
        });
        Ok(Self {
            listener,
            port,
            shared,
        })
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Access to its counts.
    pub fn meter(&self) -> ByteMeter {
        ByteMeter(Arc::clone(&self.shared))
    }

    /// Accepts and forwards connections until dropped, which closes all of them.
    pub async fn run(self) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            let Ok((client, _)) = accepted else {
                sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let open = OpenRelayConnection::new(Arc::clone(&self.shared));
            if connections.len() >= self.shared.limits.connections {
                let detail = format!(
                    "{} connections are open on this lane, which is the limit",
                    connections.len()
                );
                connections.spawn(refuse(client, open, detail));
            } else {
                connections.spawn(serve(client, open));
            }
        }
    }
}

/// One connection, counted as open until dropped.
struct OpenRelayConnection(Arc<RelayState>);

impl OpenRelayConnection {
    fn new(shared: Arc<RelayState>) -> Self {
        let mut counts = shared.counts();
        counts.connections += 1;
        counts.connections_open += 1;
        drop(counts);
        Self(shared)
    }
}

impl Drop for OpenRelayConnection {
    fn drop(&mut self) {
        self.0.counts().connections_open -= 1;
    }
}

async fn serve(client: TcpStream, open: OpenRelayConnection) {
    let shared = Arc::clone(&open.0);
    let server = match timeout(CONNECT, TcpStream::connect(shared.upstream)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => {
            return refuse(
                client,
                open,
                format!("the server can't be reached: {error}"),
            )
            .await;
        }
        Err(_) => {
            return refuse(
                client,
                open,
                format!("the server did not answer within {CONNECT:?}"),
            )
            .await;
        }
    };
    // Nagle's algorithm would add up to 40 ms that are not the technique's.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // One task polls both directions, so this lock is never contended.
    let observer = Mutex::new(TrafficObserver::new());
    let observer_lock = || observer.lock().unwrap_or_else(PoisonError::into_inner);
    let in_flight = shared.limits.in_flight_bytes;
    let up = pipe::carry(
        from_client,
        to_server,
        || shared.delays.up(),
        in_flight,
        |piece| observer_lock().request(piece, &mut shared.counts()),
        |piece, write| write(piece),
    );
    let down = async {
        let carried = pipe::carry(
            from_server,
            to_client,
            || shared.delays.down(),
            in_flight,
            |_| (),
            |piece, write| {
                let mut counts = shared.counts();
                let written = write(piece);
                if let Poll::Ready(Ok(bytes)) = written {
                    observer_lock().response(&piece[..bytes], &mut counts);
                }
                written
            },
        );
        let carried = carried.await;
        observer_lock().response_closed(&mut shared.counts());
        carried
    };
    until_both_end(up, down, &shared.delays).await;
}

/// Runs both directions; once one has ended, the other has its delay and [`LINGER`] to end.
async fn until_both_end(up: impl Future, down: impl Future, delays: &Delays) {
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        _ = &mut up => drop(timeout(LINGER + delays.down(), down).await),
        _ = &mut down => drop(timeout(LINGER + delays.up(), up).await),
    }
}

/// Responds in place of the server: 503 with a problem document, counted like any response.
async fn refuse(mut client: TcpStream, open: OpenRelayConnection, detail: String) {
    let title = "The lane can't forward this connection".to_owned();
    let problem = Problem {
        kind: "#lane".to_owned(),
        title,
        status: 503,
        detail,
    };
    let body = serde_json::to_string(&problem).unwrap_or_default();
    let head = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: {}\r\nContent-Length: {}\r\nRetry-After: 1\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
        Problem::CONTENT_TYPE,
        body.len(),
    );
    let mut observer = TrafficObserver::new();
    let mut buffer = [0; 4096];
    let answering = async {
        // The request is read first: closing a socket with unread bytes would reset it and discard
        // the response.
        let read = client.read(&mut buffer).await?;
        observer.request(&buffer[..read], &mut open.0.counts());
        let answer = [head.as_bytes(), body.as_bytes()].concat();
        observer.response(&answer, &mut open.0.counts());
        client.write_all(&answer).await?;
        client.shutdown().await?;
        loop {
            let read = client.read(&mut buffer).await?;
            if read == 0 {
                return io::Result::Ok(());
            }
            observer.request(&buffer[..read], &mut open.0.counts());
        }
    };
    // It does not matter whether the client received it.
    drop(timeout(LINGER, answering).await);
}
