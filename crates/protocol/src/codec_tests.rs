//! Test cases shared by the property tests of both codecs: frames to encode, and random splits.

use crate::frame::Control;
use crate::headers::ContentKind;
use crate::{Data, Frame};
use proptest::prelude::*;

/// A test case: the stored bytes, the control, and the data that a client should decode.
#[derive(Debug, Clone)]
pub(crate) struct CodecCase {
    pub(crate) stored: Vec<u8>,
    pub(crate) control: Control,
    pub(crate) data: Option<Data>,
}

impl CodecCase {
    pub(crate) fn frame(&self) -> Frame {
        Frame {
            data: self.data.clone(),
            next: self.control.next.clone(),
            cursor: self.control.cursor.map(|cursor| cursor.to_string()),
            up_to_date: self.control.up_to_date == Some(true) || self.control.closed,
            closed: self.control.closed,
        }
    }
}

fn controls() -> impl Strategy<Value = Control> {
    (
        0..10_000_000_u64,
        any::<Option<u64>>(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(at, cursor, up_to_date, closed)| {
            let next = crate::Offset::new(at).map(Into::into).unwrap();
            Control {
                next,
                cursor,
                up_to_date: Some(up_to_date),
                closed,
            }
        })
}

/// JSON messages, some with line breaks of every kind between tokens, and with many escapes in
/// strings.
pub(crate) fn json_message() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        ".*".prop_map(|text| serde_json::to_string(&text).unwrap()),
        (".{0,8}", "[ \t\r\n]{0,4}", any::<u32>()).prop_map(|(key, space, value)| {
            let key = serde_json::to_string(&key).unwrap();
            format!("{{{space}{key}:{space}[{value},{space}\"data: x\"{space}]{space}}}")
        }),
    ]
}

/// Text with many line breaks and parts that look like fields of an event.
pub(crate) fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        ".{0,6}",
        "[ \t\r\n]{1,4}",
        Just("event: control".to_owned()),
        Just("data: {\"streamNextOffset\":\"9\",\"streamClosed\":true}".to_owned()),
        Just("\n\n".to_owned()),
        Just("\u{feff}".to_owned()),
    ];
    prop::collection::vec(piece, 1..8).prop_map(|pieces| pieces.concat())
}

/// Cases of one content kind.
///
/// - `expected`: the message or text that a client should decode in this format.
pub(crate) fn cases(
    kind: ContentKind,
    expected: fn(&str) -> String,
) -> BoxedStrategy<Vec<CodecCase>> {
    let content = match kind {
        ContentKind::Json => prop::collection::vec(json_message(), 1..5)
            .prop_map(move |messages| {
                let stored = messages
                    .iter()
                    .flat_map(|message| [message.as_bytes(), b","].concat())
                    .collect();
                let data = Data::Json(messages.iter().map(|message| expected(message)).collect());
                (stored, Some(data))
            })
            .boxed(),
        ContentKind::Text => text()
            .prop_map(move |text| {
                let data = (!text.is_empty()).then(|| Data::Text(expected(&text)));
                (text.into_bytes(), data)
            })
            .boxed(),
        ContentKind::Binary => prop::collection::vec(any::<u8>(), 1..100)
            .prop_map(|bytes| (bytes.clone(), Some(Data::Binary(bytes))))
            .boxed(),
    };
    let content = prop_oneof![4 => content, 1 => Just((Vec::new(), None))];
    let case = (content, controls()).prop_map(|((stored, data), control)| CodecCase {
        stored,
        control,
        data,
    });
    prop::collection::vec(case, 1..6).boxed()
}

/// Splits `bytes` into pieces whose lengths repeat `cuts`; a length of 0 gives an empty piece.
pub(crate) fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut rest = bytes;
    let mut pieces = Vec::new();
    for cut in cuts.iter().chain([&1]).cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at((*cut).min(rest.len()));
        pieces.push(piece);
        rest = after;
    }
    pieces
}
