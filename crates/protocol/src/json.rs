//! JSON texts as they stand: white space around them, and an array cut into its elements byte for byte.
//!
//! Elements may be nested to any depth, as serde_json passes over values without recursion. What a server accepts is limited
//! in [`crate::nesting`].

use serde::de::{IgnoredAny, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
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

/// The elements of the array `json`, each as it stands there, byte for byte.
pub(crate) fn elements(json: &[u8]) -> serde_json::Result<Vec<String>> {
    let elements: Vec<Element> = serde_json::from_slice(json)?;
    Ok(elements.into_iter().map(|element| element.0).collect())
}

/// How many elements the array `json` has; none of them is kept.
pub(crate) fn count_elements(json: &str) -> serde_json::Result<usize> {
    serde_json::from_str(json).map(|ElementCount(count)| count)
}

/// The text of the JSON string `json`, with its escapes resolved.
pub(crate) fn string(json: &str) -> serde_json::Result<String> {
    serde_json::from_str(json)
}

/// The text of a value.
struct Element(String);

impl<'de> Deserialize<'de> for Element {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.get().to_owned()))
    }
}

/// The number of values in an array.
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
