//! Counts both directions of one connection: the request determines whether its response has a
//! body.
//!
//! The observer never changes the bytes. Unknown bytes count as body, so that the six byte counts
//! always add up to all bytes.

use super::cross_origin;
use super::message::{BodyExtent, Complete, MessageSequence, TakenBytes};
use std::collections::VecDeque;
use tailwater_protocol::headers::content_length;
use tailwater_protocol::lab::LaneCounts;

/// Maximum pipelined requests of one connection; beyond it a response is treated as one to GET.
const PIPELINED_MAX: usize = 1024;
/// Maximum headers of one head.
const HEADERS_MAX: usize = 128;

/// The kind of a request, as far as it affects the counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ObservedRequest {
    Get,
    /// A GET that requests an upgrade to WebSocket.
    Handshake,
    Head,
    Connect,
    /// A CORS preflight.
    Preflight,
    Other,
}

/// The current response.
#[derive(Debug, Clone, Copy, Default)]
struct ObservedAnswer {
    /// A successful response to GET, which can carry data.
    is_read: bool,
    status: u16,
    body_bytes: u64,
    /// The body's first two bytes: `[]` is an empty JSON array.
    start: [u8; 2],
}

/// Counts one connection.
#[derive(Debug)]
pub(super) struct TrafficObserver {
    requests: MessageSequence,
    responses: MessageSequence,
    requested: VecDeque<ObservedRequest>,
    answer: ObservedAnswer,
}

impl TrafficObserver {
    /// Before the first byte.
    pub(super) fn new() -> Self {
        Self {
            requests: MessageSequence::new(),
            responses: MessageSequence::new(),
            requested: VecDeque::new(),
            answer: ObservedAnswer::default(),
        }
    }

    /// Counts bytes towards the server; must be called before the server receives them.
    pub(super) fn request(&mut self, mut bytes: &[u8], counts: &mut LaneCounts) {
        while !bytes.is_empty() {
            let (taken, complete) = self.requests.take(bytes);
            bytes = &bytes[taken.total()..];
            counts.request_head_bytes += taken.head as u64;
            counts.request_body_bytes += taken.body as u64;
            counts.request_framing_bytes += taken.framing as u64;
            if let Complete::Head(head) = complete {
                counts.requests += 1;
                let (requested, extent) = read_request(&head);
                counts.cross_origin_bytes += cross_origin::in_request(&head, requested) as u64;
                if self.requested.len() < PIPELINED_MAX {
                    self.requested.push_back(requested);
                }
                self.requests.body(extent);
            }
        }
    }

    /// Counts bytes towards the client.
    pub(super) fn response(&mut self, mut bytes: &[u8], counts: &mut LaneCounts) {
        while !bytes.is_empty() {
            let (taken, complete) = self.responses.take(bytes);
            self.note_body(taken, bytes);
            bytes = &bytes[taken.total()..];
            counts.response_head_bytes += taken.head as u64;
            counts.response_body_bytes += taken.body as u64;
            counts.response_framing_bytes += taken.framing as u64;
            match complete {
                Complete::Head(head) => self.begin_answer(&head, counts),
                Complete::Message => self.end_answer(counts),
                Complete::Nothing => {}
            }
        }
    }

    /// The server has closed, which ends a response without a length.
    pub(super) fn response_closed(&mut self, counts: &mut LaneCounts) {
        if self.responses.until_close() {
            self.end_answer(counts);
        }
    }

    fn begin_answer(&mut self, head: &[u8], counts: &mut LaneCounts) {
        let requested = self
            .requested
            .front()
            .copied()
            .unwrap_or(ObservedRequest::Get);
        let Some(answer) = read_response(head, requested) else {
            self.responses.body(BodyExtent::UntilClose);
            return;
        };
        counts.cross_origin_bytes += cross_origin::in_response(head, requested) as u64;
        let interim = (100..200).contains(&answer.status) && answer.status != 101;
        if !interim {
            self.requested.pop_front();
            counts.responses += 1;
        }
        self.answer = ObservedAnswer {
            is_read: matches!(requested, ObservedRequest::Get | ObservedRequest::Handshake)
                && (answer.status == 304 || (200..300).contains(&answer.status)),
            status: answer.status,
            ..ObservedAnswer::default()
        };
        if answer.switches_protocol {
            self.requests.body(answer.extent);
        }
        if self.responses.body(answer.extent) && !interim {
            self.end_answer(counts);
        }
    }

