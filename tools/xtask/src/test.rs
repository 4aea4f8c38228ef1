//! `cargo xtask test`: all checks required before a change is merged, as a sequence of steps.

mod browser;
mod lints;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::build::ServerBuild;
use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;
use crate::server::SuiteServer;
use crate::setup;
use crate::steps::{StepLog, Steps};
use crate::tools::{Need, Tools};
use browser::{browser, dashboard, wasm};
use lints::{clippy, clippy_wasm, doc, fmt};

/// The arguments of a step.
struct StepContext<'a> {
    checkout: &'a Checkout,
    tools: &'a Tools,
    log: &'a StepLog,
}

/// A step.
struct TestStep {
    name: &'static str,
    /// Names of groups that contain this step.
    groups: &'static [&'static str],
    what: &'static str,
    needs: &'static [Need],
    run: fn(&StepContext<'_>) -> Result<(), TaskFault>,
}

/// All steps in order: quick ones first, and those that share builds together.
const STEPS: [TestStep; 14] = [
    TestStep {
        name: "fmt",
        groups: &["lint"],
        what: "every file is formatted",
        needs: &[Need::Lints],
        run: fmt,
    },
    TestStep {
        name: "clippy",
        groups: &["lint"],
        what: "clippy without warnings, native",
        needs: &[Need::Lints],
        run: clippy,
    },
    TestStep {
        name: "clippy-wasm",
        groups: &["lint"],
        what: "clippy without warnings, wasm32",
        needs: &[Need::Lints, Need::WasmTarget],
        run: clippy_wasm,
    },
    TestStep {
        name: "doc",
        groups: &["lint"],
        what: "documentation without warnings",
        needs: &[Need::WasmTarget],
        run: doc,
    },
    TestStep {
        name: "native",
        groups: &[],
        what: "unit and integration tests",
        needs: &[],
        run: native,
    },
    TestStep {
        name: "crash",
        groups: &[],
        what: "kills the server 200 times and checks that no data is lost",
        needs: &[],
        run: crash,
    },
    TestStep {
        name: "bench",
        groups: &[],
        what: "a short run of every benchmark, with checks of all messages",
        needs: &[],
        run: smoke,
    },
    TestStep {
        name: "scripts",
        groups: &["e2e"],
        what: "tests of the library of the end-to-end tests",
        needs: &[Need::Node],
        run: scripts,
    },
    TestStep {
        name: "conformance",
        groups: &[],
        what: "the Durable Streams conformance suite, with each store and embedded in another application",
        needs: &[Need::Node],
        run: conformance,
    },
    TestStep {
        name: "wasm",
        groups: &[],
        what: "the client in Chromium against the server",
        needs: &[Need::WasmTarget, Need::WasmBindgen, Need::Browser],
        run: wasm,
    },
    TestStep {
        name: "dashboard",
        groups: &[],
        what: "the release build of the dashboard, and clippy of the code that embeds it",
        needs: &[
            Need::Lints,
            Need::WasmTarget,
            Need::Trunk,
            Need::WasmBindgen,
        ],
        run: dashboard,
    },
    TestStep {
        name: "cli",
        groups: &["e2e"],
        what: "the commands append and tail, with kills and restarts",
        needs: &[Need::Node],
        run: cli,
    },
    TestStep {
        name: "client",
        groups: &["e2e"],
        what: "the npm client @durable-streams/client, while the server is killed",
        needs: &[Need::Node],
        run: client,
    },
    TestStep {
        name: "browser",
        groups: &["e2e"],
        what: "the dashboard of the server, in Chromium",
        needs: &[
            Need::WasmTarget,
            Need::Trunk,
            Need::WasmBindgen,
            Need::Browser,
            Need::Node,
        ],
        run: browser,
    },
];

/// Checks licences and advisories; skipped if cargo-deny is not installed.
const DENY: &str = "deny";

/// Prints a table of instructions, without a check; skipped if Valgrind is not available.
const INSTRUCTIONS: &str = "instructions";

/// Runs the named steps, or all, and prints a summary.
///
/// # Errors
/// [`TaskFault::TestsFailed`] when a step failed; [`TaskFault::Missing`] when a tool is missing.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    if arguments == ["--list"] {
        list();
        return Ok(());
    }
    let unknown = |name: &&String| {
        *name != DENY && *name != INSTRUCTIONS && !STEPS.iter().any(|step| step.has_name(name))
    };
    if let Some(name) = arguments.iter().find(unknown) {
        return Err(TaskFault::Usage(format!(
            "unknown step `{name}`; cargo xtask test --list prints all steps"
        )));
    }
    let chosen: Vec<&TestStep> = STEPS
        .iter()
        .filter(|step| arguments.is_empty() || arguments.iter().any(|name| step.has_name(name)))
        .collect();
    let checkout = Checkout::find()?;
    let needs: BTreeSet<Need> = chosen.iter().flat_map(|step| step.needs).copied().collect();
    println!("==> Tools");
    let tools = setup::prepare(&checkout, &needs.into_iter().collect::<Vec<_>>())?;
    let mut steps = Steps::new(checkout.logs())?;
    for step in chosen {
        steps.run(step.name, step.what, |log| {
            (step.run)(&StepContext {
                checkout: &checkout,
                tools: &tools,
                log,
            })
        });
    }
    let wanted = |step: &str| arguments.is_empty() || arguments.iter().any(|name| name == step);
    if wanted(INSTRUCTIONS) {
        instructions(&checkout, &tools, &mut steps);
    }
    if wanted(DENY) {
        deny(&checkout, &tools, &mut steps);
    }
    steps.summary()
}

impl TestStep {
    fn has_name(&self, name: &str) -> bool {
        self.name == name || self.groups.contains(&name)
    }
}

