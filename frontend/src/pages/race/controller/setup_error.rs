//! What keeps the lanes from being set up, and what becomes of a refusal.

use crate::api::outcome::ApiError;

/// Why following can't begin.
pub(super) enum RaceSetupError {
    /// The server does not answer.
    Unreachable,
    /// There is no such stream.
    Missing,
    /// The server said no, in words.
    Refused(String),
    /// Something else was asked for meanwhile.
    Outdated,
}

impl From<ApiError> for RaceSetupError {
    fn from(refusal: ApiError) -> Self {
        match refusal {
            ApiError::Unreachable(_) => Self::Unreachable,
            refusal if refusal.is_missing() => Self::Missing,
            ApiError::Status(_, why) => Self::Refused(why),
        }
    }
}
