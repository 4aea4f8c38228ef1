//! What keeps the lanes from being set up, and what becomes of a refusal.

use crate::api::outcome::Refusal;

/// Why following can't begin.
pub(super) enum Trouble {
    /// The server does not answer.
    Gone,
    /// There is no such stream.
    Missing,
    /// The server said no, in words.
    Refused(String),
    /// Something else was asked for meanwhile.
    Outdated,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unreachable(_) => Self::Gone,
            refusal if refusal.is_missing() => Self::Missing,
            Refusal::Status(_, why) => Self::Refused(why),
        }
    }
}