    fn end_answer(&mut self, counts: &mut LaneCounts) {
        let ObservedAnswer {
            is_read,
            status,
            body_bytes,
            start,
        } = self.answer;
        let nothing =
            matches!(status, 204 | 304) || body_bytes == 0 || (body_bytes == 2 && &start == b"[]");
        counts.empty_responses += u64::from(is_read && nothing);
        self.answer = ObservedAnswer::default();
    }

    fn note_body(&mut self, taken: TakenBytes, bytes: &[u8]) {
        let body = &bytes[taken.head + taken.framing..taken.total()];
        for (at, byte) in (self.answer.body_bytes..2).zip(body) {
            self.answer.start[usize::from(at > 0)] = *byte;
        }
        self.answer.body_bytes += body.len() as u64;
    }
}

/// The method and the body's extent; a malformed request lasts until the connection closes.
///
/// Source: RFC 9112, section 6.3.
fn read_request(head: &[u8]) -> (ObservedRequest, BodyExtent) {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return (ObservedRequest::Other, BodyExtent::UntilClose);
    }
    let has = |name| value(request.headers, name);
    let requested = match request.method {
        Some("GET") if has("upgrade").is_some_and(is_websocket) => ObservedRequest::Handshake,
        Some("GET") => ObservedRequest::Get,
        Some("HEAD") => ObservedRequest::Head,
        Some("CONNECT") => ObservedRequest::Connect,
        Some("OPTIONS") if has("access-control-request-method").is_some() => {
            ObservedRequest::Preflight
        }
        _ => ObservedRequest::Other,
    };
    let extent = match coding(request.headers) {
        Some(chunked) => {
            if chunked {
                BodyExtent::Chunked
            } else {
                BodyExtent::UntilClose
            }
        }
        None => length(request.headers).map_or(BodyExtent::Fixed(0), BodyExtent::Fixed),
    };
    (requested, extent)
}

/// The parsed head of a response.
struct ResponseHead {
    status: u16,
    extent: BodyExtent,
    /// Whether both directions change to another protocol.
    switches_protocol: bool,
}

/// Source: RFC 9112, section 6.3, in its order.
fn read_response(head: &[u8], requested: ObservedRequest) -> Option<ResponseHead> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut response = httparse::Response::new(&mut headers);
    if !matches!(response.parse(head), Ok(httparse::Status::Complete(_))) {
        return None;
    }
    let status = response.code?;
    let plain = |extent| {
        Some(ResponseHead {
            status,
            extent,
            switches_protocol: false,
        })
    };
    if status == 101 {
        let extent = if value(response.headers, "upgrade").is_some_and(is_websocket) {
            BodyExtent::Frames
        } else {
            BodyExtent::UntilClose
        };
        return Some(ResponseHead {
            status,
            extent,
            switches_protocol: true,
        });
    }
    if requested == ObservedRequest::Connect && (200..300).contains(&status) {
        return Some(ResponseHead {
            status,
            extent: BodyExtent::UntilClose,
            switches_protocol: true,
        });
    }
    if requested == ObservedRequest::Head
        || (100..200).contains(&status)
        || status == 204
        || status == 304
    {
        return plain(BodyExtent::Fixed(0));
    }
    match coding(response.headers) {
        Some(true) => plain(BodyExtent::Chunked),
        Some(false) => plain(BodyExtent::UntilClose),
        None => plain(length(response.headers).map_or(BodyExtent::UntilClose, BodyExtent::Fixed)),
    }
}

/// Whether the last transfer coding is `chunked`; `None` without the header.
fn coding(headers: &[httparse::Header<'_>]) -> Option<bool> {
    let codings = value(headers, "transfer-encoding")?;
    Some(
        codings
            .rsplit(',')
            .next()
            .is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked")),
    )
}

/// Whether the value of an `Upgrade` header is the WebSocket protocol.
fn is_websocket(protocol: &str) -> bool {
    protocol.eq_ignore_ascii_case("websocket")
}

fn length(headers: &[httparse::Header<'_>]) -> Option<u64> {
    content_length(value(headers, "content-length")?.as_bytes())
}

/// The last header with this name, trimmed.
fn value<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let header = headers
        .iter()
        .rev()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok().map(str::trim)
}

#[cfg(test)]
mod tests;
