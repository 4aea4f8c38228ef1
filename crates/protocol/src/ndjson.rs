//! Newline-delimited JSON, one frame per line: the server's encoder and the client's incremental decoder, no I/O.
//!
//! ```text
//! {"data":[{"a":1}],"streamNextOffset":"0000000000000008","upToDate":true}\n     a JSON stream: messages
//! {"data":"caf\u00e9\n","streamNextOffset":"0000000000000014"}\n                 a text stream
//! {"data":"AAEC","encoding":"base64","streamNextOffset":"0000000000000017"}\n    any other stream, and invalid UTF-8
//! \n                                                                             a heartbeat
//! ```
//!
//! Each line contains data together with its offset, so an interrupted connection cannot separate
//! the two. WebSocket text frames contain the same lines without the line end.

use crate::frame::{self, Control, FRAME_BYTES_MAX, Frame, FrameError};
use crate::headers::ContentKind;
use crate::json;

/// An empty line, which is sent to keep an idle connection open.
pub const HEARTBEAT: &[u8] = b"\n";

/// Appends one line, including the line end.
///
/// - `data`: the stored bytes: JSON messages, each followed by one comma, or the bytes of any other
///   content type. `None` or empty: no data.
/// - JSON messages keep their bytes, except that CR and LF between tokens become spaces.
/// - Text that is not valid UTF-8 is sent as base64, so no bytes are lost.
pub fn encode(out: &mut Vec<u8>, kind: ContentKind, data: Option<&[u8]>, control: &Control) {
    let data = data.filter(|bytes| !bytes.is_empty());
    out.reserve(data.map_or(0, <[u8]>::len) + 160);
    out.push(b'{');
    if let Some(bytes) = data {
        out.extend_from_slice(br#""data":"#);
        match kind {
            ContentKind::Json => push_array_on_one_line(out, bytes),
            ContentKind::Text => match std::str::from_utf8(bytes) {
                Ok(text) => push_string(out, text),
                Err(_) => push_base64(out, bytes),
            },
            ContentKind::Binary => push_base64(out, bytes),
        }
        out.push(b',');
    }
    frame::push_control(out, control);
    out.extend_from_slice(b"}\n");
}

fn push_array_on_one_line(out: &mut Vec<u8>, stored: &[u8]) {
    let start = out.len();
    frame::push_array(out, stored);
    // JSON strings contain no raw line breaks, so these are between tokens, where a space is
    // equivalent.
    let mut rest = &mut out[start..];
    while let Some(at) = memchr::memchr2(b'\r', b'\n', rest) {
        rest[at] = b' ';
        rest = &mut rest[at + 1..];
    }
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    frame::push_base64(out, bytes);
    out.extend_from_slice(br#"","encoding":"base64""#);
}

/// Appends `text` as a JSON string.
fn push_string(out: &mut Vec<u8>, text: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut copied = 0;
    for (at, &byte) in bytes.iter().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[copied..at]);
        copied = at + 1;
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control => {
                let digits = [
                    HEX[usize::from(control >> 4)],
                    HEX[usize::from(control & 15)],
                ];
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&digits);
            }
        }
    }
    out.extend_from_slice(&bytes[copied..]);
    out.push(b'"');
}

/// Decodes one line, or the text of one WebSocket frame.
///
/// - `was_up_to_date`: `up_to_date` of the previous frame; false for the first.
/// - Returns `None` for a heartbeat, which consists of white space.
///
/// # Errors
/// [`FrameError::Malformed`]: the line is not a frame.
pub fn decode(line: &[u8], was_up_to_date: bool) -> Result<Option<Frame>, FrameError> {
    let line = json::trim(line);
    if line.is_empty() {
        Ok(None)
    } else {
        frame::decode_object(line, was_up_to_date).map(Some)
    }
}

/// Decodes the pieces of a response body into frames, regardless of how the body was split.
///
/// Lines end with LF; a CR before it, or between tokens, is white space. A byte order mark at the
/// beginning is ignored. The decoder must not be used after an error.
#[derive(Debug, Clone)]
pub struct NdjsonDecoder {
    line: Vec<u8>,
    limit: usize,
    at_beginning: bool,
    was_up_to_date: bool,
}

impl Default for NdjsonDecoder {
    fn default() -> Self {
        Self::new(FRAME_BYTES_MAX)
    }
}

impl NdjsonDecoder {
    /// Creates a decoder for a new response that buffers at most `limit` bytes of an incomplete line.
    pub fn new(limit: usize) -> Self {
        Self {
            line: Vec::new(),
            limit,
            at_beginning: true,
            was_up_to_date: false,
        }
    }

    /// Decodes the next piece of the response, of any length, and appends the frames that it completes.
    ///
    /// # Errors
    /// [`FrameError`]: a line is too long or not a frame. The frames before it have been appended.
    pub fn push(&mut self, mut piece: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        while let Some(end) = memchr::memchr(b'\n', piece) {
            let rest = &piece[end + 1..];
            if self.line.is_empty() {
                self.within_limit(end)?;
                self.take_line(&piece[..end], frames)?;
            } else {
                self.buffer(&piece[..end])?;
                let line = std::mem::take(&mut self.line);
                self.take_line(&line, frames)?;
            }
            piece = rest;
        }
        self.buffer(piece)
    }

    fn take_line(&mut self, line: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        if let Some(frame) = decode(self.without_mark(line), self.was_up_to_date)? {
            self.was_up_to_date = frame.up_to_date;
            frames.push(frame);
        }
        self.at_beginning = false;
        Ok(())
    }

    fn buffer(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        self.within_limit(self.line.len() + bytes.len())?;
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn within_limit(&self, bytes: usize) -> Result<(), FrameError> {
        if bytes > self.limit {
            Err(FrameError::TooLong { limit: self.limit })
        } else {
            Ok(())
        }
    }

    fn without_mark<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        line.strip_prefix("\u{feff}".as_bytes())
            .filter(|_| self.at_beginning)
            .unwrap_or(line)
    }
}

#[cfg(test)]
#[path = "ndjson_tests.rs"]
mod tests;
