//! A request and its response: decodes the body into frames or a page.

use super::ReaderPosition;
use super::head::StreamResponseHead;
use std::time::Duration;
use tailwater_protocol::frame::{self, FRAME_BYTES_MAX};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{
    Data, Frame, FrameError, Problem, Technique, Token, json, ndjson, percent, sse,
};

/// Timeout for the head of a plain read or a live response.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// The assumed hold of a long-poll when none was requested.
const HOLD_MAX: Duration = Duration::from_secs(60);
/// Limit of bytes kept from the body of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResponseFault {
    pub(super) text: String,
    /// A retry can't succeed.
    pub(super) is_final: bool,
    /// The server does not support this technique; final unless there is a fallback.
    pub(super) is_unsupported: bool,
    pub(super) retry_after: Option<Duration>,
}

impl ResponseFault {
    pub(super) fn transient(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            is_final: false,
            is_unsupported: false,
            retry_after: None,
        }
    }

    fn unsupported(text: String) -> Self {
        Self {
            is_unsupported: true,
            ..Self::transient(text)
        }
    }
}

/// The result of an input: decoded frames, and how the response ended if it did.
#[derive(Debug, Default)]
pub(super) struct ResponseProgress {
    pub(super) frames: Vec<Frame>,
    /// A page, the end of a live response, or a fault; `None` while the response continues.
    pub(super) end: Option<Result<Option<UndecodedPage>, ResponseFault>>,
}

impl ResponseProgress {
    pub(super) fn fault(fault: ResponseFault) -> Self {
        Self {
            frames: Vec::new(),
            end: Some(Err(fault)),
        }
    }

    fn end(end: Option<UndecodedPage>) -> Self {
        Self {
            frames: Vec::new(),
            end: Some(Ok(end)),
        }
    }
}

/// A complete page of a plain read or a long-poll, with an undecoded body.
#[derive(Debug)]
pub(super) struct UndecodedPage {
    pub(super) id: u64,
    pub(super) technique: Technique,
    /// When its last byte was received.
    pub(super) at: Duration,
    pub(super) kind: Option<ContentKind>,
    pub(super) next: Option<Token>,
    pub(super) cursor: Option<String>,
    pub(super) up_to_date: bool,
    pub(super) closed: bool,
    body: Vec<u8>,
    /// The position of the reader before this page.
    pub(super) before: Option<ReaderPosition>,
}

impl UndecodedPage {
    /// Whether the body is empty or an empty JSON array.
    pub(super) fn is_empty(&self) -> bool {
        let body = json::trim(&self.body);
        self.body.is_empty()
            || (self.kind == Some(ContentKind::Json) && (body.is_empty() || body == b"[]"))
    }

    /// Decodes the body; `None` if it is empty.
    pub(super) fn decode(&self) -> Result<Option<Data>, FrameError> {
        if self.is_empty() {
            return Ok(None);
        }
        frame::decode_body(self.kind.unwrap_or(ContentKind::Binary), &self.body).map(Some)
    }
}

/// The timeouts of a request that depend on the options.
#[derive(Debug, Clone, Copy)]
pub(super) struct ResponseTimeouts {
    pub(super) hold: Option<Duration>,
    pub(super) silence_max: Duration,
}

#[derive(Debug)]
enum BodyState {
    /// The head was not received yet.
    NoHead,
    /// The bytes received of a page.
    Page(Vec<u8>),
    /// The bytes received of a refusal.
    Refusal(Vec<u8>),
    Ndjson(ndjson::NdjsonDecoder),
    Sse(Box<sse::SseDecoder>),
    Websocket {
        was_up_to_date: bool,
    },
}

/// A request, and what has been received of its response.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) id: u64,
    pub(super) technique: Technique,
    pub(super) started: Duration,
    last_received: Duration,
    timeouts: ResponseTimeouts,
    head: StreamResponseHead,
    body: BodyState,
    frames: u64,
}

impl PendingRequest {
    pub(super) fn new(
        id: u64,
        technique: Technique,
        now: Duration,
        timeouts: ResponseTimeouts,
    ) -> Self {
        let (head, body) = (StreamResponseHead::default(), BodyState::NoHead);
        Self {
            id,
            technique,
            started: now,
            last_received: now,
            timeouts,
            head,
            body,
            frames: 0,
        }
    }

