//! `tailwater serve`: listen, say where, run until told to stop.

use crate::config::{Config, StoreKind};
use crate::server;
use crate::store::OpenError;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

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
    Open(#[from] OpenError),
    /// Anything else that the system refused.
    #[error("the server stopped: {0}")]
    Io(#[from] io::Error),
}

/// Runs the server until Ctrl-C or SIGTERM; a second Ctrl-C ends the process at once.
///
/// # Errors
/// [`ServeError`], in words for the terminal.
pub fn run(config: Config) -> Result<(), ServeError> {
    tracing_subscriber::fmt()
        .with_env_filter(
            EnvFilter::try_from_env("TAILWATER_LOG").unwrap_or_else(|_| EnvFilter::new("warn,tailwater=info")),
        )
        .with_writer(io::stderr)
        .init();
    let listener = TcpListener::bind(config.listen).map_err(|reason| ServeError::Listen {
        address: config.listen,
        advice: advice(&reason),
        reason,
    })?;
    let address = listener.local_addr()?;
    // Before anybody is let in: connections wait in the listener until there is something to serve.
    let opened = server::open(&config)?;
    raise_open_files(config.connections_max);
    if !address.ip().is_loopback() {
        tracing::warn!("{address} can be reached from other machines, and nobody has to log in: put a proxy in front");
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
        StoreKind::Disk => {
            config.data_dir.canonicalize().unwrap_or_else(|_| config.data_dir.clone()).display().to_string()
        }
    };
    writeln!(stdout, "Tailwater listens on http://{address} and keeps streams in {place}")?;
    stdout.flush()
}

/// Raises the limit of open files as far as the system allows, and says so when connections need more.
fn raise_open_files(connections_max: usize) {
    // A connection is one file; a lane of the lab's relay is two; the rest is listeners, standard streams and the like.
    let wanted = connections_max as u64 + 256;
    match rlimit::increase_nofile_limit(wanted) {
        Ok(allowed) if allowed < wanted => tracing::warn!(
            "the system allows {allowed} open files, {connections_max} connections need {wanted}: raise it with ulimit -n, \
             or lower --connections-max"
        ),
        Ok(allowed) => tracing::debug!("{allowed} open files are allowed"),
        Err(reason) => tracing::warn!("the limit of open files can't be read or raised: {reason}"),
    }
}

fn advice(reason: &io::Error) -> &'static str {
    match reason.kind() {
        io::ErrorKind::AddrInUse => {
            ". Another program has that port: stop it, or choose another with --listen 127.0.0.1:PORT"
        }
        io::ErrorKind::PermissionDenied => ". Ports below 1024 need more rights: choose a higher one with --listen",
        io::ErrorKind::AddrNotAvailable => ". This machine has no such address: --listen takes one of its own",
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
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
}

/// Done at the first SIGINT or SIGTERM; from then on a SIGINT ends the process at once.
async fn told_to_stop(signals: io::Result<Signals>) {
    let Signals { mut interrupt, mut terminate } = match signals {
        Ok(signals) => signals,
        Err(reason) => {
            tracing::error!("signals can't be handled, so only a kill will stop this server: {reason}");
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
