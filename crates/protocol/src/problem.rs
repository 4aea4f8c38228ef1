//! The body of every refusal: a problem document (RFC 9457) that says what was wrong with what.

use crate::document;
use serde::{Deserialize, Serialize};

/// An `application/problem+json` body.
///
/// Source: RFC 9457, section 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A short stable name of the kind of problem, as a URI reference: `#past-tail`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind of problem in a few words.
    pub title: String,
    /// The HTTP status code it came with.
    pub status: u16,
    /// What was expected and what came.
    pub detail: String,
}

impl Problem {
    /// The media type of the body.
    pub const CONTENT_TYPE: &'static str = "application/problem+json";

    /// The problem in `body`, if it is one.
    pub fn parse(body: &[u8]) -> Option<Self> {
        document::read(body).ok()
    }

    /// A refusal for people to read: the problem in `body`, else the status code and how the body begins.
    pub fn in_words(status: u16, body: &[u8]) -> String {
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
