//! What a client sends on a WebSocket: bytes, cut anywhere, become whole messages. No I/O.

use actix_http::ws::{CloseCode, CloseReason, OpCode, Parser, ProtocolError};
use bytes::{Bytes, BytesMut};
use std::io::ErrorKind;

/// The longest head of a client's frame.
const FRAME_HEAD_MAX: usize = 14;

/// Bytes on their way to messages.
#[derive(Debug)]
pub struct Inbox {
    bytes: BytesMut,
    /// The parts of a message that came in fragments.
    parts: Option<BytesMut>,
    message_max: usize,
}

/// One message from the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// A text, whole.
    Text(String),
    /// To be answered with the same bytes.
    Ping(Bytes),
    /// The client says goodbye.
    Close,
}

impl Inbox {
    /// An empty one, for messages of at most `message_max` bytes.
    pub fn new(message_max: usize) -> Self {
        Self { bytes: BytesMut::new(), parts: None, message_max }
    }

    /// Takes the next bytes of the connection, of any length.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Whether nothing is half received, so that an inbox made anew would go on as well.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.parts.is_none()
    }

    /// The next message that is complete.
    ///
    /// # Errors
    /// Why the connection ends: what came is no message, or not one of ours. Then the inbox is of no more use.
    ///
    /// Source: RFC 6455, sections 5.4 and 7.4.
    pub fn message(&mut self) -> Result<Option<Message>, CloseReason> {
        loop {
            let parsed = Parser::parse(&mut self.bytes, true, self.message_max).map_err(|error| misbehaved(&error))?;
            let Some((is_whole, code, payload)) = parsed else {
                return if self.bytes.len() > self.message_max + FRAME_HEAD_MAX { Err(too_large()) } else { Ok(None) };
            };
            let payload = payload.unwrap_or_default();
            match code {
                OpCode::Ping => return Ok(Some(Message::Ping(payload.freeze()))),
                OpCode::Close => {
                    return match Parser::try_parse_close_payload(&payload) {
                        Ok(_) => Ok(Some(Message::Close)),
                        Err(error) => Err(misbehaved(&error)),
                    };
                }
                OpCode::Pong => {}
                OpCode::Binary => return Err(reason(CloseCode::Unsupported, "text frames only")),
                OpCode::Text if self.parts.is_some() => return Err(not_a_message()),
                OpCode::Text if is_whole => return text(&payload).map(Some),
                OpCode::Text => self.parts = Some(payload),
                OpCode::Continue => {
                    if let Some(whole) = self.go_on(&payload, is_whole)? {
                        return text(&whole).map(Some);
                    }
                }
                OpCode::Bad => return Err(not_a_message()),
            }
        }
    }

    /// The next part of a message in fragments; the message with the last one.
    fn go_on(&mut self, part: &[u8], is_last: bool) -> Result<Option<BytesMut>, CloseReason> {
        let Some(parts) = &mut self.parts else { return Err(not_a_message()) };
        if parts.len() + part.len() > self.message_max {
            return Err(too_large());
        }
        parts.extend_from_slice(part);
        Ok(if is_last { self.parts.take() } else { None })
    }
}

fn text(bytes: &[u8]) -> Result<Message, CloseReason> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Message::Text(text.to_owned())),
        Err(_) => Err(reason(CloseCode::Invalid, "a text message must be UTF-8")),
    }
}

fn misbehaved(error: &ProtocolError) -> CloseReason {
    match error {
        ProtocolError::Overflow => too_large(),
        ProtocolError::Io(error) if error.kind() != ErrorKind::InvalidData => too_large(),
        _ => not_a_message(),
    }
}

fn too_large() -> CloseReason {
    reason(CloseCode::Size, "the message is larger than a request body may be")
}

fn not_a_message() -> CloseReason {
    reason(CloseCode::Protocol, "that was not a WebSocket message")
}

fn reason(code: CloseCode, text: &str) -> CloseReason {
    CloseReason { code, description: Some(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            Message::Text("a".into()),
            Message::Ping("p".into()),
            Message::Text("bcd".into()),
            Message::Text(long),
            Message::Close,
        ];
        for cut in 0..sent.len() {
            let mut inbox = Inbox::new(1_000);
            let mut came = Vec::new();
            for piece in [&sent[..cut], &sent[cut..]] {
                inbox.push(piece);
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
            ([frame(TEXT_BEGINS, &[b'a'; 90]), frame(ENDS, &[b'a'; 90])].concat(), CloseCode::Size),
            (announced, CloseCode::Size),
            ([frame(TEXT, &[b'a'; 200])[..8].to_vec(), vec![b'a'; 150]].concat(), CloseCode::Size),
            (frame(ENDS, b"a"), CloseCode::Protocol),
            ([frame(TEXT_BEGINS, b"a"), frame(TEXT, b"a")].concat(), CloseCode::Protocol),
            (unmasked, CloseCode::Protocol),
        ] {
            let mut inbox = Inbox::new(100);
            inbox.push(&sent);
            let ended = inbox.message().expect_err("an end");
            assert_eq!(ended.code, code, "{sent:?}");
        }
    }
}
