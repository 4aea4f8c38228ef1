//! WebSocket frames without I/O: decodes those of a server, encodes those of a client.
//!
//! Source: RFC 6455, section 5.2.

use crate::http::DecodeError;

/// The longest head of a server's frame: two bytes and a length of eight bytes.
const HEAD_BYTES_MAX: usize = 10;

/// Header fields of a valid handshake, each with its line end.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// What a [`FrameDecoder`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FramePart<'a> {
    /// The head of a frame.
    Begin {
        /// Its first byte: FIN, reserved bits and opcode.
        first: u8,
        /// The length of its payload in bytes.
        length: u64,
    },
    /// Bytes of the payload, in arbitrary pieces.
    Payload(&'a [u8]),
    /// The end of a frame.
    End {
        /// The first byte of the frame.
        first: u8,
    },
}

/// Decodes the frames of a server, in any split.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    /// The beginning of an unfinished head.
    kept: Vec<u8>,
    /// An unfinished frame: its first byte, and the remaining length of its payload.
    open: Option<(u8, u64)>,
}

impl FrameDecoder {
    /// A decoder between two frames.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether a frame has begun and is incomplete.
    #[must_use]
    pub fn is_within(&self) -> bool {
        self.open.is_some() || !self.kept.is_empty()
    }

    /// Decodes the next part from the front of `input`, and removes it.
    ///
    /// - Returns `None` when there is no complete part left; the beginning of an unfinished head is
    ///   kept.
    ///
    /// # Errors
    /// When a frame is masked, which a server's must not be.
    pub fn next<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<FramePart<'a>>, DecodeError> {
        if let Some((first, left)) = &mut self.open {
            let first = *first;
            if *left == 0 {
                self.open = None;
                return Ok(Some(FramePart::End { first }));
            }
            if input.is_empty() {
                return Ok(None);
            }
            let count = usize::try_from(*left).unwrap_or(usize::MAX);
            let (payload, rest) = input.split_at(count.min(input.len()));
            *input = rest;
            *left -= payload.len() as u64;
            return Ok(Some(FramePart::Payload(payload)));
        }
        let kept = self.kept.len();
        let mut head = [0; HEAD_BYTES_MAX];
        let fresh = input.len().min(HEAD_BYTES_MAX - kept);
        head[..kept].copy_from_slice(&self.kept);
        head[kept..kept + fresh].copy_from_slice(&input[..fresh]);
        let Some((head_bytes, first, length)) = frame_head(&head[..kept + fresh])? else {
            self.kept.extend_from_slice(std::mem::take(input));
            return Ok(None);
        };
        *input = &input[head_bytes - kept..];
        self.kept.clear();
        self.open = Some((first, length));
        Ok(Some(FramePart::Begin { first, length }))
    }
}

/// The length of the head, the first byte, and the length of the payload; `None` if the head is
/// incomplete.
fn frame_head(bytes: &[u8]) -> Result<Option<(usize, u8, u64)>, DecodeError> {
    let [first, second, rest @ ..] = bytes else {
        return Ok(None);
    };
    let long = |count: usize| {
        let digits = rest.get(..count)?;
        let length = digits
            .iter()
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        Some((2 + count, *first, length))
    };
    match second {
        128.. => Err(DecodeError {
            expected: "a frame that is not masked",
            found: format!("{bytes:02x?}"),
        }),
        127 => Ok(long(8)),
        126 => Ok(long(2)),
        short => Ok(Some((2, *first, u64::from(*short)))),
    }
}

/// A frame of a client, masked with zeros.
///
/// - `first`: its first byte: FIN, reserved bits and opcode.
#[must_use]
pub fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = client_frame_head(first, payload.len() as u64);
    frame.extend_from_slice(payload);
    frame
}

/// The head of a client's frame that announces a payload of `length` bytes.
///
/// - `first`: as in [`client_frame`].
#[must_use]
pub fn client_frame_head(first: u8, length: u64) -> Vec<u8> {
    let mut head = vec![first];
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short), _) if short < 126 => head.push(0x80 | short),
        (_, Ok(middle)) => {
            head.push(0x80 | 126);
            head.extend_from_slice(&middle.to_be_bytes());
        }
        _ => {
            head.push(0x80 | 127);
            head.extend_from_slice(&length.to_be_bytes());
        }
    }
    head.extend_from_slice(&[0; 4]);
    head
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The frames in `bytes` when they arrive in pieces of `step` bytes.
    fn frames(bytes: &[u8], step: usize) -> Result<Vec<(u8, Vec<u8>)>, DecodeError> {
        let (mut decoder, mut frames) = (FrameDecoder::new(), Vec::new());
        let mut payload = Vec::new();
        for mut piece in bytes.chunks(step) {
            while let Some(part) = decoder.next(&mut piece)? {
                match part {
                    FramePart::Begin { length, .. } => {
                        payload.reserve(usize::try_from(length).expect("small"));
                    }
                    FramePart::Payload(bytes) => payload.extend_from_slice(bytes),
                    FramePart::End { first } => frames.push((first, std::mem::take(&mut payload))),
                }
            }
            assert!(piece.is_empty());
        }
        assert!(!decoder.is_within());
        Ok(frames)
    }

    #[test]
    fn frames_do_not_depend_on_where_bytes_are_split() {
        let bytes = [
            &[0x89, 0, 0x01, 1, b'a', 0x80, 1, b'b'],
            &[&[0x81, 126, 1, 0][..], &[b'y'; 256]].concat()[..],
            &[&[0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0][..], &[b'z'; 65_536]].concat(),
            &[0x88, 2, 3, 232],
        ]
        .concat();
        let expected = [
            (0x89, vec![]),
            (0x01, vec![b'a']),
            (0x80, vec![b'b']),
            (0x81, vec![b'y'; 256]),
            (0x82, vec![b'z'; 65_536]),
            (0x88, vec![3, 232]),
        ];
        for step in (1..40).chain([1_000, bytes.len()]) {
            assert_eq!(
                frames(&bytes, step).as_deref(),
                Ok(&expected[..]),
                "cut every {step} bytes"
            );
        }
    }

    #[test]
    fn a_masked_frame_of_a_server_is_refused() {
        for length in [0, 1, 200, 70_000] {
            let frame = client_frame(0x81, &vec![b'x'; length]);
            assert!(frames(&frame, frame.len()).is_err(), "{length} bytes");
        }
    }

    #[test]
    fn client_frames_equal_server_frames_except_for_the_mask() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; length];
            let mut frame = client_frame(0x82, &payload);
            let head = frame.len() - length;
            frame[1] &= 0x7f;
            frame.drain(head - 4..head);
            assert_eq!(
                frames(&frame, frame.len()),
                Ok(vec![(0x82, payload)]),
                "{length} bytes"
            );
        }
    }
}
