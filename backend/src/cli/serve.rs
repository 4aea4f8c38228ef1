//! `tailwater serve`: listen, say where, run until told to stop.

use crate::config::{Config, StoreKind};
use crate::server;
use rustix::fs::Mode;
use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, TcpListener};
use tailwater_core::store::{DiskOpenError, DiskStore};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Files beside clients' connections, webhooks, workers and the store: listeners, standard streams, connections that are refused
/// at this moment, the lab's relays.
const OTHER_FILES: usize = 256;
/// Files of a worker: its event queue, the copy of it, and what wakes it.
const WORKER_FILES: usize = 4;

/// Why the server could not start or run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address can't be listened on.
    #[error("can't listen on {address}: {reason}{advice}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: io::Error,
        /// What to do about it.
        advice: &'static str,
    },
    /// The store can't be opened.
    #[error(transparent)]
    Open(#[from] DiskOpenError),
    /// Anything else that the system refused.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

/// Connections that may wait to be accepted; the system may allow fewer (`net.core.somaxconn`).
const CONNECTIONS_WAITING_MAX: i32 = 4096;

/// Runs the server until Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.
///
/// # Errors
/// [`ServeError`], in words for the terminal.
pub fn run(mut config: Config) -> Result<(), ServeError> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("TAILWATER_LOG")
                .unwrap_or_else(|_| EnvFilter::new("warn,tailwater=info,actix_http=off")),
        )
        .with_ansi(io::stderr().is_terminal())
        .with_writer(io::stderr)
        .init();
    // What the store makes is for its owner only, the engine's own files included.
    let _before = rustix::process::umask(Mode::RWXG | Mode::RWXO);
    let listener = TcpListener::bind(config.listen).map_err(|reason| ServeError::Listen {
        address: config.listen,
        advice: advice(&reason),
        reason,
    })?;
    // The standard library asks for 128, and who comes when that is full has to try again a second later.
    rustix::net::listen(&listener, CONNECTIONS_WAITING_MAX).map_err(io::Error::from)?;
    let address = listener.local_addr()?;
    share_open_files(&mut config);
    // Before anybody is let in: connections wait in the listener until there is something to serve.
    let opened = server::open(&config)?;
    if !address.ip().is_loopback() {
        tracing::warn!(
            "{address} can be reached from other machines, and nobody has to log in: put a proxy in front"
        );
    }
    actix_web::rt::System::new().block_on(async {
        // Before the URL is told: who reads it may send a signal at once.
        let signals = Signals::listen();
        announce(address, &config)?;
        server::run_on(listener, config, opened, told_to_stop(signals)).await
    })?;
    Ok(())
}

fn announce(address: SocketAddr, config: &Config) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    let place = match config.store {
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
        "Tailwater listens on http://{address} and keeps streams in {place}"
    )?;
    stdout.flush()
}

/// Raises the limit of open files as far as the system allows. Where that is not enough, connections get what the store and the
/// rest of the server leave: a store that can't open its files can't write.
fn share_open_files(config: &mut Config) {
    let others = reserved_files(config);
    let (wished, wanted) = (
        config.connections_max,
        config.connections_max as u64 + others,
    );
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => {
            config.connections_max = wished.min(connections_within(allowed, others));
            tracing::warn!(
                "the system allows {allowed} open files, but {wished} connections and {others} other files may be wanted: at most \
                 {} connections are served. Raise the hard limit (ulimit -Hn), or lower --connections-max",
                config.connections_max
            );
        }
        Ok(allowed) => tracing::debug!("{allowed} open files are allowed"),
        Err(reason) => tracing::warn!("the limit of open files can't be read or raised: {reason}"),
    }
}

/// Files that are not clients' connections: the store's, the workers', requests to webhooks, and [`OTHER_FILES`].
fn reserved_files(config: &Config) -> u64 {
    let store = if config.store == StoreKind::Disk {
        DiskStore::FILES_MAX
    } else {
        0
    };
    let workers = config.worker_threads() * WORKER_FILES;
    (store + workers + config.webhooks_max).saturating_add(OTHER_FILES) as u64
}

/// Connections that fit into `allowed` open files beside `others`; a quarter at least, so that there is a server at all.
fn connections_within(allowed: u64, others: u64) -> usize {
    usize::try_from(allowed.saturating_sub(others).max(allowed / 4).max(1)).unwrap_or(usize::MAX)
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another program has that port: stop it, or choose another with --listen 127.0.0.1:PORT"
        }
        io::ErrorKind::PermissionDenied => {
            ". Ports below 1024 need more rights: choose a higher one with --listen"
        }
        io::ErrorKind::AddrNotAvailable => {
            ". This machine has no such address: --listen takes one of its own"
        }
        _ => "",
    }
}

/// The signals that ask for a stop; from their making on they end the process no longer.
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

/// Done at the first SIGINT or SIGTERM; from then on a SIGINT ends the process at once.
async fn told_to_stop(signals: io::Result<Signals>) {
    let Signals {
        mut interrupt,
        mut terminate,
    } = match signals {
        Ok(signals) => signals,
        Err(reason) => {
            tracing::error!(
                "signals can't be handled, so only a kill will stop this server: {reason}"
            );
            return std::future::pending().await;
        }
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    tracing::info!("stopping: live answers end cleanly; Ctrl-C again ends at once");
    actix_web::rt::spawn(async move {
        interrupt.recv().await;
        std::process::exit(130);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_get_what_the_store_leaves() {
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
