//! Instructions that the server executes for frequent operations, counted by Valgrind: of its internals, and of the whole server
//! over loopback. Unlike times, they hardly vary between runs.
//!
//! Each operation runs N times and 3 N times; the difference divided by 2 N is the cost of one, without start and shutdown of the
//! process. Instructions of the kernel are not counted, so these figures supplement the measured times but do not replace them.

mod counted;
mod served;

use crate::BenchFault;
use clap::Args;
use counted::Counter;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

/// The committed figures, with which new ones are compared.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.md");
/// Ratios that differ from 1 by more than this are printed in bold.
const NOTABLE: f64 = 0.05;

/// Options of `instructions`.
#[derive(Debug, Args)]
pub(crate) struct InstructionsArguments {
    /// The server's binary
    #[arg(long, env = "TAILWATER_BIN")]
    server: PathBuf,
    /// The binary `tailwater-pieces`
    #[arg(long, env = "TAILWATER_PIECES")]
    pieces: PathBuf,
    /// Count only operations whose description contains this text
    #[arg(long, default_value = "")]
    only: String,
    /// Write the figures to tools/bench/instructions.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

/// The result for one operation.
#[derive(Debug, Clone, PartialEq)]
struct InstructionsRow {
    what: String,
    instructions: f64,
}

/// Counts, and prints a table that compares the figures with the committed ones.
///
/// # Errors
/// [`BenchFault::Server`] when Valgrind is not installed or an operation failed.
pub(crate) fn run(arguments: &InstructionsArguments) -> Result<(), BenchFault> {
    let committed = fs::read_to_string(COMMITTED)
        .map(|text| parse(&text))
        .unwrap_or_default();
    let counter = Counter::find()?;
    let mut rows = pieces(&counter, arguments)?;
    for task in served::TASKS
        .iter()
        .filter(|task| task.what.contains(&arguments.only))
    {
        let count =
            |times: usize| with_retries(|| served::count(&counter, &arguments.server, task, times));
        rows.push(measured(task.what, task.times, task.holds, count)?);
    }
    if arguments.write {
        fs::write(COMMITTED, committable(&rows))?;
    }
    println!("{}", compared(&rows, &committed));
    Ok(())
}

/// Counts the operations of `tailwater-pieces`.
fn pieces(
    counter: &Counter,
    arguments: &InstructionsArguments,
) -> Result<Vec<InstructionsRow>, BenchFault> {
    let list = Command::new(&arguments.pieces).output()?;
    let mut rows = Vec::new();
    for line in String::from_utf8_lossy(&list.stdout).lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let numbers = |at: usize| fields.get(at).and_then(|text| text.parse::<usize>().ok());
        let (Some(times), Some(holds), [name, _, _, what]) = (numbers(1), numbers(2), &fields[..])
        else {
            return Err(BenchFault::Server(format!(
                "expected an operation, got {line:?}"
            )));
        };
        if what.contains(&arguments.only) {
            let count = |times: usize| {
                counter.count(&arguments.pieces, &[name.to_string(), times.to_string()])
            };
            rows.push(measured(what, times, holds, count)?);
        }
    }
    Ok(rows)
}

/// The instructions of one unit, from a run with `times` repetitions and one with three times as many.
#[expect(
    clippy::cast_precision_loss,
    reason = "counts of one run are far below 2^53"
)]
fn measured(
    what: &str,
    times: usize,
    holds: usize,
    count: impl Fn(usize) -> Result<u64, BenchFault> + Sync,
) -> Result<InstructionsRow, BenchFault> {
    // Both in parallel, which does not affect the counts.
    let (few, many) = thread::scope(|scope| {
        let few = scope.spawn(|| count(times));
        let many = count(times * 3);
        (
            few.join()
                .unwrap_or_else(|_| Err(BenchFault::Server("a counting thread panicked".into()))),
            many,
        )
    });
    let (few, many) = (few?, many?);
    let instructions = many.saturating_sub(few) as f64 / (2 * times * holds) as f64;
    eprintln!("{what}: {}", shown(instructions));
    Ok(InstructionsRow {
        what: what.into(),
        instructions,
    })
}

