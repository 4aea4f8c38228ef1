//! Properties of the server-sent events codec for all bytes and splits.

use super::*;
use crate::codec_tests::{CodecCase, cases, pieces};
use proptest::prelude::*;

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

fn decoded(kind: ContentKind, bytes: &[u8]) -> Result<Vec<Frame>, FrameError> {
    let mut frames = Vec::new();
    SseDecoder::new(kind)
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
        wire.extend_from_slice(HEARTBEAT);
        encode(&mut wire, kind, Some(&case.stored), &case.control);
    }
    for end in ["\n", "\r", "\r\n"] {
        let wire = String::from_utf8(wire.clone()).unwrap().replace('\n', end);
        let mut decoder = SseDecoder::new(kind);
        let mut frames = Vec::new();
        for piece in pieces(wire.as_bytes(), cuts) {
            decoder
                .push(piece, &mut frames)
                .map_err(|fault| TestCaseError::fail(fault.to_string()))?;
        }
        prop_assert_eq!(
            &frames,
            &cases.iter().map(CodecCase::frame).collect::<Vec<_>>(),
            "line end {:?}",
            end
        );
    }
    Ok(())
}

fn with_plain_line_ends(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

proptest! {
    #[test]
    fn json_does_not_depend_on_how_the_input_is_split(
        cases in cases(ContentKind::Json, with_plain_line_ends), cuts in prop::collection::vec(0_usize..40, 1..9),
    ) {
        round_trips(ContentKind::Json, &cases, &cuts)?;
    }

    #[test]
    fn text_has_normalised_line_ends_however_input_is_split(
        cases in cases(ContentKind::Text, with_plain_line_ends), cuts in prop::collection::vec(0_usize..40, 1..9),
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
    fn no_text_can_inject_a_line(text in crate::codec_tests::text()) {
        let wire = encoded(ContentKind::Text, text.as_bytes());
        let lines: Vec<&str> = wire.split(['\r', '\n']).collect();
        let mut foreign = lines.iter().filter(|line| !line.is_empty() && !line.starts_with("data:")).copied();
        let events: &[&str] = if text.is_empty() { &["event: control"] } else { &["event: data", "event: control"] };
        for event in events {
            prop_assert_eq!(foreign.next(), Some("id:0000000000000042"), "{:?}", wire);
            prop_assert_eq!(foreign.next(), Some(*event), "{:?}", wire);
        }
        prop_assert_eq!(foreign.next(), None, "all other lines are data: {:?}", wire);
        let blank = wire.matches("\n\n").count();
        prop_assert_eq!(blank, events.len(), "one blank line per event: {:?}", wire);
    }

    #[test]
    fn random_events_do_not_make_the_decoder_panic(
        text in r#"(\u{feff})?((event|data|id|retry|x)?: ?(data|control|[0-9]{0,3}|\[1,"a"\]|AA==|\{"streamNextOffset":"[0-9_]{0,18}"(,"upToDate":true)?\}|é)?(\r\n|\n|\r){0,2}){0,8}"#,
        cuts in prop::collection::vec(0_usize..200, 0..6),
    ) {
        for kind in [ContentKind::Json, ContentKind::Text, ContentKind::Binary] {
            let whole = decoded(kind, text.as_bytes());
            let (mut decoder, mut frames) = (SseDecoder::new(kind), Vec::new());
            let mut all = pieces(text.as_bytes(), &cuts).into_iter();
            let pushed = all.try_for_each(|piece| decoder.push(piece, &mut frames));
            prop_assert_eq!(pushed.map(|()| frames), whole, "the same as without splits");
        }
    }

    #[test]
    fn random_bytes_do_not_make_the_decoder_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for kind in [ContentKind::Json, ContentKind::Text, ContentKind::Binary] {
            let _ = decoded(kind, &bytes);
        }
    }
}

#[test]
fn the_bytes_equal_those_in_the_module_documentation() {
    let id = "id:0000000000000042\n";
    let control = format!(
        "{id}event: control\ndata:{{\"streamNextOffset\":\"0000000000000042\",\"streamCursor\":\"7\",\"upToDate\":true}}\n\n"
    );
    let json = encoded(ContentKind::Json, b"{\"a\":1},{\"b\":2},");
    assert_eq!(
        json,
        format!("{id}event: data\ndata:[{{\"a\":1}},{{\"b\":2}}]\n\n{control}")
    );
    let text = encoded(ContentKind::Text, b"a\r\nb\rc\nevent: control\n\n");
    assert_eq!(
        text,
        format!(
            "{id}event: data\ndata:a\ndata:b\ndata:c\ndata:event: control\ndata:\ndata:\n\n{control}"
        )
    );
    assert_eq!(
        encoded(ContentKind::Binary, &[0, 1, 2]),
        format!("{id}event: data\ndata:AAEC\n\n{control}")
    );
    assert_eq!(encoded(ContentKind::Json, b""), control);
}

#[test]
fn invalid_utf8_becomes_a_replacement_character() {
    let frames = decoded(
        ContentKind::Text,
        encoded(ContentKind::Text, b"a\xffb").as_bytes(),
    )
    .unwrap();
    assert_eq!(frames[0].data, Some(Data::Text("a\u{fffd}b".to_owned())));
}

#[test]
fn other_valid_event_streams_are_decoded() {
    // The protocol's own examples, with additional unknown fields and events.
    let wire = "\u{feff}: hello\nretry: 5\nid: 9\nevent:data\ndata:[\ndata:{\"k\":\"v\"},\ndata: {\"k\":\"w\"}\ndata:]\n\n\
                event: other\ndata: x\n\nevent: data\n\ndata\n\nevent: data\ndata: [1]\n\n\
                event: control\ndata: {\"streamNextOffset\":\"123456_789\",\"streamCursor\":\"abc\",\"more\":1}\n\n";
    let frames = decoded(ContentKind::Json, wire.as_bytes()).unwrap();
    assert_eq!(frames.len(), 1);
    let messages = [r#"{"k":"v"}"#, r#"{"k":"w"}"#, "1"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(frames[0].data, Some(Data::Json(messages)));
    assert_eq!(
        (frames[0].next.as_str(), frames[0].cursor.as_deref()),
        ("123456_789", Some("abc"))
    );
    let wire = "event: data\ndata: AQIDBAUG\ndata: BwgJCg==\n\nevent: control\ndata: {\"streamNextOffset\":\"1\"}\n\n";
    let frames = decoded(ContentKind::Binary, wire.as_bytes()).unwrap();
    assert_eq!(frames[0].data, Some(Data::Binary((1..=10).collect())));
}

#[test]
fn data_without_its_control_event_is_not_delivered() {
    let wire = encoded(ContentKind::Json, b"{\"a\":1},");
    let cut = wire.find("event: control").unwrap();
    for end in cut..wire.len() - 1 {
        assert_eq!(
            decoded(ContentKind::Json, &wire.as_bytes()[..end]),
            Ok(Vec::new()),
            "cut at {end}"
        );
    }
}

#[test]
fn an_event_over_the_limit_is_refused_and_not_buffered() {
    let mut decoder = SseDecoder::with_limit(ContentKind::Text, 100);
    let mut frames = Vec::new();
    let refused = (0..20).find_map(|_| decoder.push(b"data: 0123456789\n", &mut frames).err());
    assert_eq!(refused, Some(FrameError::TooLong { limit: 100 }));
    let mut decoder = SseDecoder::with_limit(ContentKind::Text, 100);
    let refused = (0..20).find_map(|_| {
        decoder
            .push(b"event: other\ndata: 0123456789\n\n", &mut frames)
            .err()
    });
    assert_eq!(
        refused, None,
        "ignored events do not count towards the limit"
    );
    let mut decoder = SseDecoder::with_limit(ContentKind::Text, 100);
    let refused = (0..20).find_map(|_| {
        decoder
            .push(b"event: data\ndata: 0123456789\n\n", &mut frames)
            .err()
    });
    assert_eq!(
        refused,
        Some(FrameError::TooLong { limit: 100 }),
        "data without its control counts towards the limit"
    );
}
