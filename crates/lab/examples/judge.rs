//! Reads one JSON object per line from standard input, and prints the verdict for each.
//!
//! The objects have the form `{"claim": ..., "sample": ..., "guards": ...}`, as in `verdict.numbers` of a result that the
//! dashboard exports.

#![expect(clippy::print_stdout, reason = "a filter writes to standard output")]

use std::io::{self, BufRead};

use serde::Deserialize;
use tailwater_lab::{Claim, Guards, Measurement, judge};
use tailwater_protocol::document;

#[derive(Deserialize)]
struct Case {
    claim: Claim,
    sample: Measurement,
    guards: Guards,
}

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let case: Case = document::read(line?.as_bytes())?;
        println!("{}", judge(case.claim, case.sample, case.guards, 0.0));
    }
    Ok(())
}
