//! JSON as the page writes it: numbers with at most 15 digits, which is more than was measured.
//!
//! serde_json's own way to print numbers brings tables of 20 KB, a fifteenth of the whole page as it travels.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use std::io::{self, Write};

use crate::numbers::plain;

/// Brackets deeper than this stay on their line.
const DEPTH_MAX: usize = 4;

/// A value as one line of JSON.
pub fn line(value: &impl Serialize) -> String {
    let mut out = Vec::new();
    // Memory takes what is written, and the page has no maps whose keys are not texts.
    value
        .serialize(&mut Serializer::with_formatter(&mut out, Plain))
        .ok();
    String::from_utf8(out).unwrap_or_default()
}

/// A formatter with other numbers.
struct Plain;

impl Formatter for Plain {
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        writer.write_all(plain(value).as_bytes())
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        writer.write_all(plain(f64::from(value)).as_bytes())
    }
}

/// An object that is written member by member.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object {
    members: String,
}

impl Object {
    /// With a further member.
    pub fn with(self, name: &str, value: &impl Serialize) -> Self {
        self.with_text(name, &line(value))
    }

    /// With an object as a further member.
    pub fn with_object(self, name: &str, object: &Self) -> Self {
        self.with_text(name, &object.to_string())
    }

    /// With a list of texts that are JSON themselves as a further member.
    pub fn with_list(self, name: &str, items: &[String]) -> Self {
        self.with_text(name, &format!("[{}]", items.join(",")))
    }

    fn with_text(mut self, name: &str, text: &str) -> Self {
        if !self.members.is_empty() {
            self.members.push(',');
        }
        self.members.push_str(&line(&name));
        self.members.push(':');
        self.members.push_str(text);
        self
    }

    /// For people: one member a line, but what lies deep.
    pub fn indented(&self) -> String {
        let text = self.to_string();
        let mut out = String::with_capacity(text.len() * 2);
        let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
        let mut before = ' ';
        for character in text.chars() {
            let is_empty = matches!((before, character), ('[', ']') | ('{', '}'));
            match character {
                _ if in_string => {
                    in_string = character != '"' || is_escaped;
                    is_escaped = character == '\\' && !is_escaped;
                }
                '"' => in_string = true,
                '}' | ']' => depth = depth.saturating_sub(1),
                _ => {}
            }
            let closes =
                !in_string && matches!(character, '}' | ']') && !is_empty && depth < DEPTH_MAX;
            let follows = !in_string
                && matches!(before, '{' | '[' | ',')
                && !is_empty
                && depth <= DEPTH_MAX
                && !closes;
            // A string that begins here is in itself already.
            let begins = in_string
                && character == '"'
                && matches!(before, '{' | '[' | ',')
                && depth <= DEPTH_MAX;
            if closes || follows || begins {
                out.push('\n');
                out.extend(std::iter::repeat_n("  ", depth));
            }
            out.push(character);
            if !in_string {
                if matches!(character, '{' | '[') {
                    depth += 1;
                }
                if character == ':' {
                    out.push(' ');
                }
            }
            // What stands in a string is no bracket.
            before = if in_string { '"' } else { character };
        }
        out
    }
}

impl std::fmt::Display for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{{{}}}", self.members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn numbers_read_back_as_what_they_were() {
        for value in [0.1, -1.5e300, 5e-300, 3.0, 1e21, 123_456_789.123_456] {
            assert_eq!(line(&value).parse::<f64>(), Ok(value));
            assert!(serde_json::from_str::<Value>(&line(&value)).is_ok());
        }
        assert_eq!(
            line(&json!([1, {"a": 0.5}, null, "ü\n"])),
            r#"[1,{"a":0.5},null,"ü\n"]"#
        );
        assert_eq!(line(&f64::NAN), "null");
    }

    #[test]
    fn an_object_says_the_same_on_one_line_and_indented() {
        let inner = Object::default().with("deep", &json!({"er": [[1, 2], [], {}, "]},{[\\\""]}));
        let object = Object::default()
            .with("a", &1)
            .with_object("b", &inner)
            .with_list("c", &["[1,2]".to_owned(), "3".to_owned()])
            .with_list("none", &[]);
        let expected = json!({
            "a": 1, "b": {"deep": {"er": [[1, 2], [], {}, "]},{[\\\""]}}, "c": [[1, 2], 3], "none": [],
        });
        assert_eq!(
            serde_json::from_str::<Value>(&object.to_string()).unwrap(),
            expected
        );
        let indented = object.indented();
        assert_eq!(
            serde_json::from_str::<Value>(&indented).unwrap(),
            expected,
            "{indented}"
        );
        assert!(
            indented.starts_with("{\n  \"a\": 1,\n  \"b\": {\n    \"deep\": {"),
            "{indented}"
        );
    }
}
