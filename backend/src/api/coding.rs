//! Decoding of bodies with a content coding.

use super::charged::charge_piece;
use super::{Charge, Refusal};
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState};
use bytes::Bytes;
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use std::fmt::Display;
use std::io::Read;

/// A content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
}

/// The decoded part of a body.
struct Decoded<'c> {
    bytes: Vec<u8>,
    limit: u64,
    charge: &'c mut Charge,
    piece: Vec<u8>,
}

/// Decodes a body.
///
/// Source: RFC 9110, section 8.4; `deflate` is the zlib format (RFC 1950), which some clients send
/// without its wrapper. gzip has one or more members (RFC 1952, section 2.2), zstd one or more
/// frames (RFC 8878, section 3.1), the others one stream.
///
/// # Errors
/// [`Refusal::BodyTooLarge`] beyond `limit`, [`Refusal::Busy`] when the budget is exhausted,
/// [`Refusal::BodyBroken`] for invalid, truncated or trailing bytes.
pub(super) fn decode(
    coding: Coding,
    bytes: &[u8],
    limit: u64,
    charge: &mut Charge,
) -> Result<Bytes, Refusal> {
    let mut decoded = Decoded {
        bytes: Vec::new(),
        limit,
        charge,
        piece: vec![0; 16 << 10],
    };
    let trailing = match coding {
        Coding::Gzip => decoded.read(MultiGzDecoder::new(bytes))?.into_inner(),
        Coding::Deflate if is_zlib(bytes) => decoded.read(ZlibDecoder::new(bytes))?.into_inner(),
        Coding::Deflate => decoded.read(DeflateDecoder::new(bytes))?.into_inner(),
        Coding::Brotli => decoded.read_brotli(bytes)?,
        Coding::Zstd => decoded.read_zstd(bytes)?,
    };
    if !trailing.is_empty() {
        return Err(invalid(&format!("{} bytes follow the end", trailing.len())));
    }
    Ok(decoded.bytes.into())
}

fn is_zlib(bytes: &[u8]) -> bool {
    matches!(bytes, [method, flags, ..] if method & 0x0f == 8 && u16::from_be_bytes([*method, *flags]).is_multiple_of(31))
}

impl Decoded<'_> {
    /// Reads `decoder` to its end.
    fn read<D: Read>(&mut self, mut decoder: D) -> Result<D, Refusal> {
        loop {
            match decoder.read(&mut self.piece) {
                Ok(0) => return Ok(decoder),
                Ok(bytes) => self.take(bytes)?,
                Err(error) => return Err(invalid(&error)),
            }
        }
    }

    /// Appends the first `bytes` of the piece.
    fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        charge_piece(bytes, self.bytes.len(), self.limit, self.charge)?;
        self.bytes.extend_from_slice(&self.piece[..bytes]);
        Ok(())
    }

    /// Reads one stream; returns the bytes after it.
    fn read_brotli<'b>(&mut self, bytes: &'b [u8]) -> Result<&'b [u8], Refusal> {
        let new = StandardAlloc::default;
        let mut state = BrotliState::new_strict(new(), new(), new());
        let (mut input_left, mut input_at, mut total) = (bytes.len(), 0, 0);
        loop {
            let (mut output_left, mut output_at) = (self.piece.len(), 0);
            let result = BrotliDecompressStream(
                &mut input_left,
                &mut input_at,
                bytes,
                &mut output_left,
                &mut output_at,
                &mut self.piece,
                &mut total,
                &mut state,
            );
            self.take(output_at)?;
            match result {
                BrotliResult::ResultSuccess => return Ok(&bytes[input_at..]),
                BrotliResult::NeedsMoreOutput => {}
                BrotliResult::NeedsMoreInput => return Err(invalid(&"truncated")),
                BrotliResult::ResultFailure => return Err(invalid(&"invalid brotli data")),
            }
        }
    }

    /// Reads all frames, skipping those without content.
    fn read_zstd<'b>(&mut self, mut bytes: &'b [u8]) -> Result<&'b [u8], Refusal> {
        while !bytes.is_empty() {
            match StreamingDecoder::new(&mut bytes) {
                Ok(decoder) => {
                    let frame = self.read(decoder)?.into_frame_decoder();
                    let checksum = frame.get_checksum_from_data();
                    if checksum.is_some() && checksum != frame.get_calculated_checksum() {
                        return Err(invalid(&"checksum mismatch"));
                    }
                }
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                    length,
                    ..
                })) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    bytes = bytes.get(length..).ok_or_else(|| invalid(&"truncated"))?;
                }
                Err(error) => return Err(invalid(&error)),
            }
        }
        Ok(bytes)
    }
}

