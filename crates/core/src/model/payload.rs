//! The payload of an append: the bytes to store, and the end of each message in them.

use crate::offload::offload;
use bytes::{Bytes, BytesMut};
use serde::Deserializer;
use serde::de::{Error, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::json;
use tailwater_protocol::nesting::{NESTING_MAX, nesting};

/// One or more complete messages in the stored form.
///
/// A JSON message is stored with its exact text, followed by one comma, so that consecutive messages
/// become an array by removing the last comma and adding brackets. For any other content type, the
/// body of an append is stored unchanged as one message.
#[derive(Debug, Clone)]
pub struct Payload {
    bytes: Bytes,
    ends: Ends,
}

/// The ends of messages, as offsets in the payload; one message needs no list.
#[derive(Debug, Clone)]
enum Ends {
    One,
    Many(Box<[usize]>),
}

/// Why a body cannot be appended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PayloadError {
    /// The body is empty.
    #[error(
        "there is nothing to append: expected at least one byte, unless the stream is only closed (Stream-Closed: true, or \
         `close` in a frame)"
    )]
    Empty,
    /// The body of an append is `[]`.
    #[error("the body is an empty JSON array: an append needs at least one message")]
    EmptyArray,
    /// The body for a JSON stream is not valid JSON.
    #[error("the body is not valid JSON, which the stream's content type requires: {0}")]
    NotJson(String),
    /// A JSON message is nested too deep.
    #[error("a message is nested {depth} levels deep, the limit is {NESTING_MAX}")]
    TooDeep {
        /// The depth of the message.
        depth: usize,
    },
    /// The body has too many messages for one append.
    #[error("the body exceeds the limit of {limit} messages per append: send several appends")]
    TooManyMessages {
        /// The maximum number of messages.
        limit: usize,
    },
}

impl PayloadError {
    /// Whether the body has no messages, which is valid when a stream is created.
    fn is_without_messages(&self) -> bool {
        matches!(self, Self::Empty | Self::EmptyArray)
    }
}

impl Payload {
    /// Parses a body without a limit on the number of messages; see [`Payload::parse_at_most`].
    ///
    /// # Errors
    /// All of [`PayloadError`] except [`PayloadError::TooManyMessages`] (400).
    pub fn parse(kind: ContentKind, body: Bytes) -> Result<Self, PayloadError> {
        Self::parse_at_most(kind, body, usize::MAX)
    }

    /// As [`Payload::parse_at_most`]; a long JSON body is parsed on a blocking thread.
    ///
    /// # Errors
    /// All of [`PayloadError`] (400).
    pub async fn read(
        kind: ContentKind,
        body: Bytes,
        messages_max: usize,
    ) -> Result<Self, PayloadError> {
        // Other bodies are copied, not parsed.
        let bytes = if kind == ContentKind::Json {
            body.len()
        } else {
            0
        };
        offload(bytes, move || Self::parse_at_most(kind, body, messages_max)).await
    }

    /// Parses the messages in `body`.
    ///
    /// - `kind`: the kind of the stream. For JSON, one level of array is flattened into messages.
    /// - `body`: the complete request body.
    /// - `messages_max`: the maximum number of messages, at least 1.
    ///
    /// # Errors
    /// All of [`PayloadError`] (400).
    ///
    /// Source: Durable Streams protocol, sections 5.2 and 9.1.
    pub fn parse_at_most(
        kind: ContentKind,
        body: Bytes,
        messages_max: usize,
    ) -> Result<Self, PayloadError> {
        if body.is_empty() {
            return Err(PayloadError::Empty);
        }
        match kind {
            ContentKind::Json => Self::json(&body, messages_max),
            // Copied, because the body is a slice of its connection's read buffer and would keep the
            // whole buffer in memory.
            ContentKind::Text | ContentKind::Binary => Ok(Self {
                bytes: Vec::from(body).into_boxed_slice().into(),
                ends: Ends::One,
            }),
        }
    }

