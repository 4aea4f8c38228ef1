//! The object that SSE, NDJSON and WebSocket have in common: data, and where to go on after it.
//!
//! ```text
//! {"data":[{"a":1}],"streamNextOffset":"0000000000000008","streamCursor":"3117","upToDate":true}
//! ```
//!
//! The fields always stand in the order `data`, `encoding`, `streamNextOffset`, `streamCursor`, `upToDate`, `streamClosed`.
//! SSE says the cursor in each control event, and `upToDate` where it is true. NDJSON and WebSocket say the cursor in the
//! first object of an answer and `upToDate` where it changes: what is absent there is as before, and at first false.

use crate::headers::ContentKind;
use crate::{Data, Token, document, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Bytes that a decoder holds of one frame before it gives up, unless told otherwise: 64 MiB.
pub const FRAME_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Where to go on after a piece of data, as the server says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Control {
    /// The position after the data.
    pub next: Token,
    /// The collapsing key that a reader echoes; printed as a decimal string.
    pub cursor: Option<u64>,
    /// Whether `next` was the tail when this was made; `None` says nothing about it.
    pub up_to_date: Option<bool>,
    /// Whether the stream is closed and `next` is its end.
    pub closed: bool,
}

/// A [`Control`] and its data, as the client reads them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What came; `None` when there was no data.
    pub data: Option<Data>,
    /// The position after it.
    pub next: Token,
    /// The server's collapsing key; opaque here.
    pub cursor: Option<String>,
    /// Whether `next` was the tail. A closed stream's end always is.
    pub up_to_date: bool,
    /// Whether the stream is closed and `next` is its end.
    pub closed: bool,
}

/// What a decoder could not accept; the connection is of no more use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// More bytes without an end than the decoder may hold.
    #[error("a frame is longer than {limit} bytes, which is the limit")]
    TooLong {
        /// The decoder's limit in bytes.
        limit: usize,
    },
    /// The text is not the JSON that belongs there.
    #[error("expected {expected}, but {fault}; the text begins with `{begin}`")]
    Malformed {
        /// What belongs there.
        expected: &'static str,
        /// What is wrong with what came.
        fault: String,
        /// The first characters of what came.
        begin: String,
    },
}

impl FrameError {
    pub(crate) fn malformed(expected: &'static str, fault: &impl ToString, came: &[u8]) -> Self {
        let begin = String::from_utf8_lossy(&came[..came.len().min(60)]).into_owned();
        Self::Malformed {
            expected,
            fault: fault.to_string(),
            begin,
        }
    }
}

/// The body of a plain read or long-poll answer as data.
///
/// - `kind`: of the stream, from the answer's `Content-Type`.
/// - `body`: the whole body; for JSON an array of messages, each of which is kept byte for byte.
/// - Returns text that is not valid UTF-8 (a character may be cut at a page's end) as [`Data::Binary`].
///
/// # Errors
/// [`FrameError::Malformed`] when a JSON body is not an array.
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

/// A frame object; members that are not known are passed over.
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

/// Reads one frame object (without `data` it is also SSE's control object).
///
/// - `was_up_to_date`: what an object means that does not say whether it is up to date.
pub(crate) fn decode_object(text: &[u8], was_up_to_date: bool) -> Result<Frame, FrameError> {
    const EXPECTED: &str = "a JSON object with streamNextOffset";
    // serde_json does not look at the bytes of what it passes over.
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
            &"another one came",
            other.as_bytes(),
        )),
    }
}

/// The elements of a JSON array as they stand there, byte for byte.
pub(crate) fn messages(array: &[u8]) -> Result<Vec<String>, FrameError> {
    json::elements(array)
        .map_err(|fault| FrameError::malformed("a JSON array of messages", &fault, array))
}

/// The bytes behind base64 text, with padding and without line breaks.
///
/// Source: RFC 4648, section 4.
pub(crate) fn decode_base64(text: &[u8]) -> Result<Vec<u8>, FrameError> {
    STANDARD
        .decode(text)
        .map_err(|fault| FrameError::malformed("base64", &fault, text))
}

/// Appends the messages of a JSON stream's bytes as an array: the comma after the last message goes.
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
        "three bytes, or what is left of them, become four characters"
    );
}

/// Appends the fields of `control` without braces, beginning with `streamNextOffset`.
pub(crate) fn push_control(out: &mut Vec<u8>, control: &Control) {
    out.extend_from_slice(br#""streamNextOffset":""#);
    // A token holds no character that JSON would have to escape.
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
    fn base64_is_read_as_strictly_as_it_is_written() {
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
    fn a_refusal_says_what_was_expected_and_found() {
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
