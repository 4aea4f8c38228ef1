//! A server in its own process: started, signalled, measured, and killed when dropped.
//!
//! Commands are [`std::process::Command`]s; [`tailwater`] makes one that does not depend on this
//! environment.

mod usage;

pub use rustix::process::Signal;
pub use usage::{cpu_time, family, open_files, proportional_bytes, resident_bytes};

use rustix::process::{Pid, kill_process};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The interval of polling for a change without notification.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// The text that `tailwater serve` prints before its address.
const LISTENS: &str = "Tailwater listens on http://";

/// A command for `program`, a `tailwater` binary, without the settings of this environment and
/// without standard input.
pub fn tailwater(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    without_settings(&mut command);
    command
}

/// A command for `program`, a `tailwater` binary, run by another program.
///
/// - `words`: that program and its own arguments; none to run `program` directly.
pub fn tailwater_through(words: &[String], program: impl AsRef<OsStr>) -> Command {
    let Some((outer, arguments)) = words.split_first() else {
        return tailwater(program);
    };
    let mut command = Command::new(outer);
    command.args(arguments).arg(program);
    without_settings(&mut command);
    command
}

fn without_settings(command: &mut Command) {
    let settings = std::env::vars_os().map(|(name, _)| name);
    for name in settings.filter(|name| name.as_encoded_bytes().starts_with(b"TAILWATER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
}

/// Opens a log file for appending; several processes can write to it one after the other.
///
/// # Errors
/// If it cannot be opened.
pub fn log_file(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// A free loopback address.
///
/// Its port is below the range from which the system assigns ports to outgoing connections. While a server
/// on it is down, a client could otherwise be assigned this very port and connect to itself.
///
/// - `wanted`: the port to use if it is free; 0 for any.
///
/// # Errors
/// If there is no free port.
pub fn free_address(wanted: u16) -> io::Result<SocketAddr> {
    /// The least port that is returned for 0.
    const FIRST_PORT: u16 = 18_000;
    /// The number of first ports, which differ between processes.
    const FIRST_PORTS: u16 = 12_000;
    /// The number of ports that are tried.
    const ATTEMPTS: u16 = 2_000;
    /// Calls in one process return different ports, even before a server listens on them.
    static CALLS: AtomicU16 = AtomicU16::new(0);
    let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    if wanted != 0
        && let Ok(address) = bind(wanted)
    {
        return Ok(address);
    }
    let process = u16::try_from(std::process::id() % u32::from(FIRST_PORTS)).unwrap_or_default();
    for _ in 0..ATTEMPTS {
        let offset = CALLS.fetch_add(1, Ordering::Relaxed) % ATTEMPTS;
        if let Ok(address) = bind(FIRST_PORT + process + offset) {
            return Ok(address);
        }
    }
    Err(fault("there is no free port".to_owned()))
}

/// Calls `is_ready` until it returns true.
///
/// - Returns false if it does not within `deadline`.
///
/// # Errors
/// Those of `is_ready`.
pub fn wait_until(
    deadline: Duration,
    mut is_ready: impl FnMut() -> io::Result<bool>,
) -> io::Result<bool> {
    let begun = Instant::now();
    loop {
        if is_ready()? {
            return Ok(true);
        }
        if begun.elapsed() >= deadline {
            return Ok(false);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Whether a server accepts connections at `address`.
#[must_use]
pub fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Runs a command to its end.
///
/// - `input`: its standard input; a command may end without reading it.
///
/// # Errors
/// If it cannot be started, or does not end within `deadline`.
pub fn output(command: &mut Command, input: &[u8], deadline: Duration) -> io::Result<Output> {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut process = ServerProcess::spawn(command)?;
    if let Some(mut stdin) = process.child.stdin.take() {
        let _closed = stdin.write_all(input);
    }
    let (out, err) = (process.child.stdout.take(), process.child.stderr.take());
    let (out, err) = (thread::spawn(|| all(out)), thread::spawn(|| all(err)));
    let Some(status) = process.ended(deadline)? else {
        return Err(fault(format!(
            "{command:?} did not end within {deadline:?}"
        )));
    };
    Ok(Output {
        status,
        stdout: out.join().unwrap_or_default(),
        stderr: err.join().unwrap_or_default(),
    })
}

fn all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // After an error, what was read before is returned.
        let _cut = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// The first line that a process prints, without its line end. Later output is read and discarded.
///
/// # Errors
/// If there is none within `deadline`.
pub fn first_line(pipe: impl Read + Send + 'static, deadline: Duration) -> io::Result<String> {
    // Reading a pipe has no deadline; receiving from a channel has.
    let (send, received) = mpsc::channel();
    thread::spawn(move || {
        let (mut line, mut pipe) = (String::new(), BufReader::new(pipe));
        let _lost = pipe.read_line(&mut line);
        let _late = send.send(line);
        let _ended = io::copy(&mut pipe, &mut io::sink());
    });
    let line = received
        .recv_timeout(deadline)
        .map_err(|_| fault(format!("no line within {deadline:?}")))?;
    Ok(line.trim_end().to_owned())
}

/// A running process; killed when dropped.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
}

impl ServerProcess {
    /// Starts a command without waiting for it.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let spawned = command.spawn();
        let named = |reason| fault(format!("{}: {reason}", command.get_program().display()));
        let child = spawned.map_err(named)?;
        Ok(Self { child })
    }

    /// Starts a `tailwater serve` and waits until it reports its address.
    ///
    /// - Returns the process and the address.
    ///
    /// # Errors
    /// If it cannot be started, ends before, or reports nothing within `deadline`.
    pub fn serve(command: &mut Command, deadline: Duration) -> io::Result<(Self, SocketAddr)> {
        let mut process = Self::spawn(command.stdout(Stdio::piped()))?;
        let address = process.listens(deadline)?;
        Ok((process, address))
    }

    /// Waits until a `tailwater serve`, whose standard output is a pipe, reports its address.
    ///
    /// # Errors
    /// If it ends before, or reports nothing within `deadline`.
    pub fn listens(&mut self, deadline: Duration) -> io::Result<SocketAddr> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err(fault("its standard output is not a pipe".to_owned()));
        };
        let line = first_line(stdout, deadline)
            .map_err(|_| fault(format!("the server did not listen within {deadline:?}")))?;
        let words = line.strip_prefix(LISTENS);
        let address = words.and_then(|words| words.split_whitespace().next()?.parse().ok());
        match address {
            Some(address) => Ok(address),
            None => {
                let status = self.ended(deadline)?;
                Err(fault(format!(
                    "the server did not start: it printed {line:?} and ended with {status:?}"
                )))
            }
        }
    }

    /// Waits until the server accepts connections at `address`.
    ///
    /// # Errors
    /// If the process ends before, or does not accept within `deadline`.
    pub fn accepts(&mut self, address: SocketAddr, deadline: Duration) -> io::Result<()> {
        let accepted = wait_until(deadline, || match self.has_ended()? {
            Some(status) => Err(fault(format!(
                "it ended before it accepted connections: {status}"
            ))),
            None => Ok(accepts(address)),
        })?;
        if accepted {
            return Ok(());
        }
        Err(fault(format!(
            "it did not accept connections on {address} within {deadline:?}"
        )))
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard error, if the command made it a pipe and it was not taken before.
    pub fn stderr(&mut self) -> Option<impl Read + Send + 'static> {
        self.child.stderr.take()
    }

    /// The exit status, if the process has ended.
    ///
    /// # Errors
    /// If waiting for the process fails.
    pub fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// The exit status, if the process ends within `wait`.
    ///
    /// # Errors
    /// If waiting for the process fails.
    pub fn ended(&mut self, wait: Duration) -> io::Result<Option<ExitStatus>> {
        let mut ended = None;
        wait_until(wait, || {
            ended = self.child.try_wait()?;
            Ok(ended.is_some())
        })?;
        Ok(ended)
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// If the process has ended.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Suspends the process: new connections wait in the accept queue until it is resumed.
    ///
    /// # Errors
    /// Like [`ServerProcess::signal`].
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Resumes the process.
    ///
    /// # Errors
    /// Like [`ServerProcess::signal`].
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills the process, like a crash.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Kills the process and its descendants, some of which may have ended already.
    pub fn kill_family(&mut self) {
        let family = family(self.child.id());
        let _gone = self.child.kill();
        let below = family.into_iter().skip(1);
        for process in below.filter_map(|process| Pid::from_raw(i32::try_from(process).ok()?)) {
            let _gone = kill_process(process, Signal::KILL);
        }
        let _reaped = self.child.wait();
    }

    /// Stops the process with SIGTERM.
    ///
    /// # Errors
    /// If it does not end within `deadline`, or not with success.
    pub fn stop(mut self, deadline: Duration) -> io::Result<()> {
        self.signal(Signal::TERM)?;
        match self.ended(deadline)? {
            Some(status) if status.success() => Ok(()),
            other => Err(fault(format!("SIGTERM ended it with {other:?}"))),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        // Fails if it has already ended.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn fault(text: String) -> io::Error {
    io::Error::other(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_addresses_of_one_process_differ() {
        let ports: Vec<u16> = (0..20)
            .map(|_| free_address(0).expect("a free port").port())
            .collect();
        let mut distinct = ports.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ports.len(), "{ports:?}");
    }

    #[test]
    fn a_port_in_use_is_replaced_by_a_free_one() {
        let address = free_address(0).expect("a free port");
        let listener = TcpListener::bind(address).expect("the port is free");
        let other = free_address(address.port()).expect("another free port");
        assert_ne!(other, address);
        drop(listener);
        assert_eq!(free_address(address.port()).ok(), Some(address));
    }
}
