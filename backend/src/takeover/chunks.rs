//! Finds the end of a chunked body, byte by byte. No I/O.
//!
//! Source: RFC 9112, section 7.1.

/// Longest chunk-size line including extensions, and longest trailer section, in bytes.
const LINE_BYTES_MAX: usize = 4 << 10;

/// Limit in bytes for all chunk-size lines together, beyond eight for each byte of data: one-byte
/// chunks are allowed, chunks that consist of extensions are not.
const LINES_BYTES_MAX: u64 = 1 << 20;

/// Parser state of a chunked body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunks {
    state: ChunkState,
    /// Bytes of the current line or trailer section.
    line_bytes: usize,
    /// Bytes of all lines, less the allowance for the data.
    excess_bytes: u64,
}

#[derive(Debug, Clone, Copy)]
enum ChunkState {
    /// In the digits of a chunk's size: the size so far, and whether there was a digit.
    Length(u64, bool),
    /// After the digits, up to the end of the line.
    Extension(u64),
    /// Bytes of data still expected, line end included.
    Data(u64),
    /// In the trailers; whether their current line is non-empty.
    Trailers(bool),
    Ended,
}

/// Why a body is rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChunkError {
    /// A chunk's size is not a hexadecimal number.
    Malformed,
    /// A size line or the trailers exceed their limit.
    TooLong,
}

impl Chunks {
    pub(super) fn new() -> Self {
        Self {
            state: ChunkState::Length(0, false),
            line_bytes: 0,
            excess_bytes: 0,
        }
    }

    /// Consumes the next bytes. Returns how many belong to the body: all, unless it ends among
    /// them.
    ///
    /// # Errors
    /// [`ChunkError`].
    pub(super) fn consume(&mut self, bytes: &[u8]) -> Result<usize, ChunkError> {
        let mut at = 0;
        while let Some(byte) = bytes.get(at).copied() {
            if let ChunkState::Data(left) = self.state {
                let passed = usize::try_from(left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len() - at);
                at += passed;
                self.excess_bytes = self.excess_bytes.saturating_sub(8 * passed as u64);
                self.state = match left - passed as u64 {
                    0 => ChunkState::Length(0, false),
                    left => ChunkState::Data(left),
                };
                continue;
            }
            if matches!(self.state, ChunkState::Ended) {
                break;
            }
            at += 1;
            self.line_bytes += 1;
            self.excess_bytes += 1;
            if self.line_bytes > LINE_BYTES_MAX || self.excess_bytes > LINES_BYTES_MAX {
                return Err(ChunkError::TooLong);
            }
            self.state = self.next(byte)?;
            if matches!(self.state, ChunkState::Data(_)) {
                self.line_bytes = 0;
            }
        }
        Ok(at)
    }

    /// Whether the body has ended.
    pub(super) fn has_ended(&self) -> bool {
        matches!(self.state, ChunkState::Ended)
    }

    fn next(&self, byte: u8) -> Result<ChunkState, ChunkError> {
        Ok(match (self.state, byte) {
            (ChunkState::Length(length, _), byte) if byte.is_ascii_hexdigit() => {
                let digit = u64::from((byte as char).to_digit(16).unwrap_or(0));
                let length = length
                    .checked_mul(16)
                    .and_then(|length| length.checked_add(digit))
                    .ok_or(ChunkError::Malformed)?;
                ChunkState::Length(length, true)
            }
            (ChunkState::Length(length, true) | ChunkState::Extension(length), b'\n') => {
                match length {
                    0 => ChunkState::Trailers(false),
                    length => ChunkState::Data(length.checked_add(2).ok_or(ChunkError::Malformed)?),
                }
            }
            (ChunkState::Length(length, true), b'\r' | b';' | b' ' | b'\t')
            | (ChunkState::Extension(length), _) => ChunkState::Extension(length),
            (ChunkState::Length(..), _) => return Err(ChunkError::Malformed),
            (ChunkState::Trailers(false), b'\n') => ChunkState::Ended,
            (ChunkState::Trailers(has_begun), b'\r') => ChunkState::Trailers(has_begun),
            (ChunkState::Trailers(_), byte) => ChunkState::Trailers(byte != b'\n'),
            (state @ (ChunkState::Data(_) | ChunkState::Ended), _) => state,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    #[test]
    fn a_body_ends_after_its_trailers_however_it_is_split() {
        for body in [
            "0\r\n\r\n",
            "3\r\nabc\r\n0\r\n\r\n",
            "A;x=\"y\"\r\n0123456789\r\n00\r\nX: y\r\nZ: 1\r\n\r\n",
            "1 \r\n\n\r\n0\r\n\r\n",
        ] {
            let all = format!("{body}GET / HTTP/1.1");
            for cut in 0..=body.len() {
                let mut chunks = Chunks::new();
                let first = chunks.consume(&all.as_bytes()[..cut]).unwrap();
                assert_eq!(
                    (first, chunks.has_ended()),
                    (cut, cut == body.len()),
                    "{body:?} cut at {cut}"
                );
                assert_eq!(
                    chunks.consume(&all.as_bytes()[cut..]),
                    Ok(body.len() - cut),
                    "{body:?} cut at {cut}"
                );
                assert!(chunks.has_ended());
            }
        }
    }

    #[test]
    fn malformed_and_oversized_bodies_are_rejected() {
        let long = "0".repeat(LINE_BYTES_MAX + 1);
        let extension = format!("1;{}", "x".repeat(LINE_BYTES_MAX));
        let trailers = format!("0\r\n{}", "X: y\r\n".repeat(LINE_BYTES_MAX));
        for body in [
            &*long,
            &*extension,
            &*trailers,
            "x",
            "\r\n",
            "-1\r\n",
            "1x\r\n",
            "fffffffffffffffff\r\n",
            "ffffffffffffffff\r\n",
        ] {
            assert!(
                Chunks::new().consume(body.as_bytes()).is_err(),
                "{:.20}",
                body
            );
        }
    }

    /// The length of a body that arrives in pieces of this size, or why it is invalid.
    fn end(body: &[u8], piece_bytes: usize) -> Result<Option<usize>, ChunkError> {
        let (mut chunks, mut passed) = (Chunks::new(), 0);
        for piece in body.chunks(piece_bytes) {
            passed += chunks.consume(piece)?;
            if chunks.has_ended() {
                return Ok(Some(passed));
            }
        }
        Ok(None)
    }

    proptest! {
        #[test]
        fn a_valid_body_ends_after_its_last_chunk(
            data in vec((vec(any::<u8>(), 1..40), "(;[a-z]{0,3}(=[a-z0-9]{1,3})?)?"), 0..6),
            trailers in "(X: [a-z]{0,9}\r\n){0,2}",
            beyond in vec(any::<u8>(), 0..20),
            piece_bytes in 1_usize..50,
        ) {
            let mut body = Vec::new();
            for (bytes, extension) in &data {
                body.extend(format!("{:x}{extension}\r\n", bytes.len()).bytes().chain(bytes.iter().copied()).chain(*b"\r\n"));
            }
            body.extend(format!("0\r\n{trailers}\r\n").bytes());
            let whole = body.len();
            body.extend(beyond);
            prop_assert_eq!(end(&body, piece_bytes), Ok(Some(whole)));
        }

        #[test]
        fn the_end_of_any_bytes_does_not_depend_on_the_split(
            bytes in vec(prop_oneof![Just(b'\r'), Just(b'\n'), b'0'..=b'3', any::<u8>()], 0..60),
            piece_bytes in 1_usize..20,
        ) {
            prop_assert_eq!(end(&bytes, piece_bytes), end(&bytes, 60));
        }
    }
}
