//! Messages as a client receives them.

/// The content of a page, a line or an event; the variant depends on the stream's content type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// The messages of a JSON stream, each with the bytes that the writer sent. Line breaks between
    /// tokens may differ.
    Json(Vec<String>),
    /// Part of a text stream.
    Text(String),
    /// Part of any other stream.
    Binary(Vec<u8>),
}

impl Data {
    /// Whether there are no messages, characters or bytes.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Json(messages) => messages.is_empty(),
            Self::Text(text) => text.is_empty(),
            Self::Binary(bytes) => bytes.is_empty(),
        }
    }

    /// The number of payload bytes, without envelopes and separators.
    pub fn payload_bytes(&self) -> usize {
        match self {
            Self::Json(messages) => messages.iter().map(String::len).sum(),
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}
