//! What live readers are sent: batches, heartbeats and endings in each encoding, and their framing
//! on the wire.

mod http1;
mod websocket;

pub use http1::{Heads, LAST_CHUNK};
pub use websocket::{Close, CloseCode, close, pong, text_frame};

use crate::api::{Charge, Cursors, Fields, PageAnswer};
use bytes::Bytes;
use std::ops::Range;
use std::rc::Rc;
use tailwater_core::{Batch, Log, ReadStart};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Control, Technique, Token, ndjson, sse};

/// Bytes reserved for a frame's head, whose longest is a chunk's: 16 digits and CR LF.
const HEAD_ROOM: usize = 18;

/// How the data for the members of a group is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Lines of JSON in a streaming response.
    Ndjson,
    /// Server-sent events.
    Sse,
    /// The same objects as NDJSON, as text frames.
    Websocket,
    /// A whole response to a long-poll, head included; each member adds its own header fields.
    Page,
    /// No bytes; the member is woken and responds by itself.
    Notice,
}

/// How the encodings of streaming responses differ.
struct Format {
    encode: fn(&mut Vec<u8>, ContentKind, Option<&[u8]>, &Control),
    framing: PieceFraming,
    /// Whether each object states whether it is up to date, or only the first and those in which
    /// that changes.
    repeats_position: bool,
    /// Before the first object.
    first_bytes: &'static [u8],
    /// After the heartbeat interval without data.
    heartbeat: &'static [u8],
    /// When the response ends although the stream continues.
    reconnect_notice: &'static [u8],
    /// After the last batch of a closed stream.
    end: &'static [u8],
}

const NDJSON: Format = Format {
    encode: ndjson::encode,
    framing: PieceFraming::Chunk,
    repeats_position: false,
    first_bytes: b"",
    heartbeat: ndjson::HEARTBEAT,
    reconnect_notice: ndjson::HEARTBEAT,
    end: b"",
};

/// An `EventSource` reconnects after `retry` milliseconds, with the last `id` it received.
const SSE: Format = Format {
    encode: sse::encode,
    framing: PieceFraming::Chunk,
    repeats_position: true,
    first_bytes: b"retry:200\n\n",
    heartbeat: sse::HEARTBEAT,
    reconnect_notice: b": reconnect\n\n",
    end: b"",
};

/// The ping of a heartbeat is for the network path; the empty frame is for scripts, because pings
/// are not visible to scripts.
const WEBSOCKET: Format = Format {
    encode: encode_without_line_end,
    framing: PieceFraming::TextFrame,
    repeats_position: false,
    first_bytes: b"",
    heartbeat: b"\x89\x00\x81\x00",
    reconnect_notice: b"\x88\x0b\x03\xe9reconnect",
    end: b"\x88\x16\x03\xe8the stream is closed",
};

fn encode_without_line_end(
    out: &mut Vec<u8>,
    kind: ContentKind,
    data: Option<&[u8]>,
    control: &Control,
) {
    ndjson::encode(out, kind, data, control);
    out.pop();
}

/// The framing of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PieceFraming {
    /// A chunk of HTTP/1.1. Source: RFC 9112, section 7.1.
    Chunk,
    /// A text frame from a WebSocket server. Source: RFC 6455, section 5.2.
    TextFrame,
}

/// Pages of this many bytes are single long messages, whose encoded size is worth computing.
const COUNTED_BYTES: usize = 256 << 10;

/// Bytes to reserve for an encoded page: an upper bound if it is long, a typical size otherwise.
///
/// Bytes of text that are escaped or end a line cost up to six more, those that are not UTF-8 up to
/// two, all others none; base64 costs a third.
pub fn encoded_bytes(kind: ContentKind, data: &[u8]) -> usize {
    let costs = |byte: &u8| match byte {
        0..0x20 | b'"' | b'\\' => 6,
        0x7f.. => 2,
        _ => 0,
    };
    data.len()
        + match kind {
            ContentKind::Binary => data.len() / 3,
            _ if data.len() < COUNTED_BYTES => 0,
            ContentKind::Json => 6 * memchr::memchr2_iter(b'\n', b'\r', data).count(),
            ContentKind::Text => data.iter().map(costs).sum(),
        }
}

/// One encoded piece of a response.
#[derive(Debug, Default)]
pub struct EncodedPiece {
    /// As written to an HTTP/1.1 connection.
    pub wire: Bytes,
    /// The part of `wire` that belongs to the body, for outlets that do their own chunking.
    payload: Range<usize>,
    /// Where each member's own header fields are inserted in a long-poll's response; the cursor is
    /// the last of them.
    pub(super) member_fields_at: usize,
    /// The cursor of a long-poll's members that have none of their own, and its header field.
    pub(super) cursor: Option<(u64, Fields)>,
    /// Its share of the memory budget.
    pub(super) charge: Option<Rc<Charge>>,
}

