//! A whole answer: status, header fields and content, before anybody puts it on a wire.

use super::Charge;
use super::fields::{FieldValue, Fields};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, HeaderName};
use tailwater_protocol::headers::ContentKind;

/// A whole answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The answer's own header fields; not the content's length.
    pub fields: Fields,
    /// The content; `None` where the status has none.
    pub content: Option<Content>,
    /// Whether the connection is of no more use afterwards.
    pub closes: bool,
}

/// An answer's content: brackets around messages, without copying them.
#[derive(Debug, Default)]
pub struct Content {
    /// Before the messages, the messages, after them; some may be empty.
    pub parts: [Bytes; 3],
    /// What it holds of the server's budget until it is written.
    pub charge: Option<Charge>,
}

impl Answer {
    /// An answer without fields or content.
    pub fn new(status: StatusCode) -> Self {
        Self {
            status,
            fields: Fields::default(),
            content: None,
            closes: false,
        }
    }

    /// Answers `OPTIONS` where it asks for no more than the methods.
    pub fn options(allowed: &'static str) -> Self {
        let mut answer = Self::new(StatusCode::NO_CONTENT);
        answer.put(&ALLOW, allowed);
        answer.put(&CACHE_CONTROL, "no-store");
        answer
    }

    /// Puts one field, as [`Fields::put`].
    pub fn put(&mut self, name: &HeaderName, value: &(impl FieldValue + ?Sized)) {
        self.fields.put(name, value);
    }
}

impl Content {
    /// Messages as a client reads them: JSON as an array, everything else as it was appended.
    ///
    /// - `data`: whole messages as kept, each JSON message followed by a comma.
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

    /// Bytes in all.
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
    fn json_messages_become_an_array_and_others_stay_as_they_are() {
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
