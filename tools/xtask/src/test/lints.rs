//! The steps that run no tests: formatting, lints, documentation.

use super::StepContext;
use crate::fault::TaskFault;
use crate::tools::WASM;

pub(super) fn fmt(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.log.run(&mut step.cargo(&["fmt", "--all", "--check"]))
}

pub(super) fn clippy(step: &StepContext<'_>) -> Result<(), TaskFault> {
    step.log.run(&mut step.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // The library as another application uses it.
    step.log.run(&mut step.cargo(&[
        "clippy",
        "--package",
        "tailwater",
        "--lib",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ]))
}

pub(super) fn clippy_wasm(step: &StepContext<'_>) -> Result<(), TaskFault> {
    let page = [
        "clippy",
        "--package",
        "tailwater-dashboard",
        "--all-targets",
        "--target",
        WASM,
        "--",
        "-D",
        "warnings",
    ];
    step.log.run(&mut step.cargo(&page))
}

pub(super) fn doc(step: &StepContext<'_>) -> Result<(), TaskFault> {
    let native = ["doc", "--workspace", "--no-deps"];
    step.log
        .run(step.cargo(&native).env("RUSTDOCFLAGS", "-D warnings"))?;
    let page = [
        "doc",
        "--package",
        "tailwater-dashboard",
        "--package",
        "tailwater-client",
        "--package",
        "tailwater-protocol",
        "--no-deps",
        "--target",
        WASM,
    ];
    step.log
        .run(step.cargo(&page).env("RUSTDOCFLAGS", "-D warnings"))
}
