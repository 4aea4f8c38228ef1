//! The folders of the workspace, of the tools and of builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::TaskFault;

/// The folders of the workspace; all paths are absolute.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    /// The workspace root.
    pub(crate) root: PathBuf,
    /// Tools built by `cargo xtask setup`; not removed by `cargo clean`.
    pub(crate) tools: PathBuf,
    /// The target folder of cargo.
    pub(crate) target: PathBuf,
}

impl Checkout {
    /// Determines the folders from the environment and from cargo.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when cargo does not report its target folder.
    pub(crate) fn find() -> Result<Self, TaskFault> {
        let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = manifest.ancestors().nth(2).unwrap_or(manifest).to_owned();
        let tools = match std::env::var_os("TAILWATER_TOOLS") {
            Some(folder) => root.join(folder),
            None => root.join(".tools"),
        };
        let target = target_folder(&root)?;
        Ok(Self {
            root,
            tools,
            target,
        })
    }

    /// The folder of the built dashboard.
    pub(crate) fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// The folder of the end-to-end tests, an npm package.
    pub(crate) fn e2e(&self) -> PathBuf {
        self.root.join("e2e")
    }

    /// The folder of logs, one for each step of the test command.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The version of a package in Cargo.lock.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when the lock file does not contain the package.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String, TaskFault> {
        let path = self.root.join("Cargo.lock");
        let text = std::fs::read_to_string(&path).map_err(TaskFault::file(&path))?;
        locked_version(&text, package)
            .map(str::to_owned)
            .ok_or_else(|| {
                TaskFault::Unexpected(format!("Cargo.lock does not contain package `{package}`"))
            })
    }
}

/// The version that follows `name = "package"` in the text of a lock file.
fn locked_version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    lines
        .nth(1)?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

/// The target folder as reported by cargo, which reads the environment and all configuration files.
fn target_folder(root: &Path) -> Result<PathBuf, TaskFault> {
    let output = Command::new(cargo())
        .args([
            "metadata",
            "--no-deps",
            "--offline",
            "--format-version",
            "1",
        ])
        .current_dir(root)
        .output()
        .map_err(|source| TaskFault::Start {
            program: "cargo".to_owned(),
            source,
        })?;
    let text = String::from_utf8_lossy(&output.stdout);
    text.split_once("\"target_directory\":\"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .map(|(folder, _)| PathBuf::from(folder))
        .ok_or_else(|| {
            let error = String::from_utf8_lossy(&output.stderr);
            TaskFault::Unexpected(format!(
                "`cargo metadata` did not report a target folder: {}",
                error.trim()
            ))
        })
}

/// The cargo that runs this program, so that every build uses the same toolchain.
pub(crate) fn cargo() -> String {
    std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_locked_version_is_that_of_the_exact_package_name() {
        let lock = "[[package]]\nname = \"wasm-bindgen-cli\"\nversion = \"9.9.9\"\n\n\
                    [[package]]\nname = \"wasm-bindgen\"\nversion = \"0.2.130\"\n";
        assert_eq!(locked_version(lock, "wasm-bindgen"), Some("0.2.130"));
        assert_eq!(locked_version(lock, "wasm"), None);
    }
}
