//! Validation of values from clients that the server stores, independent of the request format.
//!
//! | value | limit |
//! | --- | --- |
//! | stream name | [`StreamName`](super::StreamName): 1 to 512 bytes, 16 segments |
//! | content type | [`content_type`]: `type/subtype`, 256 bytes |
//! | producer id | [`ProducerId`](super::ProducerId): 1 to 256 bytes |
//! | `Stream-Seq` | [`StreamSeq`]: 256 bytes |
//! | epoch and sequence number of a producer | [`Accepted::MAX`](super::Accepted::MAX) |
//! | time to live, retention | [`whole_number`]: up to 2^53 - 1 seconds or bytes |
//! | date of expiry | [`Expiry::at`]: 1970 to 9999, in milliseconds |
//!
//! The values of subscriptions are validated in `backend/src/subscriptions/definition.rs`, `glob.rs`
//! and `target.rs`.

use super::Expiry;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use tailwater_protocol::timestamp;

/// The maximum length of a producer id and of `Stream-Seq` in bytes. Both are stored as long as the
/// stream exists.
pub(super) const WRITER_TEXT_BYTES_MAX: usize = 256;
/// The maximum length of a content type in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// The largest number of seconds or bytes: the largest integer that JavaScript represents exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// The maximum number of characters of an invalid value that the error quotes.
const SHOWN_CHARS: usize = 80;

/// An invalid value (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {expected}, not {received}")]
pub struct ValueError {
    /// The name of the field in the request.
    pub field: &'static str,
    /// The valid values.
    pub expected: String,
    /// The received value, truncated if it is long, or its length.
    pub received: String,
}

impl ValueError {
    /// Creates the error for a value that is not as `expected`.
    pub fn new(
        field: &'static str,
        expected: impl Into<String>,
        received: impl fmt::Display,
    ) -> Self {
        let received = received.to_string();
        let received = match received.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("`{}...`", &received[..end]),
            None => format!("`{received}`"),
        };
        Self {
            field,
            expected: expected.into(),
            received,
        }
    }

    fn length(field: &'static str, expected: String, bytes: usize) -> Self {
        Self {
            field,
            expected,
            received: format!("one of {bytes} bytes"),
        }
    }
}

/// The sequence string of a writer (`Stream-Seq`), which must increase in byte order; at most 256 bytes of visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSeq(String);

impl StreamSeq {
    /// The maximum length in bytes.
    pub const BYTES_MAX: usize = WRITER_TEXT_BYTES_MAX;

    /// Parses a sequence string.
    ///
    /// - `field`: the name of the field in the request, for the error.
    ///
    /// # Errors
    /// [`ValueError`]: the text is too long or not visible ASCII (400).
    pub fn parse(field: &'static str, text: &str) -> Result<Self, ValueError> {
        check_writer_text(field, text, 0).map(|()| Self(text.to_owned()))
    }

    /// The sequence string.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks that a text has `least` to 256 bytes and is valid in an HTTP header.
pub(super) fn check_writer_text(
    field: &'static str,
    text: &str,
    least: usize,
) -> Result<(), ValueError> {
    if !(least..=WRITER_TEXT_BYTES_MAX).contains(&text.len()) {
        let expected = format!("a text of {least} to {WRITER_TEXT_BYTES_MAX} bytes");
        return Err(ValueError::length(field, expected, text.len()));
    }
    if text
        .bytes()
        .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
    {
        return Ok(());
    }
    Err(ValueError::new(field, "visible ASCII", text.escape_debug()))
}

/// Validates a content type, and trims white space around it; `None` if it is empty.
///
/// - `field`: the name of the field in the request, for the error.
///
/// # Errors
/// [`ValueError`]: the text is not `type/subtype` with optional parameters in at most 256 bytes of
/// visible ASCII (400).
pub fn content_type<'a>(field: &'static str, text: &'a str) -> Result<Option<&'a str>, ValueError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    };
    let is_visible = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    match essence.split_once('/') {
        Some((kind, subtype))
            if is_token(kind)
                && is_token(subtype)
                && is_visible
                && text.len() <= CONTENT_TYPE_BYTES_MAX =>
        {
            Ok(Some(text))
        }
        _ => {
            let expected =
                format!("type/subtype in at most {CONTENT_TYPE_BYTES_MAX} bytes of visible ASCII");
            Err(ValueError::new(field, expected, text))
        }
    }
}

