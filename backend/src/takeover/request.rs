//! Request heads as bytes: where each request ends, whether it is well formed, and whether it is
//! plain enough to be answered without actix. No I/O.

use crate::api::gate::{CountedConnection, GateHead};
use crate::api::{Headers, Refusal, STREAM_PREFIX};
use http::{Method, Uri};
use httparse::Header;
use tailwater_protocol::headers::content_length;

/// Maximum number of header fields of a plain request.
const HEADERS_MAX: usize = 32;
/// Maximum number of header fields of any request.
const FIELDS_MAX: usize = 96;

/// Header fields that a plain request may have, the most frequent first. Any other is left to
/// actix.
const ALLOWED: [&str; 27] = [
    "host",
    "user-agent",
    "accept",
    "accept-encoding",
    "content-type",
    "content-length",
    "if-none-match",
    "connection",
    "accept-language",
    "authorization",
    "cache-control",
    "cookie",
    "dnt",
    "if-match",
    "origin",
    "pragma",
    "priority",
    "producer-epoch",
    "producer-id",
    "producer-seq",
    "referer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "sec-fetch-site",
    "stream-seq",
    "traceparent",
    "x-request-id",
];

/// A whole plain request at the beginning of a buffer.
#[derive(Debug)]
pub(super) struct PlainRequest<'a> {
    pub(super) method: Method,
    /// The stream's name as written in the path.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: PlainFields<'a>,
    pub(super) body: &'a [u8],
    /// Length in bytes, body included.
    pub(super) length: usize,
}

/// The header fields of a plain request.
#[derive(Debug)]
pub(super) struct PlainFields<'a> {
    /// Names as written in [`ALLOWED`].
    fields: Vec<(&'static str, &'a [u8])>,
    /// Bit set of name lengths: most lookups are for absent fields.
    lengths: u64,
    body_bytes: usize,
}

impl<'a> PlainFields<'a> {
    /// `None` when a field is unknown, malformed, or not allowed for the method.
    fn of(method: &Method, parsed: &[Header<'a>]) -> Option<Self> {
        let mut fields = Vec::with_capacity(parsed.len());
        let (mut lengths, mut hosts, mut body_bytes) = (0, 0, None);
        for Header { name, value } in parsed {
            let name = *ALLOWED
                .iter()
                .find(|allowed| allowed.eq_ignore_ascii_case(name))?;
            // The parser has refused other control characters.
            if !value.is_ascii() || value.contains(&b'\t') {
                return None;
            }
            match name {
                "host" => hosts += 1,
                "connection" => value.eq_ignore_ascii_case(b"keep-alive").then_some(())?,
                "content-length" => {
                    let bytes =
                        content_length(value).and_then(|bytes| usize::try_from(bytes).ok())?;
                    body_bytes.replace(bytes).is_none().then_some(())?;
                }
                _ => {}
            }
            lengths |= length_bit(name);
            fields.push((name, *value));
        }
        match (hosts, body_bytes) {
            (1, None) if *method == Method::GET => Some(Self {
                fields,
                lengths,
                body_bytes: 0,
            }),
            (1, Some(body_bytes)) if *method == Method::POST => Some(Self {
                fields,
                lengths,
                body_bytes,
            }),
            _ => None,
        }
    }
}

impl Headers for PlainFields<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        let fields = if self.lengths & length_bit(name) == 0 {
            &[]
        } else {
            &*self.fields
        };
        fields
            .iter()
            .filter(move |field| field.0 == name)
            .map(|field| field.1)
    }
}

fn length_bit(name: &str) -> u64 {
    1 << (name.len() % 64)
}

