//! Server-sent events: the server's encoder and the client's incremental decoder, no I/O.
//!
//! ```text
//! id:0000000000000016
//! event: data
//! data:[{"a":1},{"b":2}]
//!
//! id:0000000000000016
//! event: control
//! data:{"streamNextOffset":"0000000000000016","streamCursor":"3117","upToDate":true}
//!
//! ```
//!
//! A frame is complete with its control event. The `id` is the offset after the data: an
//! `EventSource` that reconnects sends the last one in `Last-Event-ID`, even if the connection was
//! lost between the two events. The `id` line precedes the event's other fields, because some
//! readers expect `data` directly after `event: control`, as in the protocol's examples.
//!
//! Limits of the format: CR and CRLF in a text stream are received as LF, and invalid UTF-8 is
//! received as U+FFFD. NDJSON transmits both unchanged.
//!
//! Source: Durable Streams protocol, section 5.8; WHATWG HTML, section 9.2 (server-sent events).

use crate::Data;
use crate::frame::{self, Control, FRAME_BYTES_MAX, Frame, FrameError};
use crate::headers::ContentKind;

/// An empty comment, which is sent to keep an idle connection open.
pub const HEARTBEAT: &[u8] = b":\n\n";

/// Appends a data event, if there is data, and a control event. Both must be sent in one write.
///
/// - `data`: the stored bytes: JSON messages, each followed by one comma, or the bytes of any other
///   content type. `None` or empty: no data.
/// - Every CR, LF and CRLF in the data starts a new `data:` line, so the content of a stream cannot
///   end an event or start a field.
/// - Invalid UTF-8 in text is replaced by U+FFFD.
pub fn encode(out: &mut Vec<u8>, kind: ContentKind, data: Option<&[u8]>, control: &Control) {
    let data = data.filter(|bytes| !bytes.is_empty());
    out.reserve(data.map_or(0, <[u8]>::len) + 240);
    if let Some(bytes) = data {
        push_id(out, control);
        out.extend_from_slice(b"event: data\n");
        match kind {
            ContentKind::Json => {
                out.extend_from_slice(b"data:[");
                push_lines(out, bytes.strip_suffix(b",").unwrap_or(bytes));
                out.push(b']');
            }
            ContentKind::Text => {
                out.extend_from_slice(b"data:");
                push_lines(out, String::from_utf8_lossy(bytes).as_bytes());
            }
            ContentKind::Binary => {
                out.extend_from_slice(b"data:");
                frame::push_base64(out, bytes);
            }
        }
        out.extend_from_slice(b"\n\n");
    }
    push_id(out, control);
    out.extend_from_slice(b"event: control\n");
    out.extend_from_slice(b"data:{");
    frame::push_control(out, control);
    out.extend_from_slice(b"}\n\n");
}

fn push_id(out: &mut Vec<u8>, control: &Control) {
    out.extend_from_slice(b"id:");
    out.extend_from_slice(control.next.as_str().as_bytes());
    out.push(b'\n');
}

/// Appends `bytes`, with a new `data:` line at each line break.
fn push_lines(out: &mut Vec<u8>, mut bytes: &[u8]) {
    while let Some(end) = memchr::memchr2(b'\r', b'\n', bytes) {
        push_line(out, &bytes[..end]);
        out.extend_from_slice(b"\ndata:");
        let width = if bytes[end..].starts_with(b"\r\n") {
            2
        } else {
            1
        };
        bytes = &bytes[end + width..];
    }
    push_line(out, bytes);
}

/// Appends the value of a `data:` line. Decoders remove one leading space, so a value that starts
/// with a space gets another one.
fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    if line.starts_with(b" ") {
        out.push(b' ');
    }
    out.extend_from_slice(line);
}

/// Decodes the pieces of a response body into frames, regardless of how the body was split.
///
/// Lines end with CR, LF or CRLF. A byte order mark at the beginning, comments, other fields and
/// other events are ignored. An incomplete event at the end of the response is discarded. The
/// decoder must not be used after an error.
#[derive(Debug, Clone)]
pub struct SseDecoder {
    kind: ContentKind,
    limit: usize,
    at_beginning: bool,
    after_cr: bool,
    line: Vec<u8>,
    event: Vec<u8>,
    data: Vec<u8>,
    pending: Option<Data>,
}