    /// When the request times out unless something is received.
    pub(super) fn deadline(&self) -> Duration {
        let timeout = match (&self.body, self.technique) {
            (BodyState::NoHead, Technique::LongPoll) => {
                HEAD_MAX + self.timeouts.hold.unwrap_or(HOLD_MAX)
            }
            (
                BodyState::NoHead,
                Technique::Poll | Technique::Ndjson | Technique::Sse | Technique::Websocket,
            ) => HEAD_MAX,
            (
                BodyState::Page(_)
                | BodyState::Refusal(_)
                | BodyState::Ndjson(_)
                | BodyState::Sse(_)
                | BodyState::Websocket { .. },
                _,
            ) => self.timeouts.silence_max,
        };
        self.last_received + timeout
    }

    /// The fault if the request has timed out at `now`.
    pub(super) fn timed_out(&self, now: Duration) -> Option<ResponseFault> {
        (now >= self.deadline()).then(|| {
            let silent = now.saturating_sub(self.last_received);
            let missing = if matches!(self.body, BodyState::NoHead) {
                "no response"
            } else {
                "the response stalled"
            };
            ResponseFault::transient(format!(
                "{missing}: nothing was received for {}.{} s",
                silent.as_secs(),
                silent.subsec_millis() / 100
            ))
        })
    }

    /// - `kind`: the content kind of the stream, if known from an earlier response.
    pub(super) fn head(
        &mut self,
        now: Duration,
        head: StreamResponseHead,
        kind: Option<ContentKind>,
    ) -> ResponseProgress {
        self.last_received = now;
        self.body = match (body_state(self.technique, &head, kind), head.status) {
            (Some(body), _) => body,
            (None, 200..=299) => {
                let technique = self.technique;
                let content_type = head.content_type.as_deref().unwrap_or("no content type");
                let text = format!(
                    "the server does not support {technique}: it returned status {} with {content_type}",
                    head.status
                );
                return ResponseProgress::fault(ResponseFault::unsupported(text));
            }
            _ => BodyState::Refusal(Vec::new()),
        };
        self.head = head;
        ResponseProgress::default()
    }

