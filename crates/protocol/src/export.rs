//! The export format of a stream: a head, pages as in `live=ndjson`, and an end line that a truncated file lacks.
//!
//! ```text
//! {"export":1,"name":"logs/a","configuration":{"contentType":"application/json"},"earliestOffset":"...","nextOffset":"..."}
//! {"data":[{"a":1},{"b":2}],"streamNextOffset":"0000000000000016"}
//! {"end":{"nextOffset":"0000000000000016","pages":1,"closed":false}}
//! ```
//!
//! For a JSON stream, a line contains as many messages as fit into a page. For any other stream, a
//! line contains one message, so that the message boundaries are the same after an import.

use crate::frame::{FRAME_BYTES_MAX, FrameError};
use crate::headers::ContentKind;
use crate::inspect::{Configuration, Origin};
use crate::{Frame, Token, document, json, ndjson};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of the format that this crate reads and writes.
pub const VERSION: u32 = 1;
/// The media type of an export.
pub const CONTENT_TYPE: &str = "application/x-ndjson";

/// The first line of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportHead {
    /// The version of the format, [`VERSION`].
    pub export: u32,
    /// The name of the stream, not percent-encoded.
    pub name: String,
    /// The configuration of the stream.
    pub configuration: Configuration,
    /// The source of the stream, if it is a fork. The export includes the inherited messages, and
    /// the imported stream is not a fork.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forked_from: Option<Origin>,
    /// The offset before the first exported message.
    pub earliest_offset: Token,
    /// The tail when the export started.
    pub next_offset: Token,
}

/// The last line of an export, which shows that the export is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExportEnd {
    /// The offset after the last exported message.
    pub next_offset: Token,
    /// The number of lines between the first and this one.
    pub pages: u64,
    /// Whether the stream was closed and `next_offset` is its end.
    pub closed: bool,
}

#[derive(Serialize, Deserialize)]
struct EndLine {
    end: ExportEnd,
}

/// A page of which only `data` is deserialized.
#[derive(Deserialize)]
struct PageData<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

/// The response to `PUT /v1/import/{name}`: the imported stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Imported {
    /// The name, not percent-encoded.
    pub name: String,
    /// The offset after the last message.
    pub next_offset: Token,
    /// Whether the stream is closed.
    pub closed: bool,
    /// The number of bytes by which the offsets are smaller than those of the exported stream: 0,
    /// unless the exported stream had removed its first messages.
    pub shift_bytes: u64,
}

/// A decoded line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExportLine {
    /// The first line.
    Head(Box<ExportHead>),
    /// Messages, and the offset after them in the exported stream.
    Page(Frame),
    /// The last line.
    End(ExportEnd),
}

/// Why an export is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// A line is invalid.
    #[error("line {line} of the export: {fault}")]
    Line {
        /// The line number, from 1.
        line: u64,
        /// Why the line is invalid.
        fault: FrameError,
    },
    /// The export has an unsupported version.
    #[error("the export has format {found}, expected {VERSION}")]
    Version {
        /// The version of the export.
        found: u32,
    },
    /// The end line states another number of pages than there are.
    #[error("the export's end counts {expected} pages, but {received} were received")]
    Pages {
        /// The number in the end line.
        expected: u64,
        /// The number of received pages.
        received: u64,
    },
    /// A line contains too many messages.
    #[error(
        "line {line} of the export exceeds the limit of {limit} messages: export the stream with smaller pages"
    )]
    TooManyMessages {
        /// The line number, from 1.
        line: u64,
        /// The maximum number of messages in a line.
        limit: usize,
    },
    /// There is a line after the end line.
    #[error("line {line} of the export follows its end")]
    BehindEnd {
        /// The line number, from 1.
        line: u64,
    },
    /// The end line is missing.
    #[error(
        "the export is truncated after {lines} complete lines: the last line, with `end`, is missing"
    )]
    CutOff {
        /// The number of complete lines.
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
        "structs of texts and numbers can be serialized, and writing to memory does not fail"
    );
    out.push(b'\n');
}

/// Decodes the pieces of an export into lines, regardless of how it was split, and checks the order
/// of the lines.
///
/// The decoder must not be used after an error.
#[derive(Debug, Clone)]
pub struct ExportDecoder {
    line: Vec<u8>,
    limit: usize,
    content: Option<ContentLimits>,
    lines: u64,
    pages: u64,
    is_over: bool,
}

/// Limits on the content of one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContentLimits {
    /// The maximum number of bytes of messages, as stored.
    pub bytes: usize,
    /// The maximum number of messages of a JSON stream. A line of any other stream contains one.
    pub messages: usize,
}

/// The maximum number of bytes of a line in addition to its messages, and of a head.
const LINE_OVERHEAD_BYTES: usize = 64 << 10;
/// The factor by which JSON escapes can lengthen a text: each byte may become `\u0001`.
const ESCAPED: usize = 6;

impl Default for ExportDecoder {
    fn default() -> Self {
        Self::new(FRAME_BYTES_MAX)
    }
}

impl ExportDecoder {
    /// Creates a decoder that buffers at most `limit` bytes of an incomplete line.
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

    /// Creates a decoder that limits the content of each line.
    pub fn limited(content: ContentLimits) -> Self {
        Self {
            content: Some(content),
            ..Self::new(LINE_OVERHEAD_BYTES)
        }
    }

    /// The number of buffered bytes of an incomplete line.
    pub fn pending_bytes(&self) -> usize {
        self.line.len()
    }

    /// Decodes the next piece, of any length, and appends the lines that it completes. Blank lines are ignored.
    ///
    /// # Errors
    /// [`ExportError`]: this is not a valid export. The lines before the error have been appended.
    pub fn push(
        &mut self,
        mut piece: &[u8],
        lines: &mut Vec<ExportLine>,
    ) -> Result<(), ExportError> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            self.buffer(&piece[..end])?;
            let line = std::mem::take(&mut self.line);
            if !json::trim(&line).is_empty() {
                lines.push(self.read(&line)?);
            }
            piece = &piece[end + 1..];
        }
        self.buffer(piece)
    }

    /// Checks that the export is complete; returns the last line if it had no line end.
    ///
    /// # Errors
    /// [`ExportError::CutOff`]: the end line is missing.
    pub fn finish(mut self) -> Result<Option<ExportLine>, ExportError> {
        // The last line may have no line end.
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
                return Err(ExportError::Version { found: head.export });
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
                    expected: end.pages,
                    received: self.pages,
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
            ExportLine::Page(
                frame.ok_or_else(|| wrong("a page or the end", &"found a blank line"))?,
            )
        };
        self.lines = number;
        Ok(read)
    }

    /// Checks the number of messages of a line before they are decoded, if the line is long enough to
    /// exceed the limit.
    fn check_messages(&self, line: &[u8]) -> Result<(), ExportError> {
        // A message takes at least two bytes, including its comma.
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

    fn buffer(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
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
#[path = "export_tests.rs"]
mod tests;
