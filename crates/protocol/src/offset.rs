//! Positions in a stream: the server's counted [`Offset`] and the client's opaque [`Token`].

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A position in a stream: the number of bytes before it, printed with 16 decimal digits so that the order of texts is
/// the order of positions.
///
/// Source: Durable Streams protocol, section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(u64);

impl Offset {
    /// The beginning of a stream.
    pub const ZERO: Self = Self(0);
    /// The largest position that 16 digits can represent, and the maximum length of a stream.
    pub const MAX: Self = Self(9_999_999_999_999_999);
    const DIGITS: usize = 16;

    /// The position after `bytes` bytes, or `None` beyond [`Offset::MAX`].
    pub fn new(bytes: u64) -> Option<Self> {
        (bytes <= Self::MAX.0).then_some(Self(bytes))
    }

    /// Bytes before this position.
    pub fn bytes(self) -> u64 {
        self.0
    }

    /// The 16 decimal digits of the printed form.
    pub fn digits(self) -> [u8; Self::DIGITS] {
        const HALF: u64 = 100_000_000;
        let mut digits = [b'0'; Self::DIGITS];
        // The two halves are independent, so the processor can convert them in parallel.
        for (half, digits) in [self.0 / HALF, self.0 % HALF]
            .into_iter()
            .zip(digits.chunks_exact_mut(Self::DIGITS / 2))
        {
            let mut left = half;
            for digit in digits.iter_mut().rev() {
                *digit += (left % 10) as u8;
                left /= 10;
            }
        }
        digits
    }

    /// The position `bytes` after this one, or `None` beyond [`Offset::MAX`].
    pub fn advance(self, bytes: usize) -> Option<Self> {
        self.0.checked_add(bytes as u64).and_then(Self::new)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
    }
}

impl FromStr for Offset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != Self::DIGITS || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(OffsetError::new(text));
        }
        text.parse().map(Self).map_err(|_| OffsetError::new(text))
    }
}

/// An offset as clients see it: a position, and the generation of the stream.
///
/// The name of a deleted stream can be used again. The next stream of the name has the next
/// generation, and offsets of one generation are not valid in another. Generation 0 is not printed:
/// `0000000000000042`. Other generations follow the position: `0000000000000042_3`. All offsets of a
/// stream have the same generation, so the order of texts is the order of positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct StreamOffset {
    /// The generation of the stream: 0 for the first stream of its name, and higher for each later one.
    pub generation: u32,
    /// The position in the stream.
    pub position: Offset,
}

impl StreamOffset {
    /// Appends the printed form.
    pub fn push_to(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.position.digits());
        if self.generation > 0 {
            out.push(b'_');
            out.extend_from_slice(self.generation.to_string().as_bytes());
        }
    }
}

impl fmt::Display for StreamOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.position.fmt(f)?;
        if self.generation > 0 {
            write!(f, "_{}", self.generation)
        } else {
            Ok(())
        }
    }
}

impl FromStr for StreamOffset {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || OffsetError::new(text);
        let (position, generation) = text.split_at_checked(Offset::DIGITS).ok_or_else(wrong)?;
        let is_printed = |generation: &&str| {
            generation.bytes().all(|byte| byte.is_ascii_digit()) && !generation.starts_with('0')
        };
        let generation = match generation {
            "" => 0,
            generation => generation
                .strip_prefix('_')
                .filter(is_printed)
                .and_then(|generation| generation.parse().ok())
                .ok_or_else(wrong)?,
        };
        Ok(Self {
            generation,
            position: position.parse().map_err(|_| wrong())?,
        })
    }
}

impl From<StreamOffset> for Token {
    fn from(offset: StreamOffset) -> Self {
        Self(offset.to_string())
    }
}

/// The maximum number of characters of an invalid text that the error quotes.
const SHOWN_CHARS: usize = 80;

/// The error for a text that is not an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not an offset: expected -1, now, or a token from Stream-Next-Offset (16 digits, optionally followed by `_` and a number)"
)]
pub struct OffsetError {
    /// The invalid text, truncated if it is long.
    pub text: String,
}

impl OffsetError {
    fn new(text: &str) -> Self {
        let shown = text
            .char_indices()
            .nth(SHOWN_CHARS)
            .map_or(text, |(end, _)| &text[..end]);
        Self {
            text: if shown.len() < text.len() {
                format!("{shown}...")
            } else {
                text.to_owned()
            },
        }
    }
}

