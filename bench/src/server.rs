//! A fresh server for each run: pinned to one core, on a free port, ended when dropped; and what it used of the processor.

use crate::{Common, Fault};
use clap::ValueEnum;
use std::fmt;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// Where the server keeps streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Store {
    /// In memory.
    Memory,
    /// On disk.
    Disk,
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        })
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    arguments: Vec<String>,
    program: std::path::PathBuf,
    pub(crate) address: SocketAddr,
    _folder: Option<TempDir>,
}

impl Server {
    /// Starts one on an empty store.
    pub(crate) fn start(common: &Common, store: Store) -> Result<Self, Fault> {
        let mut arguments: Vec<String> =
            ["serve", "--listen", "127.0.0.1:0", "--workers", "1", "--store"].map(Into::into).into();
        arguments.push(store.to_string());
        let mut folder = None;
        match store {
            Store::Memory => arguments.extend(["--memory-max".into(), "4GiB".into()]),
            Store::Disk => {
                let made = match &common.folder {
                    Some(parent) => TempDir::new_in(parent)?,
                    None => TempDir::new()?,
                };
                let data = made.path().join("data").display().to_string();
                arguments.extend(["--data-dir".into(), data, "--sync".into(), common.sync.clone()]);
                folder = Some(made);
            }
        }
        let program = common.server.clone();
        let (child, address) = spawn(&program, &arguments)?;
        Ok(Self { child, arguments, program, address, _folder: folder })
    }

    /// Ends it as a crash would and starts it again on the same store.
    pub(crate) fn restart(&mut self) -> Result<(), Fault> {
        self.child.kill()?;
        self.child.wait()?;
        (self.child, self.address) = spawn(&self.program, &self.arguments)?;
        Ok(())
    }

    /// Processor time used so far, in user and system mode, of all threads.
    pub(crate) fn cpu(&self) -> Result<Duration, Fault> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // After the name, which is in parentheses and may hold anything: fields 14 and 15, in hundredths of a second.
        let fields =
            stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>()).unwrap_or_default();
        let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok());
        match (ticks(11), ticks(12)) {
            (Some(user), Some(system)) => Ok(Duration::from_millis((user + system) * 10)),
            _ => Err(Fault::Server(format!("/proc says {stat:?} of the server"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone if it crashed, which the run has noticed by then.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// On the first core, so that the load has the others.
fn spawn(program: &std::path::Path, arguments: &[String]) -> Result<(Child, SocketAddr), Fault> {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program).args(arguments).env("TAILWATER_LOG", "error");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let mut line = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut line)?;
    }
    let address = line.trim().rsplit_once("http://").and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok());
    match address {
        Some(address) => Ok((child, address)),
        None => {
            child.kill()?;
            child.wait()?;
            Err(Fault::Server(format!("expected the server's address, came {line:?}")))
        }
    }
}
