//! The `tailwater` command: parses the command line, runs the command, prints its error.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tailwater::cli::{
    self, append::AppendArgs, tail::TailArgs, transfer::ExportArgs, transfer::ImportArgs,
};
use tailwater::config::Config;

/// Append-only streams over HTTP, followed by polling, long-polling, streaming or WebSocket
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct CommandLine {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the server (and the dashboard, if it was built in)
    Serve(Box<Config>),
    /// Append lines from standard input to a stream
    Append(Box<AppendArgs>),
    /// Follow a stream: print its messages as they arrive
    Tail(Box<TailArgs>),
    /// Write a stream to standard output as a file
    Export(ExportArgs),
    /// Create a stream from such a file on standard input
    Import(ImportArgs),
}

fn main() -> ExitCode {
    let outcome = match CommandLine::parse().verb {
        Verb::Serve(config) => cli::serve::run(*config).map_err(|error| error.to_string()),
        Verb::Append(args) => cli::append::run(*args).map_err(|error| error.to_string()),
        Verb::Tail(args) => cli::tail::run(*args).map_err(|error| error.to_string()),
        Verb::Export(args) => cli::transfer::export(&args).map_err(|error| error.to_string()),
        Verb::Import(args) => cli::transfer::import(&args).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            use std::io::Write;
            // Standard error may be closed.
            let _closed = writeln!(std::io::stderr(), "tailwater: {message}");
            ExitCode::FAILURE
        }
    }
}
