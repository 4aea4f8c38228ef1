//! Appending messages, closing the stream, or both at once, by POST or by WebSocket frame.

use super::body::{self, ReceivedBody};
use super::create::content_type;
use super::headers::{Headers, is_set, single, text};
use super::{Answer, App, Call, Refusal, RequestBody, names};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName};
use serde::ser::{Serialize, SerializeMap, Serializer};
use std::sync::Arc;
use tailwater_core::{
    Accepted, Append, AppendError, Appended, Log, Payload, PayloadError, Producer, ProducerId,
    StreamSeq, Tail,
};
use tailwater_protocol::StreamOffset;

/// What an append requests besides its data.
#[derive(Debug)]
pub(super) struct AppendRequest<'a> {
    /// Close the stream after it.
    pub(super) close: bool,
    /// The writer's sequence string.
    pub(super) seq: NamedValue<'a>,
    /// A producer's id, epoch and sequence number; all three or none.
    pub(super) producer: [NamedValue<'a>; 3],
    /// The offset at which the stream must end.
    pub(super) only_at: NamedValue<'a>,
    /// The quotation mark around that offset, if any.
    pub(super) quote: &'static str,
}

/// The client's name for a value, and the value if it was sent.
pub(super) type NamedValue<'a> = (&'static str, Option<&'a str>);

impl AppendRequest<'_> {
    /// The append, without its payload.
    ///
    /// # Errors
    /// [`Refusal::Header`] for an invalid value (400).
    pub(super) fn append(&self) -> Result<Append, Refusal> {
        let (name, seq) = self.seq;
        let seq = seq
            .map(|text| StreamSeq::parse(name, trimmed(text)))
            .transpose()?;
        Ok(Append {
            payload: None,
            close: self.close,
            seq,
            producer: self.producer()?,
            only_at: self.only_at()?,
        })
    }

    fn producer(&self) -> Result<Option<Producer>, Refusal> {
        match self.producer {
            [(_, None), (_, None), (_, None)] => Ok(None),
            [(name, Some(id)), (_, Some(_)), (_, Some(_))] => {
                let id = ProducerId::parse(name, trimmed(id))?;
                let [_, epoch, seq] = self.producer;
                Ok(Some(Producer {
                    id,
                    at: Accepted {
                        epoch: producer_number(epoch)?,
                        seq: producer_number(seq)?,
                    },
                }))
            }
            some => {
                let missing = some.iter().filter(|(_, value)| value.is_none());
                let missing: Vec<_> = missing.map(|(name, _)| format!("`{name}`")).collect();
                Err(Refusal::Header(format!(
                    "a producer needs all three of its values, missing: {}",
                    missing.join(", ")
                )))
            }
        }
    }

    /// The offset at which the stream must end; none for `*`, which matches any existing stream.
    fn only_at(&self) -> Result<Option<StreamOffset>, Refusal> {
        let (name, value) = self.only_at;
        let Some(value) = value.map(trimmed).filter(|value| *value != "*") else {
            return Ok(None);
        };
        let bare = value
            .strip_prefix(self.quote)
            .and_then(|rest| rest.strip_suffix(self.quote));
        let wrong = || {
            let form = if self.quote.is_empty() {
                ""
            } else {
                " in quotes"
            };
            Refusal::Header(format!(
                "`{name}` is `{value}`, expected a Stream-Next-Offset{form}, or *"
            ))
        };
        bare.and_then(|offset| offset.parse().ok())
            .map(Some)
            .ok_or_else(wrong)
    }
}

/// Strips the optional white space around a header's value.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn producer_number((name, received): NamedValue<'_>) -> Result<u64, Refusal> {
    let received = received.unwrap_or_default();
    let digits = received.bytes().all(|byte| byte.is_ascii_digit());
    let number = received
        .parse()
        .ok()
        .filter(|number| digits && *number <= Accepted::MAX);
    let wrong = || {
        Refusal::Header(format!(
            "`{name}` is `{received}`, expected an integer from 0 to {}",
            Accepted::MAX
        ))
    };
    number.ok_or_else(wrong)
}

/// The payload of an append; `None` for one that only closes the stream.
///
/// - `data`: the data; `None` for no bytes.
/// - `read`: parses a payload, if one is needed.
pub(super) async fn payload<T>(
    log: &Log,
    close: bool,
    data: Option<T>,
    read: impl AsyncFnOnce(T) -> Result<Payload, Refusal>,
) -> Result<Option<Payload>, Refusal> {
    match data {
        None if close => Ok(None),
        // Data for a closed stream is not parsed: the closed stream is reported before errors in
        // the data.
        _ if log.tail_now().closed() => Ok(Some(Payload::unvalidated(Bytes::new()))),
        Some(data) => read(data).await.map(Some),
        None => Err(PayloadError::Empty.into()),
    }
}

/// Outcome of an append: sent in header fields of a POST's response, or as members of a frame.
#[derive(Debug, Default)]
pub(super) struct AppendReply {
    status: StatusCode,
    /// Where the stream ends.
    tail: Option<Tail>,
    /// A producer's numbers, in the order of [`NUMBERS`].
    numbers: [Option<u64>; 4],
}

