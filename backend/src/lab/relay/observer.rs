//! Both directions of one connection, counted: which request an answer belongs to decides whether it has a body.
//!
//! The observer sees the bytes that pass and never changes them. What it does not understand it counts as body, so the six
//! byte counts always add up to all bytes seen.

use super::message::{BodyExtent, Complete, MessageSequence, TakenBytes};
use std::collections::VecDeque;
use tailwater_protocol::lab::LaneCounts;

/// Requests that may be under way on one connection; beyond it answers are taken for answers to GET.
const ASKED_MAX: usize = 1024;
/// Headers of one head that are looked at.
const HEADERS_MAX: usize = 128;

/// What a request's method means for its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ObservedRequest {
    Get,
    Head,
    Connect,
    Other,
}

/// The answer under way.
#[derive(Debug, Clone, Copy, Default)]
struct ObservedAnswer {
    /// A successful answer to GET: the kind that can carry news.
    reads: bool,
    status: u16,
    body_bytes: u64,
    /// The body's first two bytes: `[]` is a JSON array without news.
    start: [u8; 2],
}

/// LaneCounts one connection.
#[derive(Debug)]
pub(super) struct TrafficObserver {
    requests: MessageSequence,
    responses: MessageSequence,
    asked: VecDeque<ObservedRequest>,
    answer: ObservedAnswer,
}

impl TrafficObserver {
    /// Before the first byte.
    pub(super) fn new() -> Self {
        Self {
            requests: MessageSequence::new(),
            responses: MessageSequence::new(),
            asked: VecDeque::new(),
            answer: ObservedAnswer::default(),
        }
    }

    /// LaneCounts bytes on their way to the server; must see them before the server does.
    pub(super) fn request(&mut self, mut bytes: &[u8], counts: &mut LaneCounts) {
        while !bytes.is_empty() {
            let (taken, complete) = self.requests.take(bytes);
            bytes = &bytes[taken.total()..];
            counts.request_head_bytes += taken.head as u64;
            counts.request_body_bytes += taken.body as u64;
            counts.request_framing_bytes += taken.framing as u64;
            if let Complete::Head(head) = complete {
                counts.requests += 1;
                let (asked, extent) = read_request(&head);
                if self.asked.len() < ASKED_MAX {
                    self.asked.push_back(asked);
                }
                self.requests.body(extent);
            }
        }
    }

    /// LaneCounts bytes on their way to the client.
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

    /// The server has closed: an answer that only that could end is over.
    pub(super) fn response_closed(&mut self, counts: &mut LaneCounts) {
        if self.responses.until_close() {
            self.end_answer(counts);
        }
    }

    fn begin_answer(&mut self, head: &[u8], counts: &mut LaneCounts) {
        let asked = self.asked.front().copied().unwrap_or(ObservedRequest::Get);
        let Some(answer) = read_response(head, asked) else {
            self.responses.body(BodyExtent::UntilClose);
            return;
        };
        let interim = (100..200).contains(&answer.status) && answer.status != 101;
        if !interim {
            self.asked.pop_front();
            counts.responses += 1;
        }
        self.answer = ObservedAnswer {
            reads: asked == ObservedRequest::Get
                && (answer.status == 304 || (200..300).contains(&answer.status)),
            status: answer.status,
            ..ObservedAnswer::default()
        };
        if answer.switches {
            self.requests.body(answer.extent);
        }
        if self.responses.body(answer.extent) && !interim {
            self.end_answer(counts);
        }
    }

    fn end_answer(&mut self, counts: &mut LaneCounts) {
        let ObservedAnswer {
            reads,
            status,
            body_bytes,
            start,
        } = self.answer;
        let nothing =
            matches!(status, 204 | 304) || body_bytes == 0 || (body_bytes == 2 && &start == b"[]");
        counts.empty_responses += u64::from(reads && nothing);
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

/// The method, and how far the body goes; what is not understood goes on until the end.
///
/// Source: RFC 9112, section 6.3.
fn read_request(head: &[u8]) -> (ObservedRequest, BodyExtent) {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    if !matches!(request.parse(head), Ok(httparse::Status::Complete(_))) {
        return (ObservedRequest::Other, BodyExtent::UntilClose);
    }
    let asked = match request.method {
        Some("GET") => ObservedRequest::Get,
        Some("HEAD") => ObservedRequest::Head,
        Some("CONNECT") => ObservedRequest::Connect,
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
    (asked, extent)
}

/// What a response's head says.
struct ResponseHead {
    status: u16,
    extent: BodyExtent,
    /// From here on both directions speak another protocol.
    switches: bool,
}

/// Source: RFC 9112, section 6.3, in its order.
fn read_response(head: &[u8], asked: ObservedRequest) -> Option<ResponseHead> {
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
            switches: false,
        })
    };
    if status == 101 {
        let websocket = value(response.headers, "upgrade")
            .is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
        let extent = if websocket {
            BodyExtent::Frames
        } else {
            BodyExtent::UntilClose
        };
        return Some(ResponseHead {
            status,
            extent,
            switches: true,
        });
    }
    if asked == ObservedRequest::Connect && (200..300).contains(&status) {
        return Some(ResponseHead {
            status,
            extent: BodyExtent::UntilClose,
            switches: true,
        });
    }
    if asked == ObservedRequest::Head
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

fn length(headers: &[httparse::Header<'_>]) -> Option<u64> {
    value(headers, "content-length")?.parse().ok()
}

/// The last header of this name, as text without space around it.
fn value<'a>(headers: &[httparse::Header<'a>], name: &str) -> Option<&'a str> {
    let header = headers
        .iter()
        .rev()
        .find(|header| header.name.eq_ignore_ascii_case(name))?;
    std::str::from_utf8(header.value).ok().map(str::trim)
}

#[cfg(test)]
mod tests;
