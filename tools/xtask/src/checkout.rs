//! The folders everything lives in.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::fault::TaskFault;

/// Where the workspace, its tools and its builds are; all paths absolute.
#[derive(Debug, Clone)]
pub(crate) struct Checkout {
    /// The workspace.
    pub(crate) root: PathBuf,
    /// Tools built here; `cargo clean` does not empty it.
    pub(crate) tools: PathBuf,
    /// What cargo builds.
    pub(crate) target: PathBuf,
}

impl Checkout {
    /// Asks the environment and cargo.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when cargo does not name its target folder.
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

    /// The dashboard as Trunk leaves it.
    pub(crate) fn dist(&self) -> PathBuf {
        self.root.join("dist")
    }

    /// The npm folder of the tests from outside.
    pub(crate) fn e2e(&self) -> PathBuf {
        self.root.join("e2e")
    }

    /// One log per step of the test command.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The pinned version of a package in Cargo.lock.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when the lock file does not hold the package.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String, TaskFault> {
        let path = self.root.join("Cargo.lock");
        let text = std::fs::read_to_string(&path).map_err(TaskFault::file(&path))?;
        locked_version(&text, package)
            .map(str::to_owned)
            .ok_or_else(|| {
                TaskFault::Unexpected(format!("Cargo.lock holds no package `{package}`"))
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

/// Cargo's answer, which knows the environment and every configuration file.
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
            let said = String::from_utf8_lossy(&output.stderr);
            TaskFault::Unexpected(format!(
                "`cargo metadata` names no target folder: {}",
                said.trim()
            ))
        })
}

/// The cargo that runs us, so that every build uses one toolchain.
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
