//! JSON as the client reads it: checked once as a whole, then read where it lies, member by member.
//!
//! Servers of this project write JSON with serde. The client reads little of it, and a page that carries serde's readers
//! for a dozen types, with their tables for exact decimals, is a tenth larger on its way to the browser.
//!
//! Brackets may lie within each other as deep as they come: nothing here recurses. What a server takes is another matter
//! ([`crate::nesting`]).

mod scan;

use scan::Scanner;
use std::borrow::Cow;
use std::fmt;

/// Whether JSON takes `byte` for white space between tokens: space, tab, LF and CR. A form feed, which ASCII has among its white
/// space, is none.
///
/// Source: RFC 8259, section 2.
pub fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// `text` without the white space around it.
pub fn trim(text: &[u8]) -> &[u8] {
    let begin = text
        .iter()
        .position(|byte| !is_white_space(*byte))
        .unwrap_or(text.len());
    let end = text
        .iter()
        .rposition(|byte| !is_white_space(*byte))
        .map_or(begin, |last| last + 1);
    &text[begin..end]
}

/// A whole JSON value in a text that was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    text: &'a str,
}

/// What was expected, and what came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JsonError {
    expected: &'static str,
    came: String,
    /// The members on the way to it, the innermost first.
    path: Vec<&'static str>,
}

impl JsonError {
    /// Something else than `expected` came.
    pub fn new(expected: &'static str, came: impl fmt::Display) -> Self {
        Self {
            expected,
            came: came.to_string(),
            path: Vec::new(),
        }
    }

    fn within(mut self, name: &'static str) -> Self {
        self.path.push(name);
        self
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for name in self.path.iter().rev() {
            write!(f, "{name}: ")?;
        }
        write!(f, "expected {}, but {}", self.expected, self.came)
    }
}

impl std::error::Error for JsonError {}

/// Something that is read from JSON.
pub trait FromJson: Sized {
    /// What stands for a member that is absent; `None` when it must be there.
    fn absent() -> Option<Self> {
        None
    }

    /// Reads it.
    ///
    /// # Errors
    /// [`JsonError`] when the value is of another kind or out of range.
    fn from_json(value: Value<'_>) -> Result<Self, JsonError>;
}

/// Reads a whole text.
///
/// # Errors
/// [`JsonError`] when `bytes` are no JSON, or not what `T` expects.
pub fn read<T: FromJson>(bytes: &[u8]) -> Result<T, JsonError> {
    T::from_json(Value::parse(bytes)?)
}

impl<'a> Value<'a> {
    /// Checks that `bytes` are one JSON value in UTF-8, with white space around it.
    ///
    /// # Errors
    /// [`JsonError`] says what was expected where.
    ///
    /// Source: RFC 8259.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = std::str::from_utf8(bytes).map_err(|fault| JsonError::new("UTF-8", fault))?;
        let mut scanner = Scanner { text, at: 0 };
        let value = scanner.value()?;
        match scanner.peek() {
            None => Ok(value),
            Some(_) => Err(scanner.fault("the end")),
        }
    }

    /// The value as it stands there, byte for byte.
    pub fn text(self) -> &'a str {
        self.text
    }

    /// The elements of an array.
    ///
    /// # Errors
    /// [`JsonError`] when it is none.
    pub fn items(self) -> Result<impl Iterator<Item = Value<'a>>, JsonError> {
        if !self.text.starts_with('[') {
            return Err(self.is_not("an array"));
        }
        let mut scanner = Scanner {
            text: self.text,
            at: 1,
        };
        Ok(std::iter::from_fn(move || {
            let item = scanner.next_in_list()?;
            scanner.skip_if(b',');
            Some(item)
        }))
    }

    /// The members of an object, in the order in which they stand there.
    ///
    /// # Errors
    /// [`JsonError`] when it is none.
    pub fn members(self) -> Result<impl Iterator<Item = (Cow<'a, str>, Value<'a>)>, JsonError> {
        if !self.text.starts_with('{') {
            return Err(self.is_not("an object"));
        }
        let mut scanner = Scanner {
            text: self.text,
            at: 1,
        };
        Ok(std::iter::from_fn(move || {
            let name = scanner.next_in_list()?;
            scanner.skip_if(b':');
            let value = scanner.next_in_list()?;
            scanner.skip_if(b',');
            Some((name.string().ok()?, value))
        }))
    }

    /// A member of an object.
    ///
    /// # Errors
    /// [`JsonError`] when this is no object, when the member is absent and must not be, or not what `T` expects.
    pub fn member<T: FromJson>(self, name: &'static str) -> Result<T, JsonError> {
        let value = match self.find(name)? {
            Some(value) => T::from_json(value),
            None => T::absent().ok_or_else(|| JsonError::new("a value", "it is absent")),
        };
        value.map_err(|fault| fault.within(name))
    }

    /// A member of an object, as it stands there.
    ///
    /// # Errors
    /// [`JsonError`] when this is no object.
    pub fn find(self, name: &str) -> Result<Option<Self>, JsonError> {
        Ok(self
            .members()?
            .find(|(there, _)| there == name)
            .map(|(_, value)| value))
    }

    /// A string, with its escapes resolved.
    ///
    /// # Errors
    /// [`JsonError`] when it is none, or holds half of a surrogate pair.
    pub fn string(self) -> Result<Cow<'a, str>, JsonError> {
        let inner = self
            .text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let inner = inner.ok_or_else(|| self.is_not("a string"))?;
        if !inner.contains('\\') {
            return Ok(Cow::Borrowed(inner));
        }
        unescaped(inner)
            .map(Cow::Owned)
            .ok_or_else(|| self.is_not("whole characters"))
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.text == "null"
    }

    /// That this is something else than `expected`.
    pub fn is_not(self, expected: &'static str) -> JsonError {
        JsonError::new(expected, Came(self.text))
    }
}

