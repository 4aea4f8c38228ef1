//! The settings of a run, from the environment.
//!
//! | variable | meaning | default |
//! | --- | --- | --- |
//! | `DIFFERENTIAL_SEQUENCES` | number of sequences | 2,000 |
//! | `DIFFERENTIAL_SEED` | the random seed; printed | 31 |
//! | `DIFFERENTIAL_ONLY` | the number of the only sequence to run | all |
//! | `DIFFERENTIAL_CLASSES` | names of mutation classes, separated by commas: only these, beside plain requests | all |
//!
//! `cargo xtask fuzz --sequences N --seed S` sets the first two.

use super::mutate::{MUTATIONS, Mutation};
use super::script::MutationClass;
use std::time::Duration;

/// The longest wait, much longer than any response should take.
const DEADLINE: Duration = Duration::from_secs(30);

/// The default seed is fixed, so that every change is tested with the same sequences.
const SEED: u64 = 31;

/// The settings of a run.
#[derive(Debug, Clone)]
pub(crate) struct DifferentialSettings {
    pub(crate) sequences: u64,
    pub(crate) seed: u64,
    /// The only sequence to run.
    pub(crate) only: Option<u64>,
    pub(crate) classes: Option<Vec<String>>,
    /// The longest wait for the next bytes of a response.
    pub(crate) deadline: Duration,
}

impl DifferentialSettings {
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str, otherwise: u64| match std::env::var(name) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{name}={text}: expected a whole number")),
            Err(_) => otherwise,
        };
        let classes = std::env::var("DIFFERENTIAL_CLASSES").ok();
        Self {
            sequences: number("DIFFERENTIAL_SEQUENCES", 2_000),
            seed: number("DIFFERENTIAL_SEED", SEED),
            only: std::env::var_os("DIFFERENTIAL_ONLY").map(|_| number("DIFFERENTIAL_ONLY", 0)),
            classes: classes.map(|names| {
                names
                    .split(',')
                    .map(|name| name.trim().to_owned())
                    .collect()
            }),
            deadline: DEADLINE,
        }
    }

    /// Plain requests only.
    pub(crate) fn plain(sequences: u64, seed: u64) -> Self {
        Self {
            sequences,
            seed,
            only: None,
            classes: Some(Vec::new()),
            deadline: DEADLINE,
        }
    }

    /// The numbers of the sequences to run.
    pub(crate) fn numbers(&self) -> std::ops::Range<u64> {
        self.only
            .map_or(0..self.sequences, |number| number..number + 1)
    }

    /// Whether only some classes are used.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.classes.is_some() || self.only.is_some()
    }

    /// Whether sequences may contain this class.
    pub(crate) fn may(&self, class: MutationClass) -> bool {
        self.classes
            .as_ref()
            .is_none_or(|names| names.contains(&format!("{class:?}")))
    }

    /// The mutations that may be applied to a read that waits.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &'static Mutation> {
        MUTATIONS
            .iter()
            .filter(|mutation| mutation.on_waits && self.may(mutation.class))
    }
}
