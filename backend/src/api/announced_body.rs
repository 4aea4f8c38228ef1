//! The body of a request as its header fields announce it.

use super::Headers;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use tailwater_protocol::headers::content_length;

/// The body that the head of a request announces.
///
/// Source: RFC 9112, section 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnnouncedBody {
    /// There is no body.
    Absent,
    /// Exactly this many bytes, possibly none.
    Bytes(u64),
    /// The length is not announced (`Transfer-Encoding: chunked`).
    Unknown,
}

impl AnnouncedBody {
    /// Reads the announcement from `map`; the parser has already rejected contradictory heads.
    pub fn of(map: &impl Headers) -> Self {
        if map.values(TRANSFER_ENCODING.as_str()).next().is_some() {
            return Self::Unknown;
        }
        match map.values(CONTENT_LENGTH.as_str()).next() {
            None => Self::Absent,
            Some(value) => content_length(value).map_or(Self::Unknown, Self::Bytes),
        }
    }

    /// The number of bytes, if it is announced.
    pub fn bytes(self) -> Option<u64> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Absent | Self::Unknown => None,
        }
    }
}
