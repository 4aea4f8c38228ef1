//! What comes on a connection, cut anywhere, as heads, pieces of content and ends: HTTP/1.1 by length, by chunk and until closed, and
//! a server's WebSocket frames.

use crate::Fault;
use memchr::memmem;
use std::borrow::Cow;

/// A head larger than this is no head.
const HEAD_MAX: usize = 64 << 10;

/// An answer's head, without the empty line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head<'a> {
    /// Three digits.
    pub(crate) status: u16,
    lines: &'a str,
}

impl<'a> Head<'a> {
    fn parse(bytes: &'a [u8]) -> Result<Self, Fault> {
        let text =
            std::str::from_utf8(bytes).map_err(|_| Fault::Server("a head is not UTF-8".into()))?;
        let (first, lines) = text.split_once("\r\n").unwrap_or((text, ""));
        match first.split(' ').nth(1).and_then(|word| word.parse().ok()) {
            Some(status) if first.starts_with("HTTP/1.1 ") => Ok(Self { status, lines }),
            _ => Err(Fault::Server(format!(
                "expected a head of HTTP/1.1, came {first:?}"
            ))),
        }
    }

    /// A header's value; names are compared without regard to case.
    pub(crate) fn value(&self, name: &str) -> Option<&'a str> {
        let mut lines = self.lines.split("\r\n");
        lines.find_map(|line| {
            let (key, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    /// Whether it is a success.
    pub(crate) fn is_ok(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What a [`Decoder`] finds.
#[derive(Debug)]
pub(crate) enum Part<'a> {
    /// An answer begins.
    Head(Head<'a>),
    /// Content, in no particular pieces.
    Piece(&'a [u8]),
    /// A WebSocket's ping, to be answered.
    Ping,
    /// The answer is whole, or the WebSocket is closed.
    End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    Length(u64),
    ChunkSize,
    Chunk(u64),
    ChunkEnd,
    LastChunk,
    UntilClosed,
    Frame,
    FrameLength { opcode: u8, bytes: usize },
    Payload { opcode: u8, left: u64 },
}

/// Between the bytes of one connection and their meaning.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    /// The beginning of a head, a chunk's size or a frame's length whose rest has not come yet.
    kept: Vec<u8>,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self {
            state: State::Head,
            kept: Vec::new(),
        }
    }

    /// Takes what came and hands over what it means, in order.
    ///
    /// # Errors
    /// [`Fault::Server`] when it means nothing.
    pub(crate) fn feed(
        &mut self,
        mut input: &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        while !input.is_empty() {
            match self.state {
                State::Head => {
                    let Some(head) = until(&mut self.kept, &mut input, b"\r\n\r\n")? else {
                        return Ok(());
                    };
                    let head = Head::parse(&head)?;
                    if head.status == 100 {
                        continue;
                    }
                    self.state = content(&head)?;
                    take(Part::Head(head))?;
                    self.end_if_empty(take)?;
                }
                State::Length(left) => {
                    let piece = split(&mut input, left);
                    take(Part::Piece(piece))?;
                    self.state = State::Length(left - piece.len() as u64);
                    self.end_if_empty(take)?;
                }
                State::UntilClosed => take(Part::Piece(std::mem::take(&mut input)))?,
                State::ChunkSize | State::Chunk(_) | State::ChunkEnd | State::LastChunk => {
                    self.chunk(&mut input, take)?;
                }
                State::Frame | State::FrameLength { .. } | State::Payload { .. } => {
                    self.frame(&mut input, take)?;
                }
            }
        }
        Ok(())
    }

    fn end_if_empty(
        &mut self,
        take: &mut impl FnMut(Part<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        if self.state == State::Length(0) {
            self.state = State::Head;
            take(Part::End)?;
        }
        Ok(())
    }

    /// One step in a chunked body.
    fn chunk(
        &mut self,
        input: &mut &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        match self.state {
            State::Chunk(left) => {
                let piece = split(input, left);
                take(Part::Piece(piece))?;
                let left = left - piece.len() as u64;
                self.state = if left == 0 {
                    State::ChunkEnd
                } else {
                    State::Chunk(left)
                };
            }
            state => {
                let Some(line) = until(&mut self.kept, input, b"\r\n")? else {
                    return Ok(());
                };
                match state {
                    State::ChunkSize => {
                        let size = chunk_size(&line)?;
                        self.state = if size == 0 {
                            State::LastChunk
                        } else {
                            State::Chunk(size)
                        };
                    }
                    State::ChunkEnd if line.is_empty() => self.state = State::ChunkSize,
                    State::LastChunk if line.is_empty() => {
                        self.state = State::Head;
                        take(Part::End)?;
                    }
                    State::LastChunk => {}
                    _ => {
                        return Err(Fault::Server(format!(
                            "a chunk is {} bytes too long",
                            line.len()
                        )));
                    }
                }
            }
        }
        Ok(())
    }

    /// One step in a WebSocket.
    fn frame(
        &mut self,
        input: &mut &[u8],
        take: &mut impl FnMut(Part<'_>) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (opcode, length) = match self.state {
            State::Payload { opcode, left } => {
                let piece = split(input, left);
                if opcode < 8 {
                    take(Part::Piece(piece))?;
                }
                (opcode, left - piece.len() as u64)
            }
            State::FrameLength { opcode, bytes } => {
                let Some(length) = exactly(&mut self.kept, input, bytes) else {
                    return Ok(());
                };
                (
                    opcode,
                    length
                        .iter()
                        .fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
                )
            }
            _ => {
                let Some(start) = exactly(&mut self.kept, input, 2) else {
                    return Ok(());
                };
                let opcode = start[0] & 15;
                match start[1] {
                    126 => return self.long_frame(opcode, 2),
                    127 => return self.long_frame(opcode, 8),
                    128.. => return Err(Fault::Server("a server's frame is masked".into())),
                    length => (opcode, u64::from(length)),
                }
            }
        };
        self.state = State::Payload {
            opcode,
            left: length,
        };
        if length == 0 {
            self.state = State::Frame;
            match opcode {
                8 => take(Part::End)?,
                9 => take(Part::Ping)?,
                _ => {}
            }
        }
        Ok(())
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it is the last thing that a step does"
    )]
    fn long_frame(&mut self, opcode: u8, bytes: usize) -> Result<(), Fault> {
        self.state = State::FrameLength { opcode, bytes };
        Ok(())
    }
}

/// How the content of an answer to a GET, PUT or POST is delimited.
fn content(head: &Head<'_>) -> Result<State, Fault> {
    if head.status == 101 {
        return Ok(State::Frame);
    }
    if matches!(head.status, 204 | 304) {
        return Ok(State::Length(0));
    }
    if head
        .value("transfer-encoding")
        .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"))
    {
        return Ok(State::ChunkSize);
    }
    match head.value("content-length") {
        Some(length) => length
            .parse()
            .map(State::Length)
            .map_err(|_| Fault::Server(format!("expected a length, came {length:?}"))),
        None => Ok(State::UntilClosed),
    }
}

fn chunk_size(line: &[u8]) -> Result<u64, Fault> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let size = std::str::from_utf8(digits)
        .ok()
        .and_then(|text| u64::from_str_radix(text.trim(), 16).ok());
    size.ok_or_else(|| {
        Fault::Server(format!(
            "{:?} is no chunk size",
            String::from_utf8_lossy(line)
        ))
    })
}

/// At most `left` bytes off the front.
fn split<'a>(input: &mut &'a [u8], left: u64) -> &'a [u8] {
    let (piece, rest) =
        input.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(input.len()));
    *input = rest;
    piece
}

