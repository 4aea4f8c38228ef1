//! What a client sends on a WebSocket: bytes, cut anywhere, become whole messages. No I/O.
//!
//! Source: RFC 6455, sections 5 and 7.4.

use super::encoding::{Close, CloseCode};
use crate::api::{Charge, FREE_BYTES};
use bytes::{Buf, Bytes, BytesMut};

/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

/// Bytes on their way to messages.
#[derive(Debug)]
pub struct Inbox {
    bytes: BytesMut,
    /// The parts of a message that came in fragments.
    parts: Option<BytesMut>,
    message_max: usize,
    charge: Charge,
    charged: usize,
}

/// One message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientMessage {
    /// A text, whole.
    Text(String),
    /// To be answered with the same bytes.
    Ping(Bytes),
    /// The client says goodbye.
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
    /// An empty one, for messages of at most `message_max` bytes.
    ///
    /// - `charge`: what is held of the budget for them; nothing yet.
    pub fn new(message_max: usize, charge: Charge) -> Self {
        Self {
            bytes: BytesMut::new(),
            parts: None,
            message_max,
            charge,
            charged: FREE_BYTES,
        }
    }

    /// Takes the next bytes of the connection, of any length.
    ///
    /// # Errors
    /// When the budget is used up: why the connection ends.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Close> {
        self.bytes.extend_from_slice(bytes);
        let held = self.bytes.len() + self.parts.as_ref().map_or(0, BytesMut::len);
        if held > self.charged {
            let more = held - self.charged;
            let exhausted = |_| {
                reason(
                    CloseCode::TryAgain,
                    "the server holds too much for its clients",
                )
            };
            self.charge.grow(more).map_err(exhausted)?;
            self.charged += more;
        }
        Ok(())
    }

    /// Whether nothing is half received, so that an inbox made anew would go on as well.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.parts.is_none()
    }

    /// Whether [`Inbox::message`] has something to say: a whole frame is here, or one that is wrong.
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

    /// The next message that is complete.
    ///
    /// # Errors
    /// Why the connection ends: what came is no message, or not one of ours. Then the inbox is of no more use.
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
                        Opcode::Close => return goodbye(&payload).map(Some),
                        // An answer to a heartbeat; the others were checked.
                        Opcode::Pong | Opcode::Text | Opcode::Continue | Opcode::Binary => {}
                    }
                }
            }
        }
    }

    /// The length of a frame's payload, if the frame may come here.
    fn check(&self, head: FrameHead) -> Result<usize, Close> {
        let held = self.parts.as_ref().map_or(0, BytesMut::len);
        let is_control = matches!(head.opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        match head.opcode {
            Opcode::Binary => return Err(reason(CloseCode::Unsupported, "text frames only")),
            _ if is_control && !(head.is_final && head.payload_bytes <= CONTROL_BYTES_MAX) => {
                return Err(reason(
                    CloseCode::Protocol,
                    "a control frame has at most 125 bytes and no fragments",
                ));
            }
            Opcode::Text if self.parts.is_some() => return Err(not_a_message()),
            Opcode::Continue if self.parts.is_none() => return Err(not_a_message()),
            _ => {}
        }
        let fits = |bytes: usize| is_control || held + bytes <= self.message_max;
        let payload_bytes = usize::try_from(head.payload_bytes)
            .ok()
            .filter(|bytes| fits(*bytes));
        payload_bytes.ok_or(reason(
            CloseCode::Size,
            "the message is larger than a request body may be",
        ))
    }
}

