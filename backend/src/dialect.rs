//! What each live technique writes: batches, heartbeats, farewells, and what stands around them on the wire.

use crate::techniques::{Step, ndjson, sse, websocket};
use bytes::Bytes;
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{Control, Technique, Token};

/// How one live technique puts its steps into bytes.
#[derive(Debug)]
pub struct Dialect {
    /// Appends one batch: data as the log keeps it, if there is any, and where to go on.
    pub(crate) encode: fn(&mut Vec<u8>, ContentKind, Option<&[u8]>, &Control),
    /// What stands around a batch.
    pub(crate) framing: Framing,
    /// After a silence.
    pub(crate) heartbeat: &'static [u8],
    /// When the answer ends although the stream goes on.
    pub(crate) farewell: &'static [u8],
    /// After the last batch of a closed stream.
    pub(crate) end: &'static [u8],
}

/// What stands around a piece of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Nothing.
    Bare,
    /// A chunk of HTTP/1.1. Source: RFC 9112, section 7.1.
    Chunk,
    /// A text frame from a WebSocket server. Source: RFC 6455, section 5.2.
    TextFrame,
}

/// What follows the last chunk of an answer.
pub const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Room for the longest head of a frame: a chunk's 16 digits and its line end.
const HEAD_ROOM: usize = 18;

impl Dialect {
    /// How `technique` speaks; `None` for those that answer with one page.
    pub fn of(technique: Technique) -> Option<&'static Self> {
        match technique {
            Technique::Poll | Technique::LongPoll => None,
            Technique::Ndjson => Some(&ndjson::DIALECT),
            Technique::Sse => Some(&sse::DIALECT),
            Technique::Websocket => Some(&websocket::DIALECT),
        }
    }

    /// What stands around a piece when nobody else puts it into chunks.
    pub fn framing_on_http1(&self) -> Framing {
        if self.framing == Framing::Bare { Framing::Chunk } else { self.framing }
    }

    /// A step in one piece, as a body that somebody else puts into chunks.
    pub fn piece(&self, kind: ContentKind, step: &Step, cursor: u64) -> Bytes {
        self.framed(self.framing, kind, step, cursor)
    }

    /// A step in one piece, as it goes onto an HTTP/1.1 connection. After the last one, [`Dialect::closing`] follows.
    pub fn piece_on_http1(&self, kind: ContentKind, step: &Step, cursor: u64) -> Bytes {
        self.framed(self.framing_on_http1(), kind, step, cursor)
    }

    /// What a body ends with after its last step.
    pub fn closing(&self, last: &Step) -> Bytes {
        match last {
            Step::Batch(batch) if batch.closed() => Bytes::from_static(self.end),
            Step::Batch(_) | Step::Heartbeat => Bytes::new(),
            Step::Leave => Bytes::from_static(self.farewell),
        }
    }

    /// [`Dialect::closing`] as it goes onto an HTTP/1.1 connection.
    pub fn closing_on_http1(&self, last: &Step) -> Bytes {
        let text = self.closing(last);
        match self.framing_on_http1() {
            Framing::Chunk if text.is_empty() => Bytes::from_static(LAST_CHUNK),
            Framing::Chunk => {
                let chunk = framed(Framing::Chunk, text.len(), |out| out.extend_from_slice(&text));
                [&chunk[..], LAST_CHUNK].concat().into()
            }
            Framing::Bare | Framing::TextFrame => text,
        }
    }

    fn framed(&self, framing: Framing, kind: ContentKind, step: &Step, cursor: u64) -> Bytes {
        match step {
            Step::Batch(batch) => {
                let closed = batch.closed();
                let control = Control {
                    next: Token::from(batch.next),
                    cursor: (!closed).then_some(cursor),
                    up_to_date: batch.up_to_date(),
                    closed,
                };
                let data = (!batch.data.is_empty()).then_some(&batch.data[..]);
                framed(framing, batch.data.len() + 192, |out| (self.encode)(out, kind, data, &control))
            }
            Step::Heartbeat if framing == Framing::Chunk => {
                framed(framing, self.heartbeat.len(), |out| out.extend_from_slice(self.heartbeat))
            }
            Step::Heartbeat => Bytes::from_static(self.heartbeat),
            Step::Leave => Bytes::new(),
        }
    }
}

/// What `write` appends, with what stands around it; copied nowhere.
///
/// - `expected`: about how many bytes `write` appends.
pub fn framed(framing: Framing, expected: usize, write: impl FnOnce(&mut Vec<u8>)) -> Bytes {
    let mut out = Vec::with_capacity(HEAD_ROOM + expected + 2);
    out.resize(HEAD_ROOM, 0);
    write(&mut out);
    let length = out.len() - HEAD_ROOM;
    let mut head = [0; HEAD_ROOM];
    let head = match framing {
        Framing::Bare => &head[..0],
        Framing::Chunk => {
            out.extend_from_slice(b"\r\n");
            chunk_head(length, &mut head)
        }
        Framing::TextFrame => text_frame_head(length, &mut head),
    };
    let begin = HEAD_ROOM - head.len();
    out[begin..HEAD_ROOM].copy_from_slice(head);
    Bytes::from(out).slice(begin..)
}

fn chunk_head(length: usize, room: &mut [u8; HEAD_ROOM]) -> &[u8] {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    room[HEAD_ROOM - 2..].copy_from_slice(b"\r\n");
    let (mut at, mut left) = (HEAD_ROOM - 2, length);
    while left > 0 || at == HEAD_ROOM - 2 {
        at -= 1;
        room[at] = DIGITS[left & 15];
        left >>= 4;
    }
    &room[at..]
}

fn text_frame_head(length: usize, room: &mut [u8; HEAD_ROOM]) -> &[u8] {
    const WHOLE_TEXT: u8 = 0x81;
    room[0] = WHOLE_TEXT;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => {
            room[1] = short;
            &room[..2]
        }
        (_, Ok(medium)) => {
            room[1] = 126;
            room[2..4].copy_from_slice(&medium.to_be_bytes());
            &room[..4]
        }
        _ => {
            room[1] = 127;
            room[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            &room[..10]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(framing: Framing, length: usize) -> Vec<u8> {
        framed(framing, length, |out| out.extend(std::iter::repeat_n(b'x', length))).to_vec()
    }

    #[test]
    fn chunks_say_their_length_in_as_few_digits_as_it_takes() {
        for (length, head) in [(0, "0\r\n"), (9, "9\r\n"), (10, "A\r\n"), (255, "FF\r\n"), (65_536, "10000\r\n")] {
            let expected = [head.as_bytes(), &vec![b'x'; length], b"\r\n"].concat();
            assert_eq!(of(Framing::Chunk, length), expected);
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
            assert_eq!(of(Framing::TextFrame, length), [head, &vec![b'x'; length]].concat());
        }
    }
}
