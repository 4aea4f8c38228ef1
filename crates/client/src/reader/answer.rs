//! One answer on its way in: what its head allows, and the whole batches in its pieces.

use super::ReaderPosition;
use super::head::AnswerHead;
use std::time::Duration;
use tailwater_protocol::frame::{self, FRAME_BYTES_MAX};
use tailwater_protocol::headers::ContentKind;
use tailwater_protocol::{
    Data, Frame, FrameError, Problem, Technique, Token, json, ndjson, percent, sse,
};

/// How long a plain read or a live answer may take to begin.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// How long a long-poll is taken to be held when no hold was asked for.
const HOLD_MAX: Duration = Duration::from_secs(60);
/// Bytes of a refusal that are read to say why.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// Why an answer was of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AnswerFault {
    pub(super) text: String,
    /// Asking again can't help.
    pub(super) is_final: bool,
    /// The server does not know this technique; another one may do, and without another one this is the end.
    pub(super) is_unsupported: bool,
    pub(super) retry_after: Option<Duration>,
}

impl AnswerFault {
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

/// What an input brought: frames, and whether the answer is over and how.
#[derive(Debug, Default)]
pub(super) struct AnswerProgress {
    pub(super) frames: Vec<Frame>,
    /// A page, a live answer's end, or a fault; `None` while the answer goes on.
    pub(super) end: Option<Result<Option<AnswerPage>, AnswerFault>>,
}

impl AnswerProgress {
    pub(super) fn fault(fault: AnswerFault) -> Self {
        Self {
            frames: Vec::new(),
            end: Some(Err(fault)),
        }
    }

    fn end(end: Option<AnswerPage>) -> Self {
        Self {
            frames: Vec::new(),
            end: Some(Ok(end)),
        }
    }
}

/// A plain read's or long-poll's answer, whole but not yet opened.
#[derive(Debug)]
pub(super) struct AnswerPage {
    pub(super) id: u64,
    pub(super) technique: Technique,
    /// When its last byte came.
    pub(super) at: Duration,
    pub(super) kind: Option<ContentKind>,
    pub(super) next: Option<Token>,
    pub(super) cursor: Option<String>,
    pub(super) up_to_date: bool,
    pub(super) closed: bool,
    body: Vec<u8>,
    /// Where the reader stood before it.
    pub(super) before: Option<ReaderPosition>,
}

impl AnswerPage {
    /// Whether nothing is in it, as far as its bytes show.
    pub(super) fn is_empty(&self) -> bool {
        let body = json::trim(&self.body);
        self.body.is_empty()
            || (self.kind == Some(ContentKind::Json) && (body.is_empty() || body == b"[]"))
    }

    /// What is in it; `None` when nothing is.
    pub(super) fn decode(&self) -> Result<Option<Data>, FrameError> {
        if self.is_empty() {
            return Ok(None);
        }
        frame::decode_body(self.kind.unwrap_or(ContentKind::Binary), &self.body).map(Some)
    }
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerTimeouts {
    pub(super) hold: Option<Duration>,
    pub(super) silence_max: Duration,
}

#[derive(Debug)]
enum AnswerBody {
    /// The head has not come yet.
    Unknown,
    /// Counts only as a whole.
    Page(Vec<u8>),
    /// The text of a refusal.
    Refusal(Vec<u8>),
    Ndjson(ndjson::NdjsonDecoder),
    Sse(Box<sse::SseDecoder>),
    Websocket {
        was_up_to_date: bool,
    },
}

/// A request under way and what has come of its answer.
#[derive(Debug)]
pub(super) struct PendingRequest {
    pub(super) id: u64,
    pub(super) technique: Technique,
    pub(super) begun: Duration,
    heard: Duration,
    patience: AnswerTimeouts,
    head: AnswerHead,
    body: AnswerBody,
    frames: u64,
}

impl PendingRequest {
    pub(super) fn new(
        id: u64,
        technique: Technique,
        now: Duration,
        patience: AnswerTimeouts,
    ) -> Self {
        let (head, body) = (AnswerHead::default(), AnswerBody::Unknown);
        Self {
            id,
            technique,
            begun: now,
            heard: now,
            patience,
            head,
            body,
            frames: 0,
        }
    }

    /// When silence becomes a fault.
    pub(super) fn deadline(&self) -> Duration {
        let patience = match (&self.body, self.technique) {
            (AnswerBody::Unknown, Technique::LongPoll) => {
                HEAD_MAX + self.patience.hold.unwrap_or(HOLD_MAX)
            }
            (AnswerBody::Unknown, _) => HEAD_MAX,
            _ => self.patience.silence_max,
        };
        self.heard + patience
    }

    /// The fault that silence until `now` is, if it is one.
    pub(super) fn silent(&self, now: Duration) -> Option<AnswerFault> {
        (now >= self.deadline()).then(|| {
            let silent = now.saturating_sub(self.heard);
            let what = if matches!(self.body, AnswerBody::Unknown) {
                "no answer"
            } else {
                "the answer went silent"
            };
            AnswerFault::transient(format!(
                "{what}: nothing came for {}.{} s",
                silent.as_secs(),
                silent.subsec_millis() / 100
            ))
        })
    }

