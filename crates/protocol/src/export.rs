//! An exported stream: lines of JSON, a head, then pages as `live=ndjson` sends them, and an end that a cut file lacks.
//!
//! ```text
//! {"export":1,"name":"logs/a","configuration":{"contentType":"application/json"},"earliestOffset":"...","nextOffset":"..."}
//! {"data":[{"a":1},{"b":2}],"streamNextOffset":"0000000000000016"}
//! {"end":{"nextOffset":"0000000000000016","pages":1,"closed":false}}
//! ```
//!
//! A line of a JSON stream holds as many messages as fit into a page; a line of any other stream holds one message, so that
//! each position at which a reader may begin is one again after an import.

use crate::frame::{FRAME_BYTES_MAX, FrameError};
use crate::headers::ContentKind;
use crate::inspect::{Configuration, Origin};
use crate::{Frame, Token, document, json, ndjson};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The format that this crate reads and writes.
pub const VERSION: u32 = 1;
/// The media type.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportHead {
    /// The format, [`VERSION`].
    pub export: u32,
    /// The stream's name, not percent-encoded.
    pub name: String,
    /// What it was created with.
    pub configuration: Configuration,
    /// Where it was forked from another stream; an import makes a stream of its own of it, with what it inherited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Origin>,
    /// The position before the first message exported.
    pub earliest_offset: Token,
    /// The tail when the export began.
    pub next_offset: Token,
}

/// The last line: what stands before it is all there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportEnd {
    /// The position after the last message exported.
    pub next_offset: Token,
    /// How many lines stand between the first and this.
    pub pages: u64,
    /// Whether the stream was closed, and this is its end.
    pub closed: bool,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    end: ExportEnd,
}

/// A page of which only the data matter.
#[derive(Deserialize)]
struct PageData<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// What `PUT /v1/import/{name}` answers: the stream that now exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// Its name, not percent-encoded.
    pub name: String,
    /// The position after its last message.
    pub next_offset: Token,
    /// Whether it is closed.
    pub closed: bool,
    /// How much smaller its offsets are than those of the stream that was exported: 0, unless that one had removed its
    /// first messages.
    pub shift_bytes: u64,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportLine {
    /// The first.
    Head(Box<ExportHead>),
    /// Messages, and the position after them in the stream that was exported.
    Page(Frame),
    /// The last.
    End(ExportEnd),
}

/// What is wrong with an export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A line that is not what belongs there.
    #[error("line {line} of the export: {fault}")]
    Line {
        /// Which line, counted from 1.
        line: u64,
        /// What is wrong with it.
        fault: FrameError,
    },
    /// A format of another time.
    #[error("the export has format {came}: expected {VERSION}")]
    Version {
        /// The format.
        came: u32,
    },
    /// The end says otherwise than the lines before it.
    #[error("the export's end counts {told} pages, but {came} were received")]
    Pages {
        /// What the end says.
        told: u64,
        /// How many came.
        came: u64,
    },
    /// A line of more messages than are taken at once.
    #[error(
        "line {line} of the export has more than {limit} messages, which is the limit: export it with smaller pages"
    )]
    TooManyMessages {
        /// Which line, counted from 1.
        line: u64,
        /// How many are taken.
        limit: usize,
    },
    /// Something behind the end.
    #[error("line {line} of the export follows its end")]
    BehindEnd {
        /// Which line, counted from 1.
        line: u64,
    },
    /// No end.
    #[error(
        "the export breaks off after {lines} whole lines: the last line, with `end`, is missing"
    )]
    CutOff {
        /// Whole lines that came.
        lines: u64,
    },
}

/// Appends the first line.
pub fn encode_head(out: &mut Vec<u8>, head: &ExportHead) {
    push(out, head);
}

/// Appends the last line.
pub fn encode_end(out: &mut Vec<u8>, end: ExportEnd) {
    push(out, &EndLine { end });
}

fn push(out: &mut Vec<u8>, value: &impl Serialize) {
    let written = serde_json::to_writer(&mut *out, value);
    assert!(
        written.is_ok(),
        "plain structs of texts and numbers are always JSON, and memory takes what is written"
    );
    out.push(b'\n');
}

/// Puts pieces of an export together into lines, wherever they were cut, and checks their order.
///
/// After an error it is of no more use.
#[derive(Debug, Clone)]
pub struct ExportDecoder {
    line: Vec<u8>,
    limit: usize,
    content: Option<ContentLimits>,
    lines: u64,
    pages: u64,
    is_over: bool,
}

/// How much of a stream one line may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// Bytes of messages, as the stream keeps them.
    pub bytes: usize,
    /// Messages of a JSON stream; a line of any other holds one.
    pub messages: usize,
}

/// Bytes of a line beside its messages, and of a head.
const LINE_OVERHEAD_BYTES: usize = 64 << 10;
/// How much longer a message that is no JSON can be as JSON text: each of its bytes may become `\u0001`.
const ESCAPED: usize = 6;

impl Default for ExportDecoder {
    fn default() -> Self {
        Self::new(FRAME_BYTES_MAX)
    }
}

