//! Installs missing tools, or returns the command that the user must run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::tools::Tools;

/// Builds a program from crates.io and installs it into the tool folder.
///
/// It is a debug build, in a quarter of the time of a release build, and without TLS, which is not needed here.
///
/// # Errors
/// [`TaskFault::Ended`] when it can't be built, with or without the crate's lock file.
pub(crate) fn from_crates_io(
    checkout: &Checkout,
    krate: &str,
    version: &str,
) -> Result<(), TaskFault> {
    let scratch = checkout.tools.join("build");
    let build = |locked: bool| {
        let mut command = child::command(cargo());
        command
            .args([
                "install",
                krate,
                "--version",
                version,
                "--debug",
                "--no-default-features",
                "--force",
            ])
            .arg("--root")
            .arg(&checkout.tools)
            .arg("--target-dir")
            .arg(&scratch)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .current_dir(&checkout.root);
        if locked {
            command.arg("--locked");
        }
        child::run(&mut command)
    };
    let done = build(true).or_else(|fault| {
        println!("==> {fault}; retrying with the latest compatible dependencies");
        build(false)
    });
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(TaskFault::file(&scratch))?;
    }
    done
}

/// Installs Debian packages, as root on Debian or Ubuntu.
///
/// # Errors
/// [`TaskFault::Missing`] with the command to run on another system or as another user.
pub(crate) fn apt_get(packages: &[&str]) -> Result<(), TaskFault> {
    let manual = |sudo: &str| {
        let list = packages.join(" ");
        TaskFault::Missing(format!(
            "install it: {sudo}apt-get install --no-install-recommends {list}"
        ))
    };
    if !is_debian() {
        return Err(TaskFault::Missing(format!(
            "install the packages that correspond to Debian's {}",
            packages.join(" ")
        )));
    }
    if !is_root() {
        return Err(manual("sudo "));
    }
    println!("==> Installing from Debian: {}", packages.join(" "));
    let install = || {
        child::run(
            child::command("apt-get")
                .args(["install", "--yes", "--no-install-recommends"])
                .args(packages)
                .env("DEBIAN_FRONTEND", "noninteractive"),
        )
    };
    // A new container has no package lists.
    install()
        .or_else(|_| child::run(child::command("apt-get").arg("update")).and_then(|()| install()))
        .map_err(|fault| TaskFault::Missing(format!("{fault}; {}", manual(""))))
}

/// The Debian packages of missing fonts; without them screenshots contain boxes instead of text.
pub(crate) fn missing_fonts() -> Vec<&'static str> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let is_missing = |pattern: &str| {
        Command::new("fc-list")
            .arg(pattern)
            .output()
            .is_ok_and(|output| output.stdout.trim_ascii().is_empty())
    };
    let fonts = [
        (":lang=en", "fonts-liberation"),
        (":lang=ko", "fonts-noto-cjk"),
    ];
    let without_fontconfig = Command::new("fc-list")
        .stdout(Stdio::null())
        .status()
        .is_err();
    fonts
        .into_iter()
        .filter(|(pattern, _)| without_fontconfig || is_missing(pattern))
        .map(|(_, package)| package)
        .collect()
}

/// Installs the packages of e2e/package-lock.json, unless they are installed.
///
/// # Errors
/// [`TaskFault::Ended`] when npm fails.
pub(crate) fn npm_packages(checkout: &Checkout, tools: &Tools) -> Result<(), TaskFault> {
    let folder = checkout.e2e();
    // npm writes this file last.
    let done = folder.join("node_modules/.package-lock.json");
    if modified(&done) > modified(&folder.join("package-lock.json")) {
        println!("    npm packages of e2e/: installed");
        return Ok(());
    }
    println!("==> npm packages of e2e/ (conformance suite, browser driver, accessibility checks)");
    child::run(
        child::command("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .env("PATH", &tools.path)
            .current_dir(&folder),
    )
}

fn is_debian() -> bool {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let like_debian = |line: &str| {
        line.split_once('=')
            .is_some_and(|(key, value)| matches!(key, "ID" | "ID_LIKE") && value.contains("debian"))
    };
    release.lines().any(like_debian)
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn modified(path: &Path) -> Option<std::time::SystemTime> {
    path.metadata()
        .and_then(|metadata| metadata.modified())
        .ok()
}