fn invalid(error: &dyn Display) -> Refusal {
    Refusal::BodyBroken(format!(
        "it can't be decoded by its Content-Encoding: {error}"
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Budget, FREE_BYTES};
    use super::*;
    use std::io::Write;

    fn coded(coding: Coding, text: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::default();
        match coding {
            Coding::Gzip => {
                let mut out = flate2::write::GzEncoder::new(Vec::new(), level);
                out.write_all(text).unwrap();
                out.finish().unwrap()
            }
            Coding::Deflate => {
                let mut out = flate2::write::ZlibEncoder::new(Vec::new(), level);
                out.write_all(text).unwrap();
                out.finish().unwrap()
            }
            Coding::Brotli => {
                let mut out = Vec::new();
                brotli::CompressorWriter::new(&mut out, 4096, 5, 20)
                    .write_all(text)
                    .unwrap();
                out
            }
            Coding::Zstd => {
                ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
            }
        }
    }

    #[test]
    fn every_coding_is_decoded_within_the_limit_and_charged() {
        let text = b"{\"a\":1}".repeat(4_000);
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let bytes = coded(coding, &text);
            let budget = Budget::new(1 << 20);
            let mut charge = budget.charge();
            assert_eq!(
                decode(coding, &bytes, 1 << 16, &mut charge).unwrap(),
                text,
                "{coding:?}"
            );
            assert_eq!(budget.held(), text.len() - FREE_BYTES);
            let bomb = decode(coding, &bytes, 27_999, &mut budget.charge());
            assert!(
                matches!(bomb, Err(Refusal::BodyTooLarge { limit: 27_999 })),
                "{coding:?} {bomb:?}"
            );
            let cut = decode(
                coding,
                &bytes[..bytes.len() / 2],
                1 << 16,
                &mut budget.charge(),
            );
            assert!(
                matches!(cut, Err(Refusal::BodyBroken(_))),
                "{coding:?} {cut:?}"
            );
            let noise = decode(
                coding,
                b"this is no coded body at all",
                1 << 16,
                &mut budget.charge(),
            );
            assert!(noise.is_err(), "{coding:?}");
        }
    }

    #[test]
    fn a_body_is_decoded_to_its_last_byte() {
        let budget = Budget::new(1 << 20);
        let decoded = |coding, bytes: &[u8]| decode(coding, bytes, 1 << 16, &mut budget.charge());
        for coding in [Coding::Gzip, Coding::Deflate, Coding::Brotli, Coding::Zstd] {
            let (one, two) = (coded(coding, b"one"), coded(coding, b"two"));
            let both = decoded(coding, &[&one[..], &two].concat());
            if matches!(coding, Coding::Gzip | Coding::Zstd) {
                assert_eq!(both.unwrap(), "onetwo", "{coding:?}");
            } else {
                assert!(
                    matches!(both, Err(Refusal::BodyBroken(_))),
                    "{coding:?} {both:?}"
                );
            }
            for more in [&b"x"[..], b"garbage", &[0; 100]] {
                let more = decoded(coding, &[&one[..], more].concat());
                assert!(
                    matches!(more, Err(Refusal::BodyBroken(_))),
                    "{coding:?} {more:?}"
                );
            }
            assert!(
                decoded(coding, &one[..one.len() - 1]).is_err(),
                "{coding:?}"
            );
        }
        // Also for deflate without its wrapper.
        let mut bare =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
        bare.write_all(b"one").unwrap();
        let bare = bare.finish().unwrap();
        assert_eq!(decoded(Coding::Deflate, &bare).unwrap(), "one");
        assert!(decoded(Coding::Deflate, &[&bare[..], b"x"].concat()).is_err());
    }

    #[test]
    fn zstd_skips_empty_frames_and_verifies_checksums() {
        let budget = Budget::new(1 << 20);
        let decoded = |bytes: &[u8]| decode(Coding::Zstd, bytes, 1 << 16, &mut budget.charge());
        let one = coded(Coding::Zstd, b"one");
        let skippable = [&[0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"abc"].concat();
        for bytes in [
            [&skippable[..], &one].concat(),
            [&one[..], &skippable].concat(),
        ] {
            assert_eq!(decoded(&bytes).unwrap(), "one");
        }
        assert!(decoded(&skippable[..10]).is_err());
        // The output of `printf abc | zstd`: one raw block, and a checksum.
        let frame = *b"\x28\xb5\x2f\xfd\x04\x58\x19\x00\x00abc\x99\x09\x77\xad";
        assert_eq!(decoded(&frame).unwrap(), "abc");
        let other = decoded(&frame.map(|byte| if byte == b'b' { b'B' } else { byte }));
        assert!(matches!(other, Err(Refusal::BodyBroken(_))), "{other:?}");
    }
}