impl ExportDecoder {
    /// A decoder at the beginning of an export that holds at most `limit` bytes of an unfinished line.
    pub fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            limit,
            content: None,
            lines: 0,
            pages: 0,
            is_over: false,
        }
    }

    /// A decoder at the beginning of an export whose lines hold only what `content` allows.
    pub fn limited(content: ContentLimits) -> Self {
        Self {
            content: Some(content),
            ..Self::new(LINE_OVERHEAD_BYTES)
        }
    }

    /// Bytes of the line that is not complete yet.
    pub fn pending_bytes(&self) -> usize {
        self.line.len()
    }

    /// Takes the next piece, of any length, and appends the lines that it completes. Blank lines are passed over.
    ///
    /// # Errors
    /// [`ExportError`]: this is not an export, or a broken one. The lines before it have been appended.
    pub fn push(
        &mut self,
        mut piece: &[u8],
        lines: &mut Vec<ExportLine>,
    ) -> Result<(), ExportError> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            self.hold(&piece[..end])?;
            let line = std::mem::take(&mut self.line);
            if !json::trim(&line).is_empty() {
                lines.push(self.read(&line)?);
            }
            piece = &piece[end + 1..];
        }
        self.hold(piece)
    }

    /// Says whether all of it came.
    ///
    /// # Errors
    /// [`ExportError::CutOff`] when its end did not come.
    pub fn finish(mut self) -> Result<Option<ExportLine>, ExportError> {
        // The last line may lack its line end.
        let line = std::mem::take(&mut self.line);
        let last = if json::trim(&line).is_empty() {
            None
        } else {
            self.read(&line).ok()
        };
        if self.is_over {
            Ok(last)
        } else {
            Err(ExportError::CutOff { lines: self.lines })
        }
    }

    fn read(&mut self, line: &[u8]) -> Result<ExportLine, ExportError> {
        let number = self.lines + 1;
        let wrong = |expected: &'static str, fault: &dyn ToString| ExportError::Line {
            line: number,
            fault: FrameError::malformed(expected, &fault.to_string(), line),
        };
        if self.is_over {
            return Err(ExportError::BehindEnd { line: number });
        }
        let read = if self.lines == 0 {
            let head: ExportHead = document::read(line).map_err(|fault| {
                wrong(
                    "the head of an export, which begins with {\"export\":1",
                    &fault,
                )
            })?;
            if head.export != VERSION {
                return Err(ExportError::Version { came: head.export });
            }
            if let Some(content) = self.content {
                let is_json =
                    ContentKind::of(&head.configuration.content_type) == ContentKind::Json;
                let text_bytes = content
                    .bytes
                    .saturating_mul(if is_json { 1 } else { ESCAPED });
                self.limit = text_bytes.saturating_add(LINE_OVERHEAD_BYTES);
            }
            ExportLine::Head(Box::new(head))
        } else if json::trim(line).starts_with(br#"{"end""#) {
            let EndLine { end } =
                document::read(line).map_err(|fault| wrong("the end of an export", &fault))?;
            if end.pages != self.pages {
                return Err(ExportError::Pages {
                    told: end.pages,
                    came: self.pages,
                });
            }
            self.is_over = true;
            ExportLine::End(end)
        } else {
            self.pages += 1;
            self.check_messages(line)?;
            let frame = ndjson::decode(line, false).map_err(|fault| ExportError::Line {
                line: number,
                fault,
            })?;
            ExportLine::Page(frame.ok_or_else(|| wrong("a page or the end", &"a blank line came"))?)
        };
        self.lines = number;
        Ok(read)
    }

    /// Counts the messages of a line before they are read, if there can be too many.
    fn check_messages(&self, line: &[u8]) -> Result<(), ExportError> {
        // A message takes two bytes at least, its comma included.
        let Some(limit) = self
            .content
            .map(|content| content.messages)
            .filter(|limit| *limit < line.len() / 2)
        else {
            return Ok(());
        };
        let page: Option<PageData<'_>> = document::read(line).ok();
        let data = page.and_then(|page| page.data);
        let count = data.and_then(|data| json::count_elements(data.get()).ok());
        if count.is_some_and(|count| count > limit) {
            return Err(ExportError::TooManyMessages {
                line: self.lines + 1,
                limit,
            });
        }
        Ok(())
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        if self.line.len() + bytes.len() > self.limit {
            let fault = FrameError::TooLong { limit: self.limit };
            return Err(ExportError::Line {
                line: self.lines + 1,
                fault,
            });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
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
        for (came, expected) in [
            (lines[1..].join("\n"), "line 1"),
            (text.replace("\"export\":1", "\"export\":2"), "format 2"),
            (
                [lines[0], lines[1], lines[3]].join("\n") + "\n",
                "counts 2 pages, but 1",
            ),
            ([lines[0], "{\"data\":7}", lines[3]].join("\n"), "line 2"),
            (text.clone() + lines[3] + "\n", "line 5"),
        ] {
            let fault = decode(came.as_bytes(), 10).unwrap_err().to_string();
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
                let is_same = matches!(line, ExportLine::Page(Frame { data: Some(Data::Text(came)), .. }) if came == text);
                prop_assert!(is_same, "{line:?}");
            }
            prop_assert_eq!(lines.last(), Some(&ExportLine::End(end)));
        }
    }
}
