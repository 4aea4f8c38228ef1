//! A stream of LIMIT: one buffer, framed for one technique.

/// Responses up to this size are built and kept; larger ones are written from the log.
const BUILT_MAX: usize = 64 << 10;

/// A stream.
#[derive(Debug)]
pub(super) struct LimitLog {
    /// Letter of its technique.
    technique: u8,
    /// All messages with their framing.
    pub(super) bytes: Vec<u8>,
    /// Connections with a streaming read.
    pub(super) readers: Vec<usize>,
    /// Connections with a waiting long-poll, and its offset: the tail, or until [`super::LimitServer::fan_out`] the tail before.
    pub(super) waiting: Vec<(usize, usize)>,
    /// The last response that was built, and the range of its bytes.
    response: Vec<u8>,
    response_range: (usize, usize),
}

impl LimitLog {
    pub(super) fn new(technique: u8) -> Self {
        Self {
            technique,
            bytes: Vec::new(),
            readers: Vec::new(),
            waiting: Vec::new(),
            response: Vec::new(),
            response_range: (usize::MAX, usize::MAX),
        }
    }

    /// Frames a body and appends it.
    pub(super) fn append(&mut self, body: &[u8]) {
        let (before, after): (&[u8], &[u8]) = match self.technique {
            b'n' => (b"", b"\n"),
            b's' => (b"data: ", b"\n\n"),
            _ => (b"", b""),
        };
        let length = before.len() + body.len() + after.len();
        match self.technique {
            b'n' | b's' => self
                .bytes
                .extend_from_slice(format!("{length:x}\r\n").as_bytes()),
            b'w' => self.frame(length),
            _ => {}
        }
        self.bytes.extend_from_slice(before);
        self.bytes.extend_from_slice(body);
        self.bytes.extend_from_slice(after);
        if matches!(self.technique, b'n' | b's') {
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// The head of a text frame.
    fn frame(&mut self, length: usize) {
        self.bytes.push(0x81);
        match (u8::try_from(length), u16::try_from(length)) {
            (Ok(short), _) if short < 126 => self.bytes.push(short),
            (_, Ok(medium)) => {
                self.bytes.push(126);
                self.bytes.extend_from_slice(&medium.to_be_bytes());
            }
            _ => {
                self.bytes.push(127);
                self.bytes.extend_from_slice(&(length as u64).to_be_bytes());
            }
        }
    }

    /// The response with the bytes from `from` to `end`; `None` if it exceeds [`BUILT_MAX`].
    pub(super) fn response(&mut self, from: usize, end: usize) -> Option<&[u8]> {
        (end - from <= BUILT_MAX).then(|| self.build_response(from, end))
    }

    /// The response with the bytes from `from` to `end`, built unless it was the last one.
    pub(super) fn build_response(&mut self, from: usize, end: usize) -> &[u8] {
        if self.response_range != (from, end) {
            self.response_range = (from, end);
            self.response = Self::head(end, end - from);
            self.response.extend_from_slice(&self.bytes[from..end]);
        }
        &self.response
    }

    /// The head of a response with a body of `length` bytes; the next read begins at `next`.
    pub(super) fn head(next: usize, length: usize) -> Vec<u8> {
        format!("HTTP/1.1 200 OK\r\nNext: {next}\r\nContent-Length: {length}\r\n\r\n").into_bytes()
    }
}
