//! Builds the dashboard and the server, in the same way for every command, so that builds are shared.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::imports::ImportNumbers;
use crate::script;
use crate::tools::Tools;
use crate::wasm;
use crate::watch;

/// How the server is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerBuild {
    /// For users: release, with the embedded dashboard.
    Release,
    /// For development and most tests: quick to build, without the dashboard.
    Dev,
    /// For tests of the embedded dashboard.
    DevWithDashboard,
}

impl ServerBuild {
    /// The cargo command.
    ///
    /// `--test tidy` has a purpose: with a test target, cargo resolves the same features as for `cargo test`, so both share
    /// their dependencies instead of building tokio and its dependents twice.
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

    /// The path of the binary.
    pub(crate) fn binary(self, checkout: &Checkout) -> PathBuf {
        let profile = match self {
            Self::Release => "release",
            Self::Dev | Self::DevWithDashboard => "debug",
        };
        checkout.target.join(profile).join("tailwater")
    }
}

/// The sources of the dashboard, relative to the workspace.
const DASHBOARD_SOURCES: [&str; 6] = [
    "frontend",
    "crates",
    "Trunk.toml",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
];

/// A file that marks a complete release build in dist/; Trunk removes it when it builds again.
const STAMP: &str = ".release";

/// Whether dist/ contains a release build of the current sources.
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

/// Removes names and comments from what is in dist/, and marks the build there as complete.
///
/// # Errors
/// [`TaskFault::Unexpected`] when there is no page or its module is malformed, [`TaskFault::File`] when a file cannot be
/// read or written.
pub(crate) fn dashboard_done(checkout: &Checkout) -> Result<(), TaskFault> {
    let page = checkout.dist().join("index.html");
    if !page.is_file() {
        return Err(TaskFault::Unexpected(format!(
            "Trunk succeeded but did not create {}",
            page.display()
        )));
    }
    strip(&checkout.dist())?;
    let stamp = checkout.dist().join(STAMP);
    fs::write(&stamp, "").map_err(TaskFault::file(&stamp))
}

/// Removes the names from the module in `dist`, the comments from its scripts, and from both the hashes of imports.
fn strip(dist: &Path) -> Result<(), TaskFault> {
    let mut files = Vec::new();
    let mut numbers = ImportNumbers::default();
    for entry in fs::read_dir(dist).map_err(TaskFault::file(dist))? {
        let path = entry.map_err(TaskFault::file(dist))?.path();
        let stripped = match path.extension().and_then(OsStr::to_str) {
            Some("wasm") => {
                let module = fs::read(&path).map_err(TaskFault::file(&path))?;
                wasm::without_custom_sections(&module).ok_or_else(|| {
                    TaskFault::Unexpected(format!("{} is not a wasm module", path.display()))
                })?
            }
            Some("js") => {
                let script = fs::read_to_string(&path).map_err(TaskFault::file(&path))?;
                let script = script::without_comments(&script).into_bytes();
                numbers.add(&script);
                script
            }
            _ => continue,
        };
        files.push((path, stripped));
    }
    for (path, mut stripped) in files {
        numbers.apply(&mut stripped);
        fs::write(&path, stripped).map_err(TaskFault::file(&path))?;
    }
    Ok(())
}

/// Trunk in the workspace root, without network access.
pub(crate) fn trunk(checkout: &Checkout, tools: &Tools) -> Command {
    let mut command = child::command("trunk");
    command
        .current_dir(&checkout.root)
        .env("PATH", &tools.path)
        .env("TRUNK_SKIP_VERSION_CHECK", "true");
    // Trunk accepts only `true` or `false`, while other programs use 1.
    if std::env::var_os("NO_COLOR").is_some() {
        command.env("NO_COLOR", "true");
    }
    command
}

/// A path relative to the workspace, if it is below it.
pub(crate) fn shown(checkout: &Checkout, path: &Path) -> String {
    path.strip_prefix(&checkout.root)
        .unwrap_or(path)
        .display()
        .to_string()
}
