//! Deserializes JSON documents into structs, and rejects arrays in the place of objects.
//!
//! The `Deserialize` that serde derives for a struct also accepts an array of the fields in order.
//! No document of this protocol has that form: without this check, `[0,true]` would append `0` and
//! close a stream. All JSON documents from outside are read with [`read`].

use crate::json;
use serde::Deserialize;
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use std::fmt;

/// The struct name with which serde_json deserializes a `RawValue`.
const RAW_VALUE: &str = "$serde_json::private::RawValue";

/// The maximum length of an error text in characters: serde quotes a value of the wrong type in full.
const SHOWN_CHARS: usize = 300;

/// Deserializes `bytes`, which must be one JSON object, optionally surrounded by white space.
///
/// Nested structs must be objects as well. Structs inside a `#[serde(flatten)]` field or an
/// internally tagged enum are not checked, because serde buffers them first.
///
/// # Errors
/// The error states what was expected and, with the feature `error-paths`, the path of the member.
pub fn read<'de, T: Deserialize<'de>>(bytes: &'de [u8]) -> Result<T, serde_json::Error> {
    let first = json::trim(bytes).first();
    if first == Some(&b'[') {
        return Err(serde_json::Error::custom(
            "expected an object, found an array",
        ));
    }
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let document =
        T::deserialize(Strict(&mut json)).and_then(|document| json.end().map(|()| document));
    document.map_err(|error| {
        #[cfg(feature = "error-paths")]
        let error = located::<T>(bytes, error);
        shortened(error)
    })
}

/// Prefixes the error with the path of the member: `streams[0].name: invalid type: ...`.
///
/// This reads the document a second time: tracking the path costs an allocation per member, which
/// valid documents should not pay for.
#[cfg(feature = "error-paths")]
fn located<'de, T: Deserialize<'de>>(
    bytes: &'de [u8],
    error: serde_json::Error,
) -> serde_json::Error {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    match serde_path_to_error::deserialize::<_, T>(Strict(&mut json)) {
        Err(fault) if fault.path().iter().len() > 0 => {
            serde_json::Error::custom(format_args!("{}: {error}", fault.path()))
        }
        _ => error,
    }
}

/// Truncates the text of an error that quotes a long value.
fn shortened(error: serde_json::Error) -> serde_json::Error {
    let text = error.to_string();
    match text.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => serde_json::Error::custom(format_args!("{}...", &text[..end])),
        None => error,
    }
}

/// A deserializer or accessor that rejects arrays in the place of structs, at any depth.
struct Strict<T>(T);

/// A visitor that rejects an array if it visits a struct.
struct StrictVisitor<V> {
    visitor: V,
    is_struct: bool,
}

fn strict_visitor<V>(visitor: V) -> StrictVisitor<V> {
    StrictVisitor {
        visitor,
        is_struct: false,
    }
}

