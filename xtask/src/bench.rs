//! `cargo xtask bench`: what the server costs, measured on loopback.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, cargo};

/// Builds server and harness in release and becomes the harness; `arguments` are its own, `--help` among them.
///
/// # Errors
/// Whatever keeps them from being built or started.
pub(crate) fn run(arguments: &[String]) -> Result<(), Fault> {
    let place = Place::find()?;
    let mut build = child::command(cargo());
    build.current_dir(&place.root).args([
        "build",
        "--release",
        "--package",
        "tailwater",
        "--package",
        "tailwater-bench",
    ]);
    child::run(&mut build)?;
    let folder = place.target.join("release");
    let harness = folder.join("tailwater-bench");
    let source = Command::new(&harness).args(arguments).env("TAILWATER_BIN", folder.join("tailwater")).exec();
    Err(Fault::Start { program: harness.display().to_string(), source })
}
