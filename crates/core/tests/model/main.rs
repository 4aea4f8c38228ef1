//! Random operations on streams in memory, on streams on disk that are reopened in between, and on
//! a simple model: all three agree on every outcome and every byte.
//!
//! `TAILWATER_MODEL_SEED` repeats a run, `TAILWATER_MODEL_CASES` sets the number of cases.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests and their helpers fail by panicking, and print the seed"
)]

mod ops;
mod real;
mod simple;

use ops::{Op, ops};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestRng, TestRunner};
use real::Real;
use simple::Simple;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| {
        text.parse().unwrap_or_else(|_| panic!("{name}={text}"))
    })
}

#[test]
fn memory_disk_and_the_model_agree_on_every_outcome() {
    let seed = setting("TAILWATER_MODEL_SEED", rand::random::<u32>().into());
    let cases = setting("TAILWATER_MODEL_CASES", 64).try_into().unwrap();
    println!("model: TAILWATER_MODEL_SEED={seed}");
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        cases,
        failure_persistence: None,
        max_shrink_iters: 400,
        ..Config::default()
    };
    let mut runner =
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    // Shared by all cases, because opening a store takes longer than a case. Streams of earlier
    // cases must have no effect.
    let (memory, disk) = (
        RefCell::new(Real::in_memory()),
        RefCell::new(Real::on_disk("model")),
    );
    let (case, outcomes) = (Cell::new(0_u64), RefCell::new(BTreeMap::new()));
    let outcome = runner.run(&ops(), |ops| {
        case.set(case.get() + 1);
        let (mut memory, mut disk) = (memory.borrow_mut(), disk.borrow_mut());
        memory.begin(case.get());
        disk.begin(case.get());
        run(&ops, &mut memory, &mut disk, &mut outcomes.borrow_mut())
    });
    disk.into_inner().remove();
    outcome.unwrap_or_else(|wrong| panic!("TAILWATER_MODEL_SEED={seed}: {wrong}"));
    let outcomes = outcomes.into_inner();
    println!("model: {} cases, {outcomes:?}", case.get());
    let missing: Vec<_> = OUTCOMES
        .into_iter()
        .filter(|word| !outcomes.contains_key(*word))
        .collect();
    assert!(
        cases < 64 || missing.is_empty(),
        "TAILWATER_MODEL_SEED={seed}: outcomes that never occurred: {missing:?}"
    );
}

/// First words of the outcomes that a run must contain.
const OUTCOMES: [&str; 18] = [
    "again", "beyond", "closed", "deleted", "differs", "epoch", "gap", "hidden", "inside", "made",
    "new", "no", "none", "not", "reopened", "seq", "stale", "there",
];

fn run(
    ops: &[Op],
    memory: &mut Real,
    disk: &mut Real,
    outcomes: &mut BTreeMap<String, u64>,
) -> Result<(), TestCaseError> {
    let mut simple = Simple::default();
    for (place, op) in ops.iter().enumerate() {
        let op = &simple.aim(op);
        let expected = simple.apply(op);
        let word = expected.split(' ').next().unwrap_or_default();
        *outcomes
            .entry(if word.starts_with('"') { "data" } else { word }.to_owned())
            .or_default() += 1;
        for real in [&mut *memory, &mut *disk] {
            let outcome = real.apply(op, &expected);
            prop_assert_eq!(
                &outcome,
                &expected,
                "{} at step {}: {:?}",
                real.label,
                place,
                op
            );
        }
    }
    for real in [memory, disk] {
        agree_at_the_end(&simple, real)?;
        let _reopened = real.apply(&Op::Reopen, "reopened");
        agree_at_the_end(&simple, real)?;
    }
    Ok(())
}

/// Checks that every visible stream is complete, and that its producers have the expected positions.
fn agree_at_the_end(simple: &Simple, real: &mut Real) -> Result<(), TestCaseError> {
    for (name, stream) in simple.streams.iter().filter(|(_, stream)| !stream.hidden) {
        let whole = Op::Read {
            name: *name,
            from: 0,
            max: usize::MAX,
        };
        let expected = simple.clone().apply(&whole);
        prop_assert_eq!(
            real.apply(&whole, &expected),
            expected,
            "{} at the end: {}",
            real.label,
            name
        );
        let producers: Vec<_> = stream
            .producers
            .iter()
            .map(|(id, at)| (id.to_string(), *at))
            .collect();
        prop_assert_eq!(
            real.producers(*name),
            producers,
            "{} at the end: producers of {}",
            real.label,
            name
        );
    }
    Ok(())
}
