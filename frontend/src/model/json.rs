//! JSON as the page writes it: numbers by the standard library's formatting, which the page has anyway.
//!
//! serde_json's own way to print numbers brings tables of 20 KB, a fifteenth of the whole page as it travels.

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::io::{self, Write};

/// A value as one line of JSON.
pub fn line(value: &impl Serialize) -> String {
    written(value, Plain(CompactFormatter))
}

/// A value as JSON for people: indented.
pub fn indented(value: &impl Serialize) -> String {
    written(value, Plain(PrettyFormatter::new()))
}

fn written(value: &impl Serialize, formatter: impl Formatter) -> String {
    let mut out = Vec::new();
    // Memory takes what is written, and the page has no maps whose keys are not texts.
    value.serialize(&mut Serializer::with_formatter(&mut out, formatter)).ok();
    String::from_utf8(out).unwrap_or_default()
}

/// A formatter with other numbers.
struct Plain<F>(F);

macro_rules! as_before {
    ($($name:ident($($argument:ident: $kind:ty),*);)*) => {
        $(fn $name<W: ?Sized + Write>(&mut self, writer: &mut W $(, $argument: $kind)*) -> io::Result<()> {
            self.0.$name(writer $(, $argument)*)
        })*
    };
}

impl<F: Formatter> Formatter for Plain<F> {
    // The shortest text that reads back as the same number.
    fn write_f64<W: ?Sized + Write>(&mut self, writer: &mut W, value: f64) -> io::Result<()> {
        write!(writer, "{value}")
    }

    fn write_f32<W: ?Sized + Write>(&mut self, writer: &mut W, value: f32) -> io::Result<()> {
        write!(writer, "{value}")
    }

    as_before! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn it_reads_back_as_what_it_was() {
        let value = json!({"a": [0.1, -1.5e300, 5e-324, 3.0, 7], "b": {"c": null, "d": "\"ü\n"}, "e": [], "f": {}});
        for text in [line(&value), indented(&value)] {
            let back: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(back["a"][0].as_f64(), Some(0.1), "{text}");
            assert_eq!(back["a"][1].as_f64(), Some(-1.5e300));
            assert_eq!(back["a"][3].as_f64(), Some(3.0));
            assert_eq!(back["b"], value["b"]);
        }
        assert_eq!(line(&json!([1, {"a": 0.5}])), r#"[1,{"a":0.5}]"#);
        assert_eq!(indented(&json!({"a": [1]})), "{\n  \"a\": [\n    1\n  ]\n}");
    }
}
