//! Decodes the bytes of a connection, in any split, into heads, data and ends of responses.

use super::head::trailer;
use super::{BodyLength, DecodeError, DecodedHead};
use memchr::memmem;
use std::borrow::Cow;

/// Limit of a head or a line, in bytes.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// The first bytes of every head.
const BEGIN: &[u8] = b"HTTP/1.";

/// What a [`ResponseDecoder`] returns.
#[derive(Debug)]
pub enum ResponsePart<'a> {
    /// The head of a response. Interim responses (1xx) are responses without a body.
    Head(DecodedHead<'a>),
    /// Bytes of the body without chunked framing, in arbitrary pieces.
    Data(&'a [u8]),
    /// The end of a chunk, except for the last, empty one.
    ChunkEnd,
    /// A trailer: a field after the last chunk.
    Trailer {
        /// As it was sent.
        name: String,
        /// Without the white space around it.
        value: String,
    },
    /// The end of a response.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DecoderState {
    Head,
    Length(u64),
    UntilClosed,
    ChunkSize,
    Chunk(u64),
    /// The line end after the data of a chunk.
    ChunkLineEnd,
    Trailers,
    /// The response is complete, but its end has not been returned yet.
    End {
        upgrades: bool,
    },
    Upgraded,
}

/// Decodes the responses of one connection, one after the other.
///
/// It is strict where the RFC lets a recipient be lenient: lines end with CRLF, a body has one
/// length, and the only transfer coding is `chunked`, without chunk extensions, as no server that
/// is tested or measured here sends them.
#[derive(Debug)]
pub struct ResponseDecoder {
    state: DecoderState,
    /// The beginning of an unfinished head or line.
    kept: Vec<u8>,
    is_to_head: bool,
    body_length: BodyLength,
}

impl Default for ResponseDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl ResponseDecoder {
    /// A decoder for the beginning of a connection.
    #[must_use]
    pub fn new() -> Self {
        Self {
            state: DecoderState::Head,
            kept: Vec::new(),
            is_to_head: false,
            body_length: BodyLength::None,
        }
    }

    /// Announces that the next final response is to a HEAD request, so it has no body whatever its head
    /// says.
    pub fn expect_no_body(&mut self) {
        self.is_to_head = true;
    }

    /// How the body of the last response ends.
    #[must_use]
    pub fn body_length(&self) -> BodyLength {
        self.body_length
    }

    /// Skips the body of the last response: the next bytes are a new response.
    pub fn skip_body(&mut self) {
        self.body_length = BodyLength::None;
        self.state = DecoderState::Head;
        self.kept.clear();
    }

    /// The received part of an unfinished head or line.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        &self.kept
    }

    /// Whether a response has switched to another protocol, so the following bytes are not HTTP.
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        self.state == DecoderState::Upgraded
    }

    /// Decodes the next part from the front of `input`, and removes it.
    ///
    /// - Returns `None` when there is no complete part left: `input` is then empty, and the decoder
    ///   keeps the beginning of an unfinished part. After an upgrade `input` is not changed.
    ///
    /// # Errors
    /// When the bytes are not HTTP/1.1; the decoder cannot be used afterwards.
    pub fn next<'a>(
        &mut self,
        input: &mut &'a [u8],
    ) -> Result<Option<ResponsePart<'a>>, DecodeError> {
        loop {
            match &mut self.state {
                DecoderState::End { upgrades } => {
                    self.state = if *upgrades {
                        DecoderState::Upgraded
                    } else {
                        DecoderState::Head
                    };
                    return Ok(Some(ResponsePart::End));
                }
                _ if input.is_empty() => return Ok(None),
                DecoderState::Upgraded => return Ok(None),
                DecoderState::Head => {
                    let Some(head) = self.head(input)? else {
                        return Ok(None);
                    };
                    return Ok(Some(ResponsePart::Head(head)));
                }
                DecoderState::UntilClosed => {
                    return Ok(Some(ResponsePart::Data(std::mem::take(input))));
                }
                DecoderState::Length(left) => {
                    let data = split(input, *left);
                    *left -= data.len() as u64;
                    if *left == 0 {
                        self.state = DecoderState::End { upgrades: false };
                    }
                    return Ok(Some(ResponsePart::Data(data)));
                }
                DecoderState::Chunk(left) => {
                    let data = split(input, *left);
                    *left -= data.len() as u64;
                    if *left == 0 {
                        self.state = DecoderState::ChunkLineEnd;
                    }
                    return Ok(Some(ResponsePart::Data(data)));
                }
                DecoderState::ChunkSize | DecoderState::ChunkLineEnd | DecoderState::Trailers => {
                    let Some(line) = until(&mut self.kept, input, b"\r\n")? else {
                        return Ok(None);
                    };
                    if let Some(part) = self.line(&line)? {
                        return Ok(Some(part));
                    }
                }
            }
        }
    }

    /// Handles the end of the connection.
    ///
    /// - Returns [`ResponsePart::End`] if that ends a response, `None` between two responses.
    ///
    /// # Errors
    /// When a response is incomplete.
    pub fn finish(&mut self) -> Result<Option<ResponsePart<'static>>, DecodeError> {
        match self.state {
            DecoderState::Head if self.kept.is_empty() => Ok(None),
            DecoderState::Upgraded => Ok(None),
            DecoderState::UntilClosed => {
                self.state = DecoderState::Head;
                Ok(Some(ResponsePart::End))
            }
            DecoderState::Head => Err(DecodeError::new(
                "the rest of a head",
                &std::mem::take(&mut self.kept),
            )),
            _ => Err(DecodeError::new("the rest of a body", b"")),
        }
    }

    fn head<'a>(&mut self, input: &mut &'a [u8]) -> Result<Option<DecodedHead<'a>>, DecodeError> {
        let Some(bytes) = until(&mut self.kept, input, b"\r\n\r\n")? else {
            let seen = &self.kept[..self.kept.len().min(BEGIN.len())];
            if BEGIN.starts_with(seen) {
                return Ok(None);
            }
            return Err(DecodeError::new("a status line", &self.kept));
        };
        let head = DecodedHead::parse(bytes)?;
        let length = head.body_length(self.is_to_head)?;
        if head.status >= 200 {
            self.is_to_head = false;
        }
        self.body_length = length;
        self.state = match length {
            BodyLength::None | BodyLength::Bytes(0) => DecoderState::End {
                upgrades: head.status == 101,
            },
            BodyLength::Bytes(length) => DecoderState::Length(length),
            BodyLength::Chunked => DecoderState::ChunkSize,
            BodyLength::UntilClosed => DecoderState::UntilClosed,
        };
        Ok(Some(head))
    }

    /// Decodes a line of a chunked body outside of its data.
    ///
    /// - `line`: with its line end.
    fn line(&mut self, line: &[u8]) -> Result<Option<ResponsePart<'static>>, DecodeError> {
        let is_empty = line.len() == 2;
        match self.state {
            DecoderState::ChunkLineEnd if is_empty => {
                self.state = DecoderState::ChunkSize;
                Ok(Some(ResponsePart::ChunkEnd))
            }
            DecoderState::ChunkLineEnd => Err(DecodeError::new("a chunk's end", line)),
            DecoderState::Trailers if is_empty => {
                self.state = DecoderState::End { upgrades: false };
                Ok(None)
            }
            DecoderState::Trailers => {
                let (name, value) = trailer(line)?;
                Ok(Some(ResponsePart::Trailer { name, value }))
            }
            _ => {
                self.state = match chunk_size(line)? {
                    0 => DecoderState::Trailers,
                    size => DecoderState::Chunk(size),
                };
                Ok(None)
            }
        }
    }
}