/// Validates a number of seconds or bytes.
///
/// - `least`: the smallest valid number.
///
/// # Errors
/// [`ValueError`]: the number is smaller than `least`, or larger than [`NUMBER_MAX`] (400).
pub fn whole_number(field: &'static str, number: u64, least: u64) -> Result<u64, ValueError> {
    if (least..=NUMBER_MAX).contains(&number) {
        return Ok(number);
    }
    Err(ValueError::new(
        field,
        format!("a whole number from {least} to {NUMBER_MAX}"),
        number,
    ))
}

impl Expiry {
    /// An expiry at a date, truncated to milliseconds.
    ///
    /// - `since_1970`: time since the Unix epoch.
    ///
    /// # Errors
    /// [`ValueError`]: the date is after the year 9999 and cannot be represented as text (400).
    pub fn at(field: &'static str, since_1970: Duration) -> Result<Self, ValueError> {
        let wrong = || ValueError::new(field, "a date from 1970 to 9999", since_1970.as_millis());
        let ms = u64::try_from(since_1970.as_millis())
            .ok()
            .filter(|_| since_1970 < timestamp::END);
        UNIX_EPOCH
            .checked_add(Duration::from_millis(ms.ok_or_else(wrong)?))
            .map(Self::At)
            .ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ProducerId;

    #[test]
    fn ids_and_sequences_are_limited_and_valid_in_a_header() {
        let whole = "x".repeat(256);
        assert_eq!(
            StreamSeq::parse("streamSeq", &whole).unwrap().as_str(),
            whole
        );
        assert!(
            ProducerId::parse("producerId", &whole).is_ok()
                && StreamSeq::parse("streamSeq", "").is_ok()
        );
        for wrong in [
            "",
            &(whole.clone() + "x"),
            &"x".repeat(65_527),
            "a\0",
            "\u{e9}",
            "a\nb",
            "\u{7f}",
        ] {
            assert!(ProducerId::parse("producerId", wrong).is_err(), "{wrong}");
        }
        let error = StreamSeq::parse("stream-seq", &(whole + "x"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "`stream-seq` must be a text of 0 to 256 bytes, not one of 257 bytes"
        );
    }

    #[test]
    fn content_types_are_pairs_of_tokens() {
        for (text, expected) in [
            ("text/plain", Ok(Some("text/plain"))),
            (
                " application/json; charset=utf-8 ",
                Ok(Some("application/json; charset=utf-8")),
            ),
            ("  ", Ok(None)),
            ("text", Err(())),
            ("/plain", Err(())),
            ("a/b/c", Err(())),
            ("text/pl ain", Err(())),
            ("text/plain; a=\u{e9}", Err(())),
        ] {
            assert_eq!(
                content_type("content-type", text).map_err(|_| ()),
                expected,
                "{text}"
            );
        }
        assert!(content_type("content-type", &format!("a/{}", "b".repeat(255))).is_err());
    }

    #[test]
    fn dates_are_kept_to_the_millisecond_up_to_year_9999() {
        let at = |ms: u64| Expiry::At(UNIX_EPOCH + Duration::from_millis(ms));
        let last = timestamp::END - Duration::from_nanos(1);
        assert_eq!(Expiry::at("x", Duration::from_nanos(1_999_999)), Ok(at(1)));
        assert_eq!(Expiry::at("x", last), Ok(at(253_402_300_799_999)));
        assert!(
            Expiry::at("x", timestamp::END).is_err() && Expiry::at("x", Duration::MAX).is_err()
        );
    }
}