/// An opaque offset as clients store it: an offset from a server, or `-1` or `now`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// `-1`: the beginning of the stream.
    pub fn beginning() -> Self {
        Self("-1".to_owned())
    }

    /// `now`: the tail at the time of the request.
    pub fn now() -> Self {
        Self("now".to_owned())
    }

    /// Whether this is `-1` or `now`, which only clients send.
    ///
    /// Source: Durable Streams protocol, section 8.
    pub fn is_reserved(&self) -> bool {
        self.0 == "-1" || self.0 == "now"
    }

    /// The text for use in a URL. [`Token`]s contain only characters that need no escaping there.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Offset> for Token {
    fn from(offset: Offset) -> Self {
        Self(offset.to_string())
    }
}

impl From<Token> for String {
    fn from(token: Token) -> Self {
        token.0
    }
}

impl TryFrom<String> for Token {
    type Error = OffsetError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl FromStr for Token {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:!*".contains(&byte);
        if text.is_empty() || text.len() > 256 || !text.bytes().all(unreserved) {
            return Err(OffsetError::new(text));
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_order_is_stream_order() {
        let positions =
            [0, 1, 9, 10, 4_096, 9_999_999_999_999_999].map(|bytes| Offset::new(bytes).unwrap());
        for pair in positions.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].to_string() < pair[1].to_string());
        }
    }

    #[test]
    fn only_printed_offsets_parse() {
        assert_eq!("0000000000000042".parse(), Ok(Offset::new(42).unwrap()));
        for text in [
            "",
            "42",
            "-1",
            "now",
            "00000000000000042",
            "000000000000004x",
            "+000000000000042",
        ] {
            assert!(text.parse::<Offset>().is_err(), "{text}");
        }
        assert_eq!(Offset::MAX.advance(1), None);
    }

    #[test]
    fn the_generation_follows_the_position_except_for_the_first() {
        for (generation, bytes, text) in [
            (0, 42, "0000000000000042"),
            (1, 42, "0000000000000042_1"),
            (10, 0, "0000000000000000_10"),
            (
                u32::MAX,
                9_999_999_999_999_999,
                "9999999999999999_4294967295",
            ),
        ] {
            let offset = StreamOffset {
                generation,
                position: Offset::new(bytes).unwrap(),
            };
            assert_eq!(
                (offset.to_string().as_str(), text.parse()),
                (text, Ok(offset))
            );
            assert_eq!(Token::from(offset).as_str(), text);
            let mut pushed = Vec::new();
            offset.push_to(&mut pushed);
            assert_eq!(pushed, text.as_bytes());
        }
        for text in [
            "",
            "_1",
            "0000000000000042_",
            "0000000000000042_0",
            "0000000000000042_01",
            "0000000000000042_+1",
            "0000000000000042_1_1",
            "0000000000000042_4294967296",
            "0000000000000042-1",
            "42_1",
            "-1",
            "now",
        ] {
            assert!(text.parse::<StreamOffset>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn parsed_offsets_print_unchanged(text in "[0-9]{14,18}(_[0-9+-]{0,11})?|\\PC{0,20}") {
            if let Ok(offset) = text.parse::<StreamOffset>() {
                prop_assert_eq!(offset.to_string(), text);
            }
        }

        #[test]
        fn offsets_of_one_generation_sort_like_their_texts(generation in any::<u32>(), at in 0..=Offset::MAX.0, other in 0..=Offset::MAX.0) {
            let [at, other] = [at, other].map(|at| StreamOffset { generation, position: Offset(at) });
            prop_assert_eq!(at.cmp(&other), at.to_string().cmp(&other.to_string()));
            prop_assert_eq!(at.to_string().parse(), Ok(at));
        }
    }

    #[test]
    fn tokens_refuse_characters_that_break_a_url() {
        assert!("0000000000000001_0000000000000042".parse::<Token>().is_ok());
        for text in ["", "a&b", "a=b", "a,b", "a/b", "a?b", "a b"] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
        let error = "é"
            .repeat(1 << 20)
            .parse::<Offset>()
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("`éé") && error.len() < 400,
            "the error quotes a long text: {} bytes",
            error.len()
        );
    }
}