    /// Creates a payload of messages that were validated before.
    ///
    /// - `kind`: the kind of the stream. JSON messages must be valid JSON, which is not checked.
    /// - Returns `None` if there are no messages, or one of them is empty.
    pub fn of_messages<'a>(
        kind: ContentKind,
        messages: impl IntoIterator<Item = &'a [u8]>,
    ) -> Option<Self> {
        let (mut bytes, mut ends) = (BytesMut::new(), Vec::new());
        for message in messages {
            if message.is_empty() {
                return None;
            }
            bytes.extend_from_slice(message);
            if kind == ContentKind::Json {
                bytes.extend_from_slice(b",");
            }
            ends.push(bytes.len());
        }
        let ends = match ends.len() {
            0 => return None,
            1 => Ends::One,
            _ => Ends::Many(ends.into()),
        };
        Some(Self {
            bytes: bytes.freeze(),
            ends,
        })
    }

    /// As [`Payload::of_messages`], for valid JSON messages from a client, whose depth has not been checked.
    ///
    /// # Errors
    /// [`PayloadError::TooDeep`]; [`PayloadError::Empty`] if there are no messages, or one is empty.
    pub fn of_client_messages<'a>(
        kind: ContentKind,
        messages: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Self, PayloadError> {
        if kind == ContentKind::Json {
            messages.clone().try_for_each(check_nesting)?;
        }
        Self::of_messages(kind, messages).ok_or(PayloadError::Empty)
    }

    /// The payload of a creation, where a body without messages is not an error but `None`.
    ///
    /// # Errors
    /// All of [`PayloadError`] except [`PayloadError::Empty`] and [`PayloadError::EmptyArray`] (400).
    pub fn first(parsed: Result<Self, PayloadError>) -> Result<Option<Self>, PayloadError> {
        match parsed {
            Err(error) if error.is_without_messages() => Ok(None),
            parsed => parsed.map(Some),
        }
    }

    /// Creates a payload of one message without validation, for a stream that refuses all appends.
    pub fn unvalidated(body: Bytes) -> Self {
        Self {
            bytes: body,
            ends: Ends::One,
        }
    }

    fn json(body: &[u8], messages_max: usize) -> Result<Self, PayloadError> {
        let first = body.iter().find(|byte| !json::is_white_space(**byte));
        let mut json = serde_json::Deserializer::from_slice(body);
        let bytes = Vec::with_capacity(body.len() + 1);
        let mut messages = MessageCollector {
            bytes,
            ends: Vec::new(),
            limit: messages_max,
            fault: None,
        };
        let read = if first == Some(&b'[') {
            json.deserialize_seq(&mut messages)
        } else {
            <&RawValue as serde::Deserialize>::deserialize(&mut json)
                .and_then(|message| messages.push(message.get()))
        };
        let read = read.and_then(|()| json.end());
        if let Some(fault) = messages.fault {
            return Err(fault);
        }
        read.map_err(|error| PayloadError::NotJson(error.to_string()))?;
        let ends = match messages.ends.len() {
            0 => return Err(PayloadError::EmptyArray),
            1 => Ends::One,
            _ => Ends::Many(messages.ends.into()),
        };
        Ok(Self {
            bytes: messages.bytes.into_boxed_slice().into(),
            ends,
        })
    }

    /// The ends of messages, as offsets in the payload; empty for one message.
    pub(crate) fn ends(&self) -> &[usize] {
        match &self.ends {
            Ends::One => &[],
            Ends::Many(ends) => ends,
        }
    }

    /// The bytes in the stored form.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The number of bytes, at least 1.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Always false: a payload has at least one message.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The number of bytes in memory, including the list of message ends.
    pub fn memory_bytes(&self) -> usize {
        let ends = match &self.ends {
            Ends::One => 0,
            Ends::Many(ends) => size_of_val(&**ends),
        };
        self.len() + ends
    }

    /// The number of messages, at least 1.
    pub fn messages(&self) -> usize {
        match &self.ends {
            Ends::One => 1,
            Ends::Many(ends) => ends.len(),
        }
    }
}

/// Collects the JSON messages of a body.
struct MessageCollector {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    limit: usize,
    /// Why parsing was aborted, if not because of invalid JSON.
    fault: Option<PayloadError>,
}

impl MessageCollector {
    fn push(&mut self, message: &str) -> Result<(), serde_json::Error> {
        let checked = if self.ends.len() == self.limit {
            Err(PayloadError::TooManyMessages { limit: self.limit })
        } else {
            check_nesting(message.as_bytes())
        };
        if let Err(fault) = checked {
            let error = serde_json::Error::custom(&fault);
            self.fault = Some(fault);
            return Err(error);
        }
        self.bytes.extend_from_slice(message.as_bytes());
        self.bytes.push(b',');
        self.ends.push(self.bytes.len());
        Ok(())
    }
}

