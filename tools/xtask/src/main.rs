//! The project's own commands: `cargo xtask setup | serve | dev | test | bench | crash | fuzz`.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `setup.rs`, `serve.rs`, `dev.rs`, `test.rs`, `bench.rs`, `long.rs` | one command each; `long.rs` has two |
//! | `tools.rs` | the tools outside cargo: where they are found and whether they fit |
//! | `install.rs` | how each missing one is installed, or what to tell the person |
//! | `build.rs` | the dashboard and the server, built the same way by every command |
//! | `steps.rs` | named steps with times, logs and a summary |
//! | `server.rs` | a server for tests, on a free port, always ended |
//! | `child.rs` | child processes that end with their parent, whatever ends it |
//! | `watch.rs` | whether sources changed, by their modification times |
//! | `place.rs` | the folders everything lives in |
//! | `fault.rs` | what can go wrong, in words |
//!
//! Only the standard library, so that it compiles in a second on a machine that has nothing but cargo.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks on its standard streams"
)]

#[cfg(not(unix))]
compile_error!(
    "cargo xtask needs Unix (Linux, macOS, or WSL on Windows): it ends its children by process group"
);

mod bench;
mod build;
mod child;
mod dev;
mod fault;
mod install;
mod long;
mod place;
mod serve;
mod server;
mod setup;
mod steps;
mod test;
mod tools;
mod watch;

use std::process::ExitCode;

use fault::TaskFault;

const HELP: &str = "\
Tailwater's own commands

  cargo xtask setup                 install what the other commands need, and say how where that is not possible
  cargo xtask serve [-- ARGS]       build dashboard and server in release, start the server, print its address
  cargo xtask dev [-- ARGS]         server and `trunk serve` together; both follow changes of the sources
  cargo xtask test [STEPS]          everything that must hold before a change is merged
  cargo xtask test --list           the steps, one line each
  cargo xtask crash [OPTIONS]       kill the server again and again and look for what it lost; --rounds N, --for TIME (1h),
                                    --seed S
  cargo xtask fuzz [OPTIONS]        random requests to two servers that must answer alike; --sequences N, --seed S
  cargo xtask bench WHAT [OPTIONS]  what the server costs, beside LIMIT and its peers: fan-out, flood, pipe, poll, idle, catch-up, many,
                                    loss, or all of them; --help
  cargo xtask bench instructions    what the server executes for what it does often, counted by Valgrind
  cargo xtask bench page [OPTIONS]  size of the page, its start, its frames and memory under load, in Chromium; --rounds N,
                                    --rate N (events/s), --seconds N, --minutes N (for memory), --size N (bytes)
  cargo xtask bench verdicts [OPTIONS]
                                    the page's verdicts on right and on wrong theories, idle and loaded; --starts N, --seconds N

ARGS go to `tailwater serve` (`cargo xtask serve -- --listen 127.0.0.1:8000`).

Environment
  TAILWATER_TOOLS     folder for tools built here (default: .tools in the workspace)
  CHROMIUM            a Chromium or Chrome to test with (default: found on PATH)
  CHROMEDRIVER        the ChromeDriver of the same version (default: found on PATH)
  CARGO_TARGET_DIR    where cargo builds, as always
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
        "crash" => long::CRASH.run(&texts),
        "fuzz" => long::FUZZ.run(&texts),
        "bench" => bench::run(&texts),
        "" | "help" | "-h" | "--help" => {
            print!("{HELP}");
            Ok(())
        }
        other => Err(TaskFault::Usage(format!(
            "there is no command `{other}`; expected setup, serve, dev, test, crash, fuzz or bench"
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // The test command has already said everything: its last line is the count.
        Err(TaskFault::TestsFailed) => ExitCode::FAILURE,
        Err(fault) => {
            eprintln!("xtask: {fault}");
            ExitCode::FAILURE
        }
    }
}
