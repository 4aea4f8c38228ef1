//! A server in a process of its own: started, ready, signalled, measured, and killed when dropped.
//!
//! A command is a [`std::process::Command`]: [`tailwater`] makes one that nothing of this environment changes.

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
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// How often something is looked at that nobody tells of.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// What `tailwater serve` says on its standard output before its address.
const LISTENS: &str = "Tailwater listens on http://";

/// `program`, a `tailwater`, without what this environment sets for one, and without standard input.
pub fn tailwater(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    without_settings(&mut command);
    command
}

/// `program`, a `tailwater`, run by another program.
///
/// - `words`: that program and its own arguments; none for `program` alone.
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

/// A file that processes write to, one after the other.
///
/// # Errors
/// What the system says.
pub fn log_file(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// An address of loopback on which nobody listens.
///
/// - `wanted`: the port that is taken if it is free; 0 for any.
///
/// # Errors
/// When the system has no free port.
pub fn free_address(wanted: u16) -> io::Result<SocketAddr> {
    let bind = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port))?.local_addr();
    bind(wanted).or_else(|_| bind(0))
}

/// Calls `is_ready` until it says so.
///
/// - Returns false when it has not within `deadline`.
///
/// # Errors
/// What `is_ready` says.
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

/// Whether somebody accepts connections at `address`.
#[must_use]
pub fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

/// Runs a command to its end.
///
/// - `input`: its standard input; a command that ends before it has read it is no failure.
///
/// # Errors
/// When it cannot be started, or has not ended within `deadline`.
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
        // What came before is worth as much.
        let _cut = pipe.read_to_end(&mut bytes);
    }
    bytes
}

/// The first line that a process says, without its end; what it says later is read and forgotten.
///
/// # Errors
/// When there is none within `deadline`.
pub fn first_line(pipe: impl Read + Send + 'static, deadline: Duration) -> io::Result<String> {
    // A pipe cannot be read with a deadline; a channel can.
    let (send, said) = mpsc::channel();
    thread::spawn(move || {
        let (mut line, mut pipe) = (String::new(), BufReader::new(pipe));
        let _lost = pipe.read_line(&mut line);
        let _late = send.send(line);
        let _ended = io::copy(&mut pipe, &mut io::sink());
    });
    let line = said
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
    /// Starts a command, without waiting for anything.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> io::Result<Self> {
        let spawned = command.spawn();
        let named = |reason| fault(format!("{}: {reason}", command.get_program().display()));
        let child = spawned.map_err(named)?;
        Ok(Self { child })
    }

    /// Starts a `tailwater serve` and waits until it says that it listens.
    ///
    /// - Returns the process and its address.
    ///
    /// # Errors
    /// When it cannot be started, ends before, or says nothing within `deadline`.
    pub fn serve(command: &mut Command, deadline: Duration) -> io::Result<(Self, SocketAddr)> {
        let mut process = Self::spawn(command.stdout(Stdio::piped()))?;
        let address = process.listens(deadline)?;
        Ok((process, address))
    }

    /// Waits until a `tailwater serve`, whose standard output is a pipe, says that it listens, and where.
    ///
    /// # Errors
    /// When it ends before, or says nothing within `deadline`.
    pub fn listens(&mut self, deadline: Duration) -> io::Result<SocketAddr> {
        let Some(stdout) = self.child.stdout.take() else {
            return Err(fault("its standard output is no pipe".to_owned()));
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
                    "the server did not start: it said {line:?} and ended with {status:?}"
                )))
            }
        }
    }

    /// Waits until somebody accepts connections at `address`.
    ///
    /// # Errors
    /// When the process ends before, or nobody does within `deadline`.
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
            "it does not listen on {address} after {deadline:?}"
        )))
    }

    /// The number of the process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The end of its standard error, if the command asked for a pipe and nobody has taken it.
    pub fn stderr(&mut self) -> Option<impl Read + Send + 'static> {
        self.child.stderr.take()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn has_ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// How it ended, if it does within `wait`.
    ///
    /// # Errors
    /// When the system cannot say.
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
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        Ok(kill_process(Pid::from_child(&self.child), signal)?)
    }

    /// Lets the process stand still: who connects is only known to the system, which hands all of them over at once
    /// afterwards.
    ///
    /// # Errors
    /// As [`ServerProcess::signal`].
    pub fn pause(&self) -> io::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets the process go on.
    ///
    /// # Errors
    /// As [`ServerProcess::signal`].
    pub fn resume(&self) -> io::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Ends it as a crash would.
    ///
    /// # Errors
    /// When the system does not let us.
    pub fn kill(mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Ends it and all that it started, as a crash would. Some of them may have ended already.
    pub fn kill_family(&mut self) {
        let family = family(self.child.id());
        let _gone = self.child.kill();
        let below = family.into_iter().skip(1);
        for process in below.filter_map(|process| Pid::from_raw(i32::try_from(process).ok()?)) {
            let _gone = kill_process(process, Signal::KILL);
        }
        let _reaped = self.child.wait();
    }

    /// Asks it to end, by SIGTERM.
    ///
    /// # Errors
    /// When it does not within `deadline`, or not well.
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
        // Already gone when it has ended, was killed or was stopped.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn fault(text: String) -> io::Error {
    io::Error::other(text)
}
