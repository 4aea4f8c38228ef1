//! Requests as bytes: where each ends, whether it is well formed, and whether it is plain enough to be answered outside of
//! actix. No I/O.

use crate::api::gate::{Connection, Head};
use crate::api::{Headers, Refusal, STREAM_PREFIX};
use http::{Method, Uri};
use httparse::Header;

/// The most header fields of a plain request.
const HEADERS_MAX: usize = 32;
/// The most header fields of any request.
const FIELDS_MAX: usize = 96;

/// Header fields that a request may have to be answered outside of actix, the most frequent first; any other leads back there.
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

/// A whole plain request at the beginning of some bytes.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The stream's name as the path spells it.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: PlainFields<'a>,
    pub(super) body: &'a [u8],
    /// Bytes of the request, body included.
    pub(super) length: usize,
}

/// The header fields of a plain request.
#[derive(Debug)]
pub(super) struct PlainFields<'a> {
    /// Names as [`ALLOWED`] spells them.
    fields: Vec<(&'static str, &'a [u8])>,
    /// Which lengths names have, a bit for each: most fields that are looked for are not there.
    lengths: u64,
    body_bytes: usize,
}

impl<'a> PlainFields<'a> {
    /// `None` when a field is not known, not well formed, or stands where it may not.
    fn of(method: &Method, parsed: &[Header<'a>]) -> Option<Self> {
        let mut fields = Vec::with_capacity(parsed.len());
        let (mut lengths, mut hosts, mut body_bytes) = (0, 0, None);
        for Header { name, value } in parsed {
            let name = *ALLOWED
                .iter()
                .find(|allowed| allowed.eq_ignore_ascii_case(name))?;
            // What else is no visible ASCII the parser has refused.
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

impl<'a> Request<'a> {
    /// The request at the beginning of `bytes`; `None` when it is not whole, or not plain: then actix looks at it.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut room);
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

    /// The request as the gate looks at it.
    pub(super) fn head<'h>(&'h self, connection: &'h Connection) -> Head<'h, PlainFields<'a>> {
        Head {
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

/// The target after [`STREAM_PREFIX`], cut into path and query, if method, version and target are plain.
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

/// A request's beginning, as far as it is there.
#[derive(Debug)]
pub(super) enum Framed {
    /// Its head is whole.
    Whole {
        framing: Framing,
        /// Whether it may be answered outside of actix.
        is_plain: bool,
    },
    /// More of its head is to come.
    Partial,
    /// It is no request that anybody should answer otherwise.
    Malformed(Refusal),
}

/// Where a request ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// After so many bytes, head included.
    Length(u64),
    /// After the last chunk that follows its head.
    Chunked {
        /// Bytes of the head.
        head_bytes: u64,
    },
}

/// Looks at the request that begins `bytes`. An `Upgrade` that no answer here can follow is made unreadable, for it would
/// change where the request ends: one that is not asked of a GET over HTTP/1.1 without a body, or not for a WebSocket.
///
/// Source: RFC 9112, sections 2.2, 3 and 6; RFC 9110, section 7.8.
pub(super) fn frame(bytes: &mut [u8]) -> Framed {
    let (framed, upgrades) = look(bytes);
    for at in upgrades {
        bytes[at..at + UPGRADE.len()].copy_from_slice(b"ignored");
    }
    framed
}

const UPGRADE: &str = "upgrade";

/// What begins `bytes`, and where an `Upgrade` stands that is to be made unreadable.
fn look(bytes: &[u8]) -> (Framed, Vec<usize>) {
    let malformed = |text: &str| {
        (
            Framed::Malformed(Refusal::Malformed(text.to_owned())),
            Vec::new(),
        )
    };
    let mut room = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut parsed = httparse::Request::new(&mut room);
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
        return malformed("a line ends with a bare line feed or carriage return, expected both");
    }
    let target = parsed.path.unwrap_or_default();
    if target.parse::<Uri>().is_err()
        || !target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
    {
        return malformed(
            "the request target is no URI: expected a path of visible ASCII, percent-encoded, no fragment",
        );
    }
    // What is written otherwise is decoded, and decided, later.
    let may_upgrade = parsed.method == Some("GET")
        && parsed.version == Some(1)
        && (target.contains("live=websocket") || target.contains('%'));
    let (mut length, mut is_chunked, mut hosts) = (None, false, 0);
    let (mut upgrades, mut is_upgraded) = (Vec::new(), false);
    let place = |text: &[u8]| text.as_ptr() as usize - bytes.as_ptr() as usize;
    for Header { name, value } in parsed.headers.iter() {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            if is_chunked || parsed.version != Some(1) || !value.eq_ignore_ascii_case(b"chunked") {
                return malformed("the only Transfer-Encoding is chunked, over HTTP/1.1");
            }
            is_chunked = true;
        } else if name.eq_ignore_ascii_case("content-length") {
            let Some(bytes) = content_length(value) else {
                return malformed("Content-Length is not a number of bytes");
            };
            if length.replace(bytes).is_some() {
                return malformed("Content-Length is given twice");
            }
        } else if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case(UPGRADE) {
            is_upgraded |= may_upgrade && value.eq_ignore_ascii_case(b"websocket");
            upgrades.push(place(name.as_bytes()));
        } else if name.eq_ignore_ascii_case("connection") {
            let tokens = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            upgrades.extend(
                tokens
                    .filter(|token| token.eq_ignore_ascii_case(UPGRADE.as_bytes()))
                    .map(place),
            );
        }
    }
    if hosts > 1 || hosts == 0 && parsed.version == Some(1) {
        return malformed("Host is given twice, or not at all");
    }
    if is_chunked && length.is_some() {
        return malformed("both Content-Length and Transfer-Encoding are given");
    }
    is_upgraded &= !is_chunked && length.is_none();
    let framing = match length {
        None if is_chunked => Framing::Chunked {
            head_bytes: head_bytes as u64,
        },
        length => Framing::Length((head_bytes as u64).saturating_add(length.unwrap_or(0))),
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
        if is_upgraded { Vec::new() } else { upgrades },
    )
}

/// A `Content-Length` that is a number in plain digits.
fn content_length(value: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(value)
        .ok()
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok())
}

/// Whether every line ends with CR LF. A CR alone is refused by the parser already.
fn line_ends_are_whole(head: &[u8]) -> bool {
    memchr::memchr_iter(b'\n', head).all(|at| at > 0 && head[at - 1] == b'\r')
}

/// Where a byte is plain: [`IN_PATH`], [`IN_QUERY`], both or none. What needs decoding, or may mean something else than it
/// says, is the router's.
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
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const GET: &str = "GET /v1/stream/a/b?offset=-1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
    const POST: &str = "POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

    #[test]
    fn a_plain_request_is_taken_whole_and_only_whole() {
        for (request, path, query, body) in [(GET, "a/b", "offset=-1", ""), (POST, "a", "", "hi")] {
            let more = format!("{request}GET");
            let parsed = Request::parse(more.as_bytes()).unwrap();
            assert_eq!(
                (parsed.path, parsed.query, parsed.body),
                (path, query, body.as_bytes())
            );
            assert_eq!(parsed.length, request.len());
            for cut in 0..request.len() {
                assert!(
                    Request::parse(&request.as_bytes()[..cut]).is_none(),
                    "{request} cut at {cut}"
                );
            }
        }
    }

    fn framed(request: &str) -> Framed {
        frame(&mut request.as_bytes().to_vec())
    }

    #[test]
    fn a_request_ends_where_its_head_says() {
        for (request, length) in [
            (GET.to_owned(), Some(GET.len() as u64)),
            (format!("{POST}GET /"), Some(POST.len() as u64)),
            (
                POST.replace("Content-Length: 2", "Transfer-Encoding: chunked"),
                None,
            ),
            (
                GET.replacen("\r\n", "\r\nContent-Length: 70\r\n", 1),
                Some(GET.len() as u64 + 20 + 70),
            ),
        ] {
            match (framed(&request), length) {
                (
                    Framed::Whole {
                        framing: Framing::Length(is),
                        ..
                    },
                    Some(length),
                ) => {
                    assert_eq!(is, length, "{request}");
                }
                (
                    Framed::Whole {
                        framing: Framing::Chunked { .. },
                        ..
                    },
                    None,
                ) => {}
                other => panic!("{request}: {other:?}"),
            }
            for cut in 0..request.find("\r\n\r\n").unwrap() + 3 {
                assert!(
                    matches!(framed(&request[..cut]), Framed::Partial),
                    "{request} cut at {cut}"
                );
            }
        }
    }

    #[test]
    fn what_two_readers_could_cut_differently_is_malformed() {
        let with = |field: &str| POST.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
        for request in [
            GET.replace("\r\n", "\n"),
            GET.replacen("\r\n", "\n", 1),
            with("X: a\nStream-Seq: 5"),
            with("X: a\rStream-Seq: 5"),
            with("X: a\r"),
            with("X\r: a"),
            GET.replacen("\r\n", "\r", 1),
            GET.replacen("\r\n", "\r\r\n", 1),
            format!("\r{GET}"),
            format!("\r\r\n{GET}"),
            with("Content-Length: 2"),
            with("Transfer-Encoding: chunked"),
            with("Host: evil"),
            GET.replace("Host: h\r\n", ""),
            POST.replace(": 2", ": +2"),
            POST.replace(": 2", ": 2, 2"),
            POST.replace(": 2", ": 0x2"),
            POST.replace(": 2", ": 99999999999999999999"),
            GET.replace("/a/b", "/\u{e9}"),
            GET.replace("/a/b", "/a b"),
            GET.replace("/a/b", "/a#b"),
            with(" folded"),
            with("Name : value"),
            with(&["X: 1"; FIELDS_MAX].join("\r\n")),
        ] {
            assert!(
                matches!(framed(&request), Framed::Malformed(_)),
                "{request:?}"
            );
        }
    }

    #[test]
    fn an_upgrade_that_nobody_answers_changes_nothing() {
        let upgrade = "\r\nUpgrade: websocket\r\n";
        let websocket = |more: &str| {
            GET.replace("offset", "live=websocket&offset").replacen(
                "\r\n",
                &format!("{upgrade}{more}"),
                1,
            )
        };
        for (request, stays) in [
            (websocket(""), true),
            (websocket("Content-Length: 0\r\n"), false),
            (websocket("Transfer-Encoding: chunked\r\n"), false),
            (websocket("").replace("1.1", "1.0"), false),
            (
                GET.replace("offset", "live=web%73ocket")
                    .replacen("\r\n", upgrade, 1),
                true,
            ),
            (GET.replacen("\r\n", upgrade, 1), false),
            (POST.replacen("\r\n", upgrade, 1), false),
            (
                POST.replacen(
                    "\r\n",
                    "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n",
                    1,
                ),
                false,
            ),
            (GET.replacen("\r\n", "\r\nupgrade: h2c\r\n", 1), false),
        ] {
            let mut bytes = request.clone().into_bytes();
            assert!(matches!(frame(&mut bytes), Framed::Whole { .. }));
            assert_eq!(
                String::from_utf8(bytes).unwrap() == request,
                stays,
                "{request}"
            );
        }
    }

    #[test]
    fn what_is_not_known_or_not_well_formed_leads_back_to_actix() {
        let with = |field: &str| GET.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
        for request in [
            GET.replace("\r\n", "\n"),
            GET.replacen("\r\n", "\n", 1),
            GET.replace("Host: h\r\n", ""),
            GET.replace("1.1", "1.0"),
            GET.replace("GET", "HEAD"),
            GET.replace("GET", "get"),
            GET.replace("/v1/stream/", "/v1/streams/"),
            GET.replace("/a/b", "/%61"),
            GET.replace("-1", "-1#x"),
            GET.replace("-1", "\"-1\""),
            GET.replace("-1", "-1 HTTP/1.1\r\nHost: evil"),
            GET.replace(" HTTP", "\tHTTP"),
            with("Host: evil"),
            with("X: a\nStream-Seq: 5"),
            with("X: a"),
            with("Accept: a\u{1}"),
            with("Accept: a\tb"),
            with(" folded"),
            with("Accept : */*"),
            with("Content-Length: 0"),
            with("Transfer-Encoding: chunked"),
            with("Expect: 100-continue"),
            with("Upgrade: websocket"),
            with("Connection: close"),
            with("Last-Event-ID: 1"),
            POST.replace(": 2", ": +2"),
            POST.replace(": 2", ": 2, 2"),
            POST.replace(": 2", ": 0x2"),
            POST.replace("Content-Length: 2\r\n", ""),
            POST.replace(
                "Content-Length: 2",
                "Content-Length: 2\r\nContent-Length: 2",
            ),
        ] {
            assert!(Request::parse(request.as_bytes()).is_none(), "{request:?}");
        }
        assert!(Request::parse(with("Connection: Keep-Alive").as_bytes()).is_some());
    }

    /// Requests of lines that are well formed or nearly so.
    fn request() -> impl Strategy<Value = Vec<u8>> {
        let line = prop_oneof![
            "(GET|POST|HEAD) /v1/stream/[a-z%./]{1,4}(\\?[a-z=&%+-]{0,6})? HTTP/1\\.[01]",
            "(Host|host): [a-z:1]{1,5}",
            "Content-Length: [+ ]?[0-9a]{1,2}",
            "(Content-Type|Accept|X|Stream-Seq)[ :]{1,2}[ -~\t\r\n]{0,8}",
            "Connection: (keep-alive|close|upgrade)",
            "(Transfer-Encoding: (chunked|gzip)|Upgrade: [a-z]{0,9}|Expect: 100-continue)",
        ];
        let end = prop_oneof![9 => Just("\r\n"), 1 => Just("\n"), 1 => Just("\r")];
        let first = prop_oneof![4 => Just(GET.split_once("Accept").unwrap().0), 4 => Just(POST.split_once("Content-L").unwrap().0), 1 => Just("")];
        (first, vec((line, end), 0..5), vec(any::<u8>(), 0..12)).prop_map(|(first, lines, body)| {
            let lines: String = lines
                .iter()
                .flat_map(|(line, end)| [&**line, *end])
                .collect();
            [first.as_bytes(), lines.as_bytes(), b"\r\n", &body].concat()
        })
    }

    proptest! {
        #[test]
        fn what_is_answered_here_ends_where_the_frame_does(request in request()) {
            let framed = frame(&mut request.clone());
            match (Request::parse(&request), &framed) {
                (Some(parsed), Framed::Whole { framing: Framing::Length(length), is_plain: true }) => {
                    prop_assert_eq!(parsed.length as u64, *length);
                    let head = &request[..parsed.length - parsed.body.len()];
                    let lines: Vec<_> = head.split(|byte| *byte == b'\n').collect();
                    prop_assert!(lines[..lines.len() - 1].iter().all(|line| line.ends_with(b"\r")), "each line ends with both");
                    // Its request line, a line for each field, an empty one, and nothing after the last line end.
                    prop_assert_eq!(lines.len(), parsed.headers.fields.len() + 3);
                }
                (Some(_), framed) => prop_assert!(false, "plain, but framed as {framed:?}"),
                (None, Framed::Whole { framing: Framing::Length(length), is_plain: true }) => {
                    prop_assert!(*length > request.len() as u64, "whole, but not parsed");
                }
                (None, _) => {}
            }
        }

        #[test]
        fn what_arrives_in_pieces_is_framed_the_same(request in request()) {
            let whole = format!("{:?}", frame(&mut request.clone()));
            for cut in 0..request.len() {
                let came = frame(&mut request[..cut].to_vec());
                prop_assert!(matches!(came, Framed::Partial | Framed::Malformed(_)) || format!("{came:?}") == whole, "{cut}");
                if matches!(came, Framed::Malformed(_)) {
                    prop_assert!(whole.starts_with("Malformed"), "{cut}: {came:?}, then {whole}");
                }
            }
        }
    }
}
