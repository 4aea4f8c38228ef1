//! WebSocket frames written by the server, as bytes; `inbox.rs` reads those of clients. No I/O.
//!
//! Source: RFC 6455, section 5.

use super::{HEAD_ROOM, PieceFraming};
use bytes::Bytes;

/// Status code of a close frame. Source: RFC 6455, section 7.4.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseCode {
    /// 1000: the client closed the connection.
    Normal = 1000,
    /// 1002: a malformed frame or message.
    Protocol = 1002,
    /// 1003: a kind of message that is not supported.
    Unsupported = 1003,
    /// 1007: text that is not UTF-8.
    Invalid = 1007,
    /// 1008: a message that was incomplete at its deadline.
    Policy = 1008,
    /// 1009: a message that is too large.
    Size = 1009,
    /// 1013: the memory budget is used up.
    TryAgain = 1013,
}

/// Why the server closes the connection, as sent to the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// The code.
    pub code: CloseCode,
    /// Text of at most 123 bytes.
    pub reason: &'static str,
}

const FINAL: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;
const PONG: u8 = 0xa;

/// A close frame.
pub fn close(close: Close) -> Bytes {
    let Close { code, reason } = close;
    control(
        CLOSE,
        &[&(code as u16).to_be_bytes(), reason.as_bytes()].concat(),
    )
}

/// The pong for a ping with this payload of at most 125 bytes.
pub fn pong(payload: &[u8]) -> Bytes {
    control(PONG, payload)
}

/// One text message.
pub fn text_frame(text: &str) -> Bytes {
    PieceFraming::TextFrame
        .framed(text.len(), |out| out.extend_from_slice(text.as_bytes()))
        .wire
}

fn control(opcode: u8, payload: &[u8]) -> Bytes {
    let payload = &payload[..payload.len().min(125)];
    [
        &[FINAL | opcode, u8::try_from(payload.len()).unwrap_or(0)],
        payload,
    ]
    .concat()
    .into()
}

/// Writes the head of a text frame to the beginning of `buffer`; returns that part.
pub(super) fn text_head(length: usize, buffer: &mut [u8; HEAD_ROOM]) -> &[u8] {
    buffer[0] = FINAL | TEXT;
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => {
            buffer[1] = short;
            &buffer[..2]
        }
        (_, Ok(medium)) => {
            buffer[1] = 126;
            buffer[2..4].copy_from_slice(&medium.to_be_bytes());
            &buffer[..4]
        }
        _ => {
            buffer[1] = 127;
            buffer[2..10].copy_from_slice(&(length as u64).to_be_bytes());
            &buffer[..10]
        }
    }
}
