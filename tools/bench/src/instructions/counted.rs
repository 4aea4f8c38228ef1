//! Programs run under Valgrind, which counts what they execute.

use crate::Fault;
use crate::process::on_path;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server has ended by then after it was asked to.
const END_MAX: Duration = Duration::from_secs(30);

/// A Valgrind.
#[derive(Debug)]
pub(super) struct Counter {
    valgrind: PathBuf,
}

impl Counter {
    /// The one on `PATH`.
    pub(super) fn find() -> Result<Self, Fault> {
        match on_path("valgrind") {
            Some(valgrind) => Ok(Self { valgrind }),
            None => Err(Fault::Server(
                "expected `valgrind` on PATH (Debian: apt-get install valgrind)".into(),
            )),
        }
    }

    /// Runs a program to its end; returns the instructions that it executed.
    pub(super) fn count(&self, program: &Path, arguments: &[String]) -> Result<u64, Fault> {
        let folder = TempDir::new()?;
        let status = self
            .command(folder.path(), program)
            .args(arguments)
            .stdout(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(Fault::Server(format!(
                "{} {}: {status}",
                program.display(),
                arguments.join(" ")
            )));
        }
        executed(folder.path())
    }

    /// Starts a server that says its address as `http://ADDRESS` on the first line.
    pub(super) fn serve(&self, program: &Path, arguments: &[&str]) -> Result<Counted, Fault> {
        let folder = TempDir::new()?;
        let mut child = self
            .command(folder.path(), program)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut line)?;
        }
        let words = line
            .split_once("http://")
            .map(|(_, rest)| rest.split_whitespace().next().unwrap_or_default());
        let mut counted = Counted {
            child,
            address: ([127, 0, 0, 1], 0).into(),
            folder,
        };
        match words.and_then(|address| address.parse().ok()) {
            Some(address) => counted.address = address,
            None => {
                return Err(Fault::Server(format!(
                    "expected the server's address, came {line:?}"
                )));
            }
        }
        Ok(counted)
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
pub(super) struct Counted {
    child: Child,
    pub(super) address: SocketAddr,
    folder: TempDir,
}

impl Counted {
    /// Asks it to stop; returns the instructions that it executed.
    pub(super) fn finish(mut self) -> Result<u64, Fault> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(std::io::Error::from)?;
        }
        let asked = Instant::now();
        while self.child.try_wait()?.is_none() {
            if asked.elapsed() > END_MAX {
                return Err(Fault::Server(format!(
                    "the server has not ended {} s after SIGTERM",
                    END_MAX.as_secs()
                )));
            }
            thread::sleep(Duration::from_millis(10));
        }
        executed(self.folder.path())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        // Already gone after `finish`.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn report(folder: &Path) -> PathBuf {
    folder.join("valgrind.txt")
}

/// `==123== I   refs:      1,234` in what Valgrind says at the end.
fn executed(folder: &Path) -> Result<u64, Fault> {
    let text = fs::read_to_string(report(folder))?;
    let line = text.lines().find_map(|line| {
        line.split_once("refs:")
            .filter(|(before, _)| before.contains(" I "))
    });
    let digits = line.map(|(_, number)| number.trim().replace(',', ""));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| {
            Fault::Server(format!(
                "Valgrind said no number of instructions, but: {text}"
            ))
        })
}
