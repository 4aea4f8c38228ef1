//! Reassembles a WebSocket client's messages from bytes that are split anywhere. No I/O.
//!
//! Source: RFC 6455, sections 5 and 7.4.

use super::encoding::{Close, CloseCode};
use crate::api::{Charge, FREE_BYTES};
use bytes::{Buf, Bytes, BytesMut};

/// Maximum payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

/// Bytes and fragments of incomplete messages.
#[derive(Debug)]
pub struct Inbox {
    bytes: BytesMut,
    /// The fragments of a message so far.
    parts: Option<BytesMut>,
    message_max: usize,
    charge: Charge,
    charged: usize,
}

/// One message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// A complete text message.
    Text(String),
    /// To be answered by a pong with the same bytes.
    Ping(Bytes),
    /// The client closes the connection.
    Close,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opcode {
    Continue,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

/// The head of a client's frame.
#[derive(Debug, Clone, Copy)]
struct FrameHead {
    is_final: bool,
    opcode: Opcode,
    mask: [u8; 4],
    head_bytes: usize,
    payload_bytes: u64,
}

impl Inbox {
    /// An empty inbox, for messages of at most `message_max` bytes.
    ///
    /// - `charge`: the inbox's share of the budget, initially empty.
    pub fn new(message_max: usize, charge: Charge) -> Self {
        Self {
            bytes: BytesMut::new(),
            parts: None,
            message_max,
            charge,
            charged: FREE_BYTES,
        }
    }

    /// Adds the next bytes from the connection, any number.
    ///
    /// # Errors
    /// Why the connection is closed: the budget is exhausted.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Close> {
        self.bytes.extend_from_slice(bytes);
        let buffered = self.bytes.len() + self.parts.as_ref().map_or(0, BytesMut::len);
        if buffered > self.charged {
            let more = buffered - self.charged;
            let exhausted = |_| {
                reason(
                    CloseCode::TryAgain,
                    "no buffer space is left, try again later",
                )
            };
            self.charge.grow(more).map_err(exhausted)?;
            self.charged += more;
        }
        Ok(())
    }

    /// Whether no message is incomplete, so that the inbox may be dropped.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.parts.is_none()
    }

    /// Whether [`Inbox::message`] would return a message or an error.
    pub fn is_ready(&self) -> bool {
        match head(&self.bytes) {
            Ok(None) => false,
            Ok(Some(head)) => {
                self.check(head).is_err()
                    || (self.bytes.len() - head.head_bytes) as u64 >= head.payload_bytes
            }
            Err(_) => true,
        }
    }

    /// The next complete message.
    ///
    /// # Errors
    /// Why the connection is closed: an invalid or unsupported message. The inbox must not be used
    /// any more.
    pub fn message(&mut self) -> Result<Option<ClientMessage>, Close> {
        loop {
            let Some(head) = head(&self.bytes)? else {
                return Ok(None);
            };
            let payload_bytes = self.check(head)?;
            if self.bytes.len() < head.head_bytes + payload_bytes {
                return Ok(None);
            }
            self.bytes.advance(head.head_bytes);
            let mut payload = self.bytes.split_to(payload_bytes);
            payload
                .iter_mut()
                .zip(head.mask.iter().cycle())
                .for_each(|(byte, mask)| *byte ^= mask);
            match (head.opcode, self.parts.take()) {
                (Opcode::Text, None) if head.is_final => return text(&payload).map(Some),
                (Opcode::Text, None) => self.parts = Some(payload),
                (Opcode::Continue, Some(mut parts)) => {
                    parts.unsplit(payload);
                    if head.is_final {
                        return text(&parts).map(Some);
                    }
                    self.parts = Some(parts);
                }
                (opcode, parts) => {
                    self.parts = parts;
                    match opcode {
                        Opcode::Ping => return Ok(Some(ClientMessage::Ping(payload.freeze()))),
                        Opcode::Close => return parse_close(&payload).map(Some),
                        // A pong needs no answer; the other opcodes were checked.
                        Opcode::Pong | Opcode::Text | Opcode::Continue | Opcode::Binary => {}
                    }
                }
            }
        }
    }

    /// The length of a frame's payload, if the frame is valid in this state.
    fn check(&self, head: FrameHead) -> Result<usize, Close> {
        let buffered = self.parts.as_ref().map_or(0, BytesMut::len);
        let is_control = matches!(head.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        match head.opcode {
            Opcode::Binary => {
                return Err(reason(
                    CloseCode::Unsupported,
                    "binary frames are not supported, send text",
                ));
            }
            _ if is_control && !(head.is_final && head.payload_bytes <= CONTROL_BYTES_MAX) => {
                return Err(reason(
                    CloseCode::Protocol,
                    "a control frame must be unfragmented and at most 125 bytes long",
                ));
            }
            Opcode::Text if self.parts.is_some() => return Err(protocol_error()),
            Opcode::Continue if self.parts.is_none() => return Err(protocol_error()),
            _ => {}
        }
        let fits = |bytes: usize| is_control || buffered + bytes <= self.message_max;
        let payload_bytes = usize::try_from(head.payload_bytes)
            .ok()
            .filter(|bytes| fits(*bytes));
        payload_bytes.ok_or(reason(
            CloseCode::Size,
            "the message is larger than a request body may be",
        ))
    }
}

