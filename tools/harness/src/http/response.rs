//! A complete response, and checks that many tests share.

use super::DecodedHead;
use bytes::Bytes;
use tailwater_protocol::{Problem, headers};

/// A response: its head, and its body once that has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status line; empty if another client read the response.
    pub line: String,
    /// The status code, three digits.
    pub status: u16,
    /// Header fields: names in lower case, in the order of arrival.
    pub fields: Vec<(String, String)>,
    /// The body without framing; empty if there is none.
    pub body: Bytes,
}

impl Response {
    /// A response that was read by another client.
    ///
    /// - `fields`: names and values.
    pub fn new<N: AsRef<str>, V: AsRef<[u8]>>(
        status: u16,
        fields: impl IntoIterator<Item = (N, V)>,
        body: impl Into<Bytes>,
    ) -> Self {
        let text = |value: V| String::from_utf8_lossy(value.as_ref()).into_owned();
        let fields = fields.into_iter();
        Self {
            line: String::new(),
            status,
            fields: fields
                .map(|(name, value)| (name.as_ref().to_ascii_lowercase(), text(value)))
                .collect(),
            body: body.into(),
        }
    }

    /// The first value of a header field.
    ///
    /// - `name`: in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields
            .iter()
            .find(|(own, _)| own == name)
            .map(|(_, value)| &**value)
    }

    /// Whether the value of a header field is `true`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.header(name) == Some("true")
    }

    /// Whether the response says that the connection closes after it.
    #[must_use]
    pub fn says_close(&self) -> bool {
        let values = self.fields.iter().filter(|(name, _)| name == "connection");
        values
            .flat_map(|(_, value)| value.split(','))
            .any(|word| word.trim().eq_ignore_ascii_case("close"))
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(_) => fail(self, "a body that is not text"),
        }
    }

    /// The value of `Stream-Next-Offset`.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    #[track_caller]
    pub fn next_offset(&self) -> String {
        match self.header(headers::STREAM_NEXT_OFFSET) {
            Some(next) => next.to_owned(),
            None => fail(self, "no Stream-Next-Offset"),
        }
    }

    /// Returns this response.
    ///
    /// # Panics
    /// If it has another status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// Describes how this response differs from a refusal with a problem document that agrees with its
    /// status; `None` if it does not.
    #[must_use]
    pub fn fault_as_problem(&self) -> Option<String> {
        let status = self.status;
        let content_type = self.header("content-type");
        if content_type != Some(Problem::CONTENT_TYPE) {
            return Some(format!(
                "{status} without a problem document: {content_type:?}"
            ));
        }
        let Some(problem) = Problem::parse(&self.body) else {
            return Some(format!(
                "{status} with a body that is not a problem document: {:?}",
                self.body
            ));
        };
        let texts = [&problem.kind, &problem.title, &problem.detail];
        let is_whole = problem.status == status && texts.iter().all(|text| !text.is_empty());
        (!is_whole).then(|| format!("{status} with a problem document that differs: {problem:?}"))
    }

    /// The problem document of this refusal.
    ///
    /// # Panics
    /// If there is none, or it does not agree with the status.
    #[must_use]
    #[track_caller]
    pub fn problem(&self) -> Problem {
        match (self.fault_as_problem(), Problem::parse(&self.body)) {
            (None, Some(problem)) => problem,
            (fault, _) => fail(self, &fault.unwrap_or_default()),
        }
    }

    /// The problem document of this refusal.
    ///
    /// # Panics
    /// If the response has another status, and like [`Response::problem`].
    #[track_caller]
    pub fn refuses(&self, status: u16) -> Problem {
        assert_eq!(self.status, status, "{self:?}");
        self.problem()
    }
}

#[track_caller]
#[expect(clippy::panic, reason = "a test fails by panicking")]
fn fail(response: &Response, why: &str) -> ! {
    panic!("{why}: {response:?}")
}

impl From<&DecodedHead<'_>> for Response {
    /// The head, without a body.
    fn from(head: &DecodedHead<'_>) -> Self {
        let fields = head.fields();
        Self {
            line: head.line().to_owned(),
            ..Self::new(head.status, fields.iter(), Bytes::new())
        }
    }
}
