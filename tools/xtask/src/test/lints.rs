//! The steps that build nothing to run: formatting, lints, documentation.

use super::Bench;
use crate::fault::Fault;
use crate::tools::WASM;

pub(super) fn fmt(bench: &Bench<'_>) -> Result<(), Fault> {
    bench
        .log
        .run(&mut bench.cargo(&["fmt", "--all", "--check"]))
}

pub(super) fn clippy(bench: &Bench<'_>) -> Result<(), Fault> {
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

pub(super) fn clippy_wasm(bench: &Bench<'_>) -> Result<(), Fault> {
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

pub(super) fn doc(bench: &Bench<'_>) -> Result<(), Fault> {
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
