//! `tailwater serve`: listens, prints its address, and runs until a signal.

use crate::config::{Config, StoreKind};
use crate::server;
use rustix::fs::Mode;
use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use tailwater_core::store::{DiskOpenError, DiskStore};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// File descriptors besides clients' connections, webhooks, workers and the store: listeners,
/// standard streams, connections being refused, the lab's relays.
const OTHER_FILES: usize = 512;
/// File descriptors of a worker: its epoll instance, a duplicate of it, and its waker.
const WORKER_FILES: usize = 4;

/// Why the server could not start or run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Listening on the address failed.
    #[error("can't listen on {address}: {reason}{advice}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's error.
        reason: io::Error,
        /// Advice for the user.
        advice: &'static str,
    },
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] DiskOpenError),
    /// Any other system error.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

/// Length of the accept queue; the system may limit it further (`net.core.somaxconn`).
const CONNECTIONS_WAITING_MAX: i32 = 4096;

/// Runs the server until Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.
///
/// # Errors
/// [`ServeError`], as text for the terminal.
pub fn run(mut config: Config) -> Result<(), ServeError> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("TAILWATER_LOG")
                .unwrap_or_else(|_| EnvFilter::new("warn,tailwater=info,actix_http=off")),
        )
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    // The store's files, the engine's included, are only accessible by their owner.
    let _before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let listener = TcpListener::bind(config.listen).map_err(|reason| ServeError::Listen {
        address: config.listen,
        advice: advice(&reason),
        reason,
    })?;
    // The standard library's queue has 128 entries; a client that finds it full retries only after
    // a second.
    rustix::net::listen(&listener, CONNECTIONS_WAITING_MAX).map_err(io::Error::from)?;
    let address = listener.local_addr()?;
    share_open_files(&mut config);
    // Before the server accepts connections, which wait in the listener's queue until then.
    let opened = server::open(&config)?;
    if !address.ip().is_loopback() {
        tracing::warn!(
            "{address} is reachable from other machines and there is no authentication: use a proxy"
        );
    }
    actix_web::rt::System::new().block_on(async {
        // Before the URL is printed, since its reader may send a signal at once.
        let signals = Signals::listen();
        print_address(address, &config)?;
        server::run_on(listener, config, opened, stop_signal(signals)).await
    })?;
    Ok(())
}

fn print_address(address: SocketAddr, config: &Config) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let location = match config.store {
        StoreKind::Memory => "memory".to_owned(),
        StoreKind::Disk => config
            .data_dir
            .canonicalize()
            .unwrap_or_else(|_| config.data_dir.clone())
            .display()
            .to_string(),
    };
    writeln!(
        stdout,
        "Tailwater listens on http://{address} and keeps streams in {location}"
    )?;
    stdout.flush()
}

/// Raises the limit of open files as far as the system allows. If that is not enough, the number of
/// connections is reduced: a store that can't open its files can't write.
fn share_open_files(config: &mut Config) {
    let others = reserved_files(config);
    let (connections_wanted, files_wanted) = (
        config.connections_max,
        config.connections_max as u64 + others,
    );
    match rlimit::increase_nofile_limit(files_wanted) {
        Ok(allowed) if allowed < files_wanted => {
            config.connections_max = connections_wanted.min(connections_within(allowed, others));
            tracing::warn!(
                "the system allows {allowed} open files, {connections_wanted} connections and {others} other files may be needed: at most \
                 {} connections are served. Raise the hard limit (ulimit -Hn), or lower --connections-max",
                config.connections_max
            );
        }
        Ok(allowed) => tracing::debug!("{allowed} open files are allowed"),
        Err(reason) => tracing::warn!("the limit of open files can't be read or raised: {reason}"),
    }
}

/// Files that are not clients' connections: the store's, the workers', requests to webhooks, and
/// [`OTHER_FILES`].
fn reserved_files(config: &Config) -> u64 {
    let store = if config.store == StoreKind::Disk {
        DiskStore::FILES_MAX
    } else {
        0
    };
    let workers = config.worker_threads() * WORKER_FILES;
    (store + workers + config.webhooks_max).saturating_add(OTHER_FILES) as u64
}

/// The number of connections that fit into `allowed` open files besides `others`; at least a
/// quarter, so that the server can run at all.
fn connections_within(allowed: u64, others: u64) -> usize {
    usize::try_from(allowed.saturating_sub(others).max(allowed / 4).max(1)).unwrap_or(usize::MAX)
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another program uses that port: stop it, or choose another one with --listen 127.0.0.1:PORT"
        }
        io::ErrorKind::PermissionDenied => {
            ". Ports below 1024 need privileges: choose a higher one with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            ". This machine does not have that address: choose one of its own with --listen"
        }
        _ => "",
    }
}

/// The signals that request a stop; once created, they no longer end the process.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }
}

/// Completes at the first SIGINT or SIGTERM; afterwards a SIGINT ends the process at once.
async fn stop_signal(signals: io::Result<Signals>) {
    let Signals {
        mut interrupt,
        mut terminate,
    } = match signals {
        Ok(signals) => signals,
        Err(reason) => {
            tracing::error!(
                "signals can't be handled, only SIGKILL will stop this server: {reason}"
            );
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: live responses end cleanly; Ctrl-C again ends at once");
    actix_web::rt::spawn(async move {
        interrupt.recv().await;
        std::process::exit(130);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_the_files_left_by_the_store() {
        let reserved = reserved_files(&Config::default());
        assert!(reserved > DiskStore::FILES_MAX as u64);
        for (allowed, connections) in [
            (20_000, 20_000 - reserved),
            (2 * reserved, reserved),
            (reserved, reserved / 4),
            (3, 1),
        ] {
            assert_eq!(
                connections_within(allowed, reserved) as u64,
                connections,
                "{allowed} files"
            );
        }
    }
}
