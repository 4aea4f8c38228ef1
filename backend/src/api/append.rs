//! Appending messages, closing the stream, or both at once: as a POST asks for it, and the rules that a frame has in common
//! with it.

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

/// What an append asks for beside its data.
#[derive(Debug)]
pub(super) struct AppendRequest<'a> {
    /// Close the stream after it.
    pub(super) close: bool,
    /// The writer's own sequence.
    pub(super) seq: NamedValue<'a>,
    /// A producer's id, epoch and sequence number; all three or none.
    pub(super) producer: [NamedValue<'a>; 3],
    /// The offset at which the stream must end.
    pub(super) only_at: NamedValue<'a>,
    /// What stands before and after that offset.
    pub(super) quote: &'static str,
}

/// What the client calls a value, and what it says there, if anything.
pub(super) type NamedValue<'a> = (&'static str, Option<&'a str>);

impl AppendRequest<'_> {
    /// The append, its payload yet to come.
    ///
    /// # Errors
    /// [`Refusal::Header`] for what is not as it must be (400).
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
                    "a producer sends all of its three values; missing: {}",
                    missing.join(", ")
                )))
            }
        }
    }

    /// The offset at which the stream must end; none for `*`, which any stream that exists matches.
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
                "`{name}` must be one Stream-Next-Offset{form}, or *, not `{value}`"
            ))
        };
        bare.and_then(|offset| offset.parse().ok())
            .map(Some)
            .ok_or_else(wrong)
    }
}

/// White space around a value is not part of it, as HTTP has it.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

fn producer_number((name, came): NamedValue<'_>) -> Result<u64, Refusal> {
    let came = came.unwrap_or_default();
    let digits = came.bytes().all(|byte| byte.is_ascii_digit());
    let number = came
        .parse()
        .ok()
        .filter(|number| digits && *number <= Accepted::MAX);
    let wrong = || {
        Refusal::Header(format!(
            "`{name}` must be an integer from 0 to {}, not `{came}`",
            Accepted::MAX
        ))
    };
    number.ok_or_else(wrong)
}

/// The payload of an append; `None` for one that only closes.
///
/// - `data`: what it brings; `None` for no bytes.
/// - `read`: makes a payload of it where there is a use for one.
pub(super) async fn payload<T>(
    log: &Log,
    close: bool,
    data: Option<T>,
    read: impl AsyncFnOnce(T) -> Result<Payload, Refusal>,
) -> Result<Option<Payload>, Refusal> {
    match data {
        None if close => Ok(None),
        // What is sent to a closed stream is not looked at, so that its writer learns of the end whatever else is wrong.
        _ if log.tail_now().closed() => Ok(Some(Payload::unread(Bytes::new()))),
        Some(data) => read(data).await.map(Some),
        None => Err(PayloadError::Empty.into()),
    }
}

/// What became of an append: a POST tells it in header fields, a frame in members.
#[derive(Debug, Default)]
pub(super) struct AppendReply {
    status: StatusCode,
    /// Where the stream ends.
    tail: Option<Tail>,
    /// Of a producer, in the order of [`NUMBERS`].
    numbers: [Option<u64>; 4],
}

static NUMBERS: [(&HeaderName, &str); 4] = [
    (&names::PRODUCER_EPOCH, "producerEpoch"),
    (&names::PRODUCER_SEQ, "producerSeq"),
    (&names::PRODUCER_EXPECTED_SEQ, "producerExpectedSeq"),
    (&names::PRODUCER_RECEIVED_SEQ, "producerReceivedSeq"),
];

impl AppendReply {
    /// Of an append that is there, now or since before: 200 for a producer's new data, else 204.
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

    /// Of an append, or anything else, that was refused.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        let told = Self {
            status: refusal.class().0,
            ..Self::default()
        };
        match refusal {
            Refusal::Append(AppendError::Closed { tail } | AppendError::NotAtTail { tail, .. }) => {
                Self {
                    tail: Some(*tail),
                    ..told
                }
            }
            Refusal::Append(AppendError::StaleEpoch { current, .. }) => Self {
                numbers: [Some(*current), None, None, None],
                ..told
            },
            Refusal::Append(AppendError::Gap { expected, received }) => Self {
                numbers: [None, None, Some(*expected), Some(*received)],
                ..told
            },
            _ => told,
        }
    }

    /// As an answer, so far without content.
    pub(super) fn answer(self) -> Answer {
        let mut answer = Answer::new(self.status);
        if let Some(tail) = self.tail {
            answer.put(&names::STREAM_NEXT_OFFSET, &tail.offset());
            if tail.closed() {
                answer.put(&names::STREAM_CLOSED, "true");
            }
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

/// An append whose head was read and found right.
#[derive(Debug)]
pub(super) struct PreparedAppend {
    log: Arc<Log>,
    append: Append,
}

impl PreparedAppend {
    pub(super) fn new<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Self, Refusal> {
        let log = app.log(call.path)?;
        let map = call.headers;
        let said = |name: &'static HeaderName| Ok::<_, Refusal>((name.as_str(), text(map, name)?));
        let asked = AppendRequest {
            close: is_set(map, &names::STREAM_CLOSED)?,
            seq: said(&names::STREAM_SEQ)?,
            producer: [
                said(&names::PRODUCER_ID)?,
                said(&names::PRODUCER_EPOCH)?,
                said(&names::PRODUCER_SEQ)?,
            ],
            only_at: said(&names::IF_MATCH)?,
            quote: "\"",
        };
        let append = asked.append()?;
        Ok(Self { log, append })
    }

    /// What is wrong whatever the body is, unless a producer sends it: that may have sent it before.
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

/// Source: Durable Streams protocol, sections 5.2, 5.2.1 and 5.3; for `If-Match`, RFC 9110, section 13.1.1.
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
    let has = &log.config().content_type;
    // Nearly always the same, letter by letter.
    if single(map, &CONTENT_TYPE)?.is_some_and(|came| came == has.as_bytes()) {
        return Ok(());
    }
    match content_type(map)? {
        Some(came) if log.config().same_type(came) => Ok(()),
        Some(came) => Err(Refusal::TypeDiffers {
            has: has.to_string(),
            came: came.to_owned(),
        }),
        None => Err(Refusal::Header(format!(
            "Content-Type is missing: an append to this stream needs `{has}`"
        ))),
    }
}
