//! How each missing tool is installed; where we may not, the command that a person has to run.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::tools::Tools;

/// Builds a program from crates.io into the tool folder.
///
/// As a debug build without TLS: a quarter of the time of a release build, and nothing here downloads with it.
///
/// # Errors
/// [`TaskFault::Ended`] when it builds neither with the crate's own lock file nor without.
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
        println!("==> {fault}; trying again with the newest dependencies that fit");
        build(false)
    });
    if scratch.exists() {
        fs::remove_dir_all(&scratch).map_err(TaskFault::file(&scratch))?;
    }
    done
}

/// Installs Debian packages, as root on a Debian or Ubuntu.
///
/// # Errors
/// [`TaskFault::Missing`] with the command to run where this is another system or another user.
pub(crate) fn apt_get(packages: &[&str]) -> Result<(), TaskFault> {
    let by_hand = |sudo: &str| {
        let list = packages.join(" ");
        TaskFault::Missing(format!(
            "install it: {sudo}apt-get install --no-install-recommends {list}"
        ))
    };
    if !is_debian() {
        return Err(TaskFault::Missing(format!(
            "install it with your system's packages (Debian calls them: {})",
            packages.join(" ")
        )));
    }
    if !is_root() {
        return Err(by_hand("sudo "));
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
    // A fresh container has no package lists yet.
    install()
        .or_else(|_| child::run(child::command("apt-get").arg("update")).and_then(|()| install()))
        .map_err(|fault| TaskFault::Missing(format!("{fault}; {}", by_hand(""))))
}

/// Debian's packages of fonts without which pictures of the page would show boxes.
pub(crate) fn missing_fonts() -> Vec<&'static str> {
    if !cfg!(target_os = "linux") {
        return Vec::new();
    }
    let lacks = |pattern: &str| {
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
        .filter(|(pattern, _)| without_fontconfig || lacks(pattern))
        .map(|(_, package)| package)
        .collect()
}

/// Installs what e2e/package-lock.json names, unless that is what is there.
///
/// # Errors
/// [`TaskFault::Ended`] when npm fails.
pub(crate) fn npm_packages(checkout: &Checkout, tools: &Tools) -> Result<(), TaskFault> {
    let folder = checkout.e2e();
    // npm leaves this file behind, written last.
    let done = folder.join("node_modules/.package-lock.json");
    if modified(&done) > modified(&folder.join("package-lock.json")) {
        println!("    npm packages of e2e/: there");
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
