//! The commands of this project: `cargo xtask setup | serve | dev | test | bench | crash | fuzz`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `setup.rs`, `serve.rs`, `dev.rs`, `test.rs`, `bench.rs` | one command each |
//! | `long_tests.rs` | the commands `crash` and `fuzz` |
//! | `tools.rs` | the required tools: their paths and versions |
//! | `install.rs` | installs missing tools |
//! | `build.rs` | builds the dashboard and the server |
//! | `wasm.rs` | removes what a built module has for debuggers |
//! | `steps.rs` | runs named steps with times, logs and a summary |
//! | `server.rs` | a server for tests, on a free port |
//! | `child.rs` | child processes that end with their parent |
//! | `watch.rs` | modification times of sources |
//! | `checkout.rs` | the folders of the workspace, the tools and the builds |
//! | `fault.rs` | errors |
//!
//! It has few dependencies, so that it compiles quickly on a machine that has only cargo.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints to its standard streams"
)]

#[cfg(not(unix))]
compile_error!(
    "cargo xtask requires Unix (Linux, macOS, or WSL on Windows): it ends its children by process group"
);

mod bench;
mod build;
mod checkout;
mod child;
mod dev;
mod fault;
mod imports;
mod install;
mod long_tests;
mod script;
mod serve;
mod server;
mod setup;
mod steps;
mod test;
mod tools;
mod wasm;
mod watch;

use std::process::ExitCode;

use fault::TaskFault;

const HELP: &str = "\
Commands for developing Tailwater

  cargo xtask setup                 install the tools that the other commands need, or print how to
  cargo xtask serve [-- ARGS]       build dashboard and server in release, start the server, print its address
  cargo xtask dev [-- ARGS]         server and `trunk serve` together; both are rebuilt when sources change
  cargo xtask test [STEPS]          all checks required before a change is merged
  cargo xtask test --list           list the steps
  cargo xtask crash [OPTIONS]       kill the server repeatedly and check that no data is lost; --rounds N, --for TIME (1h),
                                    --seed S
  cargo xtask fuzz [OPTIONS]        random requests to two servers, whose responses must be equal; --sequences N, --seed S
  cargo xtask bench WHAT [OPTIONS]  benchmarks of the server, LIMIT and other servers: fan-out, flood, pipe, poll, idle, catch-up, many,
                                    loss, or all; --help lists the options
  cargo xtask bench instructions    instructions for frequent operations of the server, counted by Valgrind
  cargo xtask bench page [OPTIONS]  page in Chromium: size, start, frames and memory under load; --rounds N,
                                    --rate N (events/s), --seconds N, --minutes N (for memory), --size N (bytes)
  cargo xtask bench lanes [OPTIONS] latency of each lane of the page alone and beside the others; --rounds N, --seconds N, --rate N,
                                    --size N
  cargo xtask bench verdicts [OPTIONS]
                                    verdicts of the page on correct and wrong predictions, idle and under load; --starts N, --seconds N

ARGS are passed to `tailwater serve` (`cargo xtask serve -- --listen 127.0.0.1:8000`).

Environment
  TAILWATER_TOOLS     folder for tools built by setup (default: .tools in the workspace)
  CHROMIUM            path of Chromium or Chrome for tests (default: from PATH)
  CHROMEDRIVER        path of ChromeDriver of the same version (default: from PATH)
  CARGO_TARGET_DIR    target folder of cargo
";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<_> = arguments.collect();
    if command == child::GUARD {
        return child::guard(&rest);
    }
    let texts: Vec<String> = rest
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let done = match command.to_string_lossy().as_ref() {
        "setup" => setup::run(&texts),
        "serve" => serve::run(&texts),
        "dev" => dev::run(&texts),
        "test" => test::run(&texts),
        "crash" => long_tests::CRASH.run(&texts),
        "fuzz" => long_tests::FUZZ.run(&texts),
        "bench" => bench::run(&texts),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(TaskFault::Usage(format!(
            "unknown command `{other}`; expected setup, serve, dev, test, crash, fuzz or bench"
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The test command has already printed its summary, whose last line is the count.
        Err(TaskFault::TestsFailed) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}