impl SseDecoder {
    /// Creates a decoder for a new response.
    ///
    /// - `kind`: [`ContentKind::Binary`] if the response has `stream-sse-data-encoding: base64`,
    ///   otherwise the kind of the stream's `Content-Type`, which an SSE response does not contain.
    pub fn new(kind: ContentKind) -> Self {
        Self::with_limit(kind, FRAME_BYTES_MAX)
    }

    /// Creates a decoder that buffers at most `limit` bytes of an incomplete frame.
    pub fn with_limit(kind: ContentKind, limit: usize) -> Self {
        let empty = Vec::new;
        let (line, event, data) = (empty(), empty(), empty());
        Self {
            kind,
            limit,
            at_beginning: true,
            after_cr: false,
            line,
            event,
            data,
            pending: None,
        }
    }

    /// Decodes the next piece of the response, of any length, and appends the frames that it completes.
    ///
    /// # Errors
    /// [`FrameError`]: an event is too long or invalid. The frames before it have been appended.
    pub fn push(&mut self, mut piece: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        if self.after_cr && !piece.is_empty() {
            self.after_cr = false;
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        while let Some(end) = memchr::memchr2(b'\r', b'\n', piece) {
            self.buffer(&piece[..end])?;
            let line = std::mem::take(&mut self.line);
            self.take_line(&line, frames)?;
            self.line = line;
            self.line.clear();
            let was_cr = piece[end] == b'\r';
            piece = &piece[end + 1..];
            if was_cr {
                self.after_cr = piece.is_empty();
                piece = piece.strip_prefix(b"\n").unwrap_or(piece);
            }
        }
        self.buffer(piece)
    }

    fn buffer(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
        let pending = self.pending.as_ref().map_or(0, Data::payload_bytes);
        if self.line.len() + self.data.len() + pending + bytes.len() > self.limit {
            return Err(FrameError::TooLong { limit: self.limit });
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn take_line(&mut self, mut line: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        if std::mem::take(&mut self.at_beginning) {
            line = line.strip_prefix("\u{feff}".as_bytes()).unwrap_or(line);
        }
        if line.is_empty() {
            return self.dispatch(frames);
        }
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let value = line.get(colon + 1..).unwrap_or_default();
        let value = value.strip_prefix(b" ").unwrap_or(value);
        match &line[..colon] {
            b"event" => self.event = value.to_vec(),
            b"data" => {
                self.data.extend_from_slice(value);
                self.data.push(b'\n');
            }
            _ => {}
        }
        Ok(())
    }

    /// Processes the event that a blank line has completed.
    fn dispatch(&mut self, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        // Each data line was stored with a line end; without one the event had no data.
        let Some(data) = data.strip_suffix(b"\n") else {
            return Ok(());
        };
        match event.as_slice() {
            b"data" => self.take_data(data)?,
            b"control" => {
                let control = frame::decode_object(data, false)?;
                frames.push(Frame {
                    data: self.pending.take(),
                    ..control
                });
            }
            _ => {}
        }
        Ok(())
    }

    fn take_data(&mut self, data: &[u8]) -> Result<(), FrameError> {
        let decoded = match self.kind {
            ContentKind::Json => Data::Json(frame::messages(data)?),
            ContentKind::Text => Data::Text(String::from_utf8_lossy(data).into_owned()),
            ContentKind::Binary => {
                let text: Vec<u8> = data.iter().copied().filter(|byte| *byte != b'\n').collect();
                Data::Binary(frame::decode_base64(&text)?)
            }
        };
        match (&mut self.pending, decoded) {
            (Some(Data::Json(messages)), Data::Json(more)) => messages.extend(more),
            (Some(Data::Text(text)), Data::Text(more)) => text.push_str(&more),
            (Some(Data::Binary(bytes)), Data::Binary(more)) => bytes.extend(more),
            (pending, decoded) => *pending = Some(decoded),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