/// - `line`: with its line end.
fn chunk_size(line: &[u8]) -> Result<u64, DecodeError> {
    let digits = &line[..line.len() - 2];
    let is_hex = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
    std::str::from_utf8(digits)
        .ok()
        .filter(|_| is_hex)
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| DecodeError::new("a chunk's size", line))
}

/// At most `left` bytes from the front of `input`.
fn split<'a>(input: &mut &'a [u8], left: u64) -> &'a [u8] {
    let count = usize::try_from(left).unwrap_or(usize::MAX);
    let (data, rest) = input.split_at(count.min(input.len()));
    *input = rest;
    data
}

/// Everything up to and including `mark`; `None`, and everything kept, if it has not arrived yet.
fn until<'a>(
    kept: &mut Vec<u8>,
    input: &mut &'a [u8],
    mark: &[u8],
) -> Result<Option<Cow<'a, [u8]>>, DecodeError> {
    if kept.is_empty() {
        if let Some(at) = memmem::find(input, mark) {
            let (found, rest) = input.split_at(at + mark.len());
            *input = rest;
            return Ok(Some(Cow::Borrowed(found)));
        }
        kept.extend_from_slice(std::mem::take(input));
    } else {
        let before = kept.len();
        kept.extend_from_slice(input);
        let begin = before.saturating_sub(mark.len() - 1);
        if let Some(at) = memmem::find(&kept[begin..], mark) {
            let end = begin + at + mark.len();
            *input = &input[end - before..];
            let mut found = std::mem::take(kept);
            found.truncate(end);
            return Ok(Some(Cow::Owned(found)));
        }
        *input = &[];
    }
    if kept.len() > HEAD_BYTES_MAX {
        return Err(DecodeError::new("the end of a line or a head", kept));
    }
    Ok(None)
}