    /// - `kind`: the stream's, as earlier answers told it.
    pub(super) fn head(
        &mut self,
        now: Duration,
        head: AnswerHead,
        kind: Option<ContentKind>,
    ) -> AnswerProgress {
        self.heard = now;
        self.body = match (live_body(self.technique, &head, kind), head.status) {
            (Some(body), _) => body,
            (None, 200..=299) => {
                let technique = self.technique;
                let came = head.content_type.as_deref().unwrap_or("no content type");
                let text = format!(
                    "the server does not know {technique}: status {} with {came} came",
                    head.status
                );
                return AnswerProgress::fault(AnswerFault::unsupported(text));
            }
            _ => AnswerBody::Refusal(Vec::new()),
        };
        self.head = head;
        AnswerProgress::default()
    }

    pub(super) fn piece(&mut self, now: Duration, bytes: &[u8]) -> AnswerProgress {
        self.heard = now;
        let mut came = AnswerProgress::default();
        let result = match &mut self.body {
            AnswerBody::Unknown => Ok(()),
            AnswerBody::Page(body) if body.len() + bytes.len() > FRAME_BYTES_MAX => {
                Err(FrameError::TooLong {
                    limit: FRAME_BYTES_MAX,
                })
            }
            AnswerBody::Page(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            AnswerBody::Refusal(body) => {
                let room = REFUSAL_BYTES_MAX.saturating_sub(body.len());
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                Ok(())
            }
            AnswerBody::Ndjson(decoder) => decoder.push(bytes, &mut came.frames),
            AnswerBody::Sse(decoder) => decoder.push(bytes, &mut came.frames),
            AnswerBody::Websocket { was_up_to_date } => {
                ndjson::decode(bytes, *was_up_to_date).map(|frame| {
                    *was_up_to_date = frame
                        .as_ref()
                        .map_or(*was_up_to_date, |frame| frame.up_to_date);
                    came.frames.extend(frame);
                })
            }
        };
        self.frames += came.frames.len() as u64;
        if let Err(fault) = result {
            came.end = Some(Err(AnswerFault::transient(fault.to_string())));
        }
        came
    }

    pub(super) fn end(&mut self, now: Duration) -> AnswerProgress {
        match std::mem::replace(&mut self.body, AnswerBody::Unknown) {
            AnswerBody::Unknown => {
                AnswerProgress::fault(AnswerFault::transient("the answer ended before its head"))
            }
            AnswerBody::Page(body) => self.page(now, body),
            AnswerBody::Refusal(body) => AnswerProgress::fault(self.refusal(&body)),
            _ if self.frames == 0 => AnswerProgress::fault(AnswerFault::transient(
                "the live answer ended before its first frame",
            )),
            _ => AnswerProgress::end(None),
        }
    }

    /// The answer broke off. Of a refusal, what came is enough.
    pub(super) fn fault(&mut self, text: String) -> AnswerProgress {
        match &self.body {
            AnswerBody::Refusal(body) => AnswerProgress::fault(self.refusal(body)),
            _ => AnswerProgress::fault(AnswerFault::transient(text)),
        }
    }

    fn page(&mut self, now: Duration, body: Vec<u8>) -> AnswerProgress {
        let head = std::mem::take(&mut self.head);
        let next = match head.next.as_deref().map(str::parse::<Token>) {
            Some(Ok(next)) if next.is_reserved() => {
                let text = format!("Stream-Next-Offset is `{next}`, which no server gives out");
                return AnswerProgress::fault(AnswerFault::transient(text));
            }
            Some(Ok(next)) => Some(next),
            Some(Err(fault)) => {
                return AnswerProgress::fault(AnswerFault::transient(format!(
                    "Stream-Next-Offset: {fault}"
                )));
            }
            None if head.status != 304 => {
                let status = head.status;
                let text = format!(
                    "status {status} without Stream-Next-Offset: expected an answer about a stream"
                );
                return AnswerProgress::fault(AnswerFault::transient(text));
            }
            None => None,
        };
        AnswerProgress::end(Some(AnswerPage {
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

    fn refusal(&self, body: &[u8]) -> AnswerFault {
        let status = self.head.status;
        let text = Problem::describe(status, body);
        let is_live = self.technique != Technique::Poll;
        match status {
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => AnswerFault {
                retry_after: self.head.retry_after,
                ..AnswerFault::transient(text)
            },
            400 | 405 | 406 | 426 | 501 if is_live => AnswerFault::unsupported(text),
            _ => AnswerFault {
                is_final: true,
                ..AnswerFault::transient(text)
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

/// The decoder for the body of an answer that is as its technique has it.
///
/// - `kind`: the stream's, as earlier answers told it.
fn live_body(
    technique: Technique,
    head: &AnswerHead,
    kind: Option<ContentKind>,
) -> Option<AnswerBody> {
    match technique {
        Technique::Poll | Technique::LongPoll => {
            matches!(head.status, 200 | 204 | 304).then(|| AnswerBody::Page(Vec::new()))
        }
        Technique::Ndjson => {
            let is_ndjson = head.is_content_type(|essence| essence.ends_with("ndjson"));
            (head.status == 200 && is_ndjson)
                .then(|| AnswerBody::Ndjson(ndjson::NdjsonDecoder::default()))
        }
        Technique::Sse => {
            let is_sse = head.is_content_type(|essence| essence == "text/event-stream");
            let kind = if head.base64 {
                ContentKind::Binary
            } else {
                kind.unwrap_or(ContentKind::Json)
            };
            (head.status == 200 && is_sse)
                .then(|| AnswerBody::Sse(Box::new(sse::SseDecoder::new(kind))))
        }
        Technique::Websocket => (head.status == 101).then_some(AnswerBody::Websocket {
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
