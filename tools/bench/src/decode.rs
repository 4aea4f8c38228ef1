//! Decodes the bytes of a connection, in any split, into heads, content and ends of responses and, after an upgrade,
//! WebSocket frames. Uses the decoders of the harness.

use crate::BenchFault;
use tailwater_harness::http::{DecodeError, DecodedHead, ResponseDecoder, ResponsePart};
use tailwater_harness::websocket::{FrameDecoder, FramePart};

/// A part decoded by a [`ContentDecoder`].
#[derive(Debug)]
pub(crate) enum ContentPart<'a> {
    /// The head of a response, except for status 100.
    Head(DecodedHead<'a>),
    /// Content, in arbitrary pieces.
    Piece(&'a [u8]),
    /// A WebSocket ping, which requires a pong.
    Ping,
    /// The end of a response, or a WebSocket close frame.
    End,
}

/// Decodes one connection.
#[derive(Debug)]
pub(crate) struct ContentDecoder {
    responses: ResponseDecoder,
    frames: FrameDecoder,
    /// The current response has status 1xx: its end is not reported.
    is_interim: bool,
    /// The opcode of the current frame.
    opcode: u8,
}

impl From<DecodeError> for BenchFault {
    fn from(fault: DecodeError) -> Self {
        Self::Server(fault.to_string())
    }
}

impl ContentDecoder {
    pub(crate) fn new() -> Self {
        Self {
            responses: ResponseDecoder::new(),
            frames: FrameDecoder::new(),
            is_interim: false,
            opcode: 0,
        }
    }

    /// Decodes `input` and passes each part to `take`.
    ///
    /// # Errors
    /// [`BenchFault::Server`] when `input` is not HTTP; the errors of `take`.
    pub(crate) fn feed(
        &mut self,
        mut input: &[u8],
        take: &mut impl FnMut(ContentPart<'_>) -> Result<(), BenchFault>,
    ) -> Result<(), BenchFault> {
        while let Some(part) = self.responses.next(&mut input)? {
            match part {
                ResponsePart::Head(head) => {
                    self.is_interim = head.status < 200;
                    if head.status != 100 {
                        take(ContentPart::Head(head))?;
                    }
                }
                ResponsePart::Data(piece) => take(ContentPart::Piece(piece))?,
                ResponsePart::End if !self.is_interim => take(ContentPart::End)?,
                ResponsePart::End | ResponsePart::ChunkEnd | ResponsePart::Trailer { .. } => {}
            }
        }
        if self.responses.is_upgraded() {
            self.frames(input, take)?;
        }
        Ok(())
    }

    fn frames(
        &mut self,
        mut input: &[u8],
        take: &mut impl FnMut(ContentPart<'_>) -> Result<(), BenchFault>,
    ) -> Result<(), BenchFault> {
        while let Some(part) = self.frames.next(&mut input)? {
            match (part, self.opcode) {
                (FramePart::Begin { first, .. }, _) => self.opcode = first & 15,
                (FramePart::Payload(piece), ..8) => take(ContentPart::Piece(piece))?,
                (FramePart::End { .. }, 8) => take(ContentPart::End)?,
                (FramePart::End { .. }, 9) => take(ContentPart::Ping)?,
                (FramePart::Payload(_) | FramePart::End { .. }, _) => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `bytes` in pieces of `step` bytes: `<STATUS>` for a head, `<end>` for an end, with the content
    /// between them.
    fn decoded(bytes: &[u8], step: usize) -> Result<String, BenchFault> {
        let (mut decoder, mut seen) = (ContentDecoder::new(), Vec::new());
        for piece in bytes.chunks(step) {
            decoder.feed(piece, &mut |part| {
                match part {
                    ContentPart::Head(head) => {
                        seen.extend_from_slice(format!("<{}>", head.status).as_bytes());
                    }
                    ContentPart::Piece(piece) => seen.extend_from_slice(piece),
                    ContentPart::Ping => seen.extend_from_slice(b"<ping>"),
                    ContentPart::End => seen.extend_from_slice(b"<end>"),
                }
                Ok(())
            })?;
        }
        Ok(String::from_utf8(seen).expect("text"))
    }

    #[test]
    fn responses_decode_the_same_wherever_they_are_split() {
        let long = [&[0x81, 126, 1, 0][..], &[b'y'; 256]].concat();
        let huge = [&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[b'z'; 65_536]].concat();
        let socket = [
            &b"HTTP/1.1 101 S\r\n\r\n"[..],
            &[0x89, 0, 0x01, 1, b'a', 0x80, 1, b'b'],
            &long,
            &huge,
            &[0x88, 2, 3, 232],
        ];
        let cases: [(Vec<u8>, String); 5] = [
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 204 No\r\nX: y\r\n\r\n".to_vec(),
                "<200>abc<end><204><end>".into(),
            ),
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA\r\n0123456789\r\n0\r\nT: r\r\n\r\n".to_vec(),
                "<200>abc0123456789<end>".into(),
            ),
            (b"HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n".to_vec(), "<304><end><200><end>".into()),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end".to_vec(), "<200>to the end".into()),
            (socket.concat(), format!("<101><ping>ab{}{}<end>", "y".repeat(256), "z".repeat(65_536))),
        ];
        for (bytes, meaning) in cases {
            for step in (1..40).chain([1_000, bytes.len()]) {
                assert_eq!(
                    decoded(&bytes, step).expect("valid HTTP"),
                    meaning,
                    "cut every {step} bytes"
                );
            }
        }
    }
}
