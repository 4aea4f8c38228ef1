//! Tests of the export format: any split, truncation, and invalid lines.

use super::*;
use crate::{Control, Data, Offset};
use proptest::prelude::*;

fn whole() -> String {
    let head = ExportHead {
        export: VERSION,
        name: "a".to_owned(),
        configuration: Configuration {
            content_type: "text/plain".to_owned(),
            ..Default::default()
        },
        forked_from: None,
        earliest_offset: "0".parse().unwrap(),
        next_offset: "3".parse().unwrap(),
    };
    let mut out = Vec::new();
    encode_head(&mut out, &head);
    out.extend_from_slice(
        b"{\"data\":\"ab\",\"streamNextOffset\":\"2\"}\n{\"data\":\"c\",\"streamNextOffset\":\"3\"}\n",
    );
    encode_end(
        &mut out,
        ExportEnd {
            next_offset: "3".parse().unwrap(),
            pages: 2,
            closed: true,
        },
    );
    String::from_utf8(out).unwrap()
}

fn decode(text: &[u8], piece: usize) -> Result<Vec<ExportLine>, ExportError> {
    let (mut decoder, mut lines) = (ExportDecoder::default(), Vec::new());
    for piece in text.chunks(piece) {
        decoder.push(piece, &mut lines)?;
    }
    lines.extend(decoder.finish()?);
    Ok(lines)
}

#[test]
fn an_export_parses_in_any_split_and_without_its_last_line_end() {
    let text = whole();
    let expected = decode(text.as_bytes(), text.len()).unwrap();
    assert_eq!(expected.len(), 4);
    assert!(
        matches!(&expected[1], ExportLine::Page(Frame { data: Some(Data::Text(text)), .. }) if text == "ab")
    );
    assert!(matches!(
        &expected[3],
        ExportLine::End(ExportEnd { closed: true, .. })
    ));
    for piece in 1..text.len() {
        assert_eq!(
            decode(text.as_bytes(), piece).unwrap(),
            expected,
            "pieces of {piece}"
        );
    }
    assert_eq!(decode(text.trim_end().as_bytes(), 7).unwrap(), expected);
}

#[test]
fn every_truncation_is_detected() {
    let text = whole();
    for cut in 0..text.len() - 1 {
        assert!(
            matches!(
                decode(&text.as_bytes()[..cut], 16),
                Err(ExportError::CutOff { .. })
            ),
            "cut at {cut}"
        );
    }
}

#[test]
fn an_invalid_export_is_refused_with_its_line_number() {
    let text = whole();
    let lines: Vec<&str> = text.lines().collect();
    for (input, expected) in [
        (lines[1..].join("\n"), "line 1"),
        (text.replace("\"export\":1", "\"export\":2"), "format 2"),
        (
            [lines[0], lines[1], lines[3]].join("\n") + "\n",
            "counts 2 pages, but 1",
        ),
        ([lines[0], "{\"data\":7}", lines[3]].join("\n"), "line 2"),
        (text.clone() + lines[3] + "\n", "line 5"),
    ] {
        let fault = decode(input.as_bytes(), 10).unwrap_err().to_string();
        assert!(fault.contains(expected), "{expected}: {fault}");
    }
    let mut decoder = ExportDecoder::new(10);
    assert!(decoder.push(b"0123456789", &mut Vec::new()).is_ok());
    assert!(decoder.push(b"0", &mut Vec::new()).is_err());
}

proptest! {
    #[test]
    fn random_bytes_do_not_make_the_decoder_panic(
        bytes in any::<Vec<u8>>(),
        text in r#"(\{"(export|data|end)":(1|\[|"|\{|\]|\}|,|nextOffset|"0000000000000016"){0,6}\}?\n?){0,5}"#,
        cut in 1_usize..20,
        messages in 1_usize..4,
    ) {
        let head = whole().lines().next().unwrap().to_owned() + "\n";
        for input in [&bytes, text.as_bytes(), &[head.as_bytes(), text.as_bytes()].concat()] {
            for mut decoder in [ExportDecoder::default(), ExportDecoder::limited(ContentLimits { bytes: 64, messages })] {
                let mut lines = Vec::new();
                let pushed = input.chunks(cut).try_for_each(|piece| decoder.push(piece, &mut lines));
                prop_assert!(lines.iter().all(|line| !matches!(line, ExportLine::Head(_))) || lines.len() <= 7);
                if pushed.is_ok() {
                    drop(decoder.finish());
                }
            }
        }
    }

    #[test]
    fn messages_do_not_depend_on_how_bytes_are_split(
        texts in proptest::collection::vec(".{1,20}", 0..6),
        is_closed in any::<bool>(),
        cut in 1_usize..60,
    ) {
        let mut out = whole().lines().next().unwrap().as_bytes().to_vec();
        out.push(b'\n');
        let control = |at: usize| Control {
            next: Offset::new(at as u64).unwrap().into(),
            cursor: None,
            up_to_date: None,
            closed: false,
        };
        let mut at = 0;
        for text in &texts {
            at += text.len();
            ndjson::encode(&mut out, ContentKind::Text, Some(text.as_bytes()), &control(at));
        }
        let end = ExportEnd { next_offset: control(at).next, pages: texts.len() as u64, closed: is_closed };
        encode_end(&mut out, end.clone());
        let lines = decode(&out, cut).unwrap();
        prop_assert_eq!(lines.len(), texts.len() + 2);
        for (line, text) in lines[1..].iter().zip(&texts) {
            let is_same = matches!(line, ExportLine::Page(Frame { data: Some(Data::Text(decoded)), .. }) if decoded == text);
            prop_assert!(is_same, "{line:?}");
        }
        prop_assert_eq!(lines.last(), Some(&ExportLine::End(end)));
    }
}
