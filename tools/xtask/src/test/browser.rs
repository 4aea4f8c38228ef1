//! The steps that build the dashboard and test it in a browser.

use super::StepContext;
use crate::build::{self, ServerBuild};
use crate::fault::TaskFault;
use crate::server::SuiteServer;
use crate::tools::WASM;
use std::fs;
use std::path::{Path, PathBuf};

/// The path in frontend/webdriver.json.
pub(super) const DEBIANS_CHROMIUM: &str = "/usr/bin/chromium";

pub(super) fn wasm(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.build(ServerBuild::Dev)?;
    // The address is compiled into the tests: with a fixed port they are not built again.
    let server = SuiteServer::start(
        &ServerBuild::Dev.binary(step.checkout),
        4438,
        &["--store", "memory"],
        step.log,
    )?;
    let mut tests = step.cargo(&[
        "test",
        "--package",
        "tailwater-dashboard",
        "--target",
        WASM,
        "--test",
        "*",
    ]);
    tests.env("TAILWATER_TEST_URL", server.url());
    tests.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", webdriver(step)?);
    if let Some(driver) = &step.tools.chromedriver {
        tests.env("CHROMEDRIVER", driver);
    }
    step.log.run(&mut tests)?;
    server.stop()
}

/// The browser settings of frontend/webdriver.json, with the path of the Chromium that was found.
pub(super) fn webdriver(step: &StepContext<'_>) -> Result<PathBuf, TaskFault> {
    let kept = step.checkout.root.join("frontend/webdriver.json");
    let own = step.checkout.logs().join("webdriver.json");
    let text = fs::read_to_string(&kept).map_err(TaskFault::file(&kept))?;
    let chromium = step
        .tools
        .chromium
        .as_deref()
        .unwrap_or(Path::new(DEBIANS_CHROMIUM));
    let named = text.replace(DEBIANS_CHROMIUM, &chromium.display().to_string());
    fs::write(&own, named).map_err(TaskFault::file(&own))?;
    Ok(own)
}

pub(super) fn dashboard(step: &StepContext<'_>) -> Result<(), TaskFault> {
    fresh_dashboard(step)?;
    // The code that embeds it compiles only when the files exist.
    let embedding = [
        "clippy",
        "--package",
        "tailwater",
        "--all-targets",
        "--features",
        "dashboard",
        "--",
        "-D",
        "warnings",
    ];
    step.log.run(&mut step.cargo(&embedding))
}

pub(super) fn fresh_dashboard(step: &StepContext<'_>) -> Result<(), TaskFault> {
    if build::dashboard_is_fresh(step.checkout) {
        step.log.print("nothing changed since the last build");
        return Ok(());
    }
    step.log
        .run(&mut build::dashboard_command(step.checkout, step.tools))?;
    build::dashboard_done(step.checkout)
}

pub(super) fn browser(step: &StepContext<'_>) -> Result<(), TaskFault> {
    fresh_dashboard(step)?;
    step.build(ServerBuild::DevWithDashboard)?;
    let files = [
        "browser/page.test.mjs",
        "browser/truth.test.mjs",
        "browser/charts.test.mjs",
        "browser/result.test.mjs",
        "browser/streams.test.mjs",
        "browser/subscriptions.test.mjs",
        "browser/writes.test.mjs",
        "browser/event-source.test.mjs",
        "browser/access.test.mjs",
    ];
    step.log.run(&mut step.node_tests(&files))
}
