//! Runs named steps, each with its time, its log, and a row in the summary.

use std::fs::{self, File};
use std::io::{IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::child::{self, GuardedChild};
use crate::fault::TaskFault;

/// Number of lines of a failed step's log that the summary prints.
const REPEATED_LINES: usize = 60;

/// How a step ended.
#[derive(Debug)]
enum StepOutcome {
    Passed,
    Failed(TaskFault),
    Skipped(String),
}

/// The result of a step.
#[derive(Debug)]
struct StepRow {
    name: &'static str,
    outcome: StepOutcome,
    counts: StepCounts,
    took: Duration,
    log: PathBuf,
}

/// Runs steps and collects their results.
#[derive(Debug)]
pub(crate) struct Steps {
    logs: PathBuf,
    rows: Vec<StepRow>,
    began: Instant,
}

impl Steps {
    /// - `logs`: the folder for one file per step; created if it is missing.
    ///
    /// # Errors
    /// [`TaskFault::File`] when the folder cannot be created.
    pub(crate) fn new(logs: PathBuf) -> Result<Self, TaskFault> {
        fs::create_dir_all(&logs).map_err(TaskFault::file(&logs))?;
        Ok(Self {
            logs,
            rows: Vec::new(),
            began: Instant::now(),
        })
    }

    /// Runs one step and records its outcome, also if it fails.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        what: &str,
        body: impl FnOnce(&StepLog) -> Result<(), TaskFault>,
    ) {
        println!("\n==> {name}: {what}");
        let path = self.logs.join(format!("{name}.log"));
        let began = Instant::now();
        let outcome = match StepLog::create(&path).and_then(|log| body(&log)) {
            Ok(()) => StepOutcome::Passed,
            Err(fault) => {
                println!("    {fault}");
                StepOutcome::Failed(fault)
            }
        };
        let took = began.elapsed();
        let counts = StepCounts::within(&fs::read_to_string(&path).unwrap_or_default());
        println!(
            "<== {name}: {} in {}",
            outcome_text(&outcome),
            seconds(took)
        );
        self.rows.push(StepRow {
            name,
            outcome,
            counts,
            took,
            log: path,
        });
    }

    /// Records that a step cannot run here.
    pub(crate) fn skip(&mut self, name: &'static str, why: &str) {
        println!("\n==> {name}: skipped, {why}");
        let log = self.logs.join(format!("{name}.log"));
        let outcome = StepOutcome::Skipped(why.to_owned());
        self.rows.push(StepRow {
            name,
            outcome,
            counts: StepCounts::default(),
            took: Duration::ZERO,
            log,
        });
    }

    /// Prints the ends of the logs of failed steps, a table, and as the last line `N passed, N failed`.
    ///
    /// # Errors
    /// [`TaskFault::TestsFailed`] when a step failed.
    pub(crate) fn summary(&self) -> Result<(), TaskFault> {
        for row in &self.rows {
            if let StepOutcome::Failed(fault) = &row.outcome {
                println!(
                    "\n---- {}: the last lines of {}\n",
                    row.name,
                    row.log.display()
                );
                println!(
                    "{}",
                    last_lines(&fs::read_to_string(&row.log).unwrap_or_default())
                );
                println!("---- {}: {fault}", row.name);
            }
        }
        println!(
            "\n{:<14}{:<9}{:>8}{:>8}{:>10}",
            "step", "", "passed", "failed", "time"
        );
        let mut total = StepCounts::default();
        for row in &self.rows {
            let counts = row.counted();
            total.passed += counts.passed;
            total.failed += counts.failed;
            let remark = match &row.outcome {
                StepOutcome::Skipped(why) => format!("  ({why})"),
                StepOutcome::Passed | StepOutcome::Failed(_) => String::new(),
            };
            println!(
                "{:<14}{:<9}{:>8}{:>8}{:>10}{remark}",
                row.name,
                outcome_text(&row.outcome),
                counts.passed,
                counts.failed,
                seconds(row.took)
            );
        }
        println!("{:<39}{:>10}\n", "", seconds(self.began.elapsed()));
        println!("{} passed, {} failed", total.passed, total.failed);
        if total.failed == 0 {
            Ok(())
        } else {
            Err(TaskFault::TestsFailed)
        }
    }
}

impl StepRow {
    /// The tests of a step, or 1 for a step without tests; a failed step has at least one failure.
    fn counted(&self) -> StepCounts {
        match &self.outcome {
            StepOutcome::Skipped(_) => StepCounts::default(),
            StepOutcome::Passed if self.counts == StepCounts::default() => StepCounts {
                passed: 1,
                failed: 0,
            },
            StepOutcome::Passed => self.counts,
            StepOutcome::Failed(_) => StepCounts {
                failed: self.counts.failed.max(1),
                ..self.counts
            },
        }
    }
}

/// The output of a step, on the terminal and in its log file.
#[derive(Debug)]
pub(crate) struct StepLog {
    path: PathBuf,
}

