//! Runs programs under Valgrind, which counts their instructions.

use crate::BenchFault;
use crate::process::on_path;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tailwater_harness::ServerProcess;
use tailwater_harness::process::Signal;
use tempfile::TempDir;

/// Timeout for the start of a server under Valgrind.
const START_MAX: Duration = Duration::from_secs(60);
/// Timeout for the end of a server after SIGTERM.
const END_MAX: Duration = Duration::from_secs(30);

/// Runs Valgrind.
#[derive(Debug)]
pub(super) struct Counter {
    valgrind: PathBuf,
}

impl Counter {
    /// Finds Valgrind on `PATH`.
    pub(super) fn find() -> Result<Self, BenchFault> {
        match on_path("valgrind") {
            Some(valgrind) => Ok(Self { valgrind }),
            None => Err(BenchFault::Server(
                "expected `valgrind` on PATH (Debian: apt-get install valgrind)".into(),
            )),
        }
    }

    /// Runs a program to its end; returns the number of executed instructions.
    pub(super) fn count(&self, program: &Path, arguments: &[String]) -> Result<u64, BenchFault> {
        let folder = TempDir::new()?;
        let status = self
            .command(folder.path(), program)
            .args(arguments)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(BenchFault::Server(format!(
                "{} {}: {status}",
                program.display(),
                arguments.join(" ")
            )));
        }
        executed(folder.path())
    }

    /// Starts a server that prints its address on its first line.
    pub(super) fn serve(
        &self,
        program: &Path,
        arguments: &[&str],
    ) -> Result<CountedServer, BenchFault> {
        let folder = TempDir::new()?;
        let mut command = self.command(folder.path(), program);
        command.args(arguments);
        let (process, address) = ServerProcess::serve(&mut command, START_MAX)?;
        Ok(CountedServer {
            process,
            address,
            folder,
        })
    }

    fn command(&self, folder: &Path, program: &Path) -> Command {
        let mut command = Command::new(&self.valgrind);
        command.args([
            "--tool=cachegrind",
            "--cache-sim=no",
            "--cachegrind-out-file=/dev/null",
        ]);
        command
            .arg(format!("--log-file={}", report(folder).display()))
            .arg(program);
        command.env("TAILWATER_LOG", "error").stdin(Stdio::null());
        command
    }
}

/// A server whose instructions are being counted; killed when dropped.
#[derive(Debug)]
pub(super) struct CountedServer {
    process: ServerProcess,
    pub(super) address: SocketAddr,
    folder: TempDir,
}

impl CountedServer {
    /// Stops it; returns the number of executed instructions.
    pub(super) fn finish(mut self) -> Result<u64, BenchFault> {
        self.process.signal(Signal::TERM)?;
        match self.process.ended(END_MAX)? {
            Some(_status) => executed(self.folder.path()),
            None => Err(BenchFault::Server(format!(
                "the server did not end within {} s after SIGTERM",
                END_MAX.as_secs()
            ))),
        }
    }
}

fn report(folder: &Path) -> PathBuf {
    folder.join("valgrind.txt")
}

/// The number in `==123== I   refs:      1,234` of Valgrind's report.
fn executed(folder: &Path) -> Result<u64, BenchFault> {
    let text = fs::read_to_string(report(folder))?;
    let line = text.lines().find_map(|line| {
        line.split_once("refs:")
            .filter(|(before, _)| before.contains(" I "))
    });
    let digits = line.map(|(_, number)| number.trim().replace(',', ""));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            BenchFault::Server(format!(
                "expected a number of instructions from Valgrind, got {text:?}"
            ))
        })
}
