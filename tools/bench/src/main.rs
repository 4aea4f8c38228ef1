//! Measures servers on loopback with raw sockets; a run that lost, repeated or reordered anything has no figures.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `workloads.rs` | what is measured: fan-out, polls, idle and so on, each a file |
//! | `targets.rs` | the servers that are compared; `target.rs` says what one is |
//! | `limit.rs` | LIMIT, what delivering costs when nothing else is done |
//! | `rounds.rs` | every target in every case, interleaved; `table.rs` shows medians and ratios |
//! | `instructions.rs` | what Valgrind counts, of inner pieces and of the whole server |
//! | `process.rs` | a fresh server for each run, and what it used of processor and memory |
//! | `load.rs` | readers and writers in one thread |
//! | `connections.rs` | their connections; `poller.rs` waits for them, `decode.rs` says what comes on them, with the harness's decoders |
//! | `message.rs` | what is sent, and how a reader finds and checks it |
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks on its standard streams"
)]

mod connections;
mod decode;
mod instructions;
mod limit;

mod load;
mod message;
mod poller;
mod process;
mod rounds;
mod table;
mod target;
mod targets;
mod workloads;

use clap::{Args, Parser, Subcommand};
use rounds::Measured;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;
use workloads::{catch_up, fan_out, flood, idle, loss, many, pipe, polls, smoke};

/// Measures servers on loopback: the server on one core, the load on another, a fresh server for each run.
#[derive(Debug, Parser)]
#[command(name = "tailwater-bench")]
struct BenchCommand {
    #[command(subcommand)]
    what: BenchSubcommand,
}

#[derive(Debug, Subcommand)]
enum BenchSubcommand {
    /// One stream and many readers at a fixed rate of deliveries: what each delivery costs, by technique
    FanOut {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: fan_out::FanOutArguments,
    },
    /// Polls as fast as they are answered: with 304, without data, with a message
    Poll {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: polls::PollsArguments,
    },
    /// The server's memory for each reader that waits
    Idle {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: idle::IdleArguments,
    },
    /// Writers at full speed, and what their readers still get
    Flood {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: flood::FloodArguments,
    },
    /// Appends per second to one stream, with a reader that checks each of them
    Pipe {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: pipe::PipeArguments,
    },
    /// Reading a large stream from its beginning
    CatchUp {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: catch_up::CatchUpArguments,
    },
    /// Thousands of streams with one reader each
    Many {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: many::ManyArguments,
    },
    /// More than most servers take, offered to one stream: is anything missing that was acknowledged?
    Loss {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: loss::LossArguments,
    },
    /// All of the above, one table after the other
    All {
        /// Options that all of them have, such as --rounds
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Everything for a moment: only whether nothing is lost, repeated or reordered
    Smoke {
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Instructions that the server executes for what it does often, counted by Valgrind and held against the committed figures
    Instructions(instructions::InstructionsArguments),
    /// The server that does nothing but deliver
    #[command(hide = true)]
    Limit {
        port: u16,
        #[arg(long)]
        joined: bool,
    },
}

/// What every measurement needs.
#[derive(Debug, Clone, Args)]
struct CommonArguments {
    /// The server's binary
    #[arg(long, env = "TAILWATER_BIN", value_name = "PATH", value_parser = absolute)]
    server: PathBuf,
    /// A further argument for the server, once for each (--server-arg=--hot-max=1MiB)
    #[arg(long = "server-arg", value_name = "ARGUMENT")]
    server_arguments: Vec<String>,
    /// A second binary to be measured beside the first
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    against: Option<PathBuf>,
    /// A further argument for the second binary, once for each
    #[arg(long = "against-arg", value_name = "ARGUMENT")]
    against_arguments: Vec<String>,
    /// What is compared: limit, limit-joined, memory, disk, against-memory, against-disk, and the peers' names [default: what suits the
    /// measurement, the second binary, and every peer that is installed]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    targets: Vec<String>,
    /// How a disk store is synced
    #[arg(long, default_value = "always")]
    sync: String,
    /// Where servers keep data while they are measured [default: the system's folder for temporary files]
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,
    /// Seconds of one run
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Rounds; each measures everything once, and the medians are shown
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// Says only what failed.
    #[arg(skip)]
    quiet: bool,
}

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
enum BenchFault {
    /// The system refused something.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server did not do what was asked.
    #[error("{0}")]
    Server(String),
    /// The server cut off a reader or answered something else: the figures would be worth nothing.
    #[error("the run is void: {0}")]
    Void(String),
    /// The server lost, repeated or reordered messages, or left appends without an answer.
    #[error(
        "the run is void: of {deliveries} deliveries {lost} lost, {repeated} repeated or reordered, {damaged} damaged; {waiting} appends \
         not acknowledged"
    )]
    Lost {
        deliveries: u64,
        lost: u64,
        repeated: u64,
        damaged: u64,
        waiting: usize,
    },
}

