//! HTTP/1.1 responses, decoded strictly and without I/O.
//!
//! [`ResponseDecoder`] decodes the bytes of a connection in any split; [`Response`] is a complete
//! response. Source: RFC 9112.

mod decoder;
mod head;
mod response;
#[cfg(test)]
mod tests;

pub use decoder::{ResponseDecoder, ResponsePart};
pub use head::{BodyLength, DecodedHead, FieldLines};
pub use response::Response;

/// The bytes are not HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, found {found:?}")]
pub struct DecodeError {
    /// What was expected.
    pub expected: &'static str,
    /// The beginning of what was found instead.
    pub found: String,
}

impl DecodeError {
    fn new(expected: &'static str, found: &[u8]) -> Self {
        /// Enough to see the fault.
        const SHOWN_BYTES_MAX: usize = 200;
        let shown = &found[..found.len().min(SHOWN_BYTES_MAX)];
        Self {
            expected,
            found: String::from_utf8_lossy(shown).into_owned(),
        }
    }
}