/// What stands before `mark`, which is taken along; `None`, and everything kept, when it has not come yet.
fn until<'a>(
    kept: &mut Vec<u8>,
    input: &mut &'a [u8],
    mark: &[u8],
) -> Result<Option<Cow<'a, [u8]>>, Fault> {
    if kept.is_empty() {
        if let Some(at) = memmem::find(input, mark) {
            let found = &input[..at];
            *input = &input[at + mark.len()..];
            return Ok(Some(found.into()));
        }
        kept.extend_from_slice(std::mem::take(input));
    } else {
        let before = kept.len();
        kept.extend_from_slice(input);
        let begin = before.saturating_sub(mark.len() - 1);
        if let Some(at) = memmem::find(&kept[begin..], mark).map(|at| begin + at) {
            *input = &input[at + mark.len() - before..];
            let mut found = std::mem::take(kept);
            found.truncate(at);
            return Ok(Some(found.into()));
        }
        *input = &[];
    }
    if kept.len() > HEAD_MAX {
        return Err(Fault::Server(format!(
            "no end of a line or head within {HEAD_MAX} bytes"
        )));
    }
    Ok(None)
}

/// So many bytes; `None`, and everything kept, when they have not come yet.
fn exactly<'a>(kept: &mut Vec<u8>, input: &mut &'a [u8], bytes: usize) -> Option<Cow<'a, [u8]>> {
    let piece = split(input, (bytes - kept.len()) as u64);
    if kept.is_empty() && piece.len() == bytes {
        return Some(piece.into());
    }
    kept.extend_from_slice(piece);
    (kept.len() == bytes).then(|| std::mem::take(kept).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What `bytes` mean when they come in pieces of `step`: a line for each head and end, the content between them joined.
    fn decoded(bytes: &[u8], step: usize) -> Result<String, Fault> {
        let (mut decoder, mut seen) = (Decoder::new(), Vec::new());
        for piece in bytes.chunks(step) {
            decoder.feed(piece, &mut |part| {
                match part {
                    Part::Head(head) => {
                        seen.extend_from_slice(format!("<{}>", head.status).as_bytes());
                    }
                    Part::Piece(piece) => seen.extend_from_slice(piece),
                    Part::Ping => seen.extend_from_slice(b"<ping>"),
                    Part::End => seen.extend_from_slice(b"<end>"),
                }
                Ok(())
            })?;
        }
        Ok(String::from_utf8(seen).expect("text"))
    }

    #[test]
    fn answers_mean_the_same_wherever_they_are_cut() {
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
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: r\r\n\r\n".to_vec(),
                "<200>abc0123456789<end>".into(),
            ),
            (b"HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length:0\r\n\r\n".to_vec(), "<304><end><200><end>".into()),
            (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nto the end".to_vec(), "<200>to the end".into()),
            (socket.concat(), format!("<101><ping>ab{}{}<end>", "y".repeat(256), "z".repeat(65_536))),
        ];
        for (bytes, meaning) in cases {
            for step in (1..40).chain([1_000, bytes.len()]) {
                assert_eq!(
                    decoded(&bytes, step).expect("it means something"),
                    meaning,
                    "cut every {step} bytes"
                );
            }
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let cases: [Vec<u8>; 5] = [
            b"SSH-2.0\r\n\r\n".to_vec(),
            [&chunked[..], b"xyz\r\n"].concat(),
            [&chunked[..], b"1\r\nab\r\n"].concat(),
            b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n".to_vec(),
            b"HTTP/1.1 101 S\r\n\r\n\x81\x81".to_vec(),
        ];
        for bytes in cases {
            assert!(
                decoded(&bytes, 7).is_err(),
                "{:?}",
                String::from_utf8_lossy(&bytes)
            );
        }
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let head =
            Head::parse(b"HTTP/1.1 200 OK\r\nStream-Next-Offset: 7\r\nEtag:\"a\"").expect("a head");
        assert_eq!(head.value("stream-next-offset"), Some("7"));
        assert_eq!(head.value("ETAG"), Some("\"a\""));
        assert_eq!(head.value("stream"), None);
    }
}
