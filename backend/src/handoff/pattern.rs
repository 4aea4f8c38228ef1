//! Requests like the one before: told from others by their bytes. No I/O.

use std::rc::Rc;

/// What a request looks like that actix has parsed, routed, checked and answered: the next one that differs only in where it
/// reads, or in what it appends, need not be checked again.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Pattern {
    method: Method,
    /// Everything after the request line up to the value that may differ; if none may, to the blank line.
    before: Box<[u8]>,
    /// Everything after that value, the blank line included.
    after: Option<Box<[u8]>>,
    /// The header fields that everything before the handler adds to each answer.
    pub(super) standing: Rc<[u8]>,
}

/// What such a request does.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) enum Method {
    /// Reads.
    Get,
    /// Appends a body of this type.
    Post {
        /// The body's `Content-Type`.
        content_type: String,
    },
}

/// A whole request that fits a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fitting<'a> {
    /// Path and query.
    pub(super) target: &'a [u8],
    /// The stream's name as the path spells it.
    pub(super) path: &'a str,
    /// After the question mark; empty without one.
    pub(super) query: &'a str,
    /// The value of `If-None-Match`, if there is one.
    pub(super) if_none_match: Option<&'a str>,
    /// The body.
    pub(super) body: &'a [u8],
    /// Bytes of the request, body included.
    pub(super) length: usize,
    /// Bytes of its head.
    pub(super) head_length: usize,
}

/// Where streams live.
const PREFIX: &str = "/v1/stream/";
const VERSION: &[u8] = b" HTTP/1.1";
const LINE_END: &[u8] = b"\r\n";
const HEAD_END: &[u8] = b"\r\n\r\n";
/// What makes each request different, or is answered by more than a page or an append.
const REFUSED_BEGINNINGS: [&str; 9] = [
    "transfer-encoding",
    "expect",
    "upgrade",
    "connection",
    "te",
    "producer-",
    "stream-",
    "if-match",
    "content-encoding",
];

impl Pattern {
    /// The pattern of a whole request; `None` for those that rarely come twice.
    ///
    /// - `standing`: header fields, each with its line end, that belong to every answer.
    pub(super) fn of(request: &[u8], standing: &[u8]) -> Option<Self> {
        let (line, rest) = split_line(request)?;
        let end = memchr::memmem::find(rest, HEAD_END)? + HEAD_END.len();
        let fields = &rest[..end];
        let is_post = line.starts_with(b"POST ");
        if !(is_post || line.starts_with(b"GET ")) || !line.ends_with(VERSION) {
            return None;
        }
        let varies = if is_post { "content-length" } else { "if-none-match" };
        let (mut varying, mut content_type, mut at) = (None, None, 0);
        while let Some((field, _)) = split_line(&fields[at..]).filter(|(field, _)| !field.is_empty()) {
            let text = std::str::from_utf8(field).ok()?;
            let (name, value) = text.split_once(':')?;
            let (name, trimmed) = (name.to_ascii_lowercase(), value.trim());
            let begin = at + field.len() - value.trim_start().len();
            match name.as_str() {
                name if name == varies && varying.is_none() => varying = Some(begin..begin + trimmed.len()),
                "content-type" if is_post && content_type.is_none() => content_type = Some(trimmed.to_owned()),
                "content-length" | "content-type" | "if-none-match" => return None,
                "connection" if trimmed.eq_ignore_ascii_case("keep-alive") => {}
                name if REFUSED_BEGINNINGS.iter().any(|refused| name.starts_with(refused)) => return None,
                _ => {}
            }
            at += field.len() + LINE_END.len();
        }
        let method = if is_post { Method::Post { content_type: content_type? } } else { Method::Get };
        if is_post && varying.is_none() {
            return None;
        }
        let (before, after) = match varying {
            None => (fields, None),
            Some(varying) => (&fields[..varying.start], Some(fields[varying.end..].into())),
        };
        Some(Self { method, before: before.into(), after, standing: standing.into() })
    }

    /// What its requests do.
    pub(super) fn method(&self) -> &Method {
        &self.method
    }

