//! What a run does, from the environment.
//!
//! | variable | what it says | default |
//! | --- | --- | --- |
//! | `DIFFERENTIAL_SEQUENCES` | number of sequences | 2,000 |
//! | `DIFFERENTIAL_SEED` | the random seed; printed | 31 |
//! | `DIFFERENTIAL_ALL` | when set: also the classes that are still open | unset |
//! | `DIFFERENTIAL_CLASSES` | names of classes, with commas between: only these, beside plain requests | all |

use super::mutate::{MUTATIONS, Mutation};
use super::script::Class;
use std::time::Duration;

/// The longest that anything is waited for; nothing is expected to come near it.
const DEADLINE: Duration = Duration::from_secs(8);

/// Classes of which a few sequences in a thousand are still found at fault, from both servers alike: what is sent behind a
/// read that waits and was refused, and a HEAD behind a chunked body or an empty line, get no answer within the deadline. Of
/// requests sent ahead of a half-close one may get no answer from the server whose connections stay.
const OPEN: [Class; 7] = [
    Class::BodyOnRead,
    Class::FollowBeyond,
    Class::FollowDeleted,
    Class::HalfClose,
    Class::PipelinedHead,
    Class::TrailingBytes,
    Class::TransferEncoding,
];

/// Unless another one is asked for, the same sequences judge every change.
const SEED: u64 = 31;

/// The settings of a run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) sequences: u64,
    pub(crate) seed: u64,
    pub(crate) all: bool,
    pub(crate) classes: Option<Vec<String>>,
    /// The longest that the next bytes of an answer are waited for.
    pub(crate) deadline: Duration,
}

impl Settings {
    pub(crate) fn from_environment() -> Self {
        let number = |name: &str, otherwise: u64| match std::env::var(name) {
            Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: expected a whole number")),
            Err(_) => otherwise,
        };
        let classes = std::env::var("DIFFERENTIAL_CLASSES").ok();
        Self {
            sequences: number("DIFFERENTIAL_SEQUENCES", 2_000),
            seed: number("DIFFERENTIAL_SEED", SEED),
            all: std::env::var_os("DIFFERENTIAL_ALL").is_some(),
            classes: classes.map(|names| names.split(',').map(|name| name.trim().to_owned()).collect()),
            deadline: DEADLINE,
        }
    }

    /// Plain requests only.
    pub(crate) fn plain(sequences: u64, seed: u64) -> Self {
        Self { sequences, seed, all: false, classes: Some(Vec::new()), deadline: DEADLINE }
    }

    /// Whether some classes were asked for, and others not.
    pub(crate) fn is_narrowed(&self) -> bool {
        self.classes.is_some()
    }

    /// Whether sequences may contain this class.
    pub(crate) fn may(&self, class: Class) -> bool {
        match &self.classes {
            Some(names) => names.contains(&format!("{class:?}")),
            None => self.all || !OPEN.contains(&class),
        }
    }

    /// The mutations that may be applied to a read that waits.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &'static Mutation> {
        MUTATIONS.iter().filter(|mutation| mutation.on_waits && self.may(mutation.class))
    }
}
