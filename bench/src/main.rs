//! Measures a server on loopback with raw sockets; a run that lost, repeated or reordered anything has no figures.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `pipe.rs` | appends per second, by how many connections send them |
//! | `pages.rs` | how fast old pages are read |
//! | `server.rs` | a fresh server for each run, and what it used of the processor |
//! | `wire.rs` | HTTP/1.1 as far as the loads need it |
//! | `table.rs` | medians of several rounds, side by side |
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line speaks on its standard streams")]

mod decode;
mod pages;
mod pipe;
mod process;
mod server;
mod table;
mod target;
mod targets;
mod wire;

use clap::{Args, Parser, Subcommand};
use server::Store;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Measures Tailwater on loopback: the server on one core, the load on another, a fresh server for each run.
#[derive(Debug, Parser)]
#[command(name = "tailwater-bench")]
struct Command {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Appends per second to one stream, with a reader that checks each of them
    Pipe {
        #[command(flatten)]
        common: Common,
        /// How many connections append at once, one run for each
        #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64])]
        connections: Vec<usize>,
        /// Bytes of an append
        #[arg(long, default_value_t = 100)]
        payload: usize,
    },
    /// Megabytes per second of reading a stream from its beginning, page after page, after a restart if the store survives one
    Pages {
        #[command(flatten)]
        common: Common,
        /// Size of the stream in megabytes
        #[arg(long, default_value_t = 200)]
        megabytes: u64,
    },
}

/// What every measurement needs.
#[derive(Debug, Clone, Args)]
struct Common {
    /// The server's binary
    #[arg(long, env = "TAILWATER_BIN")]
    server: PathBuf,
    /// Stores to compare, in the order of their runs in each round
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Store::Memory, Store::Disk])]
    stores: Vec<Store>,
    /// How a disk store is synced
    #[arg(long, default_value = "always")]
    sync: String,
    /// Where disk stores rest while they are measured [default: the system's folder for temporary files]
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Seconds of one run
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Rounds; each measures everything once, and the medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// The server did not do what was asked.
    #[error("{0}")]
    Server(String),
    /// The server lost, repeated or reordered something: the figures would be worth nothing.
    #[error("the run is void: {0}")]
    Void(String),
}

impl Common {
    fn duration(&self) -> Duration {
        Duration::from_secs(self.seconds.clamp(1, 600))
    }

    fn rounds(&self) -> usize {
        self.rounds.clamp(1, 100)
    }
}

fn main() -> ExitCode {
    let measured = match Command::parse().what {
        What::Pipe { common, connections, payload } => pipe::run(&common, &connections, payload),
        What::Pages { common, megabytes } => pages::run(&common, megabytes),
    };
    match measured {
        Ok(table) => {
            println!("{table}");
            ExitCode::SUCCESS
        }
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::FAILURE
        }
    }
}