fn list() {
    for step in &STEPS {
        let group = step
            .groups
            .first()
            .map_or(String::new(), |group| format!("  (in {group})"));
        println!("{:<14}{}{group}", step.name, step.what);
    }
    println!(
        "{INSTRUCTIONS:<14}instructions for frequent operations of the server, if Valgrind is available"
    );
    println!("{DENY:<14}licences and advisories, if cargo-deny is installed");
}

impl StepContext<'_> {
    /// Cargo in the workspace, with the tools on its path.
    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = child::command(cargo());
        command
            .args(arguments)
            .current_dir(&self.checkout.root)
            .env("PATH", &self.tools.path);
        command
    }

    /// Node in e2e/, with the paths of the browser and of the server's binary.
    fn node(&self, arguments: &[&str]) -> Command {
        let mut command = child::command("node");
        command
            .args(arguments)
            .current_dir(self.checkout.e2e())
            .env("PATH", &self.tools.path);
        command.env("TAILWATER_BIN", ServerBuild::Dev.binary(self.checkout));
        if let Some(chromium) = &self.tools.chromium {
            command.env("CHROMIUM", chromium);
        }
        command
    }

    /// Node's test runner, whose summary is counted by `steps.rs`.
    fn node_tests(&self, files: &[&str]) -> Command {
        // One file at a time: two browsers on two cores would disturb each other.
        let mut command = self.node(&["--test", "--test-reporter=spec", "--test-concurrency=1"]);
        command.args(files);
        command
    }

    fn build(&self, server: ServerBuild) -> Result<(), TaskFault> {
        self.log.run(&mut server.command(self.checkout))
    }
}

fn native(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.log.run(&mut step.cargo(&["test"]))?;
    // Again without the takeover, as behind TLS and with HTTP/2.
    let mut within = step.cargo(&["test", "--package", "tailwater", "--test", "protocol"]);
    step.log
        .run(within.env("TAILWATER_TEST_WITHOUT_TAKEOVER", "1"))?;
    // The native part of the dashboard is its models. It is not a default member, because Trunk builds it.
    step.log
        .run(&mut step.cargo(&["test", "--package", "tailwater-dashboard"]))
}

fn crash(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.log
        .run(&mut step.cargo(crate::long_tests::CRASH.arguments))
}

fn smoke(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.build(ServerBuild::Dev)?;
    let mut run = step.cargo(&["run", "--package", "tailwater-bench", "--", "smoke"]);
    step.log
        .run(run.env("TAILWATER_BIN", ServerBuild::Dev.binary(step.checkout)))
}

fn scripts(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.log.run(&mut step.node_tests(&["lib/lib.test.mjs"]))
}

fn conformance(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.build(ServerBuild::Dev)?;
    let data = empty_folder_path(step.checkout.logs().join("conformance-data"))?;
    for store in [
        &["--store", "memory"][..],
        &["--store", "disk", "--data-dir", &data.display().to_string()],
    ] {
        let arguments = [&["--long-poll-hold", "500ms"], store].concat();
        let server = SuiteServer::start(
            &ServerBuild::Dev.binary(step.checkout),
            0,
            &arguments,
            step.log,
        )?;
        run_suite(step, &server.url())?;
        server.stop()?;
    }
    let example = step.checkout.target.join("debug/examples/embed");
    let embedded = SuiteServer::start_example(&example, step.log)?;
    run_suite(step, &format!("{}/events", embedded.url()))?;
    embedded.stop()?;
    fs::remove_dir_all(&data).map_err(TaskFault::file(&data))
}

fn run_suite(step: &StepContext<'_>, base_url: &str) -> Result<(), TaskFault> {
    step.log.run(
        step.node(&["conformance/run.mjs"])
            .env("BASE_URL", base_url),
    )
}

/// Removes a folder of an earlier run; returns its path.
fn empty_folder_path(path: PathBuf) -> Result<PathBuf, TaskFault> {
    match fs::remove_dir_all(&path) {
        Err(reason) if reason.kind() != std::io::ErrorKind::NotFound => {
            Err(TaskFault::file(&path)(reason))
        }
        _ => Ok(path),
    }
}

fn cli(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.build(ServerBuild::Dev)?;
    step.log.run(&mut step.node_tests(&["cli/follow.test.mjs"]))
}

fn client(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.build(ServerBuild::Dev)?;
    step.log
        .run(&mut step.node_tests(&["client/client.test.mjs"]))
}

fn instructions(checkout: &Checkout, tools: &Tools, steps: &mut Steps) {
    if let Err(fault) = crate::bench::valgrind(tools) {
        steps.skip(INSTRUCTIONS, &format!("Valgrind is not available: {fault}"));
        return;
    }
    steps.run(
        INSTRUCTIONS,
        "instructions of the server, compared with tools/bench/instructions.md",
        |log| {
            log.run(&mut crate::bench::build_counted(checkout))?;
            log.run(&mut crate::bench::counted(checkout, &[]))
        },
    );
}

fn deny(checkout: &Checkout, tools: &Tools, steps: &mut Steps) {
    if tools.which("cargo-deny").is_none() {
        steps.skip(DENY, "cargo-deny is not installed");
        return;
    }
    steps.run(DENY, "licences and advisories", |log| {
        let step = StepContext {
            checkout,
            tools,
            log,
        };
        log.run(&mut step.cargo(&["deny", "check", "licenses", "bans", "sources"]))?;
        match log.run(&mut step.cargo(&["deny", "fetch", "db"])) {
            Ok(()) => log.run(&mut step.cargo(&["deny", "check", "--disable-fetch", "advisories"])),
            Err(fault) => {
                log.print(&format!(
                    "advisories were not checked, because their database is not available: {fault}"
                ));
                Ok(())
            }
        }
    });
}
