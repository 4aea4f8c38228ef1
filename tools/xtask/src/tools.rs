//! The tools outside cargo: what each is for, where it is found, and whether its version fits.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::checkout::Checkout;

/// Trunk 0.22 needs a newer compiler than ours.
pub(crate) const TRUNK_VERSION: &str = "0.21.14";
/// The first Node whose `fetch` and test runner the scripts in e2e/ rely on.
pub(crate) const NODE_MAJOR_MIN: u32 = 20;
/// What the dashboard compiles to.
pub(crate) const WASM: &str = "wasm32-unknown-unknown";

/// Something that a command cannot do without.
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
    /// What the test command needs, all steps together.
    pub(crate) const ALL: [Self; 6] = [
        Self::Lints,
        Self::WasmTarget,
        Self::Trunk,
        Self::WasmBindgen,
        Self::Browser,
        Self::Node,
    ];
    /// What building and starting the server with its dashboard needs.
    pub(crate) const SERVE: [Self; 3] = [Self::WasmTarget, Self::Trunk, Self::WasmBindgen];
}

/// A program that comes from the system's own packages.
#[derive(Debug)]
pub(crate) struct Program {
    /// Names it goes by, the likeliest first.
    pub(crate) names: &'static [&'static str],
    /// An environment variable that names it, if any.
    pub(crate) variable: Option<&'static str>,
    /// Debian's package.
    pub(crate) package: &'static str,
    /// What it is for.
    pub(crate) why: &'static str,
}

/// The browser of the tests.
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
    why: "opens the dashboard in the tests",
};

/// What drives the browser for tests written in Rust.
pub(crate) const CHROMEDRIVER: Program = Program {
    names: &["chromedriver"],
    variable: Some("CHROMEDRIVER"),
    package: "chromium-driver",
    why: "runs the wasm tests in Chromium",
};

/// The programs that were found, and the search path that finds them.
#[derive(Debug, Clone)]
pub(crate) struct Tools {
    /// `PATH` for every child.
    pub(crate) path: OsString,
    /// The browser, where asked for.
    pub(crate) chromium: Option<PathBuf>,
    /// ChromeDriver, where asked for.
    pub(crate) chromedriver: Option<PathBuf>,
}

impl Tools {
    /// Tools built here come first.
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

    /// Where a program is, by its variable or on the search path.
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

    /// What `program --version` says, if it runs at all.
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
    /// The first word that begins with a number (after an optional `v`) in what a program says of itself.
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

    /// Whether it is exactly this one.
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
        for (said, version, major) in cases {
            let read = Version::within(said).unwrap();
            assert!(read.is(version), "{said}");
            assert_eq!(read.major(), Some(major), "{said}");
        }
        assert_eq!(Version::within("no such command"), None);
    }
}
