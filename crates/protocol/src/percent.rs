//! Percent-encoding of paths and query values as in RFC 3986; a `+` is not decoded to a space.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use std::borrow::Cow;

/// The bytes that are escaped in a value: all except letters, digits and `-._~`.
const IN_VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
/// The bytes that are escaped in a path.
const IN_PATH: &AsciiSet = &IN_VALUE.remove(b'/');

/// An error in percent-encoded text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PercentError {
    /// A percent sign is not followed by two hexadecimal digits.
    #[error(
        "`{found}` at byte {at} is not an escape: expected % and two hexadecimal digits (a percent sign itself is %25)"
    )]
    Escape {
        /// The index of the percent sign, in bytes.
        at: usize,
        /// The percent sign and up to 2 characters after it.
        found: String,
    },
    /// The decoded bytes are not UTF-8.
    #[error("the percent-decoded text is not UTF-8")]
    NotUtf8,
}

/// Decodes percent-encoded text, once.
///
/// - `encoded`: text with hexadecimal digits of either case. Characters that should be escaped but
///   are not are kept unchanged.
///
/// # Errors
/// [`PercentError`]: an escape is invalid, or the decoded bytes are not UTF-8.
///
/// Source: RFC 3986, section 2.1.
pub fn decode(encoded: &str) -> Result<String, PercentError> {
    // The library keeps a percent sign without digits unchanged; here it is an error.
    for (at, _) in encoded.match_indices('%') {
        let mut digits = encoded[at + 1..].bytes().take(2);
        if !(digits.len() == 2 && digits.all(|digit| digit.is_ascii_hexdigit())) {
            return Err(PercentError::Escape {
                at,
                found: encoded[at..].chars().take(3).collect(),
            });
        }
    }
    let plain = percent_decode_str(encoded).decode_utf8();
    plain
        .map(Cow::into_owned)
        .map_err(|_| PercentError::NotUtf8)
}

/// Encodes `text` as a path: escapes all characters except letters, digits, `-._~` and slashes.
///
/// Source: RFC 3986, section 2.3.
pub fn encode_path(text: &str) -> String {
    utf8_percent_encode(text, IN_PATH).to_string()
}

/// Encodes `text` as one path segment or a query value: escapes all characters except letters, digits and `-._~`.
///
/// Source: RFC 3986, section 2.3.
pub fn encode_value(text: &str) -> String {
    utf8_percent_encode(text, IN_VALUE).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_decoded_once_with_digits_of_either_case() {
        for (encoded, plain) in [
            ("", ""),
            ("a+b", "a+b"),
            ("%2b%2B", "++"),
            ("%25%32%35", "%25"),
            ("%252F", "%2F"),
            ("%c3%A9é", "éé"),
            ("%00", "\0"),
            ("%EF%BF%BD", "\u{fffd}"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Ok(plain), "{encoded}");
        }
    }

    #[test]
    fn an_invalid_escape_is_refused_with_its_index() {
        for (encoded, at, found) in [
            ("%", 0, "%"),
            ("90%", 2, "%"),
            ("%zz", 0, "%zz"),
            ("a%2", 1, "%2"),
            ("%é", 0, "%é"),
            ("%+1", 0, "%+1"),
        ] {
            let found = found.to_owned();
            assert_eq!(
                decode(encoded),
                Err(PercentError::Escape { at, found }),
                "{encoded}"
            );
        }
        assert_eq!(decode("%ff"), Err(PercentError::NotUtf8));
    }

    #[test]
    fn encoded_text_decodes_to_itself() {
        let all: String = (0..=0x2ff)
            .filter_map(char::from_u32)
            .chain("한😀\u{fffd}".chars())
            .collect();
        for encoded in [encode_path(&all), encode_value(&all)] {
            assert!(
                encoded.bytes().all(|byte| byte.is_ascii_graphic()),
                "{encoded}"
            );
            assert_eq!(decode(&encoded).as_deref(), Ok(&*all));
        }
        assert_eq!(
            (&*encode_path("a/b c"), &*encode_value("a/b c")),
            ("a/b%20c", "a%2Fb%20c")
        );
    }
}
