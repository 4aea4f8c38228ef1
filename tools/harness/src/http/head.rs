//! The head of a response: its status, its header fields, and how its body ends.

use super::DecodeError;
use memchr::memchr_iter;
use std::borrow::Cow;
use std::mem::MaybeUninit;

/// Limit of the header fields of a response.
const FIELDS_MAX: usize = 100;

/// Header fields or trailers as they were sent: lines that each end with CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldLines<'a>(&'a str);

impl<'a> FieldLines<'a> {
    /// Names and values in the order of arrival; names as they were sent, values without the white
    /// space around them.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let lines = self.0.split_terminator("\r\n");
        lines.filter_map(|line| {
            let (name, value) = line.split_once(':')?;
            Some((name, value.trim_matches([' ', '\t'])))
        })
    }

    /// The first value of a field.
    ///
    /// - `name`: compared without regard to case.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a str> {
        self.0.split_terminator("\r\n").find_map(|line| {
            let (key, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim_matches([' ', '\t']))
        })
    }
}

/// The head of a response, complete and well formed.
#[derive(Debug, Clone)]
pub struct DecodedHead<'a> {
    /// From the status line to the empty line.
    text: Cow<'a, str>,
    /// The status code, three digits.
    pub status: u16,
}

impl<'a> DecodedHead<'a> {
    /// Parses a head.
    ///
    /// - `bytes`: a complete head with its empty line.
    ///
    /// # Errors
    /// When `bytes` are anything else, or a line does not end with CRLF.
    pub(super) fn parse(bytes: Cow<'a, [u8]>) -> Result<Self, DecodeError> {
        let status = status(&bytes)?;
        let text = match bytes {
            Cow::Borrowed(bytes) => std::str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| bytes.to_vec()),
            Cow::Owned(bytes) => String::from_utf8(bytes)
                .map(Cow::Owned)
                .map_err(|reason| reason.into_bytes()),
        };
        let text = text.map_err(|bytes| DecodeError::new("a head in UTF-8", &bytes))?;
        Ok(Self { text, status })
    }

    /// The head as it was sent, with its empty line.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The status line without its line end.
    #[must_use]
    pub fn line(&self) -> &str {
        self.text
            .split_once("\r\n")
            .map_or(&*self.text, |(line, _)| line)
    }

    /// The header fields.
    #[must_use]
    pub fn fields(&self) -> FieldLines<'_> {
        let lines = self.text.split_once("\r\n").map_or("", |(_, rest)| rest);
        FieldLines(lines.strip_suffix("\r\n").unwrap_or(lines))
    }

    /// The first value of a header field.
    ///
    /// - `name`: compared without regard to case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.fields().get(name)
    }

    /// Whether the status is 2xx.
    #[must_use]
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// How the body ends.
    ///
    /// - `is_to_head`: whether the request was a HEAD.
    ///
    /// # Errors
    /// When the fields give no valid length, or more than one.
    ///
    /// Source: RFC 9112, section 6.3.
    pub fn body_length(&self, is_to_head: bool) -> Result<BodyLength, DecodeError> {
        if is_to_head || self.status < 200 || matches!(self.status, 204 | 304) {
            return Ok(BodyLength::None);
        }
        let (mut length, mut coding) = (None, None);
        for (name, value) in self.fields().iter() {
            let place = match name.len() {
                14 if name.eq_ignore_ascii_case("content-length") => &mut length,
                17 if name.eq_ignore_ascii_case("transfer-encoding") => &mut coding,
                _ => continue,
            };
            if place.replace(value).is_some() {
                return Err(self.fault("one length of the body"));
            }
        }
        match (length, coding) {
            (None, None) => Ok(BodyLength::UntilClosed),
            (None, Some(coding)) if coding.eq_ignore_ascii_case("chunked") => {
                Ok(BodyLength::Chunked)
            }
            (Some(digits), None) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .map(BodyLength::Bytes)
                .map_err(|_| self.fault("a content length")),
            (Some(_), None) => Err(self.fault("a content length")),
            (None, Some(_)) => Err(self.fault("chunked as the only transfer coding")),
            (Some(_), Some(_)) => Err(self.fault("one length of the body")),
        }
    }

    fn fault(&self, expected: &'static str) -> DecodeError {
        DecodeError::new(expected, self.text.as_bytes())
    }
}

/// How the body of a response ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyLength {
    /// The response has no body.
    None,
    /// After this number of bytes.
    Bytes(u64),
    /// With the last chunk and its trailers.
    Chunked,
    /// With the end of the connection.
    UntilClosed,
}

fn status(bytes: &[u8]) -> Result<u16, DecodeError> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut response,
        bytes,
        &mut fields,
    );
    // httparse skips empty lines before a head, and accepts a bare line feed as a line end.
    let begins = bytes.starts_with(b"HTTP/1.");
    let is_strict = memchr_iter(b'\n', bytes).all(|at| at > 0 && bytes[at - 1] == b'\r');
    match (parsed, response.code) {
        _ if !begins => Err(DecodeError::new("a status line", bytes)),
        (Err(httparse::Error::Status | httparse::Error::Version), _) => {
            Err(DecodeError::new("a status line", bytes))
        }
        (Ok(httparse::Status::Complete(length)), Some(code))
            if length == bytes.len() && is_strict =>
        {
            Ok(code)
        }
        _ => Err(DecodeError::new("the head of a response", bytes)),
    }
}

/// Parses a field after the last chunk into its name and its value.
///
/// - `line`: with its line end.
pub(super) fn trailer(line: &[u8]) -> Result<(String, String), DecodeError> {
    let section = [line, b"\r\n"].concat();
    let mut fields = [httparse::EMPTY_HEADER; 1];
    let value = match httparse::parse_headers(&section, &mut fields) {
        Ok(httparse::Status::Complete((length, [field]))) if length == section.len() => {
            std::str::from_utf8(field.value).map(|value| (field.name.to_owned(), value.to_owned()))
        }
        _ => return Err(DecodeError::new("a trailer", line)),
    };
    value.map_err(|_| DecodeError::new("a trailer in UTF-8", line))
}
