//! `cargo xtask crash`: the crash harness of `backend/tests/crash/`, for as many rounds or as long as wanted.

use crate::child;
use crate::fault::Fault;
use crate::place::{Place, cargo};

/// What cargo runs: the harness alone, with faults compiled in, saying how far it is.
pub(crate) const ARGUMENTS: [&str; 9] =
    ["test", "--package", "tailwater", "--features", "faults", "--test", "crash", "--", "--nocapture"];

/// Options and the variables that the harness reads them from.
const OPTIONS: [(&str, &str); 3] =
    [("--rounds", "TAILWATER_CRASH_ROUNDS"), ("--for", "TAILWATER_CRASH_FOR"), ("--seed", "TAILWATER_CRASH_SEED")];

/// Runs the harness; `arguments` are [`OPTIONS`] with their values.
///
/// # Errors
/// [`Fault::Usage`], or [`Fault::Ended`] when something was lost.
pub(crate) fn run(arguments: &[String]) -> Result<(), Fault> {
    let variables = variables(arguments)?;
    let place = Place::find()?;
    let mut command = child::command(cargo());
    command.args(ARGUMENTS).current_dir(&place.root).envs(variables);
    child::run(&mut command)
}

fn variables(arguments: &[String]) -> Result<Vec<(&'static str, String)>, Fault> {
    let mut variables = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(option) = arguments.next() {
        let known = OPTIONS.iter().find(|(name, _)| name == option);
        let (name, variable) = known.ok_or_else(|| {
            Fault::Usage(format!("there is no option `{option}`; expected --rounds N, --for TIME (1h) or --seed S"))
        })?;
        let value = arguments.next().ok_or_else(|| Fault::Usage(format!("{name} needs a value")))?;
        variables.push((*variable, value.clone()));
    }
    Ok(variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_the_variables_of_the_harness() {
        let given = |text: &str| variables(&text.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        let set = |name, value: &str| (name, value.to_owned());
        assert_eq!(
            given("--for 1h --seed 7").ok(),
            Some(vec![set("TAILWATER_CRASH_FOR", "1h"), set("TAILWATER_CRASH_SEED", "7")])
        );
        assert_eq!(given("").ok(), Some(Vec::new()));
        assert!(given("--rounds").is_err() && given("--turns 3").is_err());
    }
}
