//! JSON texts without conversion: trimming white space, and splitting an array into the exact text of its elements.
//!
//! Elements may be nested to any depth, because serde_json skips values without recursion. The depth
//! of messages that a server accepts is limited in [`crate::nesting`].

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// Whether `byte` is white space between JSON tokens: space, tab, LF or CR. A form feed is not,
/// unlike in [`u8::is_ascii_whitespace`].
///
/// Source: RFC 8259, section 2.
pub fn is_white_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Removes leading and trailing JSON white space.
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

/// The exact text of each element of the array `json`.
pub(crate) fn elements(json: &[u8]) -> serde_json::Result<Vec<String>> {
    let elements: Vec<Element> = serde_json::from_slice(json)?;
    Ok(elements.into_iter().map(|element| element.0).collect())
}

/// The number of elements of the array `json`, counted without storing them.
pub(crate) fn count_elements(json: &str) -> serde_json::Result<usize> {
    serde_json::from_str(json).map(|ElementCount(count)| count)
}

/// The content of the JSON string `json`, unescaped.
pub(crate) fn string(json: &str) -> serde_json::Result<String> {
    serde_json::from_slice(json.as_bytes())
}

/// The exact text of a JSON value.
struct Element(String);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().to_owned()))
    }
}

/// The number of elements of an array.
struct ElementCount(usize);

impl<'de> Deserialize<'de> for ElementCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ElementCounter)
    }
}

struct ElementCounter;

impl<'de> Visitor<'de> for ElementCounter {
    type Value = ElementCount;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<ElementCount, A::Error> {
        let mut count = 0;
        while elements.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok(ElementCount(count))
    }
}

#[cfg(test)]
#[path = "json_tests.rs"]
mod tests;
