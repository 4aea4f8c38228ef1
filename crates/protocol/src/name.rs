//! Stream names: validation, and encoding in a URL.

use crate::percent::{self, PercentError};
use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of a stream: one or more segments, separated by `/`.
///
/// The name is percent-encoded in URLs and unencoded everywhere else: in lists, subscriptions,
/// exports and on the command line.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// Why a text is not a stream name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The name or a segment is empty.
    #[error("the stream path `{0}` has an empty segment")]
    EmptySegment(String),
    /// A segment is `.` or `..`.
    #[error("the stream path `{0}` has the segment `.` or `..`")]
    DotSegment(String),
    /// The path cannot be decoded.
    #[error("the stream path cannot be decoded: {0}")]
    Encoding(#[from] PercentError),
    /// The path contains `%2F`, which could be confused with a separator.
    #[error(
        "the stream path has an escaped slash (%2F), which a name cannot contain: write slashes between segments unescaped"
    )]
    EscapedSlash,
    /// The name contains a control character.
    #[error("the stream path has a control character at byte {0}")]
    Control(usize),
    /// The name is too long (414).
    #[error("the stream path has {bytes} bytes, the limit is {limit}")]
    TooLong {
        /// The number of bytes.
        bytes: usize,
        /// The maximum number of bytes.
        limit: usize,
    },
    /// The name has too many segments (414).
    #[error("the stream path has {segments} segments, the limit is {limit}")]
    TooManySegments {
        /// The number of segments.
        segments: usize,
        /// The maximum number of segments.
        limit: usize,
    },
}

impl StreamName {
    /// The maximum length of a name in bytes.
    pub const BYTES_MAX: usize = 512;
    /// The maximum number of segments.
    pub const SEGMENTS_MAX: usize = 16;

    /// Parses a name that is not percent-encoded.
    ///
    /// - `text`: the name, without a leading slash.
    ///
    /// # Errors
    /// [`NameError`] except [`NameError::Encoding`] and [`NameError::EscapedSlash`] (400, or 414 if the
    /// name is too long).
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong {
                bytes: text.len(),
                limit: Self::BYTES_MAX,
            });
        }
        let segments = || text.as_bytes().split(|byte| *byte == b'/');
        let count = segments().count();
        if count > Self::SEGMENTS_MAX {
            return Err(NameError::TooManySegments {
                segments: count,
                limit: Self::SEGMENTS_MAX,
            });
        }
        if segments().any(<[u8]>::is_empty) {
            return Err(NameError::EmptySegment(text.to_owned()));
        }
        if segments().any(|segment| segment == b"." || segment == b"..") {
            return Err(NameError::DotSegment(text.to_owned()));
        }
        if let Some((at, _)) = text
            .char_indices()
            .find(|(_, character)| character.is_control())
        {
            return Err(NameError::Control(at));
        }
        Ok(Self(text.into()))
    }

    /// Parses a percent-encoded name; decodes it once.
    ///
    /// - `path`: the part of the request path after the prefix, such as `/v1/stream/`, without the query.
    ///
    /// # Errors
    /// All of [`NameError`] (400, or 414 if the name is too long).
    pub fn from_path(path: &str) -> Result<Self, NameError> {
        if !path.contains('%') {
            return Self::parse(path);
        }
        if path
            .as_bytes()
            .windows(3)
            .any(|escape| escape.eq_ignore_ascii_case(b"%2F"))
        {
            return Err(NameError::EscapedSlash);
        }
        Self::parse(&percent::decode(path)?)
    }

    /// The percent-encoded name; the inverse of [`StreamName::from_path`].
    pub fn to_path(&self) -> String {
        percent::encode_path(&self.0)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name is in `__ds`, which is reserved for other resources of the server.
    pub fn is_reserved(&self) -> bool {
        Self::is_reserved_path(&self.0)
    }

    /// As [`StreamName::is_reserved`], for a text that may not be a valid name.
    pub fn is_reserved_path(text: &str) -> bool {
        text.strip_prefix("__ds")
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

/// Names are ordered like their texts, so maps of names can be searched with any text.
impl Borrow<str> for StreamName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_path_is_decoded_once_and_its_encoding_parses_back() {
        let printable = (b' '..=b'~').map(char::from).filter(|it| *it != '/');
        for character in printable.chain("é한😀\u{301}\u{fffd}\u{2028}".chars()) {
            let text = format!("a{character}b/{character}{character}{character}");
            let Ok(name) = StreamName::parse(&text) else {
                panic!("{text}")
            };
            assert_eq!(name.as_str(), text);
            let path = name.to_path();
            let lower_case = if character.is_ascii_uppercase() {
                path.clone()
            } else {
                path.to_lowercase()
            };
            for spelled in [path, lower_case] {
                assert_eq!(
                    StreamName::from_path(&spelled),
                    Ok(name.clone()),
                    "{spelled}"
                );
            }
        }
        for (path, text) in [
            ("a+b", "a+b"),
            ("a%2bb", "a+b"),
            ("90%25", "90%"),
            ("%2541", "%41"),
            ("a\\b", "a\\b"),
        ] {
            assert_eq!(
                StreamName::from_path(path).map(|name| name.to_string()),
                Ok(text.to_owned()),
                "{path}"
            );
        }
    }

    #[test]
    fn invalid_names_are_refused_in_every_encoding() {
        for path in [
            "",
            "/",
            "a/",
            "/a",
            "a//b",
            ".",
            "..",
            "a/../b",
            "%2e",
            ".%2E",
            "a/%2e%2e/b",
            "%00",
            "a%0Ab",
            "%7f",
            "%C2%85",
        ] {
            assert!(StreamName::from_path(path).is_err(), "{path}");
        }
        for path in ["a%2Fb", "a%2fb", "%2F", "a/%2f", "%2f%zz"] {
            assert_eq!(
                StreamName::from_path(path),
                Err(NameError::EscapedSlash),
                "{path}"
            );
        }
        for path in ["%", "90%", "%zz", "%2", "a%2", "%%34", "%ff"] {
            assert!(
                matches!(StreamName::from_path(path), Err(NameError::Encoding(_))),
                "{path}"
            );
        }
        assert_eq!(
            StreamName::from_path("a%252Fb"),
            StreamName::parse("a%2Fb"),
            "a percent sign, not a slash"
        );
    }

    proptest! {
        #[test]
        fn a_valid_path_and_its_canonical_encoding_name_one_stream(path in "([a-z%./_~+é ]|%[0-9a-fA-F]{2}|\\PC){0,24}") {
            if let Ok(name) = StreamName::from_path(&path) {
                prop_assert_eq!(StreamName::from_path(&name.to_path()), Ok(name.clone()));
                prop_assert_eq!(StreamName::parse(name.as_str()), Ok(name.clone()));
                prop_assert!(name.as_str().len() <= StreamName::BYTES_MAX && !name.as_str().chars().any(char::is_control));
                prop_assert!(name.as_str().split('/').all(|segment| !["", ".", ".."].contains(&segment)));
            }
        }

        #[test]
        fn a_path_without_percent_signs_is_the_name(text in "[a-z./~+é]{0,24}") {
            prop_assert_eq!(StreamName::from_path(&text), StreamName::parse(&text));
        }
    }
}