/// The head of the frame at the beginning of `bytes`, if it is complete.
fn head(bytes: &[u8]) -> Result<Option<FrameHead>, Close> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let opcode = match first & 0x0f {
        0x0 => Opcode::Continue,
        0x1 => Opcode::Text,
        0x2 => Opcode::Binary,
        0x8 => Opcode::Close,
        0x9 => Opcode::Ping,
        0xa => Opcode::Pong,
        _ => return Err(protocol_error()),
    };
    let has_extensions = first & 0x70 != 0;
    let is_masked = second & 0x80 != 0;
    if has_extensions || !is_masked {
        return Err(protocol_error());
    }
    let (payload_bytes, length_bytes) = match (second & 0x7f, rest) {
        (126, [high, low, ..]) => (u64::from(u16::from_be_bytes([*high, *low])), 2),
        (127, length) if length.len() >= 8 => (
            length
                .iter()
                .take(8)
                .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
            8,
        ),
        (126 | 127, _) => return Ok(None),
        (short, _) => (u64::from(short), 0),
    };
    let Some(&[a, b, c, d]) = rest.get(length_bytes..length_bytes + 4) else {
        return Ok(None);
    };
    let is_final = first & 0x80 != 0;
    Ok(Some(FrameHead {
        is_final,
        opcode,
        mask: [a, b, c, d],
        head_bytes: 2 + length_bytes + 4,
        payload_bytes,
    }))
}

fn text(bytes: &[u8]) -> Result<ClientMessage, Close> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(ClientMessage::Text(text.to_owned())),
        Err(_) => Err(reason(CloseCode::Invalid, "a text message must be UTF-8")),
    }
}

/// Parses a client's close frame: empty, or a valid status code and a reason in UTF-8.
fn parse_close(payload: &[u8]) -> Result<ClientMessage, Close> {
    let [high, low, reason_text @ ..] = payload else {
        return if payload.is_empty() {
            Ok(ClientMessage::Close)
        } else {
            Err(protocol_error())
        };
    };
    match u16::from_be_bytes([*high, *low]) {
        1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(reason_text).is_ok() => {
            Ok(ClientMessage::Close)
        }
        1000..=1003 | 1007..=1014 | 3000..=4999 => {
            Err(reason(CloseCode::Invalid, "the reason must be UTF-8"))
        }
        _ => Err(protocol_error()),
    }
}

const fn protocol_error() -> Close {
    reason(CloseCode::Protocol, "invalid WebSocket frame")
}

