//! Properties of the NDJSON codec for all bytes and splits.

use super::*;
use crate::codec_tests::{CodecCase, cases, pieces};
use crate::{Data, Token};
use proptest::prelude::*;

const KINDS: [ContentKind; 3] = [ContentKind::Json, ContentKind::Text, ContentKind::Binary];

fn control() -> Control {
    Control {
        next: "0000000000000042".parse().unwrap(),
        cursor: Some(7),
        up_to_date: Some(true),
        closed: false,
    }
}

fn encoded(kind: ContentKind, data: &[u8]) -> String {
    let mut out = Vec::new();
    encode(&mut out, kind, Some(data), &control());
    String::from_utf8(out).unwrap()
}

fn decoded(bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    NdjsonDecoder::default()
        .push(bytes, &mut frames)
        .map(|()| frames)
}

fn round_trips(
    kind: ContentKind,
    cases: &[CodecCase],
    cuts: &[usize],
) -> Result<(), TestCaseError> {
    let mut wire = Vec::new();
    for case in cases {
        encode(&mut wire, kind, Some(&case.stored), &case.control);
        wire.extend_from_slice(HEARTBEAT);
    }
    prop_assert!(std::str::from_utf8(&wire).is_ok());
    prop_assert_eq!(
        wire.iter().filter(|byte| **byte == b'\n').count(),
        cases.len() * 2,
        "one line per frame"
    );
    prop_assert!(!wire.contains(&b'\r'));
    let mut decoder = NdjsonDecoder::default();
    let mut frames = Vec::new();
    for piece in pieces(&wire, cuts) {
        decoder
            .push(piece, &mut frames)
            .map_err(|fault| TestCaseError::fail(fault.to_string()))?;
    }
    prop_assert_eq!(
        frames,
        cases.iter().map(CodecCase::frame).collect::<Vec<_>>()
    );
    Ok(())
}

fn on_one_line(message: &str) -> String {
    message.replace(['\r', '\n'], " ")
}

proptest! {
    #[test]
    fn json_does_not_depend_on_how_the_input_is_split(
        cases in cases(ContentKind::Json, on_one_line), cuts in prop::collection::vec(0_usize..40, 1..9),
    ) {
        round_trips(ContentKind::Json, &cases, &cuts)?;
    }

    #[test]
    fn text_does_not_depend_on_how_the_input_is_split(
        cases in cases(ContentKind::Text, str::to_owned), cuts in prop::collection::vec(0_usize..40, 1..9),
    ) {
        round_trips(ContentKind::Text, &cases, &cuts)?;
    }

    #[test]
    fn bytes_do_not_depend_on_how_the_input_is_split(
        cases in cases(ContentKind::Binary, str::to_owned), cuts in prop::collection::vec(0_usize..40, 1..9),
    ) {
        round_trips(ContentKind::Binary, &cases, &cuts)?;
    }

    #[test]
    fn text_that_is_not_utf8_is_returned_as_bytes(bytes in prop::collection::vec(any::<u8>(), 1..60)) {
        let frames = decoded(encoded(ContentKind::Text, &bytes).as_bytes()).unwrap();
        let received = match frames[0].data.clone() {
            Some(Data::Text(text)) => text.into_bytes(),
            Some(Data::Binary(bytes)) => bytes,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(received, bytes);
    }

    #[test]
    fn strings_are_encoded_as_serde_json_encodes_them(text in crate::codec_tests::text()) {
        let line: serde_json::Value = serde_json::from_str(&encoded(ContentKind::Text, text.as_bytes())).unwrap();
        prop_assert_eq!(line["data"].as_str().unwrap_or_default(), text);
    }

    #[test]
    fn random_lines_do_not_make_the_decoder_panic(
        text in r#"(\u{feff})?(\{("data":(\[1,"a"\]|"x"|"AA=="|null|7)|"encoding":"(base64|x)"|"streamNextOffset":"[0-9_]{0,18}"|,|[\[\]{}]){0,6}\}?(\r?\n|\r)?){0,6}"#,
        cuts in prop::collection::vec(0_usize..200, 0..6),
    ) {
        let whole = decoded(text.as_bytes());
        let (mut decoder, mut frames) = (NdjsonDecoder::default(), Vec::new());
        let mut all = pieces(text.as_bytes(), &cuts).into_iter();
        let pushed = all.try_for_each(|piece| decoder.push(piece, &mut frames));
        prop_assert_eq!(pushed.map(|()| frames), whole, "the same as without splits");
    }

    #[test]
    fn random_bytes_do_not_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decoded(&bytes);
    }
}

#[test]
fn the_bytes_equal_those_in_the_module_documentation() {
    let line = encoded(ContentKind::Json, b"{\"a\":1},{\"b\":2},");
    let rest = r#""streamNextOffset":"0000000000000042","streamCursor":"7","upToDate":true}"#;
    assert_eq!(
        line,
        format!("{{\"data\":[{{\"a\":1}},{{\"b\":2}}],{rest}\n")
    );
    assert_eq!(
        encoded(ContentKind::Text, b"a\"\x01\n"),
        format!("{{\"data\":\"a\\\"\\u0001\\n\",{rest}\n")
    );
    assert_eq!(
        encoded(ContentKind::Binary, &[0, 1, 2]),
        format!("{{\"data\":\"AAEC\",\"encoding\":\"base64\",{rest}\n")
    );
    for kind in KINDS {
        assert_eq!(
            encoded(kind, b""),
            format!("{{{rest}\n"),
            "no data, no field"
        );
    }
}

#[test]
fn all_line_ends_a_byte_order_mark_and_heartbeats_are_accepted() {
    let line = r#"{"streamNextOffset":"1"}"#;
    for wire in [
        format!("{line}\n"),
        format!("{line}\r\n"),
        format!("\u{feff}\n\r\n \n{line}\n\n"),
        format!("\u{feff}{line}\n"),
    ] {
        let frames = decoded(wire.as_bytes()).unwrap();
        assert_eq!(frames.len(), 1, "{wire:?}");
        assert_eq!(frames[0].next, "1".parse::<Token>().unwrap());
    }
}

#[test]
fn an_incomplete_line_is_not_delivered() {
    assert_eq!(decoded(br#"{"streamNextOffset":"1"}"#), Ok(Vec::new()));
}

#[test]
fn a_line_over_the_limit_is_refused_and_not_buffered() {
    let mut decoder = NdjsonDecoder::new(100);
    let mut frames = Vec::new();
    let mut refused = None;
    for _ in 0..20 {
        if let Err(fault) = decoder.push(&[b'x'; 10], &mut frames) {
            refused = Some(fault);
            break;
        }
    }
    assert_eq!(refused, Some(FrameError::TooLong { limit: 100 }));
    assert!(decoder.line.len() <= 100);
}

#[test]
fn frames_before_a_broken_line_are_delivered() {
    let mut frames = Vec::new();
    let fault = NdjsonDecoder::default()
        .push(b"{\"streamNextOffset\":\"1\"}\n{\"oops\n", &mut frames)
        .unwrap_err();
    assert_eq!(frames.len(), 1);
    assert!(fault.to_string().contains("oops"), "{fault}");
}