impl EncodedPiece {
    /// The body's bytes, for an outlet that does its own chunking.
    pub fn body(&self) -> Bytes {
        self.wire.slice(self.payload.clone())
    }

    fn plain(bytes: &'static [u8]) -> Self {
        Self {
            wire: Bytes::from_static(bytes),
            payload: 0..bytes.len(),
            ..Self::default()
        }
    }
}

/// Whether a member was last reported up to date, and whether it is now.
#[derive(Debug, Clone, Copy)]
pub struct ReportState {
    /// Whether it was last reported up to date; `None` before the first object.
    pub before: Option<bool>,
    /// Whether it is now.
    pub now: bool,
    /// The current cursor.
    pub cursor: u64,
}

impl Encoding {
    /// The encoding of `technique`; `None` for techniques that respond with a single page.
    pub fn of(technique: Technique) -> Option<Self> {
        match technique {
            Technique::Poll | Technique::LongPoll => None,
            Technique::Ndjson => Some(Self::Ndjson),
            Technique::Sse => Some(Self::Sse),
            Technique::Websocket => Some(Self::Websocket),
        }
    }

    /// Whether the response continues after a batch.
    pub fn is_streaming(&self) -> bool {
        self.format().is_some()
    }

    fn format(&self) -> Option<&'static Format> {
        match self {
            Self::Ndjson => Some(&NDJSON),
            Self::Sse => Some(&SSE),
            Self::Websocket => Some(&WEBSOCKET),
            Self::Page | Self::Notice => None,
        }
    }

    /// One batch, including the end of the response if the stream is closed there.
    pub fn batch(&self, kind: ContentKind, batch: &Batch, report: ReportState) -> EncodedPiece {
        let Some(format) = self.format() else {
            return EncodedPiece::default();
        };
        let closed = batch.closed();
        let states_position = format.repeats_position || report.before != Some(report.now);
        let control = Control {
            next: Token::from(batch.next_offset()),
            cursor: (!closed && (format.repeats_position || report.before.is_none()))
                .then_some(report.cursor),
            up_to_date: (states_position
                && (report.now || report.before == Some(true) && !format.repeats_position))
                .then_some(report.now),
            closed,
        };
        let data = (!batch.data.is_empty()).then_some(&batch.data[..]);
        let piece = format
            .framing
            .framed(encoded_bytes(kind, &batch.data) + 192, |out| {
                if report.before.is_none() {
                    out.extend_from_slice(format.first_bytes);
                }
                (format.encode)(out, kind, data, &control);
            });
        if closed {
            piece.followed_by(format.framing, format.end)
        } else {
            piece
        }
    }

    /// Sent after the heartbeat interval without data.
    pub fn heartbeat(&self) -> EncodedPiece {
        match self.format() {
            None => EncodedPiece::default(),
            Some(format) if format.framing == PieceFraming::Chunk => {
                format.framing.framed(format.heartbeat.len(), |out| {
                    out.extend_from_slice(format.heartbeat);
                })
            }
            Some(format) => EncodedPiece::plain(format.heartbeat),
        }
    }

    /// Ends a response although the stream continues: the client should reconnect.
    pub fn reconnect_notice(&self) -> EncodedPiece {
        self.format().map_or_else(EncodedPiece::default, |format| {
            EncodedPiece::default().followed_by(format.framing, format.reconnect_notice)
        })
    }

    /// A long-poll's whole response, shared by all that waited at the beginning of `batch`.
    pub fn page(&self, log: &Log, batch: &Batch, heads: &Heads) -> EncodedPiece {
        if *self != Self::Page {
            return EncodedPiece::default();
        }
        let page = PageAnswer {
            log,
            batch,
            requested: ReadStart::At(batch.from),
            is_long_poll: true,
        };
        let (wire, member_fields_at) = heads.whole(page.answer(std::iter::empty(), None));
        let cursor = (!batch.closed()).then(|| Cursors::common().now());
        let cursor = cursor.map(|cursor| (cursor, PageAnswer::cursor(cursor)));
        EncodedPiece {
            payload: 0..wire.len(),
            wire: wire.into(),
            member_fields_at,
            cursor,
            charge: None,
        }
    }
}

