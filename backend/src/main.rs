//! The `tailwater` command: parse the command line, run the command, say what went wrong.

use clap::{Parser, Subcommand};
use std::process::ExitCode;
use tailwater::cli::{self, append::AppendArgs, tail::TailArgs};
use tailwater::config::Config;

/// Append-only streams over HTTP, followed by polling, long-polling, streaming or WebSocket
#[derive(Parser)]
#[command(version, about, propagate_version = true)]
struct Command {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run the server (and the dashboard, if it was built in)
    Serve(Box<Config>),
    /// Append lines from standard input to a stream
    Append(Box<AppendArgs>),
    /// Follow a stream: print its messages as they come
    Tail(Box<TailArgs>),
}

fn main() -> ExitCode {
    let outcome = match Command::parse().verb {
        Verb::Serve(config) => cli::serve::run(*config).map_err(|error| error.to_string()),
        Verb::Append(args) => cli::append::run(*args).map_err(|error| error.to_string()),
        Verb::Tail(args) => cli::tail::run(*args).map_err(|error| error.to_string()),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            use std::io::Write;
            // With standard error closed there is nobody to tell.
            let _closed = writeln!(std::io::stderr(), "tailwater: {message}");
            ExitCode::FAILURE
        }
    }
}
