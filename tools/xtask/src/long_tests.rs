//! `cargo xtask crash` and `cargo xtask fuzz`: tests of the server with a configurable duration.

use crate::checkout::{Checkout, cargo};
use crate::child;
use crate::fault::TaskFault;

/// A test and its options.
#[derive(Debug)]
pub(crate) struct LongTest {
    /// The arguments of cargo.
    pub(crate) arguments: &'static [&'static str],
    /// For each option: its name, the environment variable of the test, and a placeholder for the value.
    options: &'static [(&'static str, &'static str, &'static str)],
}

/// The crash tests in `backend/tests/crash/`, with fault injection and output of their progress.
pub(crate) const CRASH: LongTest = LongTest {
    arguments: &[
        "test",
        "--package",
        "tailwater",
        "--features",
        "faults",
        "--test",
        "crash",
        "--",
        "--nocapture",
    ],
    options: &[
        ("--rounds", "TAILWATER_CRASH_ROUNDS", "N"),
        ("--for", "TAILWATER_CRASH_FOR", "TIME (1h)"),
        ("--seed", "TAILWATER_CRASH_SEED", "S"),
    ],
};

/// Random requests to two servers, in `backend/tests/differential/`.
pub(crate) const FUZZ: LongTest = LongTest {
    arguments: &[
        "test",
        "--package",
        "tailwater",
        "--test",
        "differential",
        "--",
        "--nocapture",
    ],
    options: &[
        ("--sequences", "DIFFERENTIAL_SEQUENCES", "N"),
        ("--seed", "DIFFERENTIAL_SEED", "S"),
    ],
};

impl LongTest {
    /// Runs the test; `arguments` are its options with their values.
    ///
    /// # Errors
    /// [`TaskFault::Usage`], or [`TaskFault::Ended`] when the test fails.
    pub(crate) fn run(&self, arguments: &[String]) -> Result<(), TaskFault> {
        let variables = self.variables(arguments)?;
        let checkout = Checkout::find()?;
        let mut command = child::command(cargo());
        command
            .args(self.arguments)
            .current_dir(&checkout.root)
            .envs(variables);
        child::run(&mut command)
    }

    fn variables(&self, arguments: &[String]) -> Result<Vec<(&'static str, String)>, TaskFault> {
        let mut variables = Vec::new();
        let mut arguments = arguments.iter();
        while let Some(option) = arguments.next() {
            let known = self.options.iter().find(|(name, ..)| name == option);
            let (name, variable, _) = known.ok_or_else(|| {
                let all: Vec<String> = self
                    .options
                    .iter()
                    .map(|(name, _, value)| format!("{name} {value}"))
                    .collect();
                TaskFault::Usage(format!(
                    "unknown option `{option}`; expected {}",
                    all.join(" or ")
                ))
            })?;
            let value = arguments
                .next()
                .ok_or_else(|| TaskFault::Usage(format!("{name} needs a value")))?;
            variables.push((*variable, value.clone()));
        }
        Ok(variables)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_environment_variables_of_the_test() {
        let given = |test: &LongTest, text: &str| {
            test.variables(
                &text
                    .split_whitespace()
                    .map(str::to_owned)
                    .collect::<Vec<_>>(),
            )
        };
        let set = |name, value: &str| (name, value.to_owned());
        assert_eq!(
            given(&CRASH, "--for 1h --seed 7").ok(),
            Some(vec![
                set("TAILWATER_CRASH_FOR", "1h"),
                set("TAILWATER_CRASH_SEED", "7")
            ])
        );
        assert_eq!(
            given(&FUZZ, "--sequences 9").ok(),
            Some(vec![set("DIFFERENTIAL_SEQUENCES", "9")])
        );
        assert_eq!(given(&FUZZ, "").ok(), Some(Vec::new()));
        assert!(given(&CRASH, "--rounds").is_err() && given(&FUZZ, "--rounds 3").is_err());
    }
}
