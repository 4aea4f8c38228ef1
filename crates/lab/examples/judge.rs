//! Judges claims again: reads one JSON object a line, `{"claim": ..., "sample": ..., "guards": ...}` as a result of the
//! dashboard has them in `verdict.numbers`, and prints the verdict of each.

#![expect(clippy::print_stdout, reason = "a filter writes to standard output")]

use std::io::{self, BufRead};

use serde::Deserialize;
use tailwater_lab::{Claim, Guards, Measurement, judge};

#[derive(Deserialize)]
struct Case {
    claim: Claim,
    sample: Measurement,
    guards: Guards,
}

fn main() -> io::Result<()> {
    for line in io::stdin().lock().lines() {
        let case: Case = serde_json::from_str(&line?)?;
        println!("{}", judge(case.claim, case.sample, case.guards, 0.0));
    }
    Ok(())
}