macro_rules! forward_deserialize {
    ($($method:ident)*) => { $(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$method(strict_visitor(visitor))
        }
    )* };
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forward_deserialize! {
        deserialize_any deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32 deserialize_f64
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf deserialize_option
        deserialize_unit deserialize_seq deserialize_map deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_unit_struct(name, strict_visitor(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        if name == RAW_VALUE {
            return self.0.deserialize_newtype_struct(name, visitor);
        }
        self.0
            .deserialize_newtype_struct(name, strict_visitor(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, strict_visitor(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_tuple_struct(name, len, strict_visitor(visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(
            name,
            fields,
            StrictVisitor {
                visitor,
                is_struct: true,
            },
        )
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0
            .deserialize_enum(name, variants, strict_visitor(visitor))
    }
}

macro_rules! forward_visit {
    ($($method:ident: $kind:ty),* $(,)?) => { $(
        fn $method<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.visitor.$method(value)
        }
    )* };
}

impl<'de, V: Visitor<'de>> Visitor<'de> for StrictVisitor<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.visitor.expecting(f)
    }

    forward_visit! {
        visit_bool: bool, visit_i64: i64, visit_i128: i128, visit_u64: u64, visit_u128: u128, visit_f64: f64,
        visit_char: char, visit_str: &str, visit_borrowed_str: &'de str, visit_string: String, visit_bytes: &[u8],
        visit_borrowed_bytes: &'de [u8], visit_byte_buf: Vec<u8>,
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.visitor.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_some(Strict(inner))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, inner: D) -> Result<V::Value, D::Error> {
        self.visitor.visit_newtype_struct(Strict(inner))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        if self.is_struct {
            return Err(A::Error::custom("expected an object, found an array"));
        }
        self.visitor.visit_seq(Strict(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_map(Strict(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.visitor.visit_enum(Strict(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Strict<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(inner))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Strict(seed))
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Strict(seed))
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Strict<A> {
    type Error = A::Error;
    type Variant = Strict<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0
            .variant_seed(seed)
            .map(|(value, variant)| (value, Strict(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Strict<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Strict(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, strict_visitor(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        self.0.struct_variant(
            fields,
            StrictVisitor {
                visitor,
                is_struct: true,
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::value::RawValue;
    use std::collections::BTreeMap;

    #[derive(Debug, PartialEq, Deserialize)]
    struct InnerDocument {
        number: u32,
        #[serde(default)]
        flag: bool,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    enum Choice {
        Plain,
        Wrapped(InnerDocument),
        Pair(u8, InnerDocument),
        Named { number: u32 },
    }

    #[derive(Debug, Deserialize)]
    struct OuterDocument<'a> {
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
        inner: Option<InnerDocument>,
        #[serde(default)]
        list: Vec<InnerDocument>,
        #[serde(default)]
        map: BTreeMap<String, InnerDocument>,
        pair: Option<(u8, InnerDocument)>,
        choice: Option<Choice>,
        text: Option<String>,
        float: Option<f64>,
    }

    #[test]
    fn objects_are_read_as_serde_reads_them() {
        let text =
            br#" {"raw":[0,true],"inner":{"number":1},"list":[{"number":2,"flag":true}],"map":{"a":{"number":3}},
            "pair":[4,{"number":5}],"choice":"Plain","text":"a\n","float":-1.5,"other":[[{}]]} "#;
        let read: OuterDocument<'_> = read(text).unwrap();
        assert_eq!(read.raw.unwrap().get(), "[0,true]");
        assert_eq!(
            read.inner,
            Some(InnerDocument {
                number: 1,
                flag: false
            })
        );
        assert_eq!(
            read.list,
            [InnerDocument {
                number: 2,
                flag: true
            }]
        );
        assert_eq!(read.map["a"].number, 3);
        assert_eq!(
            read.pair,
            Some((
                4,
                InnerDocument {
                    number: 5,
                    flag: false
                }
            ))
        );
        assert_eq!(
            (read.choice, read.text.as_deref(), read.float),
            (Some(Choice::Plain), Some("a\n"), Some(-1.5))
        );
        for (text, choice) in [
            (
                r#"{"choice":{"Wrapped":{"number":1}}}"#,
                Choice::Wrapped(InnerDocument {
                    number: 1,
                    flag: false,
                }),
            ),
            (
                r#"{"choice":{"Pair":[1,{"number":2}]}}"#,
                Choice::Pair(
                    1,
                    InnerDocument {
                        number: 2,
                        flag: false,
                    },
                ),
            ),
            (
                r#"{"choice":{"Named":{"number":7}}}"#,
                Choice::Named { number: 7 },
            ),
        ] {
            assert_eq!(
                super::read::<OuterDocument<'_>>(text.as_bytes())
                    .unwrap()
                    .choice,
                Some(choice),
                "{text}"
            );
        }
    }

    #[test]
    fn an_array_in_the_place_of_a_struct_is_refused_at_any_depth() {
        for text in [
            "[null,null]",
            " \r\n[]",
            r#"{"inner":[1,true]}"#,
            r#"{"inner":[1]}"#,
            r#"{"list":[[1,true]]}"#,
            r#"{"map":{"a":[1,true]}}"#,
            r#"{"pair":[1,[2,true]]}"#,
            r#"{"choice":{"Wrapped":[1,true]}}"#,
            r#"{"choice":{"Pair":[1,[1,true]]}}"#,
            r#"{"choice":{"Named":[7]}}"#,
        ] {
            assert!(
                serde_json::from_slice::<OuterDocument<'_>>(text.as_bytes()).is_ok()
                    || text.trim_start().starts_with('[')
            );
            let fault = read::<OuterDocument<'_>>(text.as_bytes())
                .unwrap_err()
                .to_string();
            assert!(
                fault.contains("expected an object, found an array"),
                "{text}: {fault}"
            );
        }
        let long = format!(r#"{{"inner":"{}"}}"#, "é".repeat(1 << 20));
        let text = read::<OuterDocument<'_>>(long.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            text.len() < 1_000,
            "the error quotes a long value: {} bytes",
            text.len()
        );
        let fault = |text: &str| {
            read::<OuterDocument<'_>>(text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        for (text, expected) in [
            (
                r#"{"list":[{"number":1},{"number":-1}]}"#,
                "list[1].number: invalid value: integer `-1`",
            ),
            (r#"{"inner":{}}"#, "inner: missing field `number`"),
            (r#"{"text":"}"#, "EOF while parsing a string"),
        ] {
            let fault = fault(text);
            assert!(fault.contains(expected), "{text}: {fault}");
        }
        for text in [
            "",
            "{}{}",
            "{",
            "1",
            "null",
            r#"{"inner":{}}"#,
            r#"{"text":1}"#,
        ] {
            assert!(
                read::<OuterDocument<'_>>(text.as_bytes()).is_err(),
                "{text}"
            );
        }
    }

    proptest! {
        #[test]
        fn every_accepted_document_is_accepted_by_serde(text in r#"[\[\]{}:,"1a-c \\]{0,24}"#, bytes in any::<Vec<u8>>()) {
            for bytes in [text.as_bytes(), &bytes] {
                if read::<OuterDocument<'_>>(bytes).is_ok() {
                    prop_assert!(serde_json::from_slice::<OuterDocument<'_>>(bytes).is_ok());
                }
            }
        }
    }
}