static NUMBERS: [(&HeaderName, &str); 4] = [
    (&names::PRODUCER_EPOCH, "producerEpoch"),
    (&names::PRODUCER_SEQ, "producerSeq"),
    (&names::PRODUCER_EXPECTED_SEQ, "producerExpectedSeq"),
    (&names::PRODUCER_RECEIVED_SEQ, "producerReceivedSeq"),
];

impl AppendReply {
    /// The outcome of a successful or repeated append: 200 for a producer's new data, otherwise
    /// 204.
    pub(super) fn done(
        has_data: bool,
        Appended {
            tail,
            producer,
            is_new,
        }: Appended,
    ) -> Self {
        let is_new = producer.is_some() && has_data && is_new;
        let status = if is_new {
            StatusCode::OK
        } else {
            StatusCode::NO_CONTENT
        };
        Self {
            status,
            tail: Some(tail),
            numbers: [
                producer.map(|it| it.epoch),
                producer.map(|it| it.seq),
                None,
                None,
            ],
        }
    }

    /// The outcome of a refused request.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        let base = Self {
            status: refusal.class().0,
            ..Self::default()
        };
        match refusal {
            Refusal::Append(AppendError::Closed { tail } | AppendError::NotAtTail { tail, .. }) => {
                Self {
                    tail: Some(*tail),
                    ..base
                }
            }
            Refusal::Append(AppendError::StaleEpoch { current, .. }) => Self {
                numbers: [Some(*current), None, None, None],
                ..base
            },
            Refusal::Append(AppendError::Gap { expected, received }) => Self {
                numbers: [None, None, Some(*expected), Some(*received)],
                ..base
            },
            _ => base,
        }
    }

    /// The response, without content.
    pub(super) fn answer(self) -> Answer {
        let mut answer = Answer::new(self.status);
        if let Some(tail) = self.tail {
            answer.put_end(tail.offset(), tail.closed());
        }
        for ((name, _), number) in NUMBERS.iter().zip(self.numbers) {
            if let Some(number) = number {
                answer.put(name, &number);
            }
        }
        answer
    }
}

impl Serialize for AppendReply {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut members = to.serialize_map(None)?;
        members.serialize_entry("status", &self.status.as_u16())?;
        if let Some(tail) = self.tail {
            members.serialize_entry("streamNextOffset", &tail.offset().to_string())?;
            if tail.closed() {
                members.serialize_entry("streamClosed", &true)?;
            }
        }
        for ((_, name), number) in NUMBERS.iter().zip(self.numbers) {
            if let Some(number) = number {
                members.serialize_entry(name, &number)?;
            }
        }
        members.end()
    }
}

/// An append whose head is valid.
#[derive(Debug)]
pub(super) struct PreparedAppend {
    log: Arc<Log>,
    append: Append,
}

impl PreparedAppend {
    pub(super) fn new<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Self, Refusal> {
        let log = app.log(call.path)?;
        let map = call.headers;
        let header =
            |name: &'static HeaderName| Ok::<_, Refusal>((name.as_str(), text(map, name)?));
        let request = AppendRequest {
            close: is_set(map, &names::STREAM_CLOSED)?,
            seq: header(&names::STREAM_SEQ)?,
            producer: [
                header(&names::PRODUCER_ID)?,
                header(&names::PRODUCER_EPOCH)?,
                header(&names::PRODUCER_SEQ)?,
            ],
            only_at: header(&names::IF_MATCH)?,
            quote: "\"",
        };
        let append = request.append()?;
        Ok(Self { log, append })
    }

    /// Checks what does not depend on the body. A producer's append to a closed stream passes,
    /// since it may be a repetition.
    pub(super) fn check(&self, map: &impl Headers) -> Result<(), Refusal> {
        let tail = self.log.tail_now();
        if tail.closed() {
            return if self.append.producer.is_none() {
                Err(AppendError::Closed { tail }.into())
            } else {
                Ok(())
            };
        }
        check_type(&self.log, map)
    }
}

/// Handles a POST.
///
/// Source: Durable Streams protocol, sections 5.2, 5.2.1 and 5.3; for `If-Match`, RFC 9110, section
/// 13.1.1.
pub(super) async fn append<H: Headers>(
    app: &App,
    call: Call<'_, H>,
    body: impl RequestBody,
) -> Result<Answer, Refusal> {
    let PreparedAppend { log, mut append } = PreparedAppend::new(app, call)?;
    let ReceivedBody { bytes, .. } =
        &body::receive(app, app.config.body_max, call.headers, body).await?;
    append.payload = payload(
        &log,
        append.close,
        (!bytes.is_empty()).then_some(bytes),
        async |bytes| {
            check_type(&log, call.headers)?;
            Ok(log.payload(bytes.clone()).await?)
        },
    )
    .await?;
    let has_data = append.payload.is_some();
    Ok(AppendReply::done(has_data, log.append(append).await?).answer())
}

fn check_type(log: &Log, map: &impl Headers) -> Result<(), Refusal> {
    let expected = &log.config().content_type;
    // Nearly always equal byte for byte.
    if single(map, &CONTENT_TYPE)?.is_some_and(|received| received == expected.as_bytes()) {
        return Ok(());
    }
    match content_type(map)? {
        Some(received) if log.config().same_type(received) => Ok(()),
        Some(received) => Err(Refusal::TypeDiffers {
            expected: expected.to_string(),
            received: received.to_owned(),
        }),
        None => Err(Refusal::Header(format!(
            "Content-Type is missing, expected `{expected}`"
        ))),
    }
}
