//! Counts one direction of an HTTP/1.1 connection: heads, bodies, framing, however they are split;
//! no I/O.

use super::frames::Frames;

/// Maximum head that is parsed; after a longer one the rest of the connection counts as body.
pub(super) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Maximum chunk-size line, extensions included.
const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// The extent of a body.
///
/// Source: RFC 9112, section 6.3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum BodyExtent {
    /// This many bytes.
    Fixed(u64),
    /// Chunks, then trailers.
    Chunked,
    /// Until the connection closes: a body without a length, a tunnel, or unknown framing.
    UntilClose,
    /// WebSocket frames.
    Frames,
}

/// Consumed bytes by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct TakenBytes {
    pub(super) head: usize,
    pub(super) body: usize,
    pub(super) framing: usize,
}

impl TakenBytes {
    fn of_body(bytes: usize) -> Self {
        Self {
            body: bytes,
            ..Self::default()
        }
    }

    fn of_framing(bytes: usize) -> Self {
        Self {
            framing: bytes,
            ..Self::default()
        }
    }

    pub(super) fn total(self) -> usize {
        self.head + self.body + self.framing
    }
}

/// What the consumed bytes completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Complete {
    /// Nothing.
    Nothing,
    /// A whole head; [`MessageSequence::body`] must be called before more is consumed.
    Head(Vec<u8>),
    /// A whole message.
    Message,
}

#[derive(Debug)]
enum MessagePart {
    Head {
        received: Vec<u8>,
        line_bytes: usize,
        lines: usize,
    },
    Fixed {
        left: u64,
    },
    ChunkSize {
        line: Vec<u8>,
    },
    ChunkData {
        left: u64,
    },
    ChunkEnd,
    Trailer {
        line_bytes: usize,
    },
    UntilClose,
    Frames(Frames),
}

/// Position of one direction in its sequence of messages.
#[derive(Debug)]
pub(super) struct MessageSequence {
    part: MessagePart,
}

fn head() -> MessagePart {
    MessagePart::Head {
        received: Vec::new(),
        line_bytes: 0,
        lines: 0,
    }
}

impl MessageSequence {
    /// Before the first message.
    pub(super) fn new() -> Self {
        Self { part: head() }
    }

    /// Sets the extent of the body after the head that was just completed.
    ///
    /// - Returns whether the message ends with it.
    pub(super) fn body(&mut self, extent: BodyExtent) -> bool {
        self.part = match extent {
            BodyExtent::Fixed(0) => head(),
            BodyExtent::Fixed(left) => MessagePart::Fixed { left },
            BodyExtent::Chunked => MessagePart::ChunkSize { line: Vec::new() },
            BodyExtent::UntilClose => MessagePart::UntilClose,
            BodyExtent::Frames => MessagePart::Frames(Frames::new()),
        };
        extent == BodyExtent::Fixed(0)
    }

    /// Whether the current body ends only when the connection closes.
    pub(super) fn until_close(&self) -> bool {
        matches!(self.part, MessagePart::UntilClose)
    }

    /// Consumes some of `bytes`, at least one if there is any.
    pub(super) fn take(&mut self, bytes: &[u8]) -> (TakenBytes, Complete) {
        match &mut self.part {
            MessagePart::Head { .. } => self.take_head(bytes),
            MessagePart::Fixed { left } => {
                let body = at_most(bytes, *left);
                *left -= body as u64;
                let is_complete = *left == 0;
                (TakenBytes::of_body(body), self.message_if(is_complete))
            }
            MessagePart::ChunkSize { .. } => self.take_chunk_size(bytes),
            MessagePart::ChunkData { left } => {
                let body = at_most(bytes, *left);
                *left -= body as u64;
                if *left == 0 {
                    self.part = MessagePart::ChunkEnd;
                }
                (TakenBytes::of_body(body), Complete::Nothing)
            }
            MessagePart::ChunkEnd => {
                let (framing, ended) = through_line_end(bytes);
                if ended {
                    self.part = MessagePart::ChunkSize { line: Vec::new() };
                }
                (TakenBytes::of_framing(framing), Complete::Nothing)
            }
            MessagePart::Trailer { line_bytes } => {
                let (framing, ended) = through_line_end(bytes);
                *line_bytes += bytes[..framing]
                    .iter()
                    .filter(|byte| !b"\r\n".contains(byte))
                    .count();
                let is_complete = ended && *line_bytes == 0;
                if ended {
                    *line_bytes = 0;
                }
                (
                    TakenBytes::of_framing(framing),
                    self.message_if(is_complete),
                )
            }
            MessagePart::UntilClose => (TakenBytes::of_body(bytes.len()), Complete::Nothing),
            MessagePart::Frames(frames) => {
                let (framing, body) = frames.take(bytes);
                (
                    TakenBytes {
                        head: 0,
                        body,
                        framing,
                    },
                    Complete::Nothing,
                )
            }
        }
    }