/// Makes at most three attempts, each with a new server: under Valgrind, on a busy machine, a server can be so slow that it
/// disconnects its first client as stalled.
fn with_retries(count: impl Fn() -> Result<u64, BenchFault>) -> Result<u64, BenchFault> {
    let again = |fault: BenchFault| {
        eprintln!("{fault}; retrying with a new server");
        count()
    };
    count().or_else(again).or_else(again)
}

/// The rows of a committed table.
fn parse(text: &str) -> Vec<InstructionsRow> {
    let cells = text.lines().filter_map(|line| {
        line.strip_prefix("| ")?
            .strip_suffix(" |")?
            .split_once(" | ")
    });
    cells
        .filter_map(|(what, figure)| {
            Some(InstructionsRow {
                what: what.trim_end().into(),
                instructions: figure.trim().parse().ok()?,
            })
        })
        .collect()
}

fn committable(rows: &[InstructionsRow]) -> String {
    let mut text = String::from(
        "# Instructions
        
        Instructions executed for one unit of each operation, written by `cargo xtask bench instructions --write`; \
         later counts are compared with them.
         They depend on the compiler, the C library and the processor's vector instructions: compare on one machine.
         
         \
         | operation | instructions |\n| --- | ---: |\n",
    );
    for InstructionsRow { what, instructions } in rows {
        // Writing to a `String` cannot fail.
        let _written = writeln!(text, "| {what} | {} |", shown(*instructions));
    }
    text
}

/// At least three digits, so that a change of 1 % is visible.
fn shown(instructions: f64) -> String {
    if instructions < 100.0 {
        format!("{instructions:.1}")
    } else {
        format!("{instructions:.0}")
    }
}

fn compared(rows: &[InstructionsRow], committed: &[InstructionsRow]) -> String {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let mut text = format!(
        "| {:<width$} | committed |      now |    ratio |
    ",
        "operation"
    );
    let _written = write!(
        text,
        "| {:-<width$} | --------: | -------: | -------: |",
        ""
    );
    for InstructionsRow { what, instructions } in rows {
        let before = committed
            .iter()
            .find(|row| row.what == *what)
            .map(|row| row.instructions);
        let (before, ratio) = match before {
            Some(before) => {
                let ratio = instructions / before;
                let bold = if (ratio - 1.0).abs() > NOTABLE {
                    "**"
                } else {
                    ""
                };
                (shown(before), format!("{bold}{ratio:.2}{bold}"))
            }
            None => (String::new(), "new".into()),
        };
        let _written = write!(
            text,
            "\n| {what:<width$} | {before:>9} | {:>8} | {ratio:>8} |",
            shown(*instructions)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(what: &str, instructions: f64) -> InstructionsRow {
        InstructionsRow {
            what: what.into(),
            instructions,
        }
    }

    #[test]
    fn the_committed_results_parse() {
        let rows = [row("append", 5120.0), row("delivery, of 100", 15.3)];
        assert_eq!(parse(&committable(&rows)), rows);
    }

    #[test]
    fn a_change_is_shown_as_a_ratio_and_a_notable_one_in_bold() {
        let now = [row("same", 100.0), row("more", 150.0), row("added", 1.0)];
        let table = compared(
            &now,
            &[row("same", 101.0), row("more", 100.0), row("gone", 9.0)],
        );
        let ratios: Vec<&str> = table
            .lines()
            .skip(2)
            .filter_map(|line| line.trim_end_matches(" |").rsplit(' ').next())
            .collect();
        assert_eq!(ratios, ["0.99", "**1.50**", "new"], "{table}");
    }

    #[test]
    fn the_cost_of_one_operation_is_the_difference_of_two_runs() {
        let start_and_end = 1_000_000;
        let row =
            measured("x", 10, 5, |times| Ok(start_and_end + 300 * times as u64)).expect("a count");
        assert!((row.instructions - 60.0).abs() < 1e-9, "{row:?}");
    }
}
