//! Patterns for stream names: `*` matches one segment, `**` any number, anything else itself. Pure.

use std::fmt;
use tailwater_core::StreamName;

/// A pattern for stream names.
///
/// Source: Durable Streams protocol, section 6.2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<GlobPart>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum GlobPart {
    Literal(String),
    One,
    Any,
}

/// Why a pattern is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GlobError {
    /// It is longer than any name.
    #[error("the pattern has {received} bytes, the limit is {limit}")]
    TooLong {
        /// Bytes received.
        received: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// It has more segments than any name.
    #[error("the pattern has {received} segments, the limit is {limit}")]
    TooManySegments {
        /// Segments received.
        received: usize,
        /// Segments allowed.
        limit: usize,
    },
    /// It has an empty segment, which matches nothing.
    #[error("the pattern `{0}` has an empty segment")]
    EmptySegment(String),
    /// A segment has a star next to other characters.
    #[error(
        "the pattern's segment `{0}` mixes `*` with other characters: expected `*` or `**` alone, or a plain name"
    )]
    MixedSegment(String),
}

impl Glob {
    /// Parses a pattern; a leading slash is ignored.
    ///
    /// # Errors
    /// All of [`GlobError`] (400).
    pub fn parse(text: &str) -> Result<Self, GlobError> {
        let text = text.strip_prefix('/').unwrap_or(text);
        if text.len() > StreamName::BYTES_MAX {
            return Err(GlobError::TooLong {
                received: text.len(),
                limit: StreamName::BYTES_MAX,
            });
        }
        let received = text.split('/').count();
        if received > StreamName::SEGMENTS_MAX {
            return Err(GlobError::TooManySegments {
                received,
                limit: StreamName::SEGMENTS_MAX,
            });
        }
        let part = |segment: &str| match segment {
            "" => Err(GlobError::EmptySegment(text.to_owned())),
            "*" => Ok(GlobPart::One),
            "**" => Ok(GlobPart::Any),
            mixed if mixed.contains('*') => Err(GlobError::MixedSegment(mixed.to_owned())),
            plain => Ok(GlobPart::Literal(plain.to_owned())),
        };
        let parts = text.split('/').map(part).collect::<Result<_, _>>()?;
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }

    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The common prefix of all matching names; may be empty.
    pub fn prefix(&self) -> &str {
        let end = self.text.find('*').unwrap_or(self.text.len());
        let plain = &self.text[..end];
        // `a/**` also matches `a`, which has no slash after it.
        if self.text[end..].starts_with("**") {
            plain.trim_end_matches('/')
        } else {
            plain
        }
    }

    /// Whether `name` matches.
    ///
    /// Tracks the set of possible positions in the pattern, so the time is linear in the name for
    /// every pattern.
    pub fn matches(&self, name: &StreamName) -> bool {
        // Bit `n`: the first `n` parts are matched. A pattern has at most 16 parts.
        let mut at = self.skip_any(1);
        for segment in name.as_str().split('/') {
            let mut next = 0_u32;
            for (index, part) in self
                .parts
                .iter()
                .enumerate()
                .filter(|(index, _)| at >> index & 1 == 1)
            {
                next |= match part {
                    GlobPart::Any => 1 << index,
                    GlobPart::One => 1 << (index + 1),
                    GlobPart::Literal(text) if text == segment => 1 << (index + 1),
                    GlobPart::Literal(_) => 0,
                };
            }
            at = self.skip_any(next);
        }
        at >> self.parts.len() & 1 == 1
    }

    /// `at`, and the positions reached from there when `**` matches nothing.
    fn skip_any(&self, mut at: u32) -> u32 {
        for (index, part) in self.parts.iter().enumerate() {
            if *part == GlobPart::Any && at >> index & 1 == 1 {
                at |= 1 << (index + 1);
            }
        }
        at
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> StreamName {
        StreamName::parse(text).unwrap()
    }

    #[test]
    fn one_star_matches_a_segment_and_two_any_number() {
        for (pattern, yes, no) in [
            (
                "events/*",
                &["events/a", "events/é"][..],
                &["events", "events/a/b", "other/a", "eventsx/a"][..],
            ),
            ("/events/*", &["events/a"], &["events"]),
            (
                "events/**",
                &["events", "events/a", "events/a/b/c"],
                &["event", "other/events"],
            ),
            ("**", &["a", "a/b", "a/b/c"], &[]),
            ("*", &["a"], &["a/b"]),
            ("a/b", &["a/b"], &["a", "a/b/c", "a/c"]),
            ("**/log", &["log", "a/log", "a/b/log"], &["log/a", "a/logs"]),
            (
                "a/**/b/*",
                &["a/b/c", "a/x/b/c", "a/b/b/c", "a/x/y/b/b"],
                &["a/b", "a/x/c", "b/c"],
            ),
            ("**/**", &["a", "a/b"], &[]),
            ("*/**", &["a", "a/b"], &[]),
            ("**/*/*", &["a/b", "x/a/b"], &["a"]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for yes in yes {
                assert!(glob.matches(&name(yes)), "{pattern} {yes}");
                assert!(yes.starts_with(glob.prefix()), "{pattern} {yes}");
            }
            for no in no {
                assert!(!glob.matches(&name(no)), "{pattern} {no}");
            }
        }
    }

    #[test]
    fn a_pattern_of_many_double_stars_is_fast() {
        let glob = Glob::parse(&vec!["**"; 16].join("/")).unwrap();
        assert!(glob.matches(&name(&vec!["a"; 16].join("/"))));
        let glob = Glob::parse(&format!("{}/z", vec!["**"; 15].join("/"))).unwrap();
        assert!(!glob.matches(&name(&vec!["a"; 16].join("/"))));
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for wrong in ["", "a//b", "a/", "a*/b", "a/***", "x**", "%2A*"] {
            assert!(Glob::parse(wrong).is_err(), "{wrong}");
        }
        assert!(matches!(
            Glob::parse(&vec!["*"; 17].join("/")),
            Err(GlobError::TooManySegments { .. })
        ));
        assert!(matches!(
            Glob::parse(&"a".repeat(513)),
            Err(GlobError::TooLong { .. })
        ));
    }
}
