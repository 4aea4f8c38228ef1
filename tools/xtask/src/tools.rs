//! The required tools: their purposes, paths and versions.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::Checkout;

/// Trunk 0.22 requires a newer compiler.
pub(crate) const TRUNK_VERSION: &str = "0.21.14";
/// The first Node with the `fetch` and the test runner that the scripts in e2e/ require.
pub(crate) const NODE_MAJOR_MIN: u32 = 20;
/// The target of the dashboard.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// A tool that a command requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Need {
    /// rustfmt and clippy.
    Lints,
    /// The standard library for wasm32.
    WasmTarget,
    /// Trunk, which builds the dashboard.
    Trunk,
    /// wasm-bindgen and its test runner, of exactly the version in Cargo.lock.
    WasmBindgen,
    /// Chromium, ChromeDriver and fonts.
    Browser,
    /// Node, npm and the packages of e2e/.
    Node,
}

impl Need {
    /// The needs of all steps of the test command.
    pub(crate) const ALL: [Self; 6] = [
        Self::Lints,
        Self::WasmTarget,
        Self::Trunk,
        Self::WasmBindgen,
        Self::Browser,
        Self::Node,
    ];
    /// The needs of building the server with its dashboard.
    pub(crate) const SERVE: [Self; 3] = [Self::WasmTarget, Self::Trunk, Self::WasmBindgen];
}

/// A program from the packages of the system.
#[derive(Debug)]
pub(crate) struct Program {
    /// Its names, the most common first.
    pub(crate) names: &'static [&'static str],
    /// An environment variable with its path, if any.
    pub(crate) variable: Option<&'static str>,
    /// The Debian package.
    pub(crate) package: &'static str,
    /// Its purpose.
    pub(crate) why: &'static str,
}

/// The browser for tests.
pub(crate) const CHROMIUM: Program = Program {
    names: &[
        "chromium",
        "chromium-browser",
        "google-chrome",
        "google-chrome-stable",
        "chrome",
    ],
    variable: Some("CHROMIUM"),
    package: "chromium",
    why: "runs the tests of the dashboard",
};

/// The WebDriver for tests in Rust.
pub(crate) const CHROMEDRIVER: Program = Program {
    names: &["chromedriver"],
    variable: Some("CHROMEDRIVER"),
    package: "chromium-driver",
    why: "runs the wasm tests in Chromium",
};

/// The paths of programs, and the search path.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// `PATH` for every child.
    pub(crate) path: OsString,
    /// The browser, if it was required.
    pub(crate) chromium: Option<PathBuf>,
    /// ChromeDriver, if it was required.
    pub(crate) chromedriver: Option<PathBuf>,
}

impl Tools {
    /// Searches the tool folder before `PATH`.
    pub(crate) fn new(checkout: &Checkout) -> Self {
        let own = std::iter::once(checkout.tools.join("bin"));
        let inherited = std::env::var_os("PATH").unwrap_or_default();
        let path =
            std::env::join_paths(own.chain(std::env::split_paths(&inherited))).unwrap_or(inherited);
        Self {
            path,
            chromium: None,
            chromedriver: None,
        }
    }

    /// The path of a program, from its variable or on the search path.
    pub(crate) fn find(&self, program: &Program) -> Option<PathBuf> {
        if let Some(named) = program.variable.and_then(std::env::var_os) {
            return Some(PathBuf::from(named)).filter(|path| path.is_file());
        }
        program.names.iter().find_map(|name| self.which(name))
    }

    /// The first executable of that name on the search path.
    pub(crate) fn which(&self, name: &str) -> Option<PathBuf> {
        std::env::split_paths(&self.path)
            .map(|folder| folder.join(name))
            .find(|path| is_executable(path))
    }

    /// The version that `program --version` prints, if it can be run.
    pub(crate) fn version(&self, program: impl AsRef<Path>) -> Option<Version> {
        let program = program.as_ref();
        let output = Command::new(program)
            .arg("--version")
            .env("PATH", &self.path)
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .output()
            .ok()?;
        output
            .status
            .success()
            .then(|| Version::within(&String::from_utf8_lossy(&output.stdout)))?
    }
}

/// A dotted version as a program prints it: `0.2.130`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(String);

impl Version {
    /// The first word in the output of a program that begins with a number (after an optional `v`).
    fn within(text: &str) -> Option<Self> {
        text.split_whitespace()
            .map(|word| word.strip_prefix('v').unwrap_or(word))
            .find(|word| word.starts_with(|first: char| first.is_ascii_digit()))
            .map(|word| Self(word.to_owned()))
    }

    /// The number before the first dot.
    pub(crate) fn major(&self) -> Option<u32> {
        self.0.split('.').next()?.parse().ok()
    }

    /// Whether it equals `wanted`.
    pub(crate) fn is(&self, wanted: &str) -> bool {
        self.0 == wanted
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_each_program_prints() {
        let cases = [
            ("trunk 0.21.14", "0.21.14", 0),
            ("wasm-bindgen 0.2.130\n", "0.2.130", 0),
            (
                "Chromium 156.0.8078.79 built on Debian GNU/Linux 12 (bookworm)",
                "156.0.8078.79",
                156,
            ),
            ("v20.20.2", "20.20.2", 20),
        ];
        for (output, version, major) in cases {
            let read = Version::within(output).unwrap();
            assert!(read.is(version), "{output}");
            assert_eq!(read.major(), Some(major), "{output}");
        }
        assert_eq!(Version::within("no such command"), None);
    }
}
