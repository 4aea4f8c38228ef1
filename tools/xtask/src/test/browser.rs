//! The steps that build the dashboard and look at it in a browser.

use super::StepContext;
use crate::build::{self, ServerBuild};
use crate::fault::TaskFault;
use crate::server::SuiteServer;
use crate::tools::WASM;
use std::fs;
use std::path::{Path, PathBuf};

/// What frontend/webdriver.json names.
pub(super) const DEBIANS_CHROMIUM: &str = "/usr/bin/chromium";

pub(super) fn wasm(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    bench.build(ServerBuild::Dev)?;
    // The address is compiled into the tests: always the same one, if it is free, saves building them again.
    let server = SuiteServer::start(
        &ServerBuild::Dev.binary(bench.place),
        4438,
        &["--store", "memory"],
        bench.log,
    )?;
    let mut tests = bench.cargo(&[
        "test",
        "--package",
        "tailwater-dashboard",
        "--target",
        WASM,
        "--test",
        "*",
    ]);
    tests.env("TAILWATER_TEST_URL", server.url());
    tests.env("WASM_BINDGEN_TEST_WEBDRIVER_JSON", webdriver(bench)?);
    if let Some(driver) = &bench.tools.chromedriver {
        tests.env("CHROMEDRIVER", driver);
    }
    bench.log.run(&mut tests)?;
    server.stop()
}

/// The browser's settings of frontend/webdriver.json, with the Chromium that was found.
pub(super) fn webdriver(bench: &StepContext<'_>) -> Result<PathBuf, TaskFault> {
    let kept = bench.place.root.join("frontend/webdriver.json");
    let own = bench.place.logs().join("webdriver.json");
    let text = fs::read_to_string(&kept).map_err(TaskFault::file(&kept))?;
    let chromium = bench
        .tools
        .chromium
        .as_deref()
        .unwrap_or(Path::new(DEBIANS_CHROMIUM));
    let named = text.replace(DEBIANS_CHROMIUM, &chromium.display().to_string());
    fs::write(&own, named).map_err(TaskFault::file(&own))?;
    Ok(own)
}

pub(super) fn dashboard(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    fresh_dashboard(bench)?;
    // What embeds it can be looked at only now that there is something to embed.
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
    bench.log.run(&mut bench.cargo(&embedding))
}

pub(super) fn fresh_dashboard(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    if build::dashboard_is_fresh(bench.place) {
        bench.log.say("nothing changed since the last build");
        return Ok(());
    }
    bench
        .log
        .run(&mut build::dashboard_command(bench.place, bench.tools))?;
    build::dashboard_done(bench.place)
}

pub(super) fn browser(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    fresh_dashboard(bench)?;
    bench.build(ServerBuild::DevWithDashboard)?;
    let files = [
        "browser/page.test.mjs",
        "browser/truth.test.mjs",
        "browser/streams.test.mjs",
        "browser/writes.test.mjs",
        "browser/event-source.test.mjs",
        "browser/access.test.mjs",
    ];
    bench.log.run(&mut bench.node_tests(&files))
}
