//! HTTP/1.1 responses, decoded strictly and without I/O: bytes in, parts out.
//!
//! [`ResponseDecoder`] takes the bytes of a connection as they come, cut anywhere; [`Response`] is what they amount to.
//! Source: RFC 9112.

mod decoder;
mod head;
mod response;
#[cfg(test)]
mod tests;

pub use decoder::{ResponseDecoder, ResponsePart};
pub use head::{BodyLength, DecodedHead, FieldLines};
pub use response::Response;

/// What came is not HTTP/1.1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}, came {came:?}")]
pub struct DecodeError {
    /// What should have come.
    pub expected: &'static str,
    /// The beginning of what came instead.
    pub came: String,
}

impl DecodeError {
    fn new(expected: &'static str, came: &[u8]) -> Self {
        /// More does not help to see what is wrong.
        const SHOWN_BYTES_MAX: usize = 200;
        let shown = &came[..came.len().min(SHOWN_BYTES_MAX)];
        Self {
            expected,
            came: String::from_utf8_lossy(shown).into_owned(),
        }
    }
}
