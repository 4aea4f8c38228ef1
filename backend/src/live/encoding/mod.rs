//! What live readers are sent: batches, heartbeats and endings of each encoding, and what stands around them on the wire.

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

/// Where a frame's payload begins, for the longest head: a chunk's 16 digits and its line end.
const HEAD_ROOM: usize = 18;

/// What the members of a group are told, to the byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// Lines of JSON in an answer that goes on.
    Ndjson,
    /// Server-sent events.
    Sse,
    /// The same objects as NDJSON, as text frames.
    Websocket,
    /// A whole answer to a long-poll, head included; each member has fields of its own in it.
    Page,
    /// Nothing: the member is woken and answers by itself.
    Notice,
}

/// How the encodings of answers that go on differ.
struct Format {
    encode: fn(&mut Vec<u8>, ContentKind, Option<&[u8]>, &Control),
    framing: BodyFraming,
    /// Whether each object says where it stands, or only the first and those in which that changes.
    says_always: bool,
    /// Before the first object.
    greeting: &'static [u8],
    /// After a silence.
    heartbeat: &'static [u8],
    /// When the answer ends although the stream goes on.
    farewell: &'static [u8],
    /// After the last batch of a closed stream.
    end: &'static [u8],
}

const NDJSON: Format = Format {
    encode: ndjson::encode,
    framing: BodyFraming::Chunk,
    says_always: false,
    greeting: b"",
    heartbeat: ndjson::HEARTBEAT,
    farewell: ndjson::HEARTBEAT,
    end: b"",
};

/// An `EventSource` comes back after `retry` milliseconds, with the last `id` it saw.
const SSE: Format = Format {
    encode: sse::encode,
    framing: BodyFraming::Chunk,
    says_always: true,
    greeting: b"retry:200\n\n",
    heartbeat: sse::HEARTBEAT,
    farewell: b": come back\n\n",
    end: b"",
};

/// The ping of a heartbeat is for the path, the empty frame for the page, which never sees pings.
const WEBSOCKET: Format = Format {
    encode: encode_without_line_end,
    framing: BodyFraming::TextFrame,
    says_always: false,
    greeting: b"",
    heartbeat: b"\x89\x00\x81\x00",
    farewell: b"\x88\x0b\x03\xe9come back",
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

/// What stands around the payload of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BodyFraming {
    /// A chunk of HTTP/1.1. Source: RFC 9112, section 7.1.
    Chunk,
    /// A text frame from a WebSocket server. Source: RFC 6455, section 5.2.
    TextFrame,
}

/// Pages from here on are single long messages, of which it is worth counting what their encoding takes.
const COUNTED_BYTES: usize = 256 << 10;

/// Bytes that are held for a page until it is sent: at most so many if it is long, else as many as are usual.
///
/// Bytes of text that are escaped, or end a line, cost up to six more; those that are no UTF-8, up to two; all others of text
/// none, and of base64 a third.
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

/// One piece of what a member is sent.
#[derive(Debug, Default)]
pub struct EncodedPiece {
    /// As it goes onto an HTTP/1.1 connection.
    pub wire: Bytes,
    /// What of it is the body's, where somebody else puts bodies into chunks.
    payload: Range<usize>,
    /// Where each member's own fields stand, in a long-poll's answer; its cursor is the last of them.
    pub(super) own_at: usize,
    /// The cursor of those who have none of their own, in a long-poll's answer, and its field.
    pub(super) cursor: Option<(u64, Fields)>,
    /// What it holds of the budget.
    pub(super) charge: Option<Rc<Charge>>,
}

impl EncodedPiece {
    /// As a body that somebody else puts into chunks.
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

/// What a member was told about its position before, and what it is told now.
#[derive(Debug, Clone, Copy)]
pub struct TellState {
    /// Whether it was told that it is at the tail; `None` before the first object.
    pub before: Option<bool>,
    /// Whether it is now.
    pub now: bool,
    /// The cursor for this moment.
    pub cursor: u64,
}

impl Encoding {
    /// How `technique` is sent; `None` for those that answer with one page.
    pub fn of(technique: Technique) -> Option<Self> {
        match technique {
            Technique::Poll | Technique::LongPoll => None,
            Technique::Ndjson => Some(Self::Ndjson),
            Technique::Sse => Some(Self::Sse),
            Technique::Websocket => Some(Self::Websocket),
        }
    }

