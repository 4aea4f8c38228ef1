//! What a stream may be called.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// A stream's name: the path after `/v1/stream/`, percent-decoded, of one or more segments.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamName(Arc<str>);

/// A path that can't name a stream.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No name at all, or an empty segment.
    #[error("the stream path `{0}` has an empty segment")]
    EmptySegment(String),
    /// `.` or `..`.
    #[error("the stream path `{0}` has the segment `.` or `..`")]
    DotSegment(String),
    /// Bytes that are not UTF-8: they decode to U+FFFD, and different paths would name one stream.
    #[error("the stream path is not UTF-8 once percent-decoded")]
    NotUtf8,
    /// A control character.
    #[error("the stream path has a control character at byte {0}")]
    Control(usize),
    /// Too long (414).
    #[error("the stream path has {came} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes that came.
        came: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// Too many segments (414).
    #[error("the stream path has {came} segments, the limit is {limit}")]
    TooManySegments {
        /// Segments that came.
        came: usize,
        /// Segments allowed.
        limit: usize,
    },
}

impl StreamName {
    /// The longest name, in bytes.
    pub const BYTES_MAX: usize = 512;
    /// The most segments.
    pub const SEGMENTS_MAX: usize = 16;

    /// The name that `path` spells; no leading slash.
    ///
    /// # Errors
    /// All of [`NameError`] (400, or 414 where it is only too long).
    pub fn parse(path: &str) -> Result<Self, NameError> {
        if path.len() > Self::BYTES_MAX {
            return Err(NameError::TooLong { came: path.len(), limit: Self::BYTES_MAX });
        }
        let segments = path.bytes().filter(|byte| *byte == b'/').count() + 1;
        if segments > Self::SEGMENTS_MAX {
            return Err(NameError::TooManySegments { came: segments, limit: Self::SEGMENTS_MAX });
        }
        if path.split('/').any(str::is_empty) {
            return Err(NameError::EmptySegment(path.to_owned()));
        }
        if path.split('/').any(|segment| segment == "." || segment == "..") {
            return Err(NameError::DotSegment(path.to_owned()));
        }
        if path.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Ok(Self(path.into()));
        }
        if path.contains(char::REPLACEMENT_CHARACTER) {
            return Err(NameError::NotUtf8);
        }
        if let Some((at, _)) = path.char_indices().find(|(_, character)| character.is_control()) {
            return Err(NameError::Control(at));
        }
        Ok(Self(path.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies under `__ds`, where the server's own paths are and no streams.
    pub fn is_reserved(&self) -> bool {
        self.0.split('/').next() == Some("__ds")
    }
}

/// Compared as its text is, so that any text finds its place among names.
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
    fn lengths_and_numbers_of_segments_are_taken_up_to_their_limits() {
        let segments = |count: usize| vec!["s"; count].join("/");
        assert!(StreamName::parse(&"x".repeat(512)).is_ok() && StreamName::parse(&segments(16)).is_ok());
        assert!(matches!(StreamName::parse(&"x".repeat(513)), Err(NameError::TooLong { came: 513, limit: 512 })));
        assert!(matches!(StreamName::parse(&segments(17)), Err(NameError::TooManySegments { came: 17, limit: 16 })));
    }

    proptest! {
        #[test]
        fn what_is_a_name_is_kept_as_it_is_and_has_whole_segments(text in "([a-c. %é\\x00-\\x20]{0,3}/){0,18}.{0,4}|.{0,40}") {
            if let Ok(name) = StreamName::parse(&text) {
                prop_assert_eq!(name.as_str(), &text);
                prop_assert_eq!(StreamName::parse(&name.to_string()), Ok(name.clone()));
                let segments: Vec<&str> = text.split('/').collect();
                prop_assert!(segments.iter().all(|it| !["", ".", ".."].contains(it)) && segments.len() <= 16);
                prop_assert!(text.len() <= 512 && !text.chars().any(char::is_control));
                prop_assert_eq!(name.is_reserved(), segments[0] == "__ds");
            }
        }
    }
}