const fn reason(code: CloseCode, reason: &'static str) -> Close {
    Close { code, reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Budget;
    use proptest::collection::vec;
    use proptest::prelude::*;

    fn inbox(message_max: usize) -> Inbox {
        Inbox::new(message_max, Budget::new(1 << 20).charge())
    }

    /// A client's frame, masked with zeros.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let length = payload.len();
        let mut frame = vec![first];
        match u8::try_from(length) {
            Ok(short) if short < 126 => frame.push(0x80 | short),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        frame
    }

    const TEXT: u8 = 0x81;
    const TEXT_START: u8 = 0x01;
    const CONTINUATION: u8 = 0x00;
    const CONTINUATION_END: u8 = 0x80;
    const BINARY: u8 = 0x82;
    const PING: u8 = 0x89;
    const CLOSE: u8 = 0x88;

    #[test]
    fn messages_do_not_depend_on_how_bytes_are_split() {
        let long = "x".repeat(300);
        let sent = [
            frame(TEXT, b"a"),
            frame(TEXT_START, b"b"),
            frame(PING, b"p"),
            frame(CONTINUATION, b"c"),
            frame(CONTINUATION_END, b"d"),
            frame(TEXT, long.as_bytes()),
            frame(CLOSE, &[3, 232]),
        ]
        .concat();
        let expected = [
            ClientMessage::Text("a".into()),
            ClientMessage::Ping("p".into()),
            ClientMessage::Text("bcd".into()),
            ClientMessage::Text(long),
            ClientMessage::Close,
        ];
        for cut in 0..sent.len() {
            let mut inbox = inbox(1_000);
            let mut received = Vec::new();
            for piece in [&sent[..cut], &sent[cut..]] {
                inbox.push(piece).unwrap();
                while let Some(message) = inbox.message().unwrap() {
                    received.push(message);
                }
            }
            assert_eq!(received, expected, "cut at {cut}");
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn an_invalid_message_closes_with_its_status_code() {
        let unmasked = [TEXT, 1, b'a'].to_vec();
        let announced = [&[TEXT, 0x80 | 127][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
        for (sent, code) in [
            (frame(BINARY, b"a"), CloseCode::Unsupported),
            (frame(TEXT, b"\xff"), CloseCode::Invalid),
            (frame(TEXT, &[b'a'; 200]), CloseCode::Size),
            (
                [
                    frame(TEXT_START, &[b'a'; 90]),
                    frame(CONTINUATION_END, &[b'a'; 90]),
                ]
                .concat(),
                CloseCode::Size,
            ),
            (announced, CloseCode::Size),
            (
                [frame(TEXT, &[b'a'; 200])[..8].to_vec(), vec![b'a'; 150]].concat(),
                CloseCode::Size,
            ),
            (frame(CONTINUATION_END, b"a"), CloseCode::Protocol),
            (
                [frame(TEXT_START, b"a"), frame(TEXT, b"a")].concat(),
                CloseCode::Protocol,
            ),
            (unmasked, CloseCode::Protocol),
            (frame(PING & 0x7f, b"a"), CloseCode::Protocol),
            (frame(CLOSE & 0x7f, b""), CloseCode::Protocol),
            (frame(PING, &[b'a'; 126]), CloseCode::Protocol),
            (frame(CLOSE, &[3]), CloseCode::Protocol),
            (frame(CLOSE, &[3, 236]), CloseCode::Protocol),
            (frame(CLOSE, b"\x03\xe8\xff"), CloseCode::Invalid),
            (frame(TEXT | 0x40, b"a"), CloseCode::Protocol),
        ] {
            let mut inbox = inbox(100);
            inbox.push(&sent).unwrap();
            let ended = inbox.message().expect_err("an end");
            assert_eq!(ended.code, code, "{sent:?}");
        }
    }

    /// The messages from bytes that arrive in pieces, and why the connection was closed, if it was.
    fn received(bytes: &[u8], piece_bytes: usize) -> (Vec<ClientMessage>, Option<CloseCode>) {
        let (mut inbox, mut received) = (inbox(1_000), Vec::new());
        for piece in bytes.chunks(piece_bytes) {
            inbox.push(piece).unwrap();
            loop {
                let is_ready = inbox.is_ready();
                match inbox.message() {
                    Ok(Some(message)) => received.push(message),
                    Ok(None) => break,
                    Err(close) => {
                        assert!(is_ready);
                        return (received, Some(close.code));
                    }
                }
            }
        }
        (received, None)
    }

    proptest! {
        #[test]
        fn any_text_is_reassembled_from_masked_fragments(
            texts in vec((".{0,40}", any::<[u8; 4]>(), 1_usize..40), 0..5),
            piece_bytes in 1_usize..60,
        ) {
            let mut sent = Vec::new();
            for (text, mask, fragment_bytes) in &texts {
                let fragments: Vec<&[u8]> =
                    if text.is_empty() { vec![b""] } else { text.as_bytes().chunks(*fragment_bytes).collect() };
                for (at, fragment) in fragments.iter().enumerate() {
                    let first = if at == 0 { TEXT_START } else { CONTINUATION };
                    let last = if at + 1 == fragments.len() { CONTINUATION_END } else { 0 };
                    let masked = fragment.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect::<Vec<_>>();
                    let mut frame = frame(first | last, &masked);
                    let key = frame.len() - masked.len() - 4;
                    frame[key..key + 4].copy_from_slice(mask);
                    sent.extend(frame);
                }
            }
            let expected: Vec<ClientMessage> = texts.iter().map(|(text, ..)| ClientMessage::Text(text.clone())).collect();
            prop_assert_eq!(received(&sent, piece_bytes), (expected, None));
        }

        #[test]
        fn any_bytes_parse_the_same_however_they_are_split(
            frames in vec((any::<u8>(), vec(any::<u8>(), 0..130)), 0..4),
            noise in vec(any::<u8>(), 0..40),
            piece_bytes in 1_usize..60,
        ) {
            let frames = frames.iter().map(|(first, payload)| frame(first & 0x8f, payload));
            let sent = [frames.collect::<Vec<_>>().concat(), noise].concat();
            prop_assert_eq!(received(&sent, piece_bytes), received(&sent, usize::MAX));
        }
    }
}
