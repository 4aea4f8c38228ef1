//! The body of every error response: a problem document (RFC 9457).

use crate::document;
use serde::{Deserialize, Serialize};

/// An `application/problem+json` body.
///
/// Source: RFC 9457, section 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A short stable identifier of the problem type, as a URI reference: `#past-tail`.
    #[serde(rename = "type")]
    pub kind: String,
    /// A short description of the problem type.
    pub title: String,
    /// The HTTP status code of the response.
    pub status: u16,
    /// The details: the expected and the received values.
    pub detail: String,
}

impl Problem {
    /// The media type of the body.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// Parses a problem document; `None` if `body` is not one.
    pub fn parse(body: &[u8]) -> Option<Self> {
        document::read(body).ok()
    }

    /// Describes an error response for a user: the problem in `body`, or otherwise the status code
    /// and the beginning of the body.
    pub fn describe(status: u16, body: &[u8]) -> String {
        if let Some(problem) = Self::parse(body) {
            return problem.to_string();
        }
        let begin: String = String::from_utf8_lossy(body)
            .trim()
            .chars()
            .take(200)
            .collect();
        let separator = if begin.is_empty() { "" } else { ": " };
        format!("the server answered with status {status}{separator}{begin}")
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.title, self.status, self.detail)
    }
}
