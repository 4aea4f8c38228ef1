//! Messages as a client receives them.

/// The content of a page, a line or an event, by the kind of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// Messages of a JSON stream, each its own text, bytes as the writer sent them (but line breaks between tokens).
    Json(Vec<String>),
    /// A piece of a text stream.
    Text(String),
    /// A piece of any other stream.
    Binary(Vec<u8>),
}

impl Data {
    /// Whether nothing arrived.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Json(messages) => messages.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Binary(bytes) => bytes.is_empty(),
        }
    }

    /// Payload bytes: message texts, text or bytes, without any envelope or separator.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Json(messages) => messages.iter().map(String::len).sum(),
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}
