//! Positions in a stream: the server's counted [`Offset`] and the client's opaque [`Token`].

use crate::json::{FromJson, JsonError, Value};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A position as our server counts it: bytes before it, printed as 16 decimal digits so that text order is stream order.
///
/// Source: Durable Streams protocol, section 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Offset(u64);

impl Offset {
    /// The beginning of every stream.
    pub const ZERO: Self = Self(0);
    /// The largest position that 16 digits can print; no stream may grow past it.
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

    /// Its 16 decimal digits, as it is printed.
    pub fn digits(self) -> [u8; Self::DIGITS] {
        let mut left = self.0;
        let mut digits = [b'0'; Self::DIGITS];
        for digit in digits.iter_mut().rev() {
            *digit += (left % 10) as u8;
            left /= 10;
        }
        digits
    }

    /// The position `bytes` further on, or `None` beyond [`Offset::MAX`].
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
            return Err(OffsetError { text: text.to_owned() });
        }
        text.parse().map(Self).map_err(|_| OffsetError { text: text.to_owned() })
    }
}

/// A text that this server never gave out as an offset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an offset: expected -1, now, or a token from Stream-Next-Offset (16 digits)")]
pub struct OffsetError {
    /// What came.
    pub text: String,
}

/// A position as a client holds it: whatever the server gave out, or `-1` or `now`; never looked into.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Token(String);

impl Token {
    /// `-1`: the beginning of the stream.
    pub fn beginning() -> Self {
        Self("-1".to_owned())
    }

    /// `now`: the tail at the moment of asking.
    pub fn now() -> Self {
        Self("now".to_owned())
    }

    /// Whether it is `-1` or `now`, which only clients say: no server gives them out.
    ///
    /// Source: Durable Streams protocol, section 8.
    pub fn is_reserved(&self) -> bool {
        self.0 == "-1" || self.0 == "now"
    }

    /// The text that goes into a URL; [`Token`]s hold only characters that need no escaping there.
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

impl FromJson for Token {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        value.string()?.parse().map_err(|fault| JsonError::new("an offset", fault))
    }
}

impl FromStr for Token {
    type Err = OffsetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:!*".contains(&byte);
        if text.is_empty() || text.len() > 256 || !text.bytes().all(unreserved) {
            return Err(OffsetError { text: text.to_owned() });
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_order_is_stream_order() {
        let positions = [0, 1, 9, 10, 4_096, 9_999_999_999_999_999].map(|bytes| Offset::new(bytes).unwrap());
        for pair in positions.windows(2) {
            assert!(pair[0] < pair[1]);
            assert!(pair[0].to_string() < pair[1].to_string());
        }
    }

    #[test]
    fn only_what_was_printed_parses() {
        assert_eq!("0000000000000042".parse(), Ok(Offset::new(42).unwrap()));
        for text in ["", "42", "-1", "now", "00000000000000042", "000000000000004x", "+000000000000042"] {
            assert!(text.parse::<Offset>().is_err(), "{text}");
        }
        assert_eq!(Offset::MAX.advance(1), None);
    }

    #[test]
    fn tokens_refuse_what_would_break_a_url() {
        assert!("0000000000000001_0000000000000042".parse::<Token>().is_ok());
        for text in ["", "a&b", "a=b", "a,b", "a/b", "a?b", "a b"] {
            assert!(text.parse::<Token>().is_err(), "{text}");
        }
    }
}
