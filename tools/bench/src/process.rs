//! A fresh server for each run: on the first core, on a free port, ended with all it started; what it used of processor and memory.

use crate::Fault;
use crate::target::Target;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A server has to accept connections by then.
const START_MAX: Duration = Duration::from_secs(15);
/// Where servers run, and where the load does.
const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// Starts one in an empty folder below `parent`, by default the system's for temporary files.
    ///
    /// # Errors
    /// [`Fault::Server`] with what it said, when it does not accept connections in time.
    pub(crate) fn start(target: &dyn Target, parent: Option<&Path>) -> Result<Self, Fault> {
        let folder = match parent {
            Some(parent) => TempDir::new_in(parent)?,
            None => TempDir::new()?,
        };
        let (child, address) = spawn(target, folder.path())?;
        Ok(Self {
            child,
            address,
            folder,
        })
    }

    /// Ends it as a crash would and starts it again on what it left behind.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub(crate) fn restart(&mut self, target: &dyn Target) -> Result<(), Fault> {
        self.end();
        (self.child, self.address) = spawn(target, self.folder.path())?;
        Ok(())
    }

    /// Processor time used so far, in user and system mode, of all threads of all its processes.
    ///
    /// # Errors
    /// [`Fault::Server`] when it is gone.
    pub(crate) fn cpu(&self) -> Result<Duration, Fault> {
        let nanoseconds = |path: &Path| -> Option<u64> {
            fs::read_to_string(path.join("schedstat"))
                .ok()?
                .split(' ')
                .next()?
                .parse()
                .ok()
        };
        let threads = family(self.child.id()).into_iter().flat_map(threads);
        let all: Vec<u64> = threads.filter_map(|thread| nanoseconds(&thread)).collect();
        match all.is_empty() {
            true => Err(Fault::Server(format!(
                "the server is gone: {}",
                last_words(self.folder.path())
            ))),
            false => Ok(Duration::from_nanos(all.iter().sum())),
        }
    }

    /// Memory in bytes: the proportional set size of all its processes.
    ///
    /// # Errors
    /// [`Fault::Server`] when it is gone.
    pub(crate) fn memory(&self) -> Result<u64, Fault> {
        let mut bytes = 0;
        for pid in family(self.child.id()) {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            let kib: Option<u64> =
                line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            bytes += kib.ok_or_else(|| Fault::Server("no Pss in smaps_rollup".into()))? << 10;
        }
        Ok(bytes)
    }

    fn end(&mut self) {
        let all = family(self.child.id());
        // Already gone if it crashed, which the run has noticed by then.
        let _gone = self.child.kill();
        for pid in all
            .into_iter()
            .skip(1)
            .filter_map(|pid| Pid::from_raw(i32::try_from(pid).ok()?))
        {
            let _gone = kill_process(pid, Signal::KILL);
        }
        let _reaped = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

/// Puts the load on its core and raises the limit of open files, for servers too: they inherit it.
///
/// # Errors
/// What the system says.
pub(crate) fn settle() -> Result<(), Fault> {
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

fn refused(reason: rustix::io::Errno) -> Fault {
    Fault::Io(reason.into())
}

/// This thread, and what it starts from now on, on one core; wherever the system likes where there is no such core.
fn pin(core: usize) -> Result<(), Fault> {
    if !Path::new(&format!("/sys/devices/system/cpu/cpu{core}")).exists() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).map_err(refused)
}

fn spawn(target: &dyn Target, folder: &Path) -> Result<(Child, SocketAddr), Fault> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let launch = target.launch(port, folder)?;
    let said = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(words(folder))?;
    let mut command = Command::new(&launch.program);
    command
        .args(&launch.arguments)
        .envs(launch.environment)
        .current_dir(folder);
    command
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said);
    pin(SERVER_CORE)?;
    let spawned = command.spawn();
    pin(LOAD_CORE)?;
    let mut child = spawned
        .map_err(|reason| Fault::Server(format!("{}: {reason}", launch.program.display())))?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let begun = Instant::now();
    while TcpStream::connect(address).is_err() {
        if begun.elapsed() > START_MAX || child.try_wait()?.is_some() {
            // Perhaps it has ended by itself.
            let _gone = child.kill();
            child.wait()?;
            let words = last_words(folder);
            return Err(Fault::Server(format!(
                "{} does not listen on {address}: {words}",
                target.name()
            )));
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok((child, address))
}

fn words(folder: &Path) -> PathBuf {
    folder.join("output.txt")
}

/// The end of what the server has written on its standard streams.
fn last_words(folder: &Path) -> String {
    let text = fs::read(words(folder)).unwrap_or_default();
    String::from_utf8_lossy(&text[text.len().saturating_sub(1_000)..])
        .trim()
        .to_owned()
}

/// A process and all below it, itself first.
fn family(pid: u32) -> Vec<u32> {
    let mut all = vec![pid];
    let mut at = 0;
    while at < all.len() {
        for thread in threads(all[at]) {
            let children = fs::read_to_string(thread.join("children")).unwrap_or_default();
            all.extend(
                children
                    .split_whitespace()
                    .filter_map(|child| child.parse::<u32>().ok()),
            );
        }
        at += 1;
    }
    all
}

/// The folders of a process's threads.
fn threads(pid: u32) -> Vec<PathBuf> {
    let entries = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect()
}
