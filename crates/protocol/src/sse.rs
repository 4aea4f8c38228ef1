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
//! A frame is complete with its control event. The `id` is the position after the data: an `EventSource` that comes back
//! names the last one in `Last-Event-ID`, also when it broke off between the two events. It stands before the event's other fields,
//! because readers that know the protocol's examples by heart look for `data` right behind `event: control`.
//!
//! What the format cannot carry: a text stream's CR and CRLF arrive as LF, and text that is not valid UTF-8 arrives with U+FFFD in its
//! place (NDJSON carries both exactly).
//!
//! Source: Durable Streams protocol, section 5.8; WHATWG HTML, section 9.2 (server-sent events).

use crate::Data;
use crate::frame::{self, Control, FRAME_BYTES_MAX, Frame, FrameError};
use crate::headers::ContentKind;

/// What says "still here" when there is nothing else to say: an empty comment.
pub const HEARTBEAT: &[u8] = b":\n\n";

/// Appends the data event, if there is data, and the control event, which belong into one write.
///
/// - `data`: what the log stores; JSON messages each followed by one comma, in other kinds the bytes. `None` or empty: no data.
/// - Every CR, LF and CRLF in the data begins a new `data:` line: a stream's bytes can never end an event or begin a field.
/// - Text that is not valid UTF-8 is sent with U+FFFD in the place of what is wrong.
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

/// Appends `bytes`, going on in a new `data:` line at each of their line breaks.
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

/// Appends what follows `data:`; a space of its own at the beginning would be taken for the optional one.
fn push_line(out: &mut Vec<u8>, line: &[u8]) {
    if line.starts_with(b" ") {
        out.push(b' ');
    }
    out.extend_from_slice(line);
}

/// Puts pieces of an answer together into frames, wherever the pieces were cut.
///
/// Lines end with CR, LF or CRLF; a byte order mark at the beginning, comments, other fields and other events are passed
/// over; an event that the answer's end cuts off never counts. After an error the decoder is of no more use.
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
    /// A decoder at the beginning of an answer.
    ///
    /// - `kind`: of the stream: [`ContentKind::Binary`] when the answer says `stream-sse-data-encoding: base64`, else as
    ///   the stream's own `Content-Type` says, which a server-sent answer does not tell.
    pub fn new(kind: ContentKind) -> Self {
        Self::with_limit(kind, FRAME_BYTES_MAX)
    }

    /// The same with a limit of its own: the bytes of an unfinished frame that it may hold.
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

    /// Takes the next piece of the answer, of any length, and appends the frames that it completes.
    ///
    /// # Errors
    /// [`FrameError`]: an event is too long or not what belongs there. The frames before it have been appended.
    pub fn push(&mut self, mut piece: &[u8], frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        if self.after_cr && !piece.is_empty() {
            self.after_cr = false;
            piece = piece.strip_prefix(b"\n").unwrap_or(piece);
        }
        while let Some(end) = memchr::memchr2(b'\r', b'\n', piece) {
            self.hold(&piece[..end])?;
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
        self.hold(piece)
    }

    fn hold(&mut self, bytes: &[u8]) -> Result<(), FrameError> {
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

    /// A blank line: the event is complete.
    fn dispatch(&mut self, frames: &mut Vec<Frame>) -> Result<(), FrameError> {
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        // Every data line left a line end behind it; without any there was no data and thus no event.
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
        let came = match self.kind {
            ContentKind::Json => Data::Json(frame::messages(data)?),
            ContentKind::Text => Data::Text(String::from_utf8_lossy(data).into_owned()),
            ContentKind::Binary => {
                let text: Vec<u8> = data.iter().copied().filter(|byte| *byte != b'\n').collect();
                Data::Binary(frame::decode_base64(&text)?)
            }
        };
        match (&mut self.pending, came) {
            (Some(Data::Json(messages)), Data::Json(more)) => messages.extend(more),
            (Some(Data::Text(text)), Data::Text(more)) => text.push_str(&more),
            (Some(Data::Binary(bytes)), Data::Binary(more)) => bytes.extend(more),
            (pending, came) => *pending = Some(came),
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "sse_tests.rs"]
mod tests;
