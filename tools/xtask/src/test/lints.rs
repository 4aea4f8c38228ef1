//! The steps that build nothing to run: formatting, lints, documentation.

use super::StepContext;
use crate::fault::TaskFault;
use crate::tools::WASM;

pub(super) fn fmt(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    bench
        .log
        .run(&mut bench.cargo(&["fmt", "--all", "--check"]))
}

pub(super) fn clippy(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    bench.log.run(&mut bench.cargo(&[
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))?;
    // As another application has it.
    bench.log.run(&mut bench.cargo(&[
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

pub(super) fn clippy_wasm(bench: &StepContext<'_>) -> Result<(), TaskFault> {
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
    bench.log.run(&mut bench.cargo(&page))
}

pub(super) fn doc(bench: &StepContext<'_>) -> Result<(), TaskFault> {
    let native = ["doc", "--workspace", "--no-deps"];
    bench
        .log
        .run(bench.cargo(&native).env("RUSTDOCFLAGS", "-D warnings"))?;
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
    bench
        .log
        .run(bench.cargo(&page).env("RUSTDOCFLAGS", "-D warnings"))
}
