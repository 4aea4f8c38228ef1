//! `cargo xtask bench`: benchmarks of the server and of the page on loopback, and instructions counted by Valgrind.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::build::{self, ServerBuild};
use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::install;
use crate::setup;
use crate::tools::{Need, Tools};

/// The benchmark that counts instructions.
const INSTRUCTIONS: &str = "instructions";
/// The measurements of the page in a browser, and their scripts.
const PAGE: [(&str, &str); 3] = [
    ("page", "bench/page.mjs"),
    ("lanes", "bench/lanes.mjs"),
    ("verdicts", "bench/verdicts.mjs"),
];

/// Builds server and benchmark in release and replaces this process by the benchmark; `arguments` are passed to it.
///
/// # Errors
/// When they can't be built or started.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    let checkout = Checkout::find()?;
    let kind = arguments.first().map(String::as_str);
    if let Some((_, script)) = PAGE.iter().find(|(name, _)| Some(*name) == kind) {
        return page(&checkout, script, arguments.get(1..).unwrap_or_default());
    }
    if arguments.first().is_some_and(|kind| kind == INSTRUCTIONS) {
        valgrind(&Tools::new(&checkout))?;
        child::run(&mut build_counted(&checkout))?;
        return child::run(&mut counted(
            &checkout,
            arguments.get(1..).unwrap_or_default(),
        ));
    }
    child::run(&mut build(
        &checkout,
        "release",
        &["tailwater", "tailwater-bench"],
    ))?;
    let folder = checkout.target.join("release");
    let harness = folder.join("tailwater-bench");
    let source = Command::new(&harness)
        .args(arguments)
        .env("TAILWATER_BIN", folder.join("tailwater"))
        .exec();
    Err(TaskFault::Start {
        program: harness.display().to_string(),
        source,
    })
}

/// The build of the programs for [`counted`].
pub(crate) fn build_counted(checkout: &Checkout) -> Command {
    build(
        checkout,
        "counted",
        &["tailwater", "tailwater-bench", "tailwater-pieces"],
    )
}

/// The command that counts instructions, after [`build_counted`]; `arguments` are passed to it.
pub(crate) fn counted(checkout: &Checkout, arguments: &[String]) -> Command {
    let folder = checkout.target.join("counted");
    let mut harness = child::command(folder.join("tailwater-bench"));
    harness.arg(INSTRUCTIONS).args(arguments);
    harness
        .env("TAILWATER_BIN", folder.join("tailwater"))
        .env("TAILWATER_PIECES", folder.join("tailwater-pieces"));
    harness
}

/// Installs Valgrind if it is missing.
///
/// # Errors
/// [`TaskFault::Missing`] with the command to run.
pub(crate) fn valgrind(tools: &Tools) -> Result<(), TaskFault> {
    if tools.which("valgrind").is_some() {
        Ok(())
    } else {
        install::apt_get(&["valgrind"])
    }
}

fn build(checkout: &Checkout, profile: &str, packages: &[&str]) -> Command {
    let mut build = child::command(cargo());
    build
        .current_dir(&checkout.root)
        .args(["build", "--profile", profile]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    build
}

/// Builds dashboard and server like `cargo xtask serve` and runs a script that measures the page; `arguments` are passed to it.
fn page(checkout: &Checkout, script: &str, arguments: &[String]) -> Result<(), TaskFault> {
    let needs: Vec<Need> = Need::SERVE
        .into_iter()
        .chain([Need::Browser, Need::Node])
        .collect();
    let tools = setup::prepare(checkout, &needs)?;
    if !build::dashboard_is_fresh(checkout) {
        child::run(&mut build::dashboard_command(checkout, &tools))?;
        build::dashboard_done(checkout)?;
    }
    child::run(&mut ServerBuild::Release.command(checkout))?;
    let mut judge = child::command(cargo());
    judge.current_dir(&checkout.root).args([
        "build",
        "--package",
        "tailwater-lab",
        "--example",
        "judge",
    ]);
    child::run(&mut judge)?;
    let mut node = child::command("node");
    node.arg(script)
        .args(arguments)
        .current_dir(checkout.e2e())
        .env("PATH", &tools.path);
    node.env("TAILWATER_BIN", ServerBuild::Release.binary(checkout));
    node.env(
        "TAILWATER_JUDGE",
        checkout.target.join("debug/examples/judge"),
    );
    if let Some(chromium) = &tools.chromium {
        node.env("CHROMIUM", chromium);
    }
    child::run(&mut node)
}
