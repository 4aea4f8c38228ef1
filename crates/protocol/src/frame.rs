//! The object that SSE, NDJSON and WebSocket have in common: data, and the offset after it.
//!
//! ```text
//! {"data":[{"a":1}],"streamNextOffset":"0000000000000008","streamCursor":"3117","upToDate":true}
//! ```
//!
//! The fields are in the order `data`, `encoding`, `streamNextOffset`, `streamCursor`, `upToDate`,
//! `streamClosed`. SSE includes the cursor in each control event, and `upToDate` if it is true.
//! NDJSON and WebSocket include the cursor in the first object of a response, and `upToDate` if it
//! changes: an absent value is the same as in the previous object, and initially false.

use crate::headers::ContentKind;
use crate::{Data, Token, base64, document, json};
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The default maximum number of bytes of one frame that a decoder buffers: 64 MiB.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The fields of a frame other than its data, as the server encodes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The offset after the data.
    pub next: Token,
    /// The cursor for request collapsing, encoded as a decimal string.
    pub cursor: Option<u64>,
    /// Whether `next` was the tail when the frame was created; `None` omits the field.
    pub up_to_date: Option<bool>,
    /// Whether the stream is closed and `next` is its end.
    pub closed: bool,
}

/// A decoded frame: data and its [`Control`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The data; `None` if the frame has none.
    pub data: Option<Data>,
    /// The offset after the data.
    pub next: Token,
    /// The server's cursor for request collapsing, an opaque text.
    pub cursor: Option<String>,
    /// Whether `next` was the tail. Always true at the end of a closed stream.
    pub up_to_date: bool,
    /// Whether the stream is closed and `next` is its end.
    pub closed: bool,
}

/// A decoding error. The connection cannot be used any further.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The frame exceeds the limit of the decoder.
    #[error("a frame exceeds the limit of {limit} bytes")]
    TooLong {
        /// The decoder's limit in bytes.
        limit: usize,
    },
    /// The text does not have the expected form.
    #[error("expected {expected}, but {fault}; the text begins with `{begin}`")]
    Malformed {
        /// The expected content.
        expected: &'static str,
        /// The error in the received text.
        fault: String,
        /// The first characters of the received text.
        begin: String,
    },
}

impl FrameError {
    pub(crate) fn malformed(expected: &'static str, fault: &impl ToString, text: &[u8]) -> Self {
        let begin = String::from_utf8_lossy(&text[..text.len().min(60)]).into_owned();
        Self::Malformed {
            expected,
            fault: fault.to_string(),
            begin,
        }
    }
}

/// Decodes the body of a response to a plain read or long-poll.
///
/// - `kind`: the kind of the response's `Content-Type`.
/// - `body`: the complete body; for JSON an array of messages, whose bytes are kept unchanged.
/// - Returns text that is not valid UTF-8 (a page may end inside a character) as [`Data::Binary`].
///
/// # Errors
/// [`FrameError::Malformed`]: a JSON body is not an array.
pub fn decode_body(kind: ContentKind, body: &[u8]) -> Result<Data, FrameError> {
    Ok(match kind {
        ContentKind::Json if json::trim(body).is_empty() => Data::Json(Vec::new()),
        ContentKind::Json => Data::Json(messages(body)?),
        ContentKind::Text => match std::str::from_utf8(body) {
            Ok(text) => Data::Text(text.to_owned()),
            Err(_) => Data::Binary(body.to_vec()),
        },
        ContentKind::Binary => Data::Binary(body.to_vec()),
    })
}

/// A frame object; unknown members are ignored.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FrameObject<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    encoding: Option<String>,
    stream_next_offset: Token,
    stream_cursor: Option<String>,
    up_to_date: Option<bool>,
    stream_closed: Option<bool>,
}

