//! A whole response: status, header fields and content, independent of how it is sent.

use super::fields::{FieldValue, Fields};
use super::{Charge, names};
use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName};
use serde::Serialize;
use tailwater_protocol::StreamOffset;
use tailwater_protocol::headers::ContentKind;

/// `Cache-Control` of responses that are valid only now.
pub const NO_STORE: &str = "no-store";

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
        answer.forbid_storing();
        answer
    }

    /// Forbids every cache to keep the response.
    pub fn forbid_storing(&mut self) {
        self.put(&CACHE_CONTROL, NO_STORE);
    }

    /// Adds the offset after the response's data, and whether the stream is closed there.
    pub fn put_end(&mut self, next: StreamOffset, closed: bool) {
        self.put(&names::STREAM_NEXT_OFFSET, &next);
        if closed {
            self.put(&names::STREAM_CLOSED, "true");
        }
    }

    /// Adds a JSON document as the content.
    ///
    /// - `content_type`: its media type.
    pub fn put_json(&mut self, content_type: &str, document: &impl Serialize) {
        self.put(&CONTENT_TYPE, content_type);
        let text = serde_json::to_string(document).unwrap_or_default();
        self.content = Some(Content::of(text));
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
