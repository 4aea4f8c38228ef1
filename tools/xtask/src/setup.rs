//! `cargo xtask setup`: makes sure that everything a command needs is there, and says what it does.

use std::process::Command;

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::install;
use crate::tools::{
    CHROMEDRIVER, CHROMIUM, NODE_MAJOR_MIN, Need, Program, TRUNK_VERSION, Tools, WASM,
};

/// Installs what any command needs.
///
/// # Errors
/// [`TaskFault::Missing`] with the command to run where this machine does not let us install something.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    if let Some(first) = arguments.first() {
        return Err(TaskFault::Usage(format!(
            "`setup` takes no arguments, got `{first}`"
        )));
    }
    let checkout = Checkout::find()?;
    println!("Setting up in {}", checkout.root.display());
    prepare(&checkout, &Need::ALL)?;
    println!("Everything is there. Next: cargo xtask serve");
    Ok(())
}

/// Makes sure of `needs`; returns where the programs are. Says nothing about what is already there and fits, except
/// where it was asked for by name.
///
/// # Errors
/// [`TaskFault::Missing`] names what could not be installed and how to do it; others say which installation failed.
pub(crate) fn prepare(checkout: &Checkout, needs: &[Need]) -> Result<Tools, TaskFault> {
    let mut tools = Tools::new(checkout);
    for need in needs {
        match need {
            Need::Lints => lints()?,
            Need::WasmTarget => wasm_target()?,
            Need::Trunk => cargo_tool(checkout, &tools, &TRUNK)?,
            Need::WasmBindgen => cargo_tool(checkout, &tools, &WASM_BINDGEN)?,
            Need::Browser => browser(&mut tools)?,
            Need::Node => node(checkout, &tools)?,
        }
    }
    Ok(tools)
}

/// A program built from crates.io into our own folder.
struct CargoTool {
    krate: &'static str,
    program: &'static str,
    why: &'static str,
    /// `None`: the version of the crate `wasm-bindgen` in Cargo.lock, because the two must be equal.
    version: Option<&'static str>,
    /// On two cores that have nothing else to do.
    takes: &'static str,
}

const TRUNK: CargoTool = CargoTool {
    krate: "trunk",
    program: "trunk",
    why: "builds the dashboard",
    version: Some(TRUNK_VERSION),
    takes: "two minutes",
};

const WASM_BINDGEN: CargoTool = CargoTool {
    krate: "wasm-bindgen-cli",
    program: "wasm-bindgen",
    why: "joins the dashboard's wasm to JavaScript",
    version: None,
    takes: "a minute",
};

fn cargo_tool(checkout: &Checkout, tools: &Tools, tool: &CargoTool) -> Result<(), TaskFault> {
    let version = match tool.version {
        Some(version) => version.to_owned(),
        None => checkout.locked_version("wasm-bindgen")?,
    };
    let found = || {
        tools
            .which(tool.program)
            .and_then(|path| Some((tools.version(&path)?, path)))
    };
    match found() {
        Some((present, path)) if present.is(&version) => {
            print_detail(&format!("{} {version}: {}", tool.program, path.display()));
            return Ok(());
        }
        Some((other, path)) => print_detail(&format!(
            "{} {other} ({}) is not {version}",
            tool.program,
            path.display()
        )),
        None => {}
    }
    println!(
        "==> {} {version} ({}) is built from crates.io into {}; once, about {} on two cores",
        tool.krate,
        tool.why,
        checkout.tools.display(),
        tool.takes
    );
    install::from_crates_io(checkout, tool.krate, &version)?;
    match found() {
        Some((present, _)) if present.is(&version) => Ok(()),
        Some((other, path)) => Err(TaskFault::Unexpected(format!(
            "expected {} {version} after installing it, but {} is {other}",
            tool.program,
            path.display()
        ))),
        None => Err(TaskFault::Unexpected(format!(
            "{} {version} was installed but does not run",
            tool.program
        ))),
    }
}

/// The standard library for wasm32, from rustup.
fn wasm_target() -> Result<(), TaskFault> {
    let there = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .output()
        .is_ok_and(|output| {
            std::path::Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
        });
    if there {
        print_detail(&format!("rust target {WASM}: there"));
        return Ok(());
    }
    println!("==> The Rust target {WASM} (what the dashboard compiles to) is added with rustup");
    child::run(child::command("rustup").args(["target", "add", WASM])).map_err(|fault| {
        TaskFault::Missing(format!(
            "{fault}. The Rust target {WASM} is missing; install it: rustup target add {WASM}"
        ))
    })
}