/// Decodes one frame object. The data of an SSE control event is a frame object without `data`.
///
/// - `was_up_to_date`: the value of an absent `upToDate`.
pub(crate) fn decode_object(text: &[u8], was_up_to_date: bool) -> Result<Frame, FrameError> {
    const EXPECTED: &str = "a JSON object with streamNextOffset";
    // serde_json does not check the encoding of members that it skips.
    std::str::from_utf8(text).map_err(|fault| FrameError::malformed(EXPECTED, &fault, text))?;
    let object: FrameObject<'_> =
        document::read(text).map_err(|fault| FrameError::malformed(EXPECTED, &fault, text))?;
    let encoding = object.encoding.as_deref();
    let closed = object.stream_closed.unwrap_or(false);
    Ok(Frame {
        data: object
            .data
            .map(|data| decode_data(data.get(), encoding))
            .transpose()?,
        next: object.stream_next_offset,
        cursor: object.stream_cursor,
        up_to_date: object.up_to_date.unwrap_or(was_up_to_date) || closed,
        closed,
    })
}

fn decode_data(data: &str, encoding: Option<&str>) -> Result<Data, FrameError> {
    if data.starts_with('[') {
        return messages(data.as_bytes()).map(Data::Json);
    }
    let text = json::string(data).map_err(|fault| {
        FrameError::malformed("data as an array or a string", &fault, data.as_bytes())
    })?;
    match encoding {
        None => Ok(Data::Text(text)),
        Some("base64") => decode_base64(text.as_bytes()).map(Data::Binary),
        Some(other) => Err(FrameError::malformed(
            "the encoding base64 or none",
            &"found another encoding",
            other.as_bytes(),
        )),
    }
}

/// The exact text of each element of a JSON array.
pub(crate) fn messages(array: &[u8]) -> Result<Vec<String>, FrameError> {
    json::elements(array)
        .map_err(|fault| FrameError::malformed("a JSON array of messages", &fault, array))
}

/// Decodes base64 text, which must have padding and no line breaks.
///
/// Source: RFC 4648, section 4.
pub(crate) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, FrameError> {
    let unpadded = text.strip_suffix(b"==").or(text.strip_suffix(b"="));
    base64::decode(unpadded.unwrap_or(text), *b"+/")
        .filter(|_| text.len().is_multiple_of(4))
        .ok_or_else(|| FrameError::malformed("base64", &"found another text", text))
}

/// Appends the stored messages of a JSON stream as an array, without the comma after the last message.
pub fn push_array(out: &mut Vec<u8>, stored: &[u8]) {
    out.push(b'[');
    out.extend_from_slice(stored.strip_suffix(b",").unwrap_or(stored));
    out.push(b']');
}

/// Appends `bytes` in base64, without line breaks.
pub(crate) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, b'=');
    let written = STANDARD.encode_slice(bytes, &mut out[start..]);
    assert_eq!(
        written,
        Ok(out.len() - start),
        "each group of up to three bytes is encoded as four characters"
    );
}

