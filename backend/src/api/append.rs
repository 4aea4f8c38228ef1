//! POST: append messages, close the stream, or both at once.

use super::body::{self, Received};
use super::create::content_type;
use super::headers::{Headers, is_set, single, text};
use super::{Answer, App, Body, Call, Refusal, names};
use crate::log::{
    Accepted, Append, AppendError, Appended, Log, Payload, PayloadError, Producer, ProducerId, StreamSeq,
};
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderName, IF_MATCH};
use std::sync::Arc;
use tailwater_protocol::StreamOffset;

/// An append whose head was read and found right.
#[derive(Debug)]
pub(super) struct Prepared {
    log: Arc<Log>,
    append: Append,
}

impl Prepared {
    pub(super) fn new<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Self, Refusal> {
        let log = app.log(call.path)?;
        let map = call.headers;
        let append = Append {
            payload: None,
            close: is_set(map, &names::STREAM_CLOSED)?,
            seq: text(map, &names::STREAM_SEQ)?.map(|text| StreamSeq::parse("stream-seq", text)).transpose()?,
            producer: producer(map)?,
            only_at: only_at(map)?,
        };
        Ok(Self { log, append })
    }

    /// What is wrong whatever the body is, unless a producer sends it: that may have sent it before.
    pub(super) fn check(&self, map: &impl Headers) -> Result<(), Refusal> {
        let tail = self.log.tail_now();
        if tail.closed() {
            return if self.append.producer.is_none() { Err(AppendError::Closed { tail }.into()) } else { Ok(()) };
        }
        check_type(&self.log, map)
    }
}

/// Source: Durable Streams protocol, sections 5.2, 5.2.1 and 5.3; for `If-Match`, RFC 9110, section 13.1.1.
pub(super) async fn append<H: Headers>(app: &App, call: Call<'_, H>, body: impl Body) -> Result<Answer, Refusal> {
    let Prepared { log, mut append } = Prepared::new(app, call)?;
    let Received { bytes, .. } = &body::receive(app, app.config.body_max, call.headers, body).await?;
    append.payload = payload(&log, call.headers, bytes.clone(), append.close).await?;
    let has_data = append.payload.is_some();
    let appended = log.append(append).await?;
    let mut answer = Answer::new(status(has_data, &appended));
    answer.put(&names::STREAM_NEXT_OFFSET, &appended.tail.offset());
    if appended.tail.closed() {
        answer.put(&names::STREAM_CLOSED, "true");
    }
    if let Some(Accepted { epoch, seq }) = appended.producer {
        answer.put(&names::PRODUCER_EPOCH, &epoch);
        answer.put(&names::PRODUCER_SEQ, &seq);
    }
    Ok(answer)
}

/// The status of an append that is there: 200 for a producer's new data, else 204.
pub(super) fn status(has_data: bool, appended: &Appended) -> StatusCode {
    let is_new = appended.producer.is_some() && has_data && appended.is_new;
    if is_new { StatusCode::OK } else { StatusCode::NO_CONTENT }
}

/// The body as a payload; `None` for a request that only closes.
async fn payload(log: &Arc<Log>, map: &impl Headers, body: Bytes, close: bool) -> Result<Option<Payload>, Refusal> {
    match body.is_empty() {
        true if close => Ok(None),
        // What is sent to a closed stream is not looked at, so that its writer learns of the end whatever else is wrong.
        _ if log.tail_now().closed() => Ok(Some(Payload::unread(body))),
        true => Err(PayloadError::Empty.into()),
        false => {
            check_type(log, map)?;
            Ok(Some(log.payload(body).await?))
        }
    }
}

fn check_type(log: &Log, map: &impl Headers) -> Result<(), Refusal> {
    let has = &log.config().content_type;
    // Nearly always the same, letter by letter.
    if single(map, &CONTENT_TYPE)?.is_some_and(|came| came == has.as_bytes()) {
        return Ok(());
    }
    match content_type(map)? {
        Some(came) if log.config().same_type(came) => Ok(()),
        Some(came) => Err(Refusal::TypeDiffers { has: has.to_string(), came: came.to_owned() }),
        None => Err(Refusal::Header(format!("Content-Type is missing: an append to this stream needs `{has}`"))),
    }
}

/// All three producer headers, or none.
fn producer(map: &impl Headers) -> Result<Option<Producer>, Refusal> {
    let names = [&names::PRODUCER_ID, &names::PRODUCER_EPOCH, &names::PRODUCER_SEQ];
    match (text(map, names[0])?, text(map, names[1])?, text(map, names[2])?) {
        (None, None, None) => Ok(None),
        (Some(id), Some(epoch), Some(seq)) => {
            let id = ProducerId::parse("producer-id", id)?;
            let number = |name, text| producer_number(text).ok_or_else(|| not_a_number(name, text));
            let at = Accepted { epoch: number(names[1], epoch)?, seq: number(names[2], seq)? };
            Ok(Some(Producer { id, at }))
        }
        (id, epoch, seq) => {
            let missing = names.iter().zip([id, epoch, seq]).filter(|(_, value)| value.is_none());
            let missing: Vec<_> = missing.map(|(name, _)| format!("`{name}`")).collect();
            Err(Refusal::Header(format!("a producer sends all of its three headers; missing: {}", missing.join(", "))))
        }
    }
}

fn producer_number(text: &str) -> Option<u64> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|number| digits && *number <= Accepted::MAX)
}

fn not_a_number(name: &HeaderName, came: &str) -> Refusal {
    Refusal::Header(format!("`{name}` must be an integer from 0 to {}, not `{came}`", Accepted::MAX))
}

/// The offset at which the stream must end; none for `*`, which any stream that exists matches.
fn only_at(map: &impl Headers) -> Result<Option<StreamOffset>, Refusal> {
    let Some(value) = text(map, &IF_MATCH)? else { return Ok(None) };
    if value == "*" {
        return Ok(None);
    }
    let offset = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|it| it.parse().ok());
    let wrong = || Refusal::Header(format!("`if-match` must be one Stream-Next-Offset in quotes, or *, not `{value}`"));
    offset.map(Some).ok_or_else(wrong)
}
