//! The body of every refusal: a problem document (RFC 9457) that says what was wrong with what.

use serde::{Deserialize, Serialize};

use crate::json::{self, FromJson, JsonError, Value};

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
        json::read(body).ok()
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

impl FromJson for Problem {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        Ok(Self {
            kind: value.member("type")?,
            title: value.member("title")?,
            status: value.member("status")?,
            detail: value.member("detail")?,
        })
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({}): {}", self.title, self.status, self.detail)
    }
}