    /// The request at the beginning of `bytes`; `None` when it is another kind of request, or not whole.
    pub(super) fn fit<'a>(&self, bytes: &'a [u8]) -> Option<Fitting<'a>> {
        let (line, rest) = split_line(bytes)?;
        let target = match self.method {
            Method::Get => line.strip_prefix(b"GET ")?,
            Method::Post { .. } => line.strip_prefix(b"POST ")?,
        };
        let target = target.strip_suffix(VERSION)?;
        let within = std::str::from_utf8(target).ok()?.strip_prefix(PREFIX)?;
        let (path, query) = within.split_once('?').unwrap_or((within, ""));
        // What needs decoding, or may mean something else than it says, is the router's.
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        if !path.bytes().all(is_plain) {
            return None;
        }
        let (value, fields_length) = self.fit_fields(rest)?;
        let head_length = line.len() + LINE_END.len() + fields_length;
        let (if_none_match, body_length) = match self.method {
            Method::Get => (value, 0),
            Method::Post { .. } => {
                (None, value.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?)
            }
        };
        let length = head_length.checked_add(body_length)?;
        let body = bytes.get(head_length..length)?;
        Some(Fitting { target, path, query, if_none_match, body, length, head_length })
    }

    /// The value that may differ, and how long the fields are.
    fn fit_fields<'a>(&self, rest: &'a [u8]) -> Option<(Option<&'a str>, usize)> {
        let from_value = rest.strip_prefix(&*self.before)?;
        let Some(after) = &self.after else { return Some((None, self.before.len())) };
        let length = memchr::memchr(b'\r', from_value)?;
        // Spaces around a value are the field's, as they were in the pattern.
        let value = std::str::from_utf8(&from_value[..length]).ok().filter(|value| value.trim() == *value)?;
        from_value[length..].starts_with(after).then_some((Some(value), self.before.len() + length + after.len()))
    }
}

fn split_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(b'\r', bytes)?;
    Some((&bytes[..end], bytes[end..].strip_prefix(LINE_END)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &str = "GET /v1/stream/a?offset=-1 HTTP/1.1\r\nHost: h\r\nAccept: */*\r\n\r\n";
    const CONDITIONAL: &str = "GET /v1/stream/a HTTP/1.1\r\nIf-None-Match: \"1\"\r\nHost: h\r\n\r\n";
    const POST: &str = "POST /v1/stream/a HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nhi";

    fn pattern(request: &str) -> Option<Pattern> {
        Pattern::of(request.as_bytes(), b"")
    }

    #[test]
    fn a_request_fits_the_pattern_that_it_made() {
        for (request, if_none_match, body) in [(GET, None, ""), (CONDITIONAL, Some("\"1\""), ""), (POST, None, "hi")] {
            let more = format!("{request}GET");
            let pattern = pattern(request).unwrap();
            let fitting = pattern.fit(more.as_bytes()).unwrap();
            assert_eq!((fitting.path, fitting.length), ("a", request.len()), "{request}");
            assert_eq!((fitting.if_none_match, fitting.body), (if_none_match, body.as_bytes()), "{request}");
            for cut in 0..request.len() {
                assert_eq!(pattern.fit(&request.as_bytes()[..cut]), None, "{request} cut at {cut}");
            }
        }
    }

    #[test]
    fn what_may_differ_is_the_stream_the_query_and_one_value() {
        for (like, request, fits) in [
            (GET, GET.replace("/a?offset=-1", "/b/c?offset=0000000000000007&live=long-poll"), true),
            (GET, GET.replace("?offset=-1", ""), true),
            (CONDITIONAL, CONDITIONAL.replace("\"1\"", "\"1:2:3\", W/\"4\""), true),
            (POST, POST.replace(": 2\r\n\r\nhi", ": 5\r\n\r\nhello"), true),
            (GET, GET.replace("Host: h", "Host: evil"), false),
            (GET, GET.replace("Accept: */*\r\n", "Accept: */*\r\nOrigin: http://evil\r\n"), false),
            (GET, GET.replace("Accept: */*\r\n", ""), false),
            (GET, GET.replace("GET ", "HEAD "), false),
            (GET, GET.replace("1.1", "1.0"), false),
            (GET, GET.replace("/v1/stream/a", "/v1/streams"), false),
            (GET, GET.replace("/a?", "/%61?"), false),
            (CONDITIONAL, CONDITIONAL.replace("Host: h", "Host: evil"), false),
            (CONDITIONAL, CONDITIONAL.replace("\"1\"", "\"1\"\r\nOrigin: http://evil"), false),
            (POST, POST.replace(": 2", ": +2"), false),
            (POST, POST.replace(": 2", ": 0x2"), false),
            (POST, POST.replace("text/plain", "text/html"), false),
        ] {
            assert_eq!(pattern(like).unwrap().fit(request.as_bytes()).is_some(), fits, "{request}");
        }
    }

    #[test]
    fn requests_that_mean_more_make_no_pattern() {
        for field in [
            "Connection: close",
            "Connection: Upgrade",
            "Expect: 100-continue",
            "Transfer-Encoding: chunked",
            "Producer-Seq: 1",
            "Stream-Closed: true",
            "If-Match: \"1\"",
            "Content-Length: 2",
            "Content-Encoding: gzip",
        ] {
            for request in [GET, POST] {
                let request = request.replacen("\r\n", &format!("\r\n{field}\r\n"), 1);
                assert!(pattern(&request).is_none(), "{request}");
            }
        }
        for request in ["", "GET", "GET /v1/stream/a HTTP/1.1\r\n", "PUT /v1/stream/a HTTP/1.1\r\n\r\n"] {
            assert!(pattern(request).is_none(), "{request}");
        }
        assert!(pattern(&GET.replacen("\r\n", "\r\nConnection: keep-alive\r\n", 1)).is_some());
    }
}
