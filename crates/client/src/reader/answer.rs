//! One answer on its way in: what its head allows, and the whole batches in its pieces.

use super::Position;
use std::time::Duration;
use tailwater_protocol::frame::{self, FRAME_BYTES_MAX};
use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::{
    Data, Frame, FrameError, Problem, Technique, Token, json, ndjson, percent, sse, timestamp,
};

/// How long a plain read or a live answer may take to begin.
const HEAD_MAX: Duration = Duration::from_secs(30);
/// How long a long-poll is taken to be held when no hold was asked for.
const HOLD_MAX: Duration = Duration::from_secs(60);
/// Bytes of a refusal that are read to say why.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;

/// What the reader needs of an answer's head.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Head {
    /// The status code; 101 for an opened WebSocket.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<String>,
    /// `Stream-Next-Offset`.
    pub next: Option<String>,
    /// `Stream-Cursor`.
    pub cursor: Option<String>,
    /// `Stream-Up-To-Date`.
    pub up_to_date: bool,
    /// `Stream-Closed`.
    pub closed: bool,
    /// `Stream-SSE-Data-Encoding: base64`.
    pub base64: bool,
    /// `Retry-After`: the time from then on, whether it came as seconds or as a date.
    pub retry_after: Option<Duration>,
}

impl Head {
    /// Reads a head.
    ///
    /// - `now`: time since 1970, by which a `Retry-After` date counts where the answer has no `Date` of its own.
    /// - `header`: the value of a header by its lower-case name.
    pub fn read(status: u16, now: Duration, header: impl Fn(&str) -> Option<String>) -> Self {
        let is_true = |name| header(name).is_some_and(|value| headers::is_true(&value));
        Self {
            status,
            content_type: header("content-type"),
            next: header(headers::STREAM_NEXT_OFFSET),
            cursor: header(headers::STREAM_CURSOR),
            up_to_date: is_true(headers::STREAM_UP_TO_DATE),
            closed: is_true(headers::STREAM_CLOSED),
            base64: header(headers::STREAM_SSE_DATA_ENCODING)
                .is_some_and(|value| value.eq_ignore_ascii_case("base64")),
            retry_after: header("retry-after").and_then(|value| {
                let now = || {
                    header("date")
                        .and_then(|date| timestamp::parse_http(date.trim()))
                        .unwrap_or(now)
                };
                retry_after(value.trim(), now)
            }),
        }
    }

    fn is_content_type(&self, fits: impl Fn(&str) -> bool) -> bool {
        let essence = self
            .content_type
            .as_deref()
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default();
        fits(&essence.trim().to_ascii_lowercase())
    }
}

/// The time that a `Retry-After` asks for; none when its date has passed.
///
/// Source: RFC 9110, section 10.2.3.
fn retry_after(value: &str, now: impl FnOnce() -> Duration) -> Option<Duration> {
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than can be counted are a long time, not none.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    timestamp::parse_http(value).map(|at| at.saturating_sub(now()))
}

