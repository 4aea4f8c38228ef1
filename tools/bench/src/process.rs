//! A new server for each run, on the first core and a free port, killed with its descendants; its processor time and memory.

use crate::BenchFault;
use crate::target::BenchTarget;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tailwater_harness::ServerProcess;
use tailwater_harness::process::{cpu_time, free_address, log_file, proportional_bytes};
use tempfile::TempDir;

/// Timeout for the start of a server.
const START_MAX: Duration = Duration::from_secs(15);
/// The cores of the server and of the load.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// A running server.
#[derive(Debug)]
pub(crate) struct MeasuredServer {
    process: ServerProcess,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl MeasuredServer {
    /// Starts a server in an empty folder below `parent`, by default the system's folder for temporary files.
    ///
    /// # Errors
    /// [`BenchFault::Server`] with the end of its output, when it does not accept connections in time.
    pub(crate) fn start(
        target: &dyn BenchTarget,
        parent: Option<&Path>,
    ) -> Result<Self, BenchFault> {
        let folder = match parent {
            Some(parent) => TempDir::new_in(parent)?,
            None => TempDir::new()?,
        };
        let (process, address) = spawn(target, folder.path())?;
        Ok(Self {
            process,
            address,
            folder,
        })
    }

    /// Kills it and starts it again with the same data.
    ///
    /// # Errors
    /// As [`MeasuredServer::start`].
    pub(crate) fn restart(&mut self, target: &dyn BenchTarget) -> Result<(), BenchFault> {
        self.process.kill_family();
        (self.process, self.address) = spawn(target, self.folder.path())?;
        Ok(())
    }

    /// Processor time in user and system mode, of all threads of all its processes.
    ///
    /// # Errors
    /// [`BenchFault::Server`] when it has ended.
    pub(crate) fn cpu(&self) -> Result<Duration, BenchFault> {
        cpu_time(self.process.id()).map_err(|reason| {
            let output = output_tail(self.folder.path());
            BenchFault::Server(format!("the server has ended: {reason}: {output}"))
        })
    }

    /// Memory in bytes: the proportional set size of all its processes.
    ///
    /// # Errors
    /// [`BenchFault::Io`] when it has ended.
    pub(crate) fn memory(&self) -> Result<u64, BenchFault> {
        Ok(proportional_bytes(self.process.id())?)
    }
}

impl Drop for MeasuredServer {
    fn drop(&mut self) {
        self.process.kill_family();
    }
}

/// Pins the load to its core and raises the limit of open files, which servers inherit.
///
/// # Errors
/// Errors of system calls.
pub(crate) fn prepare() -> Result<(), BenchFault> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        },
    )
    .map_err(refused)?;
    pin(LOAD_CORE)
}

/// The first program of that name on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

fn refused(reason: rustix::io::Errno) -> BenchFault {
    BenchFault::Io(reason.into())
}

/// Pins this thread and its later children to a core, if the machine has it.
fn pin(core: usize) -> Result<(), BenchFault> {
    if !Path::new(&format!("/sys/devices/system/cpu/cpu{core}")).exists() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(refused)
}

fn spawn(
    target: &dyn BenchTarget,
    folder: &Path,
) -> Result<(ServerProcess, SocketAddr), BenchFault> {
    let address = free_address(0)?;
    let launch = target.launch(address.port(), folder)?;
    let output = log_file(&output_path(folder))?;
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .envs(launch.environment)
        .current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    pin(SERVER_CORE)?;
    let spawned = ServerProcess::spawn(&mut command);
    pin(LOAD_CORE)?;
    let fault = |reason: std::io::Error| {
        let (name, output) = (target.name(), output_tail(folder));
        BenchFault::Server(format!("{name}: {reason}: {output}"))
    };
    let mut process = spawned.map_err(fault)?;
    process.accepts(address, START_MAX).map_err(fault)?;
    Ok((process, address))
}

fn output_path(folder: &Path) -> PathBuf {
    folder.join("output.txt")
}

/// The end of the server's standard output and error.
fn output_tail(folder: &Path) -> String {
    let text = fs::read(output_path(folder)).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(1_000)..])
        .trim()
        .to_owned()
}
