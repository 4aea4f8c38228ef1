//! `cargo xtask bench`: what server and page cost, measured on loopback, and counted by Valgrind.

use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::build::{self, ServerBuild};
use crate::child;
use crate::fault::TaskFault;
use crate::install;
use crate::place::{Checkout, cargo};
use crate::setup;
use crate::tools::{Need, Tools};

/// The measurement that counts instructions.
const INSTRUCTIONS: &str = "instructions";
/// The measurements of the page in a browser, and their scripts.
const PAGE: [(&str, &str); 2] = [
    ("page", "bench/page.mjs"),
    ("verdicts", "bench/verdicts.mjs"),
];

/// Builds server and harness in release and becomes the harness; `arguments` are its own, `--help` among them.
///
/// # Errors
/// Whatever keeps them from being built or started.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    let place = Checkout::find()?;
    let what = arguments.first().map(String::as_str);
    if let Some((_, script)) = PAGE.iter().find(|(name, _)| Some(*name) == what) {
        return page(&place, script, arguments.get(1..).unwrap_or_default());
    }
    if arguments.first().is_some_and(|what| what == INSTRUCTIONS) {
        valgrind(&Tools::new(&place))?;
        child::run(&mut build_counted(&place))?;
        return child::run(&mut counted(&place, arguments.get(1..).unwrap_or_default()));
    }
    child::run(&mut build(
        &place,
        "release",
        &["tailwater", "tailwater-bench"],
    ))?;
    let folder = place.target.join("release");
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

/// What counts instructions, and what they are counted of.
pub(crate) fn build_counted(place: &Checkout) -> Command {
    build(
        place,
        "counted",
        &["tailwater", "tailwater-bench", "tailwater-pieces"],
    )
}

/// Counts, once [`build_counted`] has run; `arguments` are the measurement's own.
pub(crate) fn counted(place: &Checkout, arguments: &[String]) -> Command {
    let folder = place.target.join("counted");
    let mut harness = child::command(folder.join("tailwater-bench"));
    harness.arg(INSTRUCTIONS).args(arguments);
    harness
        .env("TAILWATER_BIN", folder.join("tailwater"))
        .env("TAILWATER_PIECES", folder.join("tailwater-pieces"));
    harness
}

/// Makes sure that Valgrind is there.
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

fn build(place: &Checkout, profile: &str, packages: &[&str]) -> Command {
    let mut build = child::command(cargo());
    build
        .current_dir(&place.root)
        .args(["build", "--profile", profile]);
    build.args(packages.iter().flat_map(|package| ["--package", package]));
    build
}

/// Builds dashboard and server as `cargo xtask serve` does and measures the page; `arguments` are those of the script.
fn page(place: &Checkout, script: &str, arguments: &[String]) -> Result<(), TaskFault> {
    let needs: Vec<Need> = Need::SERVE
        .into_iter()
        .chain([Need::Browser, Need::Node])
        .collect();
    let tools = setup::prepare(place, &needs)?;
    if !build::dashboard_is_fresh(place) {
        child::run(&mut build::dashboard_command(place, &tools))?;
        build::dashboard_done(place)?;
    }
    child::run(&mut ServerBuild::Release.command(place))?;
    let mut judge = child::command(cargo());
    judge.current_dir(&place.root).args([
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
        .current_dir(place.e2e())
        .env("PATH", &tools.path);
    node.env("TAILWATER_BIN", ServerBuild::Release.binary(place));
    node.env("TAILWATER_JUDGE", place.target.join("debug/examples/judge"));
    if let Some(chromium) = &tools.chromium {
        node.env("CHROMIUM", chromium);
    }
    child::run(&mut node)
}