impl StepLog {
    fn create(path: &Path) -> Result<Self, TaskFault> {
        File::create(path).map_err(TaskFault::file(path))?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// The file, open for appending.
    ///
    /// # Errors
    /// [`TaskFault::File`] when it cannot be opened.
    pub(crate) fn file(&self) -> Result<File, TaskFault> {
        File::options()
            .append(true)
            .open(&self.path)
            .map_err(TaskFault::file(&self.path))
    }

    /// Prints one line to both.
    pub(crate) fn print(&self, line: &str) {
        println!("{line}");
        // An error of the log is ignored: the terminal has the line.
        let _ = self
            .file()
            .and_then(|mut file| writeln!(file, "{line}").map_err(TaskFault::file(&self.path)));
    }

    /// Runs a command made by [`child::command`]; its output is written to both.
    ///
    /// # Errors
    /// [`TaskFault::Ended`] when it fails, [`TaskFault::Start`] when it cannot be started.
    pub(crate) fn run(&self, command: &mut Command) -> Result<(), TaskFault> {
        let line = child::command_line(command);
        self.print(&format!("$ {line}"));
        if std::io::stdout().is_terminal() {
            command.env("CARGO_TERM_COLOR", "always");
        }
        let mut child = GuardedChild::spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
        let (output, errors) = child.streams();
        let copies = [
            output.map(|stream| self.copy(stream)),
            errors.map(|stream| self.copy(stream)),
        ];
        let status = child.wait()?;
        for copy in copies.into_iter().flatten() {
            // A copy returns nothing; it ends with its stream.
            let _ = copy?.join();
        }
        if status.success() {
            Ok(())
        } else {
            Err(TaskFault::Ended {
                command: line,
                status,
            })
        }
    }

    fn copy(&self, mut stream: impl Read + Send + 'static) -> Result<JoinHandle<()>, TaskFault> {
        let mut file = self.file()?;
        Ok(thread::spawn(move || {
            let mut piece = [0; 8192];
            while let Ok(length @ 1..) = stream.read(&mut piece) {
                let bytes = piece.get(..length).unwrap_or_default();
                let _ = file.write_all(bytes);
                let mut terminal = std::io::stdout().lock();
                let _ = terminal.write_all(bytes).and_then(|()| terminal.flush());
            }
        }))
    }
}

/// Tests that passed and failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct StepCounts {
    passed: usize,
    failed: usize,
}

impl StepCounts {
    /// The sum of the counts of test runners in a log: cargo (`test result: ok. 5 passed; 0 failed; ...`), our scripts
    /// (`conformance: 338 passed, 0 failed`) and Node (`ℹ pass 4`, `ℹ fail 0`).
    fn within(log: &str) -> Self {
        let mut counts = Self::default();
        for line in log.lines() {
            let plain = without_colours(line);
            if let Some(passed) = plain.strip_prefix("ℹ pass ") {
                counts.passed += passed.trim().parse().unwrap_or(0);
            } else if let Some(failed) = plain.strip_prefix("ℹ fail ") {
                counts.failed += failed.trim().parse().unwrap_or(0);
            } else if plain.starts_with("test result: ") || plain.starts_with("conformance: ") {
                counts.passed += number_before(&plain, " passed").unwrap_or(0);
                counts.failed += number_before(&plain, " failed").unwrap_or(0);
            }
        }
        counts
    }
}

/// The number before `word`.
fn number_before(line: &str, word: &str) -> Option<usize> {
    let (before, _) = line.split_once(word)?;
    before.rsplit(' ').next()?.parse().ok()
}

/// The line without terminal escapes (`ESC [ ... letter`).
fn without_colours(line: &str) -> String {
    let mut plain = String::new();
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        if character == '\u{1b}' {
            characters.by_ref().skip(1).find(char::is_ascii_alphabetic);
        } else {
            plain.push(character);
        }
    }
    plain
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(REPEATED_LINES)..)
        .unwrap_or_default()
        .join("\n")
}

fn outcome_text(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Passed => "ok",
        StepOutcome::Failed(_) => "FAILED",
        StepOutcome::Skipped(_) => "skipped",
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_of_all_test_runners_are_summed() {
        let log = "running 3 tests\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n\
                   test result: \u{1b}[31mFAILED\u{1b}[0m. 4 passed; 2 failed; 0 ignored\n\
                   conformance: 180 passed, 3 failed\nℹ pass 4\nℹ fail 1\n5 passed, 6 failed\n";
        assert_eq!(
            StepCounts::within(log),
            StepCounts {
                passed: 3 + 4 + 180 + 4,
                failed: 2 + 3 + 1
            }
        );
    }

    #[test]
    fn a_step_without_tests_counts_as_one() {
        let row = |outcome, counts| StepRow {
            name: "x",
            outcome,
            counts,
            took: Duration::ZERO,
            log: PathBuf::new(),
        };
        let failed = || StepOutcome::Failed(TaskFault::TestsFailed);
        let none = StepCounts::default();
        assert_eq!(
            row(StepOutcome::Passed, none).counted(),
            StepCounts {
                passed: 1,
                failed: 0
            }
        );
        assert_eq!(
            row(failed(), none).counted(),
            StepCounts {
                passed: 0,
                failed: 1
            }
        );
        assert_eq!(
            row(
                failed(),
                StepCounts {
                    passed: 7,
                    failed: 0
                }
            )
            .counted(),
            StepCounts {
                passed: 7,
                failed: 1
            }
        );
        assert_eq!(
            row(StepOutcome::Skipped(String::new()), none).counted(),
            none
        );
    }
}
