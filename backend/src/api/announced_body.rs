//! The body of a request as its header fields announce it.

use super::Headers;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};

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

/// The value of a `Content-Length` field; `None` unless it consists of digits.
///
/// Source: RFC 9110, section 8.6.
pub fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value).ok()?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_content_length_consists_of_digits() {
        for (value, bytes) in [
            ("0", Some(0)),
            ("007", Some(7)),
            ("18446744073709551615", Some(u64::MAX)),
            ("18446744073709551616", None),
            ("", None),
            ("+1", None),
            ("-1", None),
            ("1, 1", None),
            ("0x1", None),
            ("1.0", None),
        ] {
            assert_eq!(content_length(value.as_bytes()), bytes, "{value:?}");
        }
    }
}
