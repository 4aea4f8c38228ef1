//! Errors of commands.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum TaskFault {
    /// The command line is invalid.
    Usage(String),
    /// A program could not be started.
    Start { program: String, source: io::Error },
    /// A program ended with a failure.
    Ended { command: String, status: ExitStatus },
    /// A file or folder could not be read or written.
    File { path: PathBuf, source: io::Error },
    /// A missing tool; the text contains the command that installs it.
    Missing(String),
    /// An unexpected state; the text says what was expected and what was found.
    Unexpected(String),
    /// Steps of the test command failed; it has printed them.
    TestsFailed,
}

impl TaskFault {
    /// For `map_err` of file operations.
    pub(crate) fn file(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
}

impl fmt::Display for TaskFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(text) => write!(f, "{text} (see `cargo xtask help`)"),
            Self::Start { program, source } => write!(f, "cannot start `{program}`: {source}"),
            Self::Ended { command, status } => write!(f, "`{command}` failed ({status})"),
            Self::File { path, source } => write!(f, "{}: {source}", path.display()),
            Self::Missing(text) | Self::Unexpected(text) => f.write_str(text),
            Self::TestsFailed => f.write_str("some steps failed"),
        }
    }
}