impl EncodedPiece {
    /// Appends the end of the response.
    fn followed_by(self, framing: PieceFraming, end: &'static [u8]) -> Self {
        let mut wire = Vec::with_capacity(self.wire.len() + end.len() + 16);
        wire.extend_from_slice(&self.wire[..self.payload.end]);
        match framing {
            PieceFraming::TextFrame => {
                wire.extend_from_slice(end);
                Self {
                    payload: self.payload.start..wire.len(),
                    wire: wire.into(),
                    ..self
                }
            }
            PieceFraming::Chunk if end.is_empty() => {
                wire.extend_from_slice(&self.wire[self.payload.end..]);
                wire.extend_from_slice(LAST_CHUNK);
                Self {
                    wire: wire.into(),
                    ..self
                }
            }
            PieceFraming::Chunk => {
                // Only a response without a preceding batch ends with text.
                debug_assert!(self.wire.is_empty());
                let chunk = framing.framed(end.len(), |out| out.extend_from_slice(end));
                Self {
                    wire: [&chunk.wire[..], LAST_CHUNK].concat().into(),
                    ..chunk
                }
            }
        }
    }
}

impl PieceFraming {
    /// Frames what `write` appends, without copying it.
    ///
    /// - `expected`: estimated number of bytes that `write` appends.
    fn framed(self, expected: usize, write: impl FnOnce(&mut Vec<u8>)) -> EncodedPiece {
        let mut out = Vec::with_capacity(HEAD_ROOM + expected + 2);
        out.resize(HEAD_ROOM, 0);
        write(&mut out);
        let length = out.len() - HEAD_ROOM;
        let mut buffer = [0; HEAD_ROOM];
        let head = match self {
            Self::Chunk => {
                out.extend_from_slice(b"\r\n");
                http1::chunk_head(length, &mut buffer)
            }
            Self::TextFrame => websocket::text_head(length, &mut buffer),
        };
        let begin = HEAD_ROOM - head.len();
        out[begin..HEAD_ROOM].copy_from_slice(head);
        let payload = match self {
            Self::Chunk => head.len()..head.len() + length,
            Self::TextFrame => 0..head.len() + length,
        };
        EncodedPiece {
            wire: Bytes::from(out).slice(begin..),
            payload,
            ..EncodedPiece::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(framing: PieceFraming, length: usize) -> EncodedPiece {
        framing.framed(length, |out| out.extend(std::iter::repeat_n(b'x', length)))
    }

    #[test]
    fn chunk_heads_have_no_leading_zeros() {
        for (length, head) in [
            (0, "0\r\n"),
            (9, "9\r\n"),
            (10, "A\r\n"),
            (255, "FF\r\n"),
            (65_536, "10000\r\n"),
        ] {
            let piece = of(PieceFraming::Chunk, length);
            assert_eq!(
                piece.wire,
                [head.as_bytes(), &vec![b'x'; length], b"\r\n"].concat()
            );
            assert_eq!(piece.body(), vec![b'x'; length]);
        }
    }

    #[test]
    fn text_frames_use_the_shortest_length_form() {
        for (length, head) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 255, 255]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let piece = of(PieceFraming::TextFrame, length);
            assert_eq!(piece.wire, [head, &vec![b'x'; length]].concat());
            assert_eq!(piece.body(), piece.wire);
        }
    }

    #[test]
    fn endings_are_equal_on_the_wire_and_in_a_body() {
        let reconnect_notice = Encoding::Sse.reconnect_notice();
        assert_eq!(
            &reconnect_notice.wire[..],
            b"D\r\n: reconnect\n\n\r\n0\r\n\r\n"
        );
        assert_eq!(&reconnect_notice.body()[..], b": reconnect\n\n");
        assert_eq!(
            &Encoding::Ndjson.reconnect_notice().wire[..],
            b"1\r\n\n\r\n0\r\n\r\n"
        );
        let reconnect_notice = Encoding::Websocket.reconnect_notice();
        assert_eq!(
            (&reconnect_notice.wire[..], &reconnect_notice.body()[..]),
            (WEBSOCKET.reconnect_notice, WEBSOCKET.reconnect_notice)
        );
        let last = of(PieceFraming::Chunk, 1).followed_by(PieceFraming::Chunk, b"");
        assert_eq!(
            (&last.wire[..], &last.body()[..]),
            (&b"1\r\nx\r\n0\r\n\r\n"[..], &b"x"[..])
        );
        let last = of(PieceFraming::TextFrame, 1).followed_by(PieceFraming::TextFrame, b"END");
        assert_eq!(
            (&last.wire[..], &last.body()[..]),
            (&b"\x81\x01xEND"[..], &b"\x81\x01xEND"[..])
        );
    }
}
