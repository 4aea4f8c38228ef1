//! Measures servers on loopback with raw sockets. A run in which a message was lost, repeated or reordered has no figures.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `workloads.rs` | the workloads: fan-out, polls, idle and so on, one in each file |
//! | `targets.rs` | the servers that are compared; `target.rs` is their interface |
//! | `limit.rs` | LIMIT, a server that does only the work of delivery |
//! | `rounds.rs` | measures every target in every case, interleaved; `table.rs` prints medians and ratios |
//! | `instructions.rs` | instructions counted by Valgrind, of internals and of the whole server |
//! | `process.rs` | a new server for each run, and its processor time and memory |
//! | `load.rs` | readers and writers in one thread |
//! | `connections.rs` | their connections, with the poller of `poller.rs` and the decoder of `decode.rs` |
//! | `message.rs` | the format of messages, and how a reader finds and checks them |
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints to its standard streams"
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

/// Measures servers on loopback: the server on one core, the load on another, a new server for each run.
#[derive(Debug, Parser)]
#[command(name = "tailwater-bench")]
struct BenchCommand {
    #[command(subcommand)]
    what: BenchSubcommand,
}

#[derive(Debug, Subcommand)]
enum BenchSubcommand {
    /// One stream and many readers at a fixed rate of deliveries: cost of a delivery, by technique
    FanOut {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: fan_out::FanOutArguments,
    },
    /// Polls at full speed: responses with 304, without data, with one message
    Poll {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: polls::PollsArguments,
    },
    /// The server's memory for each waiting reader
    Idle {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: idle::IdleArguments,
    },
    /// Writers at full speed: deliveries and latency of their readers
    Flood {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: flood::FloodArguments,
    },
    /// Appends per second to one stream, with one reader
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
    /// Overload of one stream: whether every acknowledged message is delivered
    Loss {
        #[command(flatten)]
        common: CommonArguments,
        #[command(flatten)]
        arguments: loss::LossArguments,
    },
    /// All of the above, with one table for each
    All {
        /// Options common to all of them, such as --rounds
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// A short run of each workload, which checks that no message is lost, repeated or reordered
    Smoke {
        #[command(flatten)]
        common: CommonArguments,
    },
    /// Instructions executed by the server for frequent operations, counted by Valgrind and compared with the committed figures
    Instructions(instructions::InstructionsArguments),
    /// Runs the server LIMIT
    #[command(hide = true)]
    Limit {
        port: u16,
        #[arg(long)]
        joined: bool,
    },
}

/// Options common to all workloads.
#[derive(Debug, Clone, Args)]
struct CommonArguments {
    /// The server's binary
    #[arg(long, env = "TAILWATER_BIN", value_name = "PATH", value_parser = absolute)]
    server: PathBuf,
    /// An additional argument of the server; may be repeated (--server-arg=--hot-max=1MiB)
    #[arg(long = "server-arg", value_name = "ARGUMENT")]
    server_arguments: Vec<String>,
    /// A second binary to compare with
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    against: Option<PathBuf>,
    /// An additional argument of the second binary; may be repeated
    #[arg(long = "against-arg", value_name = "ARGUMENT")]
    against_arguments: Vec<String>,
    /// Targets to compare: limit, limit-joined, memory, disk, against-memory, against-disk, and the names of peers [default: depends
    /// on the workload; includes the second binary and every installed peer]
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    targets: Vec<String>,
    /// The `--sync` option of disk stores
    #[arg(long, default_value = "always")]
    sync: String,
    /// Folder for the data of servers [default: the system's folder for temporary files]
    #[arg(long, value_name = "PATH")]
    folder: Option<PathBuf>,
    /// Seconds of one run
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Number of rounds; each measures every target in every case once, and medians are printed
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Bytes of a message
    #[arg(long, default_value_t = 100)]
    size: usize,
    /// Prints only failures.
    #[arg(skip)]
    quiet: bool,
}

/// Why a measurement failed.
#[derive(Debug, thiserror::Error)]
enum BenchFault {
    /// A system call failed.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The server did not behave as expected.
    #[error("{0}")]
    Server(String),
    /// The server disconnected a reader or sent an unexpected response: the run has no valid figures.
    #[error("the run is void: {0}")]
    Void(String),
    /// The server lost, repeated or reordered messages, or did not acknowledge appends.
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

/// Makes a path absolute, because servers run in another working directory.
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

/// The workloads of `all`, in the order of their tables.
const ALL: [&str; 8] = [
    "fan-out", "flood", "pipe", "poll", "idle", "catch-up", "many", "loss",
];

fn main() -> ExitCode {
    match BenchCommand::parse().what {
        // These do not measure times, so they are not pinned to a core.
        BenchSubcommand::Limit { port, joined } => ended(limit::run(port, joined)),
        BenchSubcommand::Instructions(arguments) => ended(instructions::run(&arguments)),
        what => ended(process::prepare().and_then(|()| perform(what))),
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

/// Runs all workloads, even if one of them fails.
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
            "a message was lost, repeated or reordered; see above".into(),
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
    fn paths_of_binaries_become_absolute() {
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
