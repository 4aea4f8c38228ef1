//! Child processes that end with their parent, whether that ends by Ctrl-C, SIGTERM or SIGKILL.
//!
//! Every child runs below a *guard*: another process of this program, whose standard input is a pipe from the parent. When
//! the parent ends, the kernel closes the pipe; the guard reads the end of file and ends the
//! process group of the child, first with SIGTERM and, after [`GRACE`], with SIGKILL. Guard and child
//! have their own process groups, so Ctrl-C in a terminal reaches only the parent.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::fault::TaskFault;

/// The hidden subcommand that runs this program as a guard.
pub(crate) const GUARD: &str = "guard-child";

/// How long a child may take to end after SIGTERM. A server ends its readers in this time.
const GRACE: Duration = Duration::from_secs(10);

/// A command that runs below a guard; arguments, environment and streams can be set as usual.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(this_program());
    command.arg(GUARD).arg(program);
    command
}

/// A running child; ended when dropped.
#[derive(Debug)]
pub(crate) struct GuardedChild {
    guard: Child,
    /// The pipe to the guard; closing it ends the child.
    parent_pipe: Option<ChildStdin>,
}

impl GuardedChild {
    /// Starts a command made by [`command`].
    ///
    /// # Errors
    /// [`TaskFault::Start`] when this program cannot be started again. A child that cannot be started ends with status 127.
    pub(crate) fn spawn(command: &mut Command) -> Result<Self, TaskFault> {
        let mut guard = command
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(|source| TaskFault::Start {
                program: command_line(command),
                source,
            })?;
        let parent_pipe = guard.stdin.take();
        Ok(Self { guard, parent_pipe })
    }

    /// The child's standard output and error, where the command asked for pipes.
    pub(crate) fn streams(
        &mut self,
    ) -> (
        Option<impl Read + Send + use<>>,
        Option<impl Read + Send + use<>>,
    ) {
        (self.guard.stdout.take(), self.guard.stderr.take())
    }

    /// Waits for the child to end by itself.
    ///
    /// # Errors
    /// [`TaskFault::Start`] when waiting fails.
    pub(crate) fn wait(&mut self) -> Result<ExitStatus, TaskFault> {
        // `Child::wait` closes `stdin`, which would end the child; therefore it was taken out.
        self.guard.wait().map_err(|source| TaskFault::Start {
            program: GUARD.to_owned(),
            source,
        })
    }

    /// The exit status, if the child has ended.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.guard.try_wait().ok().flatten()
    }

    /// Ends the child and waits for its end.
    pub(crate) fn stop(&mut self) {
        self.parent_pipe.take();
        // The guard ends within `GRACE`; an error of waiting can't be handled.
        let _ = self.guard.wait();
    }
}

impl Drop for GuardedChild {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Runs a command made by [`command`] to its end.
///
/// # Errors
/// [`TaskFault::Ended`] when it does not succeed, [`TaskFault::Start`] when it cannot be started.
pub(crate) fn run(command: &mut Command) -> Result<(), TaskFault> {
    let status = GuardedChild::spawn(command)?.wait()?;
    if status.success() {
        Ok(())
    } else {
        Err(TaskFault::Ended {
            command: command_line(command),
            status,
        })
    }
}

/// The command line of a guarded command, with the program's name instead of its path.
pub(crate) fn command_line(command: &Command) -> String {
    let mut arguments = command.get_args().skip(1);
    let program = arguments
        .next()
        .map(Path::new)
        .and_then(Path::file_name)
        .unwrap_or_default();
    let shown: Vec<_> = std::iter::once(program)
        .chain(arguments)
        .map(OsStr::to_string_lossy)
        .collect();
    shown.join(" ")
}

/// The guard process: starts the child, waits for its end or for the end of the parent.
pub(crate) fn guard(arguments: &[OsString]) -> ExitCode {
    let Some((program, rest)) = arguments.split_first() else {
        return ExitCode::FAILURE;
    };
    let mut child = match Command::new(program)
        .args(rest)
        .stdin(Stdio::null())
        .process_group(0)
        .spawn()
    {
        Ok(child) => child,
        Err(fault) => {
            eprintln!("cannot start `{}`: {fault}", program.display());
            return ExitCode::from(127);
        }
    };
    let group = child.id();
    let (sender, events) = mpsc::channel();
    let parent_pipe = sender.clone();
    thread::spawn(move || {
        // The parent never writes: this returns when the pipe is closed.
        let _ = std::io::stdin().read(&mut [0]);
        let _ = parent_pipe.send(ChildEvent::ParentEnded);
    });
    thread::spawn(move || {
        let _ = sender.send(ChildEvent::ChildEnded(child.wait().ok()));
    });
    match events.recv() {
        Ok(ChildEvent::ChildEnded(status)) => exit_code(status),
        Ok(ChildEvent::ParentEnded) | Err(_) => {
            signal("TERM", group);
            let ended = events.recv_timeout(GRACE);
            // Also ends the remaining descendants of the child.
            signal("KILL", group);
            match ended {
                Ok(ChildEvent::ChildEnded(status)) => exit_code(status),
                Ok(ChildEvent::ParentEnded) | Err(_) => ExitCode::FAILURE,
            }
        }
    }
}

enum ChildEvent {
    ChildEnded(Option<ExitStatus>),
    ParentEnded,
}

/// The exit code of the child, or 128 + the signal that ended it, as in a shell.
fn exit_code(status: Option<ExitStatus>) -> ExitCode {
    let Some(status) = status else {
        return ExitCode::FAILURE;
    };
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    ExitCode::from(u8::try_from(code).unwrap_or(1))
}

/// Sends a signal to a process group, by a shell, because the standard library does not support it.
fn signal(name: &str, group: u32) {
    let script = format!("kill -s {name} -- -{group} 2>/dev/null");
    let _ = Command::new("sh")
        .args(["-c", &script])
        .stdin(Stdio::null())
        .status();
}

/// The path of this program. On Linux the link in /proc works even after the file was replaced by a newer build.
fn this_program() -> OsString {
    let link = OsString::from("/proc/self/exe");
    if Path::new(&link).exists() {
        return link;
    }
    std::env::current_exe().map_or(link, std::path::PathBuf::into_os_string)
}