/// Why an answer was of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) text: String,
    /// Asking again can't help.
    pub(super) is_final: bool,
    /// The server does not know this technique; another one may do, and without another one this is the end.
    pub(super) is_unsupported: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Fault {
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
pub(super) struct Came {
    pub(super) frames: Vec<Frame>,
    /// A page, a live answer's end, or a fault; `None` while the answer goes on.
    pub(super) end: Option<Result<Option<Page>, Fault>>,
}

impl Came {
    pub(super) fn fault(fault: Fault) -> Self {
        Self {
            frames: Vec::new(),
            end: Some(Err(fault)),
        }
    }

    fn end(end: Option<Page>) -> Self {
        Self {
            frames: Vec::new(),
            end: Some(Ok(end)),
        }
    }
}

/// A plain read's or long-poll's answer, whole but not yet opened.
#[derive(Debug)]
pub(super) struct Page {
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
    pub(super) before: Option<Position>,
}

impl Page {
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
pub(super) struct Patience {
    pub(super) hold: Option<Duration>,
    pub(super) silence_max: Duration,
}

#[derive(Debug)]
enum Body {
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
pub(super) struct Exchange {
    pub(super) id: u64,
    pub(super) technique: Technique,
    pub(super) begun: Duration,
    heard: Duration,
    patience: Patience,
    head: Head,
    body: Body,
    frames: u64,
}

impl Exchange {
    pub(super) fn new(id: u64, technique: Technique, now: Duration, patience: Patience) -> Self {
        let (head, body) = (Head::default(), Body::Unknown);
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
            (Body::Unknown, Technique::LongPoll) => {
                HEAD_MAX + self.patience.hold.unwrap_or(HOLD_MAX)
            }
            (Body::Unknown, _) => HEAD_MAX,
            _ => self.patience.silence_max,
        };
        self.heard + patience
    }

    /// The fault that silence until `now` is, if it is one.
    pub(super) fn silent(&self, now: Duration) -> Option<Fault> {
        (now >= self.deadline()).then(|| {
            let silent = now.saturating_sub(self.heard);
            let what = if matches!(self.body, Body::Unknown) {
                "no answer"
            } else {
                "the answer went silent"
            };
            Fault::transient(format!(
                "{what}: nothing came for {}.{} s",
                silent.as_secs(),
                silent.subsec_millis() / 100
            ))
        })
    }

    /// - `kind`: the stream's, as earlier answers told it.
    pub(super) fn head(&mut self, now: Duration, head: Head, kind: Option<ContentKind>) -> Came {
        self.heard = now;
        self.body = match (self.technique, head.status) {
            (Technique::Poll | Technique::LongPoll, 200 | 204 | 304) => Body::Page(Vec::new()),
            (Technique::Websocket, 101) => Body::Websocket {
                was_up_to_date: false,
            },
            (Technique::Ndjson, 200)
                if head.is_content_type(|essence| essence.ends_with("ndjson")) =>
            {
                Body::Ndjson(ndjson::NdjsonDecoder::default())
            }
            (Technique::Sse, 200)
                if head.is_content_type(|essence| essence == "text/event-stream") =>
            {
                let kind = if head.base64 {
                    ContentKind::Binary
                } else {
                    kind.unwrap_or(ContentKind::Json)
                };
                Body::Sse(Box::new(sse::SseDecoder::new(kind)))
            }
            (technique, 200..=299) => {
                let came = head.content_type.as_deref().unwrap_or("no content type");
                let text = format!(
                    "the server does not know {technique}: status {} with {came} came",
                    head.status
                );
                return Came::fault(Fault::unsupported(text));
            }
            _ => Body::Refusal(Vec::new()),
        };
        self.head = head;
        Came::default()
    }

    pub(super) fn piece(&mut self, now: Duration, bytes: &[u8]) -> Came {
        self.heard = now;
        let mut came = Came::default();
        let result = match &mut self.body {
            Body::Unknown => Ok(()),
            Body::Page(body) if body.len() + bytes.len() > FRAME_BYTES_MAX => {
                Err(FrameError::TooLong {
                    limit: FRAME_BYTES_MAX,
                })
            }
            Body::Page(body) => {
                body.extend_from_slice(bytes);
                Ok(())
            }
            Body::Refusal(body) => {
                let room = REFUSAL_BYTES_MAX.saturating_sub(body.len());
                body.extend_from_slice(&bytes[..bytes.len().min(room)]);
                Ok(())
            }
            Body::Ndjson(decoder) => decoder.push(bytes, &mut came.frames),
            Body::Sse(decoder) => decoder.push(bytes, &mut came.frames),
            Body::Websocket { was_up_to_date } => {
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
            came.end = Some(Err(Fault::transient(fault.to_string())));
        }
        came
    }

    pub(super) fn end(&mut self, now: Duration) -> Came {
        match std::mem::replace(&mut self.body, Body::Unknown) {
            Body::Unknown => Came::fault(Fault::transient("the answer ended before its head")),
            Body::Page(body) => self.page(now, body),
            Body::Refusal(body) => Came::fault(self.refusal(&body)),
            _ if self.frames == 0 => Came::fault(Fault::transient(
                "the live answer ended before its first frame",
            )),
            _ => Came::end(None),
        }
    }

    /// The answer broke off. Of a refusal, what came is enough.
    pub(super) fn fault(&mut self, text: String) -> Came {
        match &self.body {
            Body::Refusal(body) => Came::fault(self.refusal(body)),
            _ => Came::fault(Fault::transient(text)),
        }
    }

    fn page(&mut self, now: Duration, body: Vec<u8>) -> Came {
        let head = std::mem::take(&mut self.head);
        let next = match head.next.as_deref().map(str::parse::<Token>) {
            Some(Ok(next)) if next.is_reserved() => {
                let text = format!("Stream-Next-Offset is `{next}`, which no server gives out");
                return Came::fault(Fault::transient(text));
            }
            Some(Ok(next)) => Some(next),
            Some(Err(fault)) => {
                return Came::fault(Fault::transient(format!("Stream-Next-Offset: {fault}")));
            }
            None if head.status != 304 => {
                let status = head.status;
                let text = format!(
                    "status {status} without Stream-Next-Offset: expected an answer about a stream"
                );
                return Came::fault(Fault::transient(text));
            }
            None => None,
        };
        Came::end(Some(Page {
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

    fn refusal(&self, body: &[u8]) -> Fault {
        let status = self.head.status;
        let text = Problem::in_words(status, body);
        let is_live = self.technique != Technique::Poll;
        match status {
            408 | 425 | 429 | 500 | 502..=504 | 506..=599 => Fault {
                retry_after: self.head.retry_after,
                ..Fault::transient(text)
            },
            400 | 405 | 406 | 426 | 501 if is_live => Fault::unsupported(text),
            _ => Fault {
                is_final: true,
                ..Fault::transient(text)
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

    #[test]
    fn a_head_takes_what_it_understands() {
        let header = |name: &str| match name {
            "retry-after" => Some(" 7 ".to_owned()),
            "stream-closed" => Some("TRUE".to_owned()),
            "stream-up-to-date" => Some("yes".to_owned()),
            _ => None,
        };
        let head = Head::read(503, Duration::ZERO, header);
        assert_eq!(
            (head.retry_after, head.closed, head.up_to_date),
            (Some(Duration::from_secs(7)), true, false)
        );
    }

    #[test]
    fn both_forms_of_retry_after_are_a_time_to_wait() {
        // 1994-11-06T08:49:37Z.
        let here = Duration::from_secs(784_111_777);
        let there = "Sun, 06 Nov 1994 09:49:37 GMT";
        for (value, date, seconds) in [
            ("120", None, Some(120)),
            ("0", Some(there), Some(0)),
            ("99999999999999999999999", None, Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", None, Some(60)),
            ("Sunday, 06-Nov-94 08:50:37 GMT", None, Some(60)),
            ("Sun Nov  6 08:50:37 1994", None, Some(60)),
            // The server's own clock goes before ours.
            ("Sun, 06 Nov 1994 09:49:47 GMT", Some(there), Some(10)),
            ("Sun, 06 Nov 1994 08:50:37 GMT", Some("yesterday"), Some(60)),
            ("Fri, 31 Dec 1993 23:59:59 GMT", None, Some(0)),
            ("-1", None, None),
            ("+5", None, None),
            ("1.5", None, None),
            ("", None, None),
            ("soon", None, None),
        ] {
            let head = Head::read(503, here, |name| match name {
                "retry-after" => Some(format!(" {value} ")),
                "date" => date.map(str::to_owned),
                _ => None,
            });
            assert_eq!(
                head.retry_after,
                seconds.map(Duration::from_secs),
                "{value} at {date:?}"
            );
        }
    }
}