impl<'a> PlainRequest<'a> {
    /// The request at the beginning of `bytes`; `None` when it is incomplete or not plain.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut headers);
        let httparse::Status::Complete(head_bytes) = parsed.parse(bytes).ok()? else {
            return None;
        };
        let (path, query) = plain_target(&parsed)?;
        let method = if parsed.method == Some("GET") {
            Method::GET
        } else {
            Method::POST
        };
        let headers = PlainFields::of(&method, parsed.headers)
            .filter(|_| line_ends_are_whole(&bytes[..head_bytes]))?;
        let length = head_bytes.checked_add(headers.body_bytes)?;
        let body = bytes.get(head_bytes..length)?;
        Some(Self {
            method,
            path,
            query,
            headers,
            body,
            length,
        })
    }

    /// The request as the gate sees it.
    pub(super) fn head<'h>(
        &'h self,
        connection: &'h CountedConnection,
    ) -> GateHead<'h, PlainFields<'a>> {
        GateHead {
            method: &self.method,
            target_bytes: STREAM_PREFIX.len() + self.path.len() + self.query.len(),
            authority: None,
            headers: &self.headers,
            header_bytes: self
                .headers
                .fields
                .iter()
                .map(|(name, value)| name.len() + value.len() + 4)
                .sum(),
            connection: Some(connection),
        }
    }
}

/// The target after [`STREAM_PREFIX`], split into path and query, if method, version and target are
/// plain.
fn plain_target<'a>(parsed: &httparse::Request<'_, 'a>) -> Option<(&'a str, &'a str)> {
    let is_plain = matches!(parsed.method, Some("GET" | "POST")) && parsed.version == Some(1);
    let target = parsed
        .path
        .filter(|_| is_plain)?
        .strip_prefix(STREAM_PREFIX)?;
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let is_plain = |text: &str, of: u8| text.bytes().all(|byte| PLAIN[usize::from(byte)] & of != 0);
    (is_plain(path, IN_PATH) && is_plain(query, IN_QUERY)).then_some((path, query))
}

/// Result of parsing the head of the next request.
#[derive(Debug)]
pub(super) enum Framed {
    /// The head is complete.
    Whole {
        framing: RequestFraming,
        /// Whether the request may be answered without actix.
        is_plain: bool,
    },
    /// The head is incomplete.
    Partial,
    /// The request is refused.
    Malformed(Refusal),
}

/// Where a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestFraming {
    /// After this many bytes, head included.
    Length(u64),
    /// After the last chunk of its body.
    Chunked { head_bytes: u64 },
}

/// Parses the head at the beginning of `bytes`. An `Upgrade` that the server does not support is
/// overwritten, since it would change where actix ends the request: any except one to WebSocket by
/// a GET over HTTP/1.1 without a body.
///
/// Source: RFC 9112, sections 2.2, 3 and 6; RFC 9110, section 7.8.
pub(super) fn frame(bytes: &mut [u8]) -> Framed {
    let (framed, upgrades) = parse_head(bytes);
    for at in upgrades {
        bytes[at..at + UPGRADE.len()].copy_from_slice(b"ignored");
    }
    framed
}

const UPGRADE: &str = "upgrade";

/// The parsed head, and the positions of each `Upgrade` that is to be overwritten.
fn parse_head(bytes: &[u8]) -> (Framed, Vec<usize>) {
    let malformed = |text: &str| {
        (
            Framed::Malformed(Refusal::Malformed(text.to_owned())),
            Vec::new(),
        )
    };
    let mut headers = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut headers);
    let head_bytes = match parsed.parse(bytes) {
        Ok(httparse::Status::Complete(head_bytes)) => head_bytes,
        Ok(httparse::Status::Partial) => return (Framed::Partial, Vec::new()),
        Err(httparse::Error::TooManyHeaders) => {
            return (
                Framed::Malformed(Refusal::TooManyFields { limit: FIELDS_MAX }),
                Vec::new(),
            );
        }
        Err(error) => return malformed(&error.to_string()),
    };
    if !line_ends_are_whole(&bytes[..head_bytes]) {
        return malformed("a line ends with a bare LF or CR, expected CR LF");
    }
    let target = parsed.path.unwrap_or_default();
    if target.parse::<Uri>().is_err()
        || !target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return malformed(
            "invalid request target, expected a path of visible, percent-encoded ASCII without a fragment",
        );
    }
    let fields = match FramingFields::of(&parsed, bytes) {
        Ok(fields) => fields,
        Err(text) => return malformed(text),
    };
    let framing = match fields.length {
        None if fields.is_chunked => RequestFraming::Chunked {
            head_bytes: head_bytes as u64,
        },
        length => RequestFraming::Length((head_bytes as u64).saturating_add(length.unwrap_or(0))),
    };
    let method = if parsed.method == Some("GET") {
        Method::GET
    } else {
        Method::POST
    };
    let is_plain =
        plain_target(&parsed).is_some() && PlainFields::of(&method, parsed.headers).is_some();
    (
        Framed::Whole { framing, is_plain },
        if fields.is_upgraded {
            Vec::new()
        } else {
            fields.upgrades
        },
    )
}

