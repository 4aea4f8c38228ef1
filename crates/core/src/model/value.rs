//! Values that clients send and the server keeps, validated the same way however they arrive.
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
//! Those of subscriptions stand in `subscriptions/definition.rs`, `glob.rs` and `target.rs`.

use super::Expiry;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};
use tailwater_protocol::timestamp;

/// The longest producer id and `Stream-Seq`, in bytes: both are kept for as long as their stream.
pub(super) const MARK_BYTES_MAX: usize = 256;
/// The longest content type, in bytes.
const CONTENT_TYPE_BYTES_MAX: usize = 256;
/// The largest number of seconds or bytes: what JavaScript counts exactly.
pub const NUMBER_MAX: u64 = (1 << 53) - 1;
/// Characters of a refused value that its error repeats.
const SHOWN_CHARS: usize = 80;

/// A value that the server does not take (400).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` must be {expected}, not {came}")]
pub struct ValueError {
    /// Which value, as the one who sent it calls it.
    pub field: &'static str,
    /// What is taken.
    pub expected: String,
    /// What came; of a long value the beginning, or its length.
    pub came: String,
}

impl ValueError {
    /// Something else than `expected` came.
    pub fn new(field: &'static str, expected: impl Into<String>, came: impl fmt::Display) -> Self {
        let came = came.to_string();
        let came = match came.char_indices().nth(SHOWN_CHARS) {
            Some((end, _)) => format!("`{}...`", &came[..end]),
            None => format!("`{came}`"),
        };
        Self {
            field,
            expected: expected.into(),
            came,
        }
    }

    fn length(field: &'static str, expected: String, bytes: usize) -> Self {
        Self {
            field,
            expected,
            came: format!("one of {bytes} bytes"),
        }
    }
}

/// A writer's own sequence (`Stream-Seq`), which must rise in byte order; at most 256 bytes of visible ASCII.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamSeq(String);

impl StreamSeq {
    /// The longest, in bytes.
    pub const BYTES_MAX: usize = MARK_BYTES_MAX;

    /// The sequence that `text` spells.
    ///
    /// - `field`: what the one who sent it calls it.
    ///
    /// # Errors
    /// [`ValueError`] when it is too long or not visible ASCII (400).
    pub fn parse(field: &'static str, text: &str) -> Result<Self, ValueError> {
        check_mark(field, text, 0).map(|()| Self(text.to_owned()))
    }

    /// The sequence as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Checks what a writer leaves behind: `least` to 256 bytes of what a header can carry.
pub(super) fn check_mark(field: &'static str, text: &str, least: usize) -> Result<(), ValueError> {
    if !(least..=MARK_BYTES_MAX).contains(&text.len()) {
        let expected = format!("a text of {least} to {MARK_BYTES_MAX} bytes");
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

/// A content type without the white space around it; `None` when nothing else is there.
///
/// - `field`: what the one who sent it calls it.
///
/// # Errors
/// [`ValueError`] when it is not `type/subtype`, perhaps with parameters, in at most 256 bytes of visible ASCII (400).
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

/// A number of seconds or bytes.
///
/// - `least`: the smallest that is taken.
///
/// # Errors
/// [`ValueError`] when it is smaller, or above [`NUMBER_MAX`] (400).
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
    /// The end at a date, which is kept and told to the millisecond; smaller fractions are dropped.
    ///
    /// - `since_1970`: time since 1970 began in UTC.
    ///
    /// # Errors
    /// [`ValueError`] when it lies beyond the year 9999, which no date can name (400).
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
        let told = StreamSeq::parse("stream-seq", &(whole + "x"))
            .unwrap_err()
            .to_string();
        assert_eq!(
            told,
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
