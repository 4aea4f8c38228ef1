//! Errors of setting up the lanes.

use crate::api::outcome::ApiError;

/// Why the lanes can't be set up.
pub(super) enum RaceSetupError {
    /// The server does not respond.
    Unreachable,
    /// The stream does not exist.
    Missing,
    /// The server refused a request, with the reason.
    Refused(String),
    /// The settings were changed meanwhile.
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