/// The fields that determine where a request ends, its host, and whether it upgrades the
/// connection.
#[derive(Debug, Default)]
struct FramingFields {
    /// Bytes of the body.
    length: Option<u64>,
    is_chunked: bool,
    hosts: usize,
    /// Positions of `upgrade` as a field name and in `Connection`.
    upgrades: Vec<usize>,
    /// Whether it requests a supported upgrade.
    is_upgraded: bool,
}

impl FramingFields {
    /// - `bytes`: what `parsed` was parsed from.
    ///
    /// # Errors
    /// A sentence that says what is malformed.
    fn of(parsed: &httparse::Request<'_, '_>, bytes: &[u8]) -> Result<Self, &'static str> {
        let position = |text: &[u8]| text.as_ptr() as usize - bytes.as_ptr() as usize;
        // A percent-encoded target is decoded, and decided on, later.
        let target = parsed.path.unwrap_or_default();
        let may_upgrade = parsed.method == Some("GET")
            && parsed.version == Some(1)
            && (target.contains("live=websocket") || target.contains('%'));
        let mut fields = Self::default();
        for Header { name, value } in parsed.headers.iter() {
            if name.eq_ignore_ascii_case("transfer-encoding") {
                if fields.is_chunked
                    || parsed.version != Some(1)
                    || !value.eq_ignore_ascii_case(b"chunked")
                {
                    return Err(
                        "unsupported Transfer-Encoding, expected one `chunked` over HTTP/1.1",
                    );
                }
                fields.is_chunked = true;
            } else if name.eq_ignore_ascii_case("content-length") {
                let Some(bytes) = content_length(value) else {
                    return Err("invalid Content-Length, expected decimal digits");
                };
                if fields.length.replace(bytes).is_some() {
                    return Err("Content-Length is given twice, expected once");
                }
            } else if name.eq_ignore_ascii_case("host") {
                fields.hosts += 1;
            } else if name.eq_ignore_ascii_case(UPGRADE) {
                fields.is_upgraded |= may_upgrade && value.eq_ignore_ascii_case(b"websocket");
                fields.upgrades.push(position(name.as_bytes()));
            } else if name.eq_ignore_ascii_case("connection") {
                let tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
                fields.upgrades.extend(
                    tokens
                        .filter(|token| token.eq_ignore_ascii_case(UPGRADE.as_bytes()))
                        .map(position),
                );
            }
        }
        if fields.hosts > 1 || fields.hosts == 0 && parsed.version == Some(1) {
            return Err("Host is missing or given twice, expected once");
        }
        if fields.is_chunked && fields.length.is_some() {
            return Err("both Content-Length and Transfer-Encoding are given, expected one");
        }
        fields.is_upgraded &= !fields.is_chunked && fields.length.is_none();
        Ok(fields)
    }
}

/// Whether every line ends with CR LF. The parser has already refused a bare CR.
fn line_ends_are_whole(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).all(|at| at > 0 && head[at - 1] == b'\r')
}

/// Where each byte is plain: [`IN_PATH`], [`IN_QUERY`], both or neither. What needs decoding or
/// could be ambiguous is left to the router.
static PLAIN: [u8; 256] = {
    let mut plain = [0; 256];
    let mut byte = u8::MIN;
    loop {
        plain[byte as usize] = match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                IN_PATH | IN_QUERY
            }
            b'=' | b'&' | b':' | b'!' | b'*' | b',' => IN_QUERY,
            _ => 0,
        };
        if byte == u8::MAX {
            break plain;
        }
        byte += 1;
    }
};
const IN_PATH: u8 = 1;
const IN_QUERY: u8 = 2;

#[cfg(test)]
mod tests;
