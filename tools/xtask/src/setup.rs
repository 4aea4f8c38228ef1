//! `cargo xtask setup`: installs the tools that commands need.

use std::process::Command;

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::install;
use crate::tools::{
    CHROMEDRIVER, CHROMIUM, NODE_MAJOR_MIN, Need, Program, TRUNK_VERSION, Tools, WASM,
};

/// Installs the tools of all commands.
///
/// # Errors
/// [`TaskFault::Missing`] with the command to run for a tool that can't be installed automatically.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    if let Some(first) = arguments.first() {
        return Err(TaskFault::Usage(format!(
            "`setup` takes no arguments, got `{first}`"
        )));
    }
    let checkout = Checkout::find()?;
    println!("Setting up in {}", checkout.root.display());
    prepare(&checkout, &Need::ALL)?;
    println!("All tools are installed. Next: cargo xtask serve");
    Ok(())
}

/// Installs the missing ones of `needs`; returns the paths of the programs.
///
/// # Errors
/// [`TaskFault::Missing`] with the command to run for a tool that can't be installed; other faults when an installation fails.
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

/// A program that is built from crates.io into the tool folder.
struct CargoTool {
    krate: &'static str,
    program: &'static str,
    why: &'static str,
    /// `None` for that of the crate `wasm-bindgen` in Cargo.lock: the two must be equal.
    version: Option<&'static str>,
    /// The build time on two idle cores.
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
    why: "generates JavaScript for the dashboard's wasm",
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
        "==> Building {} {version} ({}) from crates.io into {}; needed once, about {} on two cores",
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
            "{} {version} was installed but can't be run",
            tool.program
        ))),
    }
}

/// The standard library for wasm32, from rustup.
fn wasm_target() -> Result<(), TaskFault> {
    let is_installed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", WASM])
        .output()
        .is_ok_and(|output| {
            std::path::Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
        });
    if is_installed {
        print_detail(&format!("Rust target {WASM}: installed"));
        return Ok(());
    }
    println!("==> Adding the Rust target {WASM} (for the dashboard) with rustup");
    child::run(child::command("rustup").args(["target", "add", WASM])).map_err(|fault| {
        TaskFault::Missing(format!(
            "{fault}. The Rust target {WASM} is missing; install it: rustup target add {WASM}"
        ))
    })
}

/// rustfmt and clippy, from rustup.
fn lints() -> Result<(), TaskFault> {
    let is_installed = |name: &str| {
        Command::new(cargo())
            .args([name, "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    };
    if is_installed("fmt") && is_installed("clippy") {
        print_detail("rustfmt, clippy: installed");
        return Ok(());
    }
    println!("==> Adding rustfmt and clippy with rustup");
    child::run(child::command("rustup").args(["component", "add", "rustfmt", "clippy"])).map_err(
        |fault| {
            TaskFault::Missing(format!(
                "{fault}. Install them: rustup component add rustfmt clippy"
            ))
        },
    )
}

/// Chromium and ChromeDriver of the same version, and fonts for both languages.
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
                    "fonts are not installed, which affects only screenshots: {fault}"
                ));
            }
            Err(fault) => return Err(missing_programs(&missing, &fault)),
        }
    }
    tools.chromium = tools.find(&CHROMIUM);
    tools.chromedriver = tools.find(&CHROMEDRIVER);
    let version =
        |path: &Option<std::path::PathBuf>| path.as_ref().and_then(|path| tools.version(path));
    match (version(&tools.chromium), version(&tools.chromedriver)) {
        (Some(browser), Some(driver)) if browser.major() == driver.major() => {
            print_detail(&format!(
                "Chromium {browser}, ChromeDriver {driver}: installed"
            ));
            Ok(())
        }
        (browser, driver) => Err(TaskFault::Unexpected(format!(
            "expected Chromium and ChromeDriver of the same major version, found {} and {}; \
             set CHROMIUM=/path and CHROMEDRIVER=/path to a matching pair",
            browser.map_or("no working Chromium".to_owned(), |found| found.to_string()),
            driver.map_or("no working ChromeDriver".to_owned(), |found| found
                .to_string()),
        ))),
    }
}

fn missing_programs(missing: &[&Program], fault: &TaskFault) -> TaskFault {
    let mut text = String::from("missing:");
    for program in missing {
        text.push_str(&format!(
            "\n  {} ({})",
            program.names.first().unwrap_or(&program.package),
            program.why
        ));
        if let Some(variable) = program.variable {
            text.push_str(&format!("; or set {variable}=/path/to/it"));
        }
    }
    TaskFault::Missing(format!("{text}\n{fault}"))
}

/// Node, npm, and the packages of e2e/package-lock.json.
fn node(checkout: &Checkout, tools: &Tools) -> Result<(), TaskFault> {
    let version = tools.which("node").and_then(|path| tools.version(path));
    let fits = version
        .as_ref()
        .and_then(|version| version.major())
        .is_some_and(|major| major >= NODE_MAJOR_MIN);
    if !fits || tools.which("npm").is_none() {
        let found = version.map_or("no working node".to_owned(), |version| {
            format!("node {version}")
        });
        return Err(TaskFault::Missing(format!(
            "missing: Node {NODE_MAJOR_MIN} or newer with npm (conformance suite and browser tests), found {found}.\n\
             Install it from nodejs.org or with your system's packages (Debian 13, Ubuntu 25.04, Fedora, Homebrew: \
             `nodejs npm` or `node`). Other steps do not need it; see cargo xtask test --list."
        )));
    }
    if let Some(version) = version {
        print_detail(&format!("Node {version}: installed"));
    }
    install::npm_packages(checkout, tools)
}

/// Prints an indented line about a tool that needs no installation.
fn print_detail(text: &str) {
    println!("    {text}");
}
