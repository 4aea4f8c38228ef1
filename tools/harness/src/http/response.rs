//! A response as a whole, and what tests ask of every one.

use super::DecodedHead;
use bytes::Bytes;
use tailwater_protocol::{Problem, headers};

/// A response: its head, and its body once that has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status line; empty when another client has read the response.
    pub line: String,
    /// Three digits.
    pub status: u16,
    /// Header fields: names in lower case, in the order in which they came.
    pub fields: Vec<(String, String)>,
    /// The body without framing; empty when there is none.
    pub body: Bytes,
}

impl Response {
    /// A response that another client has read.
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

    /// Whether a header field is `true`.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.header(name) == Some("true")
    }

    /// Whether the connection ends after this response, as it says itself.
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
    /// When it is no UTF-8.
    #[must_use]
    #[track_caller]
    pub fn text(&self) -> &str {
        match std::str::from_utf8(&self.body) {
            Ok(text) => text,
            Err(_) => fail(self, "a body that is no text"),
        }
    }

    /// `Stream-Next-Offset`.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    #[track_caller]
    pub fn next_offset(&self) -> String {
        match self.header(headers::STREAM_NEXT_OFFSET) {
            Some(next) => next.to_owned(),
            None => fail(self, "no Stream-Next-Offset"),
        }
    }

    /// This response.
    ///
    /// # Panics
    /// When it has another status.
    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }

    /// What is wrong with this as a refusal with a problem document that agrees with its status, if anything.
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
                "{status} with a body that is no problem document: {:?}",
                self.body
            ));
        };
        let texts = [&problem.kind, &problem.title, &problem.detail];
        let is_whole = problem.status == status && texts.iter().all(|text| !text.is_empty());
        (!is_whole).then(|| format!("{status} with a problem document that differs: {problem:?}"))
    }

    /// The problem document that this refuses with.
    ///
    /// # Panics
    /// When there is none, or when it does not agree with the status.
    #[must_use]
    #[track_caller]
    pub fn problem(&self) -> Problem {
        match (self.fault_as_problem(), Problem::parse(&self.body)) {
            (None, Some(problem)) => problem,
            (fault, _) => fail(self, &fault.unwrap_or_default()),
        }
    }

    /// The problem document that this refuses with.
    ///
    /// # Panics
    /// When it has another status, or as [`Response::problem`].
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
    /// The head alone.
    fn from(head: &DecodedHead<'_>) -> Self {
        let fields = head.fields();
        Self {
            line: head.line().to_owned(),
            ..Self::new(head.status, fields.iter(), Bytes::new())
        }
    }
}