/// The head of the frame at the beginning of `bytes`, if it is whole.
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
        _ => return Err(not_a_message()),
    };
    let has_extensions = first & 0x70 != 0;
    let is_masked = second & 0x80 != 0;
    if has_extensions || !is_masked {
        return Err(not_a_message());
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

/// A client's close frame: nothing, or a code that may be sent and a reason in UTF-8.
fn goodbye(payload: &[u8]) -> Result<ClientMessage, Close> {
    let [high, low, why @ ..] = payload else {
        return if payload.is_empty() {
            Ok(ClientMessage::Close)
        } else {
            Err(not_a_message())
        };
    };
    match u16::from_be_bytes([*high, *low]) {
        1000..=1003 | 1007..=1014 | 3000..=4999 if std::str::from_utf8(why).is_ok() => {
            Ok(ClientMessage::Close)
        }
        1000..=1003 | 1007..=1014 | 3000..=4999 => {
            Err(reason(CloseCode::Invalid, "the reason must be UTF-8"))
        }
        _ => Err(not_a_message()),
    }
}

const fn not_a_message() -> Close {
    reason(CloseCode::Protocol, "that was not a WebSocket message")
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
    const TEXT_BEGINS: u8 = 0x01;
    const GOES_ON: u8 = 0x00;
    const ENDS: u8 = 0x80;
    const BINARY: u8 = 0x82;
    const PING: u8 = 0x89;
    const CLOSE: u8 = 0x88;

    #[test]
    fn messages_are_the_same_wherever_the_bytes_are_cut() {
        let long = "x".repeat(300);
        let sent = [
            frame(TEXT, b"a"),
            frame(TEXT_BEGINS, b"b"),
            frame(PING, b"p"),
            frame(GOES_ON, b"c"),
            frame(ENDS, b"d"),
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
            let mut came = Vec::new();
            for piece in [&sent[..cut], &sent[cut..]] {
                inbox.push(piece).unwrap();
                while let Some(message) = inbox.message().unwrap() {
                    came.push(message);
                }
            }
            assert_eq!(came, expected, "cut at {cut}");
            assert!(inbox.is_empty());
        }
    }

    #[test]
    fn what_is_no_message_of_ours_ends_the_connection_with_its_code() {
        let unmasked = [TEXT, 1, b'a'].to_vec();
        let announced = [&[TEXT, 0x80 | 127][..], &u64::MAX.to_be_bytes(), &[0; 4]].concat();
        for (sent, code) in [
            (frame(BINARY, b"a"), CloseCode::Unsupported),
            (frame(TEXT, b"\xff"), CloseCode::Invalid),
            (frame(TEXT, &[b'a'; 200]), CloseCode::Size),
            (
                [frame(TEXT_BEGINS, &[b'a'; 90]), frame(ENDS, &[b'a'; 90])].concat(),
                CloseCode::Size,
            ),
            (announced, CloseCode::Size),
            (
                [frame(TEXT, &[b'a'; 200])[..8].to_vec(), vec![b'a'; 150]].concat(),
                CloseCode::Size,
            ),
            (frame(ENDS, b"a"), CloseCode::Protocol),
            (
                [frame(TEXT_BEGINS, b"a"), frame(TEXT, b"a")].concat(),
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

    /// What becomes of bytes that arrive in pieces: the messages, and why the connection ended, if it did.
    fn received(bytes: &[u8], piece_bytes: usize) -> (Vec<ClientMessage>, Option<CloseCode>) {
        let (mut inbox, mut came) = (inbox(1_000), Vec::new());
        for piece in bytes.chunks(piece_bytes) {
            inbox.push(piece).unwrap();
            loop {
                let is_ready = inbox.is_ready();
                match inbox.message() {
                    Ok(Some(message)) => came.push(message),
                    Ok(None) => break,
                    Err(close) => {
                        assert!(is_ready);
                        return (came, Some(close.code));
                    }
                }
            }
        }
        (came, None)
    }

    proptest! {
        #[test]
        fn any_text_comes_back_whatever_its_mask_and_its_fragments(
            texts in vec((".{0,40}", any::<[u8; 4]>(), 1_usize..40), 0..5),
            piece_bytes in 1_usize..60,
        ) {
            let mut sent = Vec::new();
            for (text, mask, fragment_bytes) in &texts {
                let fragments: Vec<&[u8]> =
                    if text.is_empty() { vec![b""] } else { text.as_bytes().chunks(*fragment_bytes).collect() };
                for (at, fragment) in fragments.iter().enumerate() {
                    let first = if at == 0 { TEXT_BEGINS } else { GOES_ON };
                    let last = if at + 1 == fragments.len() { ENDS } else { 0 };
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
        fn any_bytes_mean_the_same_wherever_they_are_cut(
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