    /// Whether an answer goes on after a batch.
    pub fn goes_on(&self) -> bool {
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

    /// One batch, its end of the answer included when the stream is closed there.
    pub fn batch(&self, kind: ContentKind, batch: &Batch, told: TellState) -> EncodedPiece {
        let Some(format) = self.format() else {
            return EncodedPiece::default();
        };
        let closed = batch.closed();
        let says = format.says_always || told.before != Some(told.now);
        let control = Control {
            next: Token::from(batch.next_offset()),
            cursor: (!closed && (format.says_always || told.before.is_none()))
                .then_some(told.cursor),
            up_to_date: (says && (told.now || told.before == Some(true) && !format.says_always))
                .then_some(told.now),
            closed,
        };
        let data = (!batch.data.is_empty()).then_some(&batch.data[..]);
        let piece = format
            .framing
            .framed(encoded_bytes(kind, &batch.data) + 192, |out| {
                if told.before.is_none() {
                    out.extend_from_slice(format.greeting);
                }
                (format.encode)(out, kind, data, &control);
            });
        if closed {
            piece.followed_by(format.framing, format.end)
        } else {
            piece
        }
    }

    /// After a silence.
    pub fn heartbeat(&self) -> EncodedPiece {
        match self.format() {
            None => EncodedPiece::default(),
            Some(format) if format.framing == BodyFraming::Chunk => {
                format.framing.framed(format.heartbeat.len(), |out| {
                    out.extend_from_slice(format.heartbeat);
                })
            }
            Some(format) => EncodedPiece::plain(format.heartbeat),
        }
    }

    /// The end of an answer although the stream goes on.
    pub fn farewell(&self) -> EncodedPiece {
        self.format().map_or_else(EncodedPiece::default, |format| {
            EncodedPiece::default().followed_by(format.framing, format.farewell)
        })
    }

    /// A long-poll's whole answer, for everybody who waited where `batch` begins.
    pub fn page(&self, log: &Log, batch: &Batch, heads: &Heads) -> EncodedPiece {
        if *self != Self::Page {
            return EncodedPiece::default();
        }
        let page = PageAnswer {
            log,
            batch,
            asked: ReadStart::At(batch.from),
            is_long_poll: true,
        };
        let (wire, own_at) = heads.whole(page.answer(std::iter::empty(), None));
        let cursor = (!batch.closed()).then(|| Cursors::common().now());
        let cursor = cursor.map(|cursor| (cursor, PageAnswer::cursor(cursor)));
        EncodedPiece {
            payload: 0..wire.len(),
            wire: wire.into(),
            own_at,
            cursor,
            charge: None,
        }
    }
}

impl EncodedPiece {
    /// With the end of the answer after it.
    fn followed_by(self, framing: BodyFraming, end: &'static [u8]) -> Self {
        let mut wire = Vec::with_capacity(self.wire.len() + end.len() + 16);
        wire.extend_from_slice(&self.wire[..self.payload.end]);
        match framing {
            BodyFraming::TextFrame => {
                wire.extend_from_slice(end);
                Self {
                    payload: self.payload.start..wire.len(),
                    wire: wire.into(),
                    ..self
                }
            }
            BodyFraming::Chunk if end.is_empty() => {
                wire.extend_from_slice(&self.wire[self.payload.end..]);
                wire.extend_from_slice(LAST_CHUNK);
                Self {
                    wire: wire.into(),
                    ..self
                }
            }
            BodyFraming::Chunk => {
                // Only answers without a batch before it end with words.
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

impl BodyFraming {
    /// What `write` appends, with what stands around it; copied nowhere.
    ///
    /// - `expected`: about how many bytes `write` appends.
    fn framed(self, expected: usize, write: impl FnOnce(&mut Vec<u8>)) -> EncodedPiece {
        let mut out = Vec::with_capacity(HEAD_ROOM + expected + 2);
        out.resize(HEAD_ROOM, 0);
        write(&mut out);
        let length = out.len() - HEAD_ROOM;
        let mut room = [0; HEAD_ROOM];
        let head = match self {
            Self::Chunk => {
                out.extend_from_slice(b"\r\n");
                http1::chunk_head(length, &mut room)
            }
            Self::TextFrame => websocket::text_head(length, &mut room),
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

    fn of(framing: BodyFraming, length: usize) -> EncodedPiece {
        framing.framed(length, |out| out.extend(std::iter::repeat_n(b'x', length)))
    }

    #[test]
    fn chunks_say_their_length_in_as_few_digits_as_it_takes() {
        for (length, head) in [
            (0, "0\r\n"),
            (9, "9\r\n"),
            (10, "A\r\n"),
            (255, "FF\r\n"),
            (65_536, "10000\r\n"),
        ] {
            let piece = of(BodyFraming::Chunk, length);
            assert_eq!(
                piece.wire,
                [head.as_bytes(), &vec![b'x'; length], b"\r\n"].concat()
            );
            assert_eq!(piece.body(), vec![b'x'; length]);
        }
    }

    #[test]
    fn text_frames_say_their_length_in_the_shortest_of_three_ways() {
        for (length, head) in [
            (0, &[0x81, 0][..]),
            (125, &[0x81, 125]),
            (126, &[0x81, 126, 0, 126]),
            (65_535, &[0x81, 126, 255, 255]),
            (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        ] {
            let piece = of(BodyFraming::TextFrame, length);
            assert_eq!(piece.wire, [head, &vec![b'x'; length]].concat());
            assert_eq!(piece.body(), piece.wire);
        }
    }

    #[test]
    fn endings_are_the_same_bytes_on_the_wire_and_in_a_body() {
        let farewell = Encoding::Sse.farewell();
        assert_eq!(&farewell.wire[..], b"D\r\n: come back\n\n\r\n0\r\n\r\n");
        assert_eq!(&farewell.body()[..], b": come back\n\n");
        assert_eq!(
            &Encoding::Ndjson.farewell().wire[..],
            b"1\r\n\n\r\n0\r\n\r\n"
        );
        let farewell = Encoding::Websocket.farewell();
        assert_eq!(
            (&farewell.wire[..], &farewell.body()[..]),
            (WEBSOCKET.farewell, WEBSOCKET.farewell)
        );
        let last = of(BodyFraming::Chunk, 1).followed_by(BodyFraming::Chunk, b"");
        assert_eq!(
            (&last.wire[..], &last.body()[..]),
            (&b"1\r\nx\r\n0\r\n\r\n"[..], &b"x"[..])
        );
        let last = of(BodyFraming::TextFrame, 1).followed_by(BodyFraming::TextFrame, b"END");
        assert_eq!(
            (&last.wire[..], &last.body()[..]),
            (&b"\x81\x01xEND"[..], &b"\x81\x01xEND"[..])
        );
    }
}
