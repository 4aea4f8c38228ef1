//! Counts the bytes of heads that are only present because a lane has another origin than the page.
//!
//! The same request to the origin of the page, and the response to it, do not have these lines:
//!
//! - `Origin` of a GET or HEAD that is not a WebSocket handshake; other requests always have it.
//! - `Access-Control-*` and `Timing-Allow-Origin` of responses.
//! - all lines of a preflight and of its response.
//!
//! Lines that are present in both cases are not counted, even if their values differ: `Referer` and
//! `Sec-Fetch-Site` of requests, `Vary` and `Cross-Origin-Resource-Policy` of responses.
//!
//! Source: Fetch standard, sections "`Origin` header" and "HTTP responses".

use super::observer::ObservedRequest;

/// Number of cross-origin bytes in the head of a request.
pub(super) fn in_request(head: &[u8], request: ObservedRequest) -> usize {
    match request {
        ObservedRequest::Preflight => head.len(),
        ObservedRequest::Get | ObservedRequest::Head => {
            line_bytes(head, |name| name.eq_ignore_ascii_case(b"origin"))
        }
        ObservedRequest::Handshake | ObservedRequest::Connect | ObservedRequest::Other => 0,
    }
}

/// Number of cross-origin bytes in the head of the response to `request`.
pub(super) fn in_response(head: &[u8], request: ObservedRequest) -> usize {
    const CORS: &[u8] = b"access-control-";
    let is_counted = |name: &[u8]| {
        name.eq_ignore_ascii_case(b"timing-allow-origin")
            || name
                .get(..CORS.len())
                .is_some_and(|start| start.eq_ignore_ascii_case(CORS))
    };
    if request == ObservedRequest::Preflight {
        head.len()
    } else {
        line_bytes(head, is_counted)
    }
}

/// Total length of the lines, line breaks included, whose field name is counted.
fn line_bytes(head: &[u8], is_counted: impl Fn(&[u8]) -> bool) -> usize {
    let is_counted_line = |line: &&[u8]| {
        let colon = line.iter().position(|byte| *byte == b':');
        colon.is_some_and(|colon| is_counted(&line[..colon]))
    };
    head.split_inclusive(|byte| *byte == b'\n')
        .filter(is_counted_line)
        .map(<[u8]>::len)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GET: &[u8] =
        b"GET /v1/stream/x?y=origin: HTTP/1.1\r\nHost: h\r\nORIGIN: http://h:1\r\nOrigins: z\r\n\r\n";

    #[test]
    fn the_origin_counts_only_where_it_is_absent_within_one_origin() {
        let line = "ORIGIN: http://h:1\r\n".len();
        for (request, bytes) in [
            (ObservedRequest::Get, line),
            (ObservedRequest::Head, line),
            (ObservedRequest::Handshake, 0),
            (ObservedRequest::Other, 0),
            (ObservedRequest::Connect, 0),
            (ObservedRequest::Preflight, GET.len()),
        ] {
            assert_eq!(in_request(GET, request), bytes, "{request:?}");
        }
    }

    #[test]
    fn only_cors_and_timing_lines_of_responses_count() {
        let head = "HTTP/1.1 200 OK\r\nVary: Origin\r\nCross-Origin-Resource-Policy: cross-origin\r\n\
                    Access-Control-Allow-Origin: http://h:1\r\nTiming-Allow-Origin: *\r\n\
                    access-control-expose-headers:*\r\nX-Access-Control-Y: z\r\nAccess: q\r\n\r\n";
        let counted = "Access-Control-Allow-Origin: http://h:1\r\nTiming-Allow-Origin: *\r\n\
                       access-control-expose-headers:*\r\n";
        for request in [ObservedRequest::Get, ObservedRequest::Other] {
            assert_eq!(in_response(head.as_bytes(), request), counted.len());
        }
        assert_eq!(
            in_response(head.as_bytes(), ObservedRequest::Preflight),
            head.len()
        );
    }
}