/// Appends the fields of `control` without braces, starting with `streamNextOffset`.
pub(crate) fn push_control(out: &mut Vec<u8>, control: &Control) {
    out.extend_from_slice(br#""streamNextOffset":""#);
    // A token contains no characters that need escaping in JSON.
    out.extend_from_slice(control.next.as_str().as_bytes());
    out.push(b'"');
    if let Some(cursor) = control.cursor {
        out.extend_from_slice(br#","streamCursor":""#);
        push_decimal(out, cursor);
        out.push(b'"');
    }
    match control.up_to_date {
        Some(true) => out.extend_from_slice(br#","upToDate":true"#),
        Some(false) => out.extend_from_slice(br#","upToDate":false"#),
        None => {}
    }
    if control.closed {
        out.extend_from_slice(br#","streamClosed":true"#);
    }
}

fn push_decimal(out: &mut Vec<u8>, mut number: u64) {
    let start = out.len();
    loop {
        out.push(b"0123456789"[(number % 10) as usize]);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[start..].reverse();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn control() -> Control {
        Control {
            next: "0000000000000042".parse().unwrap(),
            cursor: Some(3_117),
            up_to_date: Some(true),
            closed: true,
        }
    }

    #[test]
    fn base64_round_trips_and_invalid_base64_is_refused() {
        for length in 0..70_u8 {
            let bytes: Vec<u8> = (0..length).map(|byte| byte.wrapping_mul(151)).collect();
            let mut text = Vec::new();
            push_base64(&mut text, &bytes);
            assert_eq!(text, STANDARD.encode(&bytes).as_bytes());
            assert_eq!(decode_base64(&text).unwrap(), bytes);
        }
        for text in [
            "A", "AA", "AAA", "=", "====", "A===", "AB==", "AAB=", "AA=A", "AA==AA==", "AA\n=",
            "A-==", "AAAAA",
        ] {
            assert_eq!(
                decode_base64(text.as_bytes()).ok(),
                STANDARD.decode(text).ok(),
                "{text}"
            );
        }
    }

    #[test]
    fn fields_have_one_order_and_false_ones_are_omitted() {
        let mut out = Vec::new();
        push_control(&mut out, &control());
        let all = r#""streamNextOffset":"0000000000000042","streamCursor":"3117","upToDate":true,"streamClosed":true"#;
        assert_eq!(String::from_utf8(out).unwrap(), all);
        let mut out = Vec::new();
        push_control(
            &mut out,
            &Control {
                cursor: None,
                up_to_date: None,
                closed: false,
                ..control()
            },
        );
        assert_eq!(
            String::from_utf8(out).unwrap(),
            r#""streamNextOffset":"0000000000000042""#
        );
    }

    #[test]
    fn every_decimal_prints_as_the_standard_library_prints_it() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_decimal(&mut out, number);
            assert_eq!(String::from_utf8(out).unwrap(), number.to_string());
        }
    }

    #[test]
    fn messages_keep_big_numbers_duplicate_keys_and_inner_spaces() {
        let body = br#" [ {"n":123456789012345678901234567890, "n":1.0e5} , "x" ,[1, 2]] "#;
        let Data::Json(messages) = decode_body(ContentKind::Json, body).unwrap() else {
            panic!("not JSON")
        };
        assert_eq!(
            messages,
            [
                r#"{"n":123456789012345678901234567890, "n":1.0e5}"#,
                r#""x""#,
                "[1, 2]"
            ]
        );
    }

    #[test]
    fn an_empty_body_is_no_data_in_every_kind() {
        for kind in [ContentKind::Json, ContentKind::Text, ContentKind::Binary] {
            assert!(decode_body(kind, b"").unwrap().is_empty());
        }
        assert!(decode_body(ContentKind::Json, b"[]").unwrap().is_empty());
    }

    #[test]
    fn an_error_states_the_expected_and_the_received_text() {
        let fault = decode_object(br#"{"upToDate":true}"#, false)
            .unwrap_err()
            .to_string();
        assert!(
            fault.contains("streamNextOffset") && fault.contains(r#"{"upToDate":true}"#),
            "{fault}"
        );
        let fault = decode_object(br#"{"streamNextOffset":"a&b"}"#, false)
            .unwrap_err()
            .to_string();
        assert!(fault.contains("is not an offset"), "{fault}");
        let fault = decode_body(ContentKind::Json, br#"{"a":1}"#)
            .unwrap_err()
            .to_string();
        assert!(fault.contains("array"), "{fault}");
    }

    #[test]
    fn unknown_fields_are_ignored_and_closed_means_up_to_date() {
        for (text, was, is) in [
            (r#""a":1"#, true, true),
            (r#""a":1"#, false, false),
            (r#""upToDate":false"#, true, false),
        ] {
            let text = format!(r#"{{"streamNextOffset":"7_9",{text}}}"#);
            assert_eq!(
                decode_object(text.as_bytes(), was).unwrap().up_to_date,
                is,
                "{text}"
            );
        }
        let frame = decode_object(
            br#"{"later":[{}],"streamNextOffset":"7_9","streamClosed":true}"#,
            false,
        )
        .unwrap();
        assert_eq!(frame.next.as_str(), "7_9");
        assert!(frame.closed && frame.up_to_date && frame.data.is_none() && frame.cursor.is_none());
    }
}