    pub(super) fn piece(&mut self, now: Duration, bytes: &[u8]) -> ResponseProgress {
        self.last_received = now;
        let mut progress = ResponseProgress::default();
        let result = match &mut self.body {
            BodyState::NoHead => Ok(()),
            BodyState::Page(body) if body.len() + bytes.len() > FRAME_BYTES_MAX => {
                Err(FrameError::TooLong {
                    limit: FRAME_BYTES_MAX,
                })
            }
            BodyState::Page(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            BodyState::Refusal(body) => {
                let room = REFUSAL_BYTES_MAX.saturating_sub(body.len());
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                Ok(())
            }
            BodyState::Ndjson(decoder) => decoder.push(bytes, &mut progress.frames),
            BodyState::Sse(decoder) => decoder.push(bytes, &mut progress.frames),
            BodyState::Websocket { was_up_to_date } => {
                ndjson::decode(bytes, *was_up_to_date).map(|frame| {
                    *was_up_to_date = frame
                        .as_ref()
                        .map_or(*was_up_to_date, |frame| frame.up_to_date);
                    progress.frames.extend(frame);
                })
            }
        };
        self.frames += progress.frames.len() as u64;
        if let Err(fault) = result {
            progress.end = Some(Err(ResponseFault::transient(fault.to_string())));
        }
        progress
    }

    pub(super) fn end(&mut self, now: Duration) -> ResponseProgress {
        match std::mem::replace(&mut self.body, BodyState::NoHead) {
            BodyState::NoHead => ResponseProgress::fault(ResponseFault::transient(
                "the response ended before its head",
            )),
            BodyState::Page(body) => self.page(now, body),
            BodyState::Refusal(body) => ResponseProgress::fault(self.refusal(&body)),
            BodyState::Ndjson(_) | BodyState::Sse(_) | BodyState::Websocket { .. } => {
                if self.frames == 0 {
                    ResponseProgress::fault(ResponseFault::transient(
                        "the live response ended before its first frame",
                    ))
                } else {
                    ResponseProgress::end(None)
                }
            }
        }
    }

    /// The response ended early. For a refusal, the text that was received is reported.
    pub(super) fn fault(&mut self, text: String) -> ResponseProgress {
        match &self.body {
            BodyState::Refusal(body) => ResponseProgress::fault(self.refusal(body)),
            BodyState::NoHead
            | BodyState::Page(_)
            | BodyState::Ndjson(_)
            | BodyState::Sse(_)
            | BodyState::Websocket { .. } => {
                ResponseProgress::fault(ResponseFault::transient(text))
            }
        }
    }

    fn page(&mut self, now: Duration, body: Vec<u8>) -> ResponseProgress {
        let head = std::mem::take(&mut self.head);
        let next = match head.next.as_deref().map(str::parse::<Token>) {
            Some(Ok(next)) if next.is_reserved() => {
                let text = format!("Stream-Next-Offset is `{next}`: expected an offset");
                return ResponseProgress::fault(ResponseFault::transient(text));
            }
            Some(Ok(next)) => Some(next),
            Some(Err(fault)) => {
                return ResponseProgress::fault(ResponseFault::transient(format!(
                    "Stream-Next-Offset: {fault}"
                )));
            }
            None if head.status != 304 => {
                let status = head.status;
                let text = format!(
                    "status {status} without Stream-Next-Offset: expected a response from a stream"
                );
                return ResponseProgress::fault(ResponseFault::transient(text));
            }
            None => None,
        };
        ResponseProgress::end(Some(UndecodedPage {
            id: self.id,
            technique: self.technique,
            at: now,
            kind: (head.status == 200)
                .then(|| ContentKind::of(head.content_type.as_deref().unwrap_or_default())),
            next,
            cursor: head.cursor,
            up_to_date: head.up_to_date || head.status != 200,
            closed: head.closed,
            body: if head.status == 200 { body } else { Vec::new() },
            before: None,
        }))
    }

    fn refusal(&self, body: &[u8]) -> ResponseFault {
        let status = self.head.status;
        let text = Problem::describe(status, body);
        let is_live = self.technique != Technique::Poll;
        match status {
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => ResponseFault {
                retry_after: self.head.retry_after,
                ..ResponseFault::transient(text)
            },
            400 | 405 | 406 | 426 | 501 if is_live => ResponseFault::unsupported(text),
            _ => ResponseFault {
                is_final: true,
                ..ResponseFault::transient(text)
            },
        }
    }
}

/// The query of a request, keys in alphabetical order.
pub(super) fn query(
    technique: Technique,
    next: &Token,
    cursor: Option<&str>,
    hold: Option<Duration>,
) -> String {
    let mut query = String::new();
    if let Some(live) = technique.live() {
        if let Some(cursor) = cursor {
            query.push_str("cursor=");
            query.push_str(&percent::encode_value(cursor));
            query.push('&');
        }
        if let Some(hold) = hold.filter(|_| technique == Technique::LongPoll) {
            query.push_str(&match hold.subsec_millis() {
                0 => format!("hold={}&", hold.as_secs()),
                millis => format!("hold={}.{millis:03}&", hold.as_secs()),
            });
        }
        query.push_str(&format!("live={live}&"));
    }
    query.push_str("offset=");
    query.push_str(next.as_str());
    query
}

/// The decoder for the body of a response; `None` if the head is not that of a successful response of the technique.
///
/// - `kind`: the content kind of the stream, if known from an earlier response.
fn body_state(
    technique: Technique,
    head: &StreamResponseHead,
    kind: Option<ContentKind>,
) -> Option<BodyState> {
    match technique {
        Technique::Poll | Technique::LongPoll => {
            matches!(head.status, 200 | 204 | 304).then(|| BodyState::Page(Vec::new()))
        }
        Technique::Ndjson => {
            let is_ndjson = head.is_content_type(|essence| essence.ends_with("ndjson"));
            (head.status == 200 && is_ndjson)
                .then(|| BodyState::Ndjson(ndjson::NdjsonDecoder::default()))
        }
        Technique::Sse => {
            let is_sse = head.is_content_type(|essence| essence == "text/event-stream");
            let kind = if head.base64 {
                ContentKind::Binary
            } else {
                kind.unwrap_or(ContentKind::Json)
            };
            (head.status == 200 && is_sse)
                .then(|| BodyState::Sse(Box::new(sse::SseDecoder::new(kind))))
        }
        Technique::Websocket => (head.status == 101).then_some(BodyState::Websocket {
            was_up_to_date: false,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_in_alphabetical_order_and_escaped() {
        let next: Token = "12_3".parse().unwrap();
        let hold = Some(Duration::from_secs(25));
        assert_eq!(
            query(Technique::Poll, &next, Some("7"), hold),
            "offset=12_3"
        );
        assert_eq!(
            query(Technique::LongPoll, &next, Some("7 &é"), hold),
            "cursor=7%20%26%C3%A9&hold=25&live=long-poll&offset=12_3"
        );
        assert_eq!(
            query(Technique::Sse, &next, None, hold),
            "live=sse&offset=12_3"
        );
    }
}