    fn message_if(&mut self, is_complete: bool) -> Complete {
        if is_complete {
            self.part = head();
            Complete::Message
        } else {
            Complete::Nothing
        }
    }

    /// A head ends with its first empty line after a non-empty one; empty lines before it are part
    /// of it.
    fn take_head(&mut self, bytes: &[u8]) -> (TakenBytes, Complete) {
        let MessagePart::Head {
            received,
            line_bytes,
            lines,
        } = &mut self.part
        else {
            return (TakenBytes::default(), Complete::Nothing);
        };
        let mut is_complete = false;
        let mut consumed = 0;
        for byte in bytes {
            consumed += 1;
            match byte {
                b'\n' if *line_bytes == 0 => is_complete = *lines > 0,
                b'\n' => {
                    *lines += 1;
                    *line_bytes = 0;
                }
                b'\r' => {}
                _ => *line_bytes += 1,
            }
            if is_complete {
                break;
            }
        }
        received.extend_from_slice(&bytes[..consumed]);
        let counted = TakenBytes {
            head: consumed,
            ..TakenBytes::default()
        };
        if is_complete {
            return (counted, Complete::Head(std::mem::take(received)));
        }
        if received.len() > HEAD_BYTES_MAX {
            self.part = MessagePart::UntilClose;
        }
        (counted, Complete::Nothing)
    }

    fn take_chunk_size(&mut self, bytes: &[u8]) -> (TakenBytes, Complete) {
        let MessagePart::ChunkSize { line } = &mut self.part else {
            return (TakenBytes::default(), Complete::Nothing);
        };
        let (framing, ended) = through_line_end(bytes);
        line.extend_from_slice(&bytes[..framing]);
        if ended {
            self.part = match chunk_size(line) {
                Some(0) => MessagePart::Trailer { line_bytes: 0 },
                Some(left) => MessagePart::ChunkData { left },
                None => MessagePart::UntilClose,
            };
        } else if line.len() > CHUNK_LINE_BYTES_MAX {
            self.part = MessagePart::UntilClose;
        }
        (TakenBytes::of_framing(framing), Complete::Nothing)
    }
}

fn at_most(bytes: &[u8], left: u64) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len())
}

/// The number of bytes through the next line feed, and whether there is one.
fn through_line_end(bytes: &[u8]) -> (usize, bool) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(at) => (at + 1, true),
        None => (bytes.len(), false),
    }
}

/// The hexadecimal size in a chunk-size line, without extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(line).ok()?;
    let digits = text.split(';').next()?.trim();
    u64::from_str_radix(digits, 16)
        .ok()
        .filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunk_sizes_are_hexadecimal_with_optional_extensions() {
        assert_eq!(chunk_size(b"1aF\r\n"), Some(0x1af));
        assert_eq!(chunk_size(b"10;name=value\r\n"), Some(16));
        for wrong in [
            &b"\r\n"[..],
            b"+1\r\n",
            b"-1\r\n",
            b"0x10\r\n",
            b"g\r\n",
            b"11111111111111111\r\n",
        ] {
            assert_eq!(chunk_size(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn an_endless_head_is_not_buffered() {
        let mut messages = MessageSequence::new();
        let (consumed, _) = messages.take(&vec![b'x'; HEAD_BYTES_MAX + 1]);
        assert_eq!(consumed.head, HEAD_BYTES_MAX + 1);
        assert!(messages.until_close());
        assert_eq!(messages.take(b"more").0.body, 4);
    }
}
