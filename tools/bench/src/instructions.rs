//! How many instructions the server executes for what it does often, counted by Valgrind: of inner pieces, and of the whole server
//! answering over loopback. Unlike times they hardly differ from run to run.
//!
//! Everything is done so often and three times so often; the difference, divided, is what one costs, without start and end. The kernel's
//! part is not among them, so they stand beside the times of the other measurements, not for them.

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

/// The figures that are committed, so that a change shows what it changed.
const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/instructions.md");
/// Ratios further from 1 are set in bold.
const NOTABLE: f64 = 0.05;

/// What to count, and what to do with it.
#[derive(Debug, Args)]
pub(crate) struct InstructionsArguments {
    /// The server's binary
    #[arg(long, env = "TAILWATER_BIN")]
    server: PathBuf,
    /// The binary `tailwater-pieces`
    #[arg(long, env = "TAILWATER_PIECES")]
    pieces: PathBuf,
    /// Count only what has this in its name
    #[arg(long, default_value = "")]
    only: String,
    /// Commit to the figures: write them to tools/bench/instructions.md
    #[arg(long, conflicts_with = "only")]
    write: bool,
}

/// Something counted.
#[derive(Debug, Clone, PartialEq)]
struct InstructionsRow {
    what: String,
    instructions: f64,
}

/// Counts, and prints a table that holds the figures against the committed ones.
///
/// # Errors
/// [`BenchFault::Server`] when Valgrind is not there or something did not do what it should.
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
            |times: usize| patiently(|| served::count(&counter, &arguments.server, task, times));
        rows.push(measured(task.what, task.times, task.holds, count)?);
    }
    if arguments.write {
        fs::write(COMMITTED, committable(&rows))?;
    }
    println!("{}", compared(&rows, &committed));
    Ok(())
}

/// What `tailwater-pieces` offers.
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
                "expected a piece, came {line:?}"
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

/// One of what is done `times` times in one run and three times as often in another.
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
    // Both at once: a count is no slower for it.
    let (few, many) = thread::scope(|scope| {
        let few = scope.spawn(|| count(times));
        let many = count(times * 3);
        (
            few.join()
                .unwrap_or_else(|_| Err(BenchFault::Server("a count panicked".into()))),
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

/// What a fresh server gives at the third attempt at the latest: under Valgrind, on a busy machine, one can be so slow to start that it
/// takes its first client for a slow one.
fn patiently(count: impl Fn() -> Result<u64, BenchFault>) -> Result<u64, BenchFault> {
    let again = |fault: BenchFault| {
        eprintln!("{fault}; once more, with a fresh server");
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
        "# Instructions\n\nWhat one of each costs, written by `cargo xtask bench instructions --write`, and what later counts are held \
         against.\nThey depend on compiler, C library and the processor's vector instructions: compare on one machine.\n\n\
         | one | instructions |\n| --- | ---: |\n",
    );
    for InstructionsRow { what, instructions } in rows {
        // A `String` takes whatever is written to it.
        let _written = writeln!(text, "| {what} | {} |", shown(*instructions));
    }
    text
}

/// Three digits at least, so that a hundredth shows.
fn shown(instructions: f64) -> String {
    if instructions < 100.0 {
        format!("{instructions:.1}")
    } else {
        format!("{instructions:.0}")
    }
}

fn compared(rows: &[InstructionsRow], committed: &[InstructionsRow]) -> String {
    let width = rows.iter().map(|row| row.what.len()).max().unwrap_or(0);
    let mut text = format!("| {:<width$} | committed |      now |    ratio |\n", "one");
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
