//! A whole response: status, header fields and content, independent of how it is sent.

use super::Charge;
use super::fields::{FieldValue, Fields};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, HeaderName};
use tailwater_protocol::headers::ContentKind;

/// A whole response.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The response's own header fields, without the content's length.
    pub fields: Fields,
    /// The content; `None` where the status allows none.
    pub content: Option<Content>,
    /// Whether the connection is closed afterwards.
    pub closes: bool,
}

/// A response's content: messages and the brackets around them, without copying.
#[derive(Debug, Default)]
pub struct Content {
    /// Before the messages, the messages, after them; each may be empty.
    pub parts: [Bytes; 3],
    /// Its share of the server's memory budget until it is written.
    pub charge: Option<Charge>,
}

impl Answer {
    /// A response without fields or content.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            fields: Fields::default(),
            content: None,
            closes: false,
        }
    }

    /// Answers `OPTIONS` with the allowed methods.
    pub fn options(allowed: &'static str) -> Self {
        let mut answer = Self::new(StatusCode::NO_CONTENT);
        answer.put(&ALLOW, allowed);
        answer.put(&CACHE_CONTROL, "no-store");
        answer
    }

    /// Adds one field, as [`Fields::put`].
    pub fn put(&mut self, name: &HeaderName, value: &(impl FieldValue + ?Sized)) {
        self.fields.put(name, value);
    }
}

impl Content {
    /// Messages as a client reads them: JSON as an array, everything else as it was appended.
    ///
    /// - `data`: whole messages as stored, each JSON message followed by a comma.
    pub fn messages(kind: ContentKind, mut data: Bytes) -> Self {
        let parts = if kind == ContentKind::Json {
            if data.ends_with(b",") {
                data.truncate(data.len() - 1);
            }
            [Bytes::from_static(b"["), data, Bytes::from_static(b"]")]
        } else {
            [Bytes::new(), data, Bytes::new()]
        };
        Self {
            parts,
            charge: None,
        }
    }

    /// Any other content.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        Self {
            parts: [bytes.into(), Bytes::new(), Bytes::new()],
            charge: None,
        }
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.parts.iter().map(Bytes::len).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_messages_form_an_array_others_are_unchanged() {
        for (kind, data, whole) in [
            (ContentKind::Json, "", "[]"),
            (ContentKind::Json, "1,", "[1]"),
            (ContentKind::Json, "1,22,", "[1,22]"),
            (ContentKind::Text, "1,", "1,"),
        ] {
            let content = Content::messages(kind, Bytes::from_static(data.as_bytes()));
            assert_eq!(content.parts.concat(), whole.as_bytes());
            assert_eq!((content.len(), content.is_empty()), (whole.len(), false));
        }
    }
}