/// rustfmt and clippy, from rustup.
fn lints() -> Result<(), TaskFault> {
    let there = |name: &str| {
        Command::new(cargo())
            .args([name, "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if there("fmt") && there("clippy") {
        print_detail("rustfmt, clippy: there");
        return Ok(());
    }
    println!("==> rustfmt and clippy are added with rustup");
    child::run(child::command("rustup").args(["component", "add", "rustfmt", "clippy"])).map_err(
        |fault| {
            TaskFault::Missing(format!(
                "{fault}. Install them: rustup component add rustfmt clippy"
            ))
        },
    )
}

/// Chromium and ChromeDriver of one version, and fonts for both languages.
fn browser(tools: &mut Tools) -> Result<(), TaskFault> {
    let absent = |program: &&Program| tools.find(program).is_none();
    let missing: Vec<&Program> = [&CHROMIUM, &CHROMEDRIVER]
        .into_iter()
        .filter(absent)
        .collect();
    let mut wanted: Vec<&str> = missing.iter().map(|program| program.package).collect();
    wanted.extend(install::missing_fonts());
    if !wanted.is_empty() {
        match install::apt_get(&wanted) {
            Ok(()) => {}
            Err(fault) if missing.is_empty() => {
                print_detail(&format!(
                    "not installed, only pictures of the page suffer: {fault}"
                ));
            }
            Err(fault) => return Err(for_each_missing(&missing, &fault)),
        }
    }
    tools.chromium = tools.find(&CHROMIUM);
    tools.chromedriver = tools.find(&CHROMEDRIVER);
    let version =
        |path: &Option<std::path::PathBuf>| path.as_ref().and_then(|path| tools.version(path));
    match (version(&tools.chromium), version(&tools.chromedriver)) {
        (Some(browser), Some(driver)) if browser.major() == driver.major() => {
            print_detail(&format!("Chromium {browser}, ChromeDriver {driver}: there"));
            Ok(())
        }
        (browser, driver) => Err(TaskFault::Unexpected(format!(
            "expected Chromium and ChromeDriver of the same major version, found {} and {}; \
             name a pair that fits with CHROMIUM=/path and CHROMEDRIVER=/path",
            browser.map_or("no Chromium that runs".to_owned(), |found| found
                .to_string()),
            driver.map_or("no ChromeDriver that runs".to_owned(), |found| found
                .to_string()),
        ))),
    }
}

fn for_each_missing(missing: &[&Program], fault: &TaskFault) -> TaskFault {
    let mut text = String::from("missing:");
    for program in missing {
        text.push_str(&format!(
            "\n  {} ({})",
            program.names.first().unwrap_or(&program.package),
            program.why
        ));
        if let Some(variable) = program.variable {
            text.push_str(&format!(
                "; if it is somewhere unusual: {variable}=/path/to/it"
            ));
        }
    }
    TaskFault::Missing(format!("{text}\n{fault}"))
}

/// Node, npm, and what e2e/package-lock.json names.
fn node(checkout: &Checkout, tools: &Tools) -> Result<(), TaskFault> {
    let version = tools.which("node").and_then(|path| tools.version(path));
    let fits = version
        .as_ref()
        .and_then(|version| version.major())
        .is_some_and(|major| major >= NODE_MAJOR_MIN);
    if !fits || tools.which("npm").is_none() {
        let found = version.map_or("no node that runs".to_owned(), |version| {
            format!("node {version}")
        });
        return Err(TaskFault::Missing(format!(
            "missing: Node {NODE_MAJOR_MIN} or newer with npm (conformance suite and browser tests), found {found}.\n\
             Install it from nodejs.org or with your system's packages (Debian 13, Ubuntu 25.04, Fedora, Homebrew: \
             `nodejs npm` or `node`); everything else works without it: cargo xtask test --list shows which steps."
        )));
    }
    if let Some(version) = version {
        print_detail(&format!("Node {version}: there"));
    }
    install::npm_packages(checkout, tools)
}

/// One indented line about something that needs no work.
fn print_detail(text: &str) {
    println!("    {text}");
}
