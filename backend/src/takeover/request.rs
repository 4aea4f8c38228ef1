//! Plain requests as bytes: parsed whole, and taken only when everything in them is known and well formed. No I/O.

use crate::api::gate::{Connection, Head};
use crate::api::{Headers, STREAM_PREFIX};
use http::Method;
use httparse::Header;

/// The most header fields of a request that is taken.
const HEADERS_MAX: usize = 32;

/// Fields that a request may have to be answered outside of actix; any other leads back there.
const ALLOWED: [&str; 27] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "authorization",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "cookie",
    "dnt",
    "host",
    "if-match",
    "if-none-match",
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
    "user-agent",
    "x-request-id",
];

/// A whole plain request at the beginning of some bytes.
#[derive(Debug)]
pub(super) struct Request<'a> {
    pub(super) method: Method,
    /// The stream's name as the path spells it.
    pub(super) path: &'a str,
    pub(super) query: &'a str,
    pub(super) headers: Fields<'a>,
    pub(super) body: &'a [u8],
    /// Bytes of the request, body included.
    pub(super) length: usize,
}

/// The header fields of a plain request.
#[derive(Debug)]
pub(super) struct Fields<'a>(Vec<(&'a str, &'a [u8])>);

impl Headers for Fields<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |field| field.0.eq_ignore_ascii_case(name)).map(|field| field.1)
    }
}

impl<'a> Request<'a> {
    /// The request at the beginning of `bytes`; `None` when it is not whole, or not plain: then actix looks at it.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut room = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut parsed = httparse::Request::new(&mut room);
        let httparse::Status::Complete(head_bytes) = parsed.parse(bytes).ok()? else { return None };
        let (method, target, version) = (parsed.method?, parsed.path?, parsed.version?);
        let method = match method {
            "GET" => Method::GET,
            "POST" => Method::POST,
            _ => return None,
        };
        // The library takes a bare line feed and a tab for a line end and a space, which others do not.
        let is_strict = version == 1 && line_ends_are_whole(&bytes[..head_bytes]);
        let (path, query) =
            target.strip_prefix(STREAM_PREFIX)?.split_once('?').unwrap_or((target.strip_prefix(STREAM_PREFIX)?, ""));
        if !is_strict || !path.bytes().all(is_plain_in_path) || !query.bytes().all(is_plain_in_query) {
            return None;
        }
        let body_bytes = check_fields(&method, parsed.headers)?;
        let length = head_bytes.checked_add(body_bytes)?;
        let body = bytes.get(head_bytes..length)?;
        let headers = Fields(parsed.headers.iter().map(|field| (field.name, field.value)).collect());
        Some(Self { method, path, query, headers, body, length })
    }

    /// The request as the gate looks at it.
    pub(super) fn head<'h>(&'h self, connection: &'h Connection) -> Head<'h, Fields<'a>> {
        Head {
            method: &self.method,
            target_bytes: STREAM_PREFIX.len() + self.path.len() + self.query.len(),
            authority: None,
            headers: &self.headers,
            header_bytes: self.headers.0.iter().map(|(name, value)| name.len() + value.len() + 4).sum(),
            connection: Some(connection),
        }
    }
}

/// Whether `bytes` are one request, whole, with nothing before or after it; its fields may be any.
pub(super) fn is_one_request(bytes: &[u8]) -> bool {
    let mut room = [httparse::EMPTY_HEADER; 3 * HEADERS_MAX];
    let mut parsed = httparse::Request::new(&mut room);
    let Ok(httparse::Status::Complete(head_bytes)) = parsed.parse(bytes) else { return false };
    let mut body_bytes = Some(0);
    for Header { name, value } in parsed.headers.iter() {
        if name.eq_ignore_ascii_case("transfer-encoding") {
            return false;
        }
        if name.eq_ignore_ascii_case("content-length") {
            body_bytes = std::str::from_utf8(value).ok().and_then(|value| value.trim().parse::<usize>().ok());
        }
    }
    line_ends_are_whole(&bytes[..head_bytes])
        && body_bytes.is_some_and(|body| head_bytes.checked_add(body) == Some(bytes.len()))
}

/// How many bytes of body follow; `None` when a field is not known, not well formed, or stands where it may not.
fn check_fields(method: &Method, fields: &[Header<'_>]) -> Option<usize> {
    let (mut hosts, mut length) = (0, None);
    for Header { name, value } in fields {
        if !ALLOWED.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
            return None;
        }
        if !value.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            return None;
        }
        if name.eq_ignore_ascii_case("host") {
            hosts += 1;
        } else if name.eq_ignore_ascii_case("connection") {
            value.eq_ignore_ascii_case(b"keep-alive").then_some(())?;
        } else if name.eq_ignore_ascii_case("content-length") {
            let digits =
                std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
            if length.replace(digits.parse().ok()?).is_some() {
                return None;
            }
        }
    }
    match (hosts, length) {
        (1, None) if *method == Method::GET => Some(0),
        (1, Some(length)) if *method == Method::POST => Some(length),
        _ => None,
    }
}

/// Whether every line ends with CR LF, and neither stands alone.
fn line_ends_are_whole(head: &[u8]) -> bool {
    let feeds = memchr::memchr_iter(b'\n', head).all(|at| at > 0 && head[at - 1] == b'\r');
    feeds && memchr::memchr_iter(b'\r', head).all(|at| head.get(at + 1) == Some(&b'\n'))
}

/// What needs decoding, or may mean something else than it says, is the router's.
fn is_plain_in_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte)
}

fn is_plain_in_query(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~/=&:!*,".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /v1/stream/a/b?offset=-1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
    const POST: &str =
        "POST /v1/stream/a HTTP/1.1\r\nHost: h\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

    #[test]
    fn a_plain_request_is_taken_whole_and_only_whole() {
        for (request, path, query, body) in [(GET, "a/b", "offset=-1", ""), (POST, "a", "", "hi")] {
            let more = format!("{request}GET");
            let parsed = Request::parse(more.as_bytes()).unwrap();
            assert_eq!((parsed.path, parsed.query, parsed.body), (path, query, body.as_bytes()));
            assert_eq!(parsed.length, request.len());
            for cut in 0..request.len() {
                assert!(Request::parse(&request.as_bytes()[..cut]).is_none(), "{request} cut at {cut}");
            }
        }
        assert!(is_one_request(GET.as_bytes()) && is_one_request(POST.as_bytes()));
        assert!(!is_one_request(format!("{GET}G").as_bytes()) && !is_one_request(format!("{POST}G").as_bytes()));
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
            POST.replace("Content-Length: 2", "Content-Length: 2\r\nContent-Length: 2"),
        ] {
            assert!(Request::parse(request.as_bytes()).is_none(), "{request:?}");
        }
        assert!(Request::parse(with("Connection: Keep-Alive").as_bytes()).is_some());
    }
}
