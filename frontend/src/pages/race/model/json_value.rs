//! JSON values to be written; the members of an object keep their order.

use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// A JSON value. A document of such values takes less code than structs with a derived `Serialize`.
#[derive(Debug)]
pub enum JsonValue {
    /// `null`.
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A whole number.
    Count(u64),
    /// A finite number.
    Number(f64),
    /// A string.
    Text(String),
    /// A value that is written in one line.
    Line(Box<RawValue>),
    /// An array.
    List(Vec<Self>),
    /// An object.
    Object(JsonObject),
}

/// A JSON object.
#[derive(Debug, Default)]
pub struct JsonObject(Vec<(&'static str, JsonValue)>);

impl JsonObject {
    /// Adds a member.
    pub fn add(&mut self, name: &'static str, value: impl Into<JsonValue>) -> &mut Self {
        self.0.push((name, value.into()));
        self
    }

    /// The members in their order.
    pub fn members(&self) -> impl Iterator<Item = &(&'static str, JsonValue)> {
        self.0.iter()
    }

    /// The object as an indented document.
    pub fn to_document(&self) -> String {
        // Numbers and texts can always be encoded.
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}

impl Serialize for JsonObject {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl JsonValue {
    /// A value that is written in one line; `null` if it cannot be encoded.
    pub fn line(value: &impl Serialize) -> Self {
        to_raw_value(value).map_or(Self::Null, Self::Line)
    }
}

impl Serialize for JsonValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Count(count) => serializer.serialize_u64(*count),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Line(value) => value.serialize(serializer),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(object) => object.serialize(serializer),
        }
    }
}

impl From<bool> for JsonValue {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl From<u64> for JsonValue {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<f64> for JsonValue {
    fn from(number: f64) -> Self {
        if number.is_finite() {
            Self::Number(number)
        } else {
            Self::Null
        }
    }
}

impl From<&str> for JsonValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<JsonObject> for JsonValue {
    fn from(object: JsonObject) -> Self {
        Self::Object(object)
    }
}

impl<T: Into<Self>> From<Option<T>> for JsonValue {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, T::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_their_order_and_lines_are_not_indented() {
        let mut document = JsonObject::default();
        document
            .add("z", "a \"quoted\" text")
            .add("a", JsonValue::List(vec![0.5.into(), 7_u64.into()]))
            .add("line", JsonValue::line(&(1, 2.0)))
            .add("none", None::<bool>)
            .add("infinite", f64::INFINITY);
        assert_eq!(
            serde_json::to_string(&document).unwrap(),
            r#"{"z":"a \"quoted\" text","a":[0.5,7],"line":[1,2.0],"none":null,"infinite":null}"#
        );
        let indented = document.to_document();
        assert!(indented.contains("\n  \"line\": [1,2.0],\n"), "{indented}");
    }
}
