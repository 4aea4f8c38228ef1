//! The counting relay: a listener on loopback in front of the server that counts what passes, and can add transit.
//!
//! Bytes are passed on unchanged and never framed anew. Requests are counted when they are read from the client's socket,
//! answers as they are written to it, so the six byte counts add up to what a capture of that socket shows. When
//! one side leaves, the other is told after the transit. A lane carries connections only as long as it lives.

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

/// What a lane may hold.
#[derive(Debug, Clone, Copy)]
pub struct RelayLimits {
    /// Connections open at once on one lane; beyond it 503.
    pub connections: usize,
    /// Bytes under way in one direction of one connection; at 500 ms of transit this still carries 8 MiB/s.
    pub in_flight_bytes: usize,
}

impl Default for RelayLimits {
    fn default() -> Self {
        Self {
            connections: 64,
            in_flight_bytes: 4 << 20,
        }
    }
}

/// Time to connect to the server, which is on this machine.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the second direction may go on when the first has ended.
const LINGER: Duration = Duration::from_secs(2);
/// Pause after the system refused to accept, which it does when descriptors are short.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Transit times of a race, changeable while bytes are under way.
#[derive(Debug, Default)]
pub struct Delays {
    up_us: AtomicU64,
    down_us: AtomicU64,
}

impl Delays {
    /// Transit on the way to the server.
    pub fn up(&self) -> Duration {
        Duration::from_micros(self.up_us.load(Ordering::Relaxed))
    }

    /// Transit on the way back.
    pub fn down(&self) -> Duration {
        Duration::from_micros(self.down_us.load(Ordering::Relaxed))
    }

    /// What comes in from now on takes so long.
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

/// Reads a lane's counts while it runs and afterwards.
#[derive(Debug, Clone)]
pub struct ByteMeter(Arc<RelayState>);

impl ByteMeter {
    /// What passed so far.
    pub fn counts(&self) -> LaneCounts {
        *self.0.counts()
    }
}

impl Relay {
    /// Listens on a free port of 127.0.0.1 in front of `upstream`.
    ///
    /// # Errors
    /// The system has no port or no descriptor left.
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

    /// Its counts.
    pub fn meter(&self) -> ByteMeter {
        ByteMeter(Arc::clone(&self.shared))
    }

    /// Accepts and carries connections until dropped; then all of them are closed.
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
    // Nagle's algorithm would add up to 40 ms that belong to no technique.
    if client.set_nodelay(true).is_err() || server.set_nodelay(true).is_err() {
        return;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Both directions are polled by this one task, so this lock is never waited for.
    let observer = Mutex::new(TrafficObserver::new());
    let seen = || observer.lock().unwrap_or_else(PoisonError::into_inner);
    let in_flight = shared.limits.in_flight_bytes;
    let up = pipe::carry(
        from_client,
        to_server,
        || shared.delays.up(),
        in_flight,
        |piece| seen().request(piece, &mut shared.counts()),
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
                    seen().response(&piece[..bytes], &mut counts);
                }
                written
            },
        );
        let carried = carried.await;
        seen().response_closed(&mut shared.counts());
        carried
    };
    until_both_end(up, down, &shared.delays).await;
}

/// Once one direction has ended, the other has its transit and a moment to do the same.
async fn until_both_end(up: impl Future, down: impl Future, delays: &Delays) {
    let (mut up, mut down) = (std::pin::pin!(up), std::pin::pin!(down));
    tokio::select! {
        _ = &mut up => drop(timeout(LINGER + delays.down(), down).await),
        _ = &mut down => drop(timeout(LINGER + delays.up(), up).await),
    }
}

/// Answers for a server that can't: 503 with a problem document, counted like any answer.
async fn refuse(mut client: TcpStream, open: OpenRelayConnection, detail: String) {
    let title = "The lane can't carry this connection".to_owned();
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
        // The request is read first: closing a socket with unread bytes would reset it and take the answer along.
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
    // Whether the client stayed for it changes nothing.
    drop(timeout(LINGER, answering).await);
}