/// How something begins, for a message.
struct Came<'a>(&'a str);

impl fmt::Display for Came<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("the text ends");
        }
        let shown = self
            .0
            .char_indices()
            .nth(40)
            .map_or(self.0, |(end, _)| &self.0[..end]);
        write!(f, "`{shown}` came")
    }
}

/// The text of a string between its quotes without escapes; `None` for half of a surrogate pair.
fn unescaped(inner: &str) -> Option<String> {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, escape)) = rest.split_once('\\') {
        out.push_str(before);
        let (letter, after) = escape.split_at_checked(1)?;
        rest = after;
        out.push(match letter {
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let (character, after) = code_point(after)?;
                rest = after;
                character
            }
            _ => letter.chars().next()?,
        });
    }
    out.push_str(rest);
    Some(out)
}

/// The character behind the digits after `\u`, and what follows it.
fn code_point(text: &str) -> Option<(char, &str)> {
    let unit = |text: &str| u32::from_str_radix(text.get(..4)?, 16).ok();
    let (first, rest) = (unit(text)?, text.get(4..)?);
    if !(0xd800..0xdc00).contains(&first) {
        return Some((char::from_u32(first)?, rest));
    }
    let rest = rest.strip_prefix("\\u")?;
    let second = unit(rest).filter(|unit| (0xdc00..0xe000).contains(unit))?;
    Some((
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))?,
        rest.get(4..)?,
    ))
}

/// A decimal number as JSON, people and URLs write it: `-12.5`, `1e3`; at most 15 digits count.
///
/// The standard library's way is exact to the last bit of any text, and brings a table of 10 KB for it.
pub fn decimal(text: &str) -> Option<f64> {
    let (text, sign) = match text.strip_prefix('-') {
        Some(rest) => (rest, -1.0),
        None => (text.strip_prefix('+').unwrap_or(text), 1.0),
    };
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = || whole.bytes().chain(fraction.bytes());
    let mut exponent = exponent
        .parse::<i32>()
        .ok()
        .filter(|exponent| exponent.abs() <= 300)?;
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    exponent -= i32::try_from(fraction.len()).ok()?;
    let mut value = 0_u64;
    for digit in digits() {
        if value < 100_000_000_000_000 {
            value = value * 10 + u64::from(digit - b'0');
        } else {
            exponent += 1;
        }
    }
    let value = value as f64;
    let scaled = if exponent < 0 {
        value / 10f64.powi(-exponent)
    } else {
        value * 10f64.powi(exponent)
    };
    Some(sign * scaled)
}

impl FromJson for bool {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        match value.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(value.is_not("true or false")),
        }
    }
}

impl FromJson for u64 {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        value
            .text
            .parse()
            .map_err(|_| value.is_not("a whole number from 0 on"))
    }
}

impl FromJson for usize {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        let number = u64::from_json(value)?;
        Self::try_from(number).map_err(|_| value.is_not("a number that this machine can count to"))
    }
}

impl FromJson for u16 {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        let number = u64::from_json(value)?;
        Self::try_from(number).map_err(|_| value.is_not("a whole number up to 65535"))
    }
}

impl FromJson for f64 {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        decimal(value.text).ok_or_else(|| value.is_not("a number"))
    }
}

impl FromJson for String {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        value.string().map(Cow::into_owned)
    }
}

impl<T: FromJson> FromJson for Option<T> {
    fn absent() -> Option<Self> {
        Some(None)
    }

    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        if value.is_null() {
            Ok(None)
        } else {
            T::from_json(value).map(Some)
        }
    }
}

impl<T: FromJson> FromJson for Vec<T> {
    fn from_json(value: Value<'_>) -> Result<Self, JsonError> {
        let mut items = Self::new();
        for item in value.items()? {
            items.push(T::from_json(item)?);
        }
        Ok(items)
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
