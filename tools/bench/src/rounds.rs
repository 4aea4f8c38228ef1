//! Rounds: each measures every target in every case once, with a new server for each run.

use crate::table::{Figure, Table};
use crate::target::{BenchTarget, Role};
use crate::{BenchFault, CommonArguments};

/// The figures of one run; `None` if the target does not support the case.
pub(crate) type RunOutcome = Result<Option<Vec<Figure>>, BenchFault>;

/// How one target is measured.
type CaseRun<'a> = dyn Fn(&dyn BenchTarget) -> RunOutcome + 'a;

/// A case's name, and how a target is measured in it.
pub(crate) struct BenchCase<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<CaseRun<'a>>,
}

/// The measured table, and whether a run of Tailwater or LIMIT was void.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) table: Table,
    pub(crate) failed: bool,
}

/// Measures all targets in all cases.
///
/// A run in which a message was lost, repeated or reordered is void: its cell says so, and the other runs continue.
///
/// # Errors
/// Errors of Tailwater and LIMIT, except for void runs; errors of peers are printed and make their cell void.
pub(crate) fn measure(
    common: &CommonArguments,
    title: &str,
    targets: &[Box<dyn BenchTarget>],
    cases: &[BenchCase<'_>],
) -> Result<Measured, BenchFault> {
    let columns = targets
        .iter()
        .map(|target| (target.name(), target.role()))
        .collect();
    let names = cases.iter().map(|case| case.name.clone()).collect();
    let title = format!(
        "{title}; medians of {}, in brackets the ratio to LIMIT",
        rounds(common.rounds())
    );
    let mut measured = Measured {
        table: Table::new(title, columns, names),
        failed: false,
    };
    for round in 1..=common.rounds() {
        for (at, case) in cases.iter().enumerate() {
            for (column, target) in targets.iter().enumerate() {
                let label = format!("round {round}, {}, {}", case.name, target.name());
                match (case.run)(&**target) {
                    Ok(Some(figures)) => {
                        if !common.quiet {
                            eprintln!("{label}: {}", figures_text(&figures));
                        }
                        measured.table.add(at, column, figures);
                    }
                    Ok(None) if round == 1 && !common.quiet => {
                        eprintln!("{label}: skipped, not supported");
                    }
                    Ok(None) => {}
                    Err(fault)
                        if target.role() == Role::Peer
                            || matches!(fault, BenchFault::Void(_) | BenchFault::Lost { .. }) =>
                    {
                        eprintln!("{label}: {fault}");
                        measured.table.add_void(
                            at,
                            column,
                            if let BenchFault::Lost { lost, .. } = fault {
                                lost
                            } else {
                                0
                            },
                        );
                        measured.failed |= target.role() != Role::Peer;
                    }
                    Err(fault) => return Err(BenchFault::Server(format!("{label}: {fault}"))),
                }
            }
        }
    }
    Ok(measured)
}

fn rounds(count: usize) -> String {
    if count == 1 {
        "one round".into()
    } else {
        format!("{count} interleaved rounds")
    }
}

fn figures_text(figures: &[Figure]) -> String {
    figures
        .iter()
        .map(|figure| format!("{:.2} {}", figure.value, figure.what))
        .collect::<Vec<_>>()
        .join(", ")
}