/// A path from here: servers run in a folder of their own.
fn absolute(path: &str) -> io::Result<PathBuf> {
    std::path::absolute(path)
}

impl CommonArguments {
    fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.seconds.clamp(0.1, 600.0))
    }

    fn rounds(&self) -> usize {
        self.rounds.clamp(1, 100)
    }

    fn size(&self) -> usize {
        self.size.clamp(message::SIZE_MIN, 1 << 20)
    }
}

/// What `all` runs, in the order of its tables.
const ALL: [&str; 8] = [
    "fan-out", "flood", "pipe", "poll", "idle", "catch-up", "many", "loss",
];

fn main() -> ExitCode {
    match BenchCommand::parse().what {
        // No measurement of times: they need no core of their own.
        BenchSubcommand::Limit { port, joined } => ended(limit::run(port, joined)),
        BenchSubcommand::Instructions(arguments) => ended(instructions::run(&arguments)),
        what => ended(process::settle().and_then(|()| perform(what))),
    }
}

fn perform(what: BenchSubcommand) -> Result<(), BenchFault> {
    match what {
        BenchSubcommand::FanOut { common, arguments } => shown(fan_out::run(&common, &arguments)),
        BenchSubcommand::Poll { common, arguments } => shown(polls::run(&common, &arguments)),
        BenchSubcommand::Idle { common, arguments } => shown(idle::run(&common, &arguments)),
        BenchSubcommand::Flood { common, arguments } => shown(flood::run(&common, &arguments)),
        BenchSubcommand::Pipe { common, arguments } => shown(pipe::run(&common, &arguments)),
        BenchSubcommand::CatchUp { common, arguments } => shown(catch_up::run(&common, &arguments)),
        BenchSubcommand::Many { common, arguments } => shown(many::run(&common, &arguments)),
        BenchSubcommand::Loss { common, arguments } => shown(loss::run(&common, &arguments)),
        BenchSubcommand::All { options } => all(&options),
        BenchSubcommand::Smoke { common } => smoke::run(&common),
        BenchSubcommand::Instructions(arguments) => instructions::run(&arguments),
        BenchSubcommand::Limit { port, joined } => limit::run(port, joined),
    }
}

/// Everything; a measurement that failed does not keep the others from being made.
fn all(options: &[String]) -> Result<(), BenchFault> {
    let mut outcome = Ok(());
    for name in ALL {
        let words = ["tailwater-bench", name]
            .into_iter()
            .chain(options.iter().map(|option| &**option));
        if let Err(fault) = perform(BenchCommand::parse_from(words).what) {
            eprintln!("{name}: {fault}");
            outcome = Err(fault);
        }
        println!();
    }
    outcome
}

fn shown(measured: Result<Measured, BenchFault>) -> Result<(), BenchFault> {
    let Measured { table, failed } = measured?;
    println!("{table}");
    match failed {
        true => Err(BenchFault::Void(
            "something was lost, repeated or reordered; see above".into(),
        )),
        false => Ok(()),
    }
}

fn ended(outcome: Result<(), BenchFault>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("bench: {fault}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binaries_are_found_from_wherever_servers_run() {
        let words = [
            "tailwater-bench",
            "poll",
            "--server",
            "a/server",
            "--against",
            "another",
        ];
        let BenchSubcommand::Poll { common, .. } = BenchCommand::parse_from(words).what else {
            panic!("another measurement")
        };
        let here = std::env::current_dir().unwrap();
        assert_eq!(
            (common.server, common.against),
            (here.join("a/server"), Some(here.join("another")))
        );
    }
}
