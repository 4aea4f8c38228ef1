//! POST: append messages, close the stream, or both at once.

use super::create::content_type;
use super::fields::Fields;
use super::guard::MayRepeat;
use super::{App, Refusal, body, is_set, names};
use crate::log::{Accepted, Append, Appended, Log, Payload, PayloadError, Producer, ProducerId, StreamSeq};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, IF_MATCH};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use std::sync::Arc;
use tailwater_protocol::Offset;

/// Source: Durable Streams protocol, sections 5.2, 5.2.1 and 5.3; for `If-Match`, RFC 9110, section 13.1.1.
pub(super) async fn append(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let log = app.log(&request)?;
    let map = request.headers();
    let mut append = Append {
        payload: None,
        close: is_set(map, &names::STREAM_CLOSED),
        seq: text(map, &names::STREAM_SEQ)?.map(|text| StreamSeq::parse("stream-seq", text)).transpose()?,
        producer: producer(map)?,
        only_at: only_at(map)?.map(|at| log.offset(at)),
    };
    let has_producer = append.producer.is_some();
    let body = body::collect(&request, payload, &app.config).await?;
    let has_data = !body.is_empty();
    append.payload = read(&log, map, body, append.close).await?;
    let appended = log.append(append).await?;
    let status = if has_producer && has_data && appended.is_new { StatusCode::OK } else { StatusCode::NO_CONTENT };
    let mut response = HttpResponse::build(status);
    put_fields(appended, &mut response);
    request.extensions_mut().insert(MayRepeat);
    Ok(response.finish())
}

/// The body as a payload; `None` for a request that only closes.
async fn read(log: &Arc<Log>, map: &HeaderMap, body: Bytes, close: bool) -> Result<Option<Payload>, Refusal> {
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

/// The header fields of an append's answer.
pub fn put_fields(appended: Appended, fields: &mut impl Fields) {
    let Appended { tail, producer, .. } = appended;
    fields.put(&names::STREAM_NEXT_OFFSET, tail.next.digits());
    if tail.closed() {
        fields.put(&names::STREAM_CLOSED, "true");
    }
    if let Some(Accepted { epoch, seq }) = producer {
        fields.put(&names::PRODUCER_EPOCH, epoch.to_string());
        fields.put(&names::PRODUCER_SEQ, seq.to_string());
    }
}

fn check_type(log: &Log, map: &HeaderMap) -> Result<(), Refusal> {
    let has = &log.config().content_type;
    // Nearly always the same, letter by letter.
    if map.get(CONTENT_TYPE).is_some_and(|came| came.as_bytes() == has.as_bytes()) {
        return Ok(());
    }
    match content_type(map)? {
        Some(came) if log.config().same_type(came) => Ok(()),
        Some(came) => Err(Refusal::TypeDiffers { has: has.to_string(), came: came.to_owned() }),
        None => Err(Refusal::Header(format!("Content-Type is missing: an append to this stream needs `{has}`"))),
    }
}

fn text<'a>(map: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Refusal> {
    let wrong = |_| Refusal::Header(format!("`{name}` must be visible ASCII"));
    map.get(name).map(|value| value.to_str().map_err(wrong)).transpose()
}

/// All three producer headers, or none.
fn producer(map: &HeaderMap) -> Result<Option<Producer>, Refusal> {
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
fn only_at(map: &HeaderMap) -> Result<Option<Offset>, Refusal> {
    let Some(value) = text(map, &IF_MATCH)? else { return Ok(None) };
    if value.trim() == "*" {
        return Ok(None);
    }
    let offset = value.trim().strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).and_then(|it| it.parse().ok());
    let wrong = || Refusal::Header(format!("`if-match` must be one Stream-Next-Offset in quotes, or *, not `{value}`"));
    offset.map(Some).ok_or_else(wrong)
}
