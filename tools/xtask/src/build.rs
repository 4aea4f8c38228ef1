//! The dashboard and the server, built the same way by every command, so that nothing is built twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::tools::Tools;
use crate::watch;

/// How the server is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerBuild {
    /// For people: release, the dashboard inside.
    Release,
    /// For development and most tests: quick to build, no dashboard inside.
    Dev,
    /// For tests of the dashboard as it is shipped: the dashboard inside.
    DevWithDashboard,
}

impl ServerBuild {
    /// The cargo command.
    ///
    /// `--test tidy` looks odd in a build: with a test target cargo resolves the same features as `cargo test` does, and
    /// the two share every dependency instead of building tokio and all that stands on it twice.
    pub(crate) fn command(self, checkout: &Checkout) -> Command {
        let mut command = child::command(cargo());
        command.arg("build").current_dir(&checkout.root);
        match self {
            Self::Release => command.args([
                "--release",
                "--package",
                "tailwater",
                "--features",
                "dashboard",
            ]),
            Self::Dev => {
                command.args(["--bin", "tailwater", "--example", "embed", "--test", "tidy"])
            }
            Self::DevWithDashboard => command.args([
                "--bin",
                "tailwater",
                "--test",
                "tidy",
                "--features",
                "tailwater/dashboard",
            ]),
        };
        command
    }

    /// Where the binary lies afterwards.
    pub(crate) fn binary(self, checkout: &Checkout) -> PathBuf {
        let profile = match self {
            Self::Release => "release",
            Self::Dev | Self::DevWithDashboard => "debug",
        };
        checkout.target.join(profile).join("tailwater")
    }
}

/// What the dashboard is made of, relative to the workspace.
const DASHBOARD_SOURCES: [&str; 6] = [
    "frontend",
    "crates",
    "Trunk.toml",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
];

/// A file that this module leaves in dist/ beside a finished release build; Trunk removes it when it builds anew.
const STAMP: &str = ".release";

/// Whether dist/ holds a release build of the sources as they are.
pub(crate) fn dashboard_is_fresh(checkout: &Checkout) -> bool {
    let sources: Vec<PathBuf> = DASHBOARD_SOURCES
        .iter()
        .map(|name| checkout.root.join(name))
        .collect();
    let built = watch::newest([checkout.dist().join(STAMP).as_path()]);
    built.is_some() && built >= watch::newest(sources.iter().map(PathBuf::as_path))
}

/// The Trunk command that builds the dashboard for release into dist/.
pub(crate) fn dashboard_command(checkout: &Checkout, tools: &Tools) -> Command {
    let mut command = trunk(checkout, tools);
    command.args(["build", "--release"]);
    command
}

/// Notes that the build which just ended left a whole dashboard in dist/.
///
/// # Errors
/// [`TaskFault::Unexpected`] when there is no page, [`TaskFault::File`] when the note cannot be written.
pub(crate) fn dashboard_done(checkout: &Checkout) -> Result<(), TaskFault> {
    let page = checkout.dist().join("index.html");
    if !page.is_file() {
        return Err(TaskFault::Unexpected(format!(
            "Trunk ended well but left no {}",
            page.display()
        )));
    }
    let stamp = checkout.dist().join(STAMP);
    fs::write(&stamp, "").map_err(TaskFault::file(&stamp))
}

/// Trunk in the workspace root, kept off the network.
pub(crate) fn trunk(checkout: &Checkout, tools: &Tools) -> Command {
    let mut command = child::command("trunk");
    command
        .current_dir(&checkout.root)
        .env("PATH", &tools.path)
        .env("TRUNK_SKIP_VERSION_CHECK", "true");
    // Trunk takes only `true` or `false` for what everyone else sets to 1.
    if std::env::var_os("NO_COLOR").is_some() {
        command.env("NO_COLOR", "true");
    }
    command
}

/// A path as a person in the workspace would write it.
pub(crate) fn shown(checkout: &Checkout, path: &Path) -> String {
    path.strip_prefix(&checkout.root)
        .unwrap_or(path)
        .display()
        .to_string()
}