impl<'de> Visitor<'de> for &mut MessageCollector {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of messages")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while let Some(message) = items.next_element::<&RawValue>()? {
            self.push(message.get()).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

fn check_nesting(message: &[u8]) -> Result<(), PayloadError> {
    let depth = nesting(message);
    if depth > NESTING_MAX {
        Err(PayloadError::TooDeep { depth })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn json(body: &str) -> Result<Payload, PayloadError> {
        Payload::parse(ContentKind::Json, Bytes::copy_from_slice(body.as_bytes()))
    }

    #[test]
    fn json_keeps_bytes_and_flattens_one_level() {
        for (body, kept, messages) in [
            (r#" {"a": 1, "a": 2} "#, r#"{"a": 1, "a": 2},"#, 1),
            (
                "123456789012345678901234567890",
                "123456789012345678901234567890,",
                1,
            ),
            (r#"[{"a":1e400}, "x"]"#, r#"{"a":1e400},"x","#, 2),
            ("[[1,2], [3]]", "[1,2],[3],", 2),
            ("[[[1]]]", "[[1]],", 1),
        ] {
            let payload = json(body).unwrap();
            assert_eq!(payload.bytes(), kept, "{body}");
            assert_eq!(payload.messages(), messages, "{body}");
        }
    }

    #[test]
    fn a_small_message_does_not_keep_its_receive_buffer_alive() {
        for kind in [ContentKind::Json, ContentKind::Text, ContentKind::Binary] {
            let buffer = Bytes::from(vec![b'1'; 65_536]);
            let _payload = Payload::parse(kind, buffer.slice(..10)).unwrap();
            assert!(buffer.is_unique(), "{kind:?}");
        }
    }

    #[test]
    fn joined_messages_split_into_the_same_messages() {
        for (kind, kept, ends) in [
            (ContentKind::Json, "1,22,", [2, 5]),
            (ContentKind::Text, "122", [1, 3]),
        ] {
            let payload = Payload::of_messages(kind, [&b"1"[..], b"22"]).unwrap();
            assert_eq!(
                (payload.bytes().as_ref(), payload.messages()),
                (kept.as_bytes(), 2)
            );
            assert_eq!(payload.ends(), ends, "{kind:?}");
            assert!(Payload::of_messages(kind, []).is_none());
            assert!(Payload::of_messages(kind, [&b"1"[..], b""]).is_none());
        }
    }

    #[test]
    fn invalid_or_empty_json_is_refused() {
        assert_eq!(json("").unwrap_err(), PayloadError::Empty);
        assert_eq!(json("[]").unwrap_err(), PayloadError::EmptyArray);
        for body in ["{", "[1,", "[1 2]", "nul", "1 2", "[1]x", "\u{feff}1"] {
            assert!(
                matches!(json(body), Err(PayloadError::NotJson(_))),
                "{body}"
            );
        }
    }

    /// JSON texts with white space between their tokens.
    fn message() -> impl Strategy<Value = String> {
        let text = ".{0,6}".prop_map(|text| serde_json::to_string(&text).unwrap());
        let leaf = prop_oneof![
            text,
            "-?(0|[1-9][0-9]{0,30})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,3})?",
            "null|true|false"
        ];
        leaf.prop_recursive(5, 24, 4, |inner| {
            let list = proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[ {} ]", items.join(",\n")));
            let pairs = proptest::collection::vec(inner, 0..4).prop_map(|items| {
                items
                    .iter()
                    .map(|item| format!("\"k\\n\":{item}"))
                    .collect::<Vec<_>>()
            });
            prop_oneof![
                list,
                pairs.prop_map(|pairs| format!("{{{}}}", pairs.join(" ,")))
            ]
        })
    }

    proptest! {
        #[test]
        fn an_array_is_split_into_unchanged_elements(
            messages in proptest::collection::vec(message(), 1..9),
            space in "[ \t\r\n]{0,3}",
        ) {
            let body = format!("{space}[{space}{}{space}]{space}", messages.join(&format!("{space},{space}")));
            let payload = json(&body).unwrap();
            let kept: Vec<String> = messages.iter().map(|message| format!("{message},")).collect();
            prop_assert_eq!(payload.bytes(), &Bytes::from(kept.concat()));
            prop_assert_eq!(payload.messages(), messages.len());
            let ends: Vec<usize> = kept.iter().scan(0, |end, it| { *end += it.len(); Some(*end) }).collect();
            prop_assert_eq!(payload.ends(), if ends.len() == 1 { &[][..] } else { &ends });
            let again = Payload::of_client_messages(ContentKind::Json, messages.iter().map(|it| it.as_bytes())).unwrap();
            prop_assert_eq!(again.bytes(), payload.bytes());
        }

        #[test]
        fn any_bytes_are_valid_json_exactly_if_serde_says_so(text in r#"[\[\]{}:,"\\0-9eE.+\-a-f \x0c\u{e9}u]{0,16}"#, bytes in any::<Vec<u8>>()) {
            for body in [text.as_bytes(), &bytes] {
                let is_json = std::str::from_utf8(body).is_ok_and(|text| RawValue::from_string(text.to_owned()).is_ok());
                match Payload::parse(ContentKind::Json, Bytes::copy_from_slice(body)) {
                    Ok(_) | Err(PayloadError::EmptyArray) => prop_assert!(is_json, "{body:?}"),
                    Err(error) => prop_assert!(!is_json, "{body:?}: {error}"),
                }
            }
        }
    }
}
