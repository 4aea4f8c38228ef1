//! POST: append messages, close the stream, or both at once.

use super::create::content_type;
use super::{App, Refusal, body, is_set, refuse_unkept};
use crate::log::{Append, AppendError, Log, Payload, PayloadError};
use actix_web::{HttpRequest, HttpResponse, web};
use tailwater_protocol::headers;

/// What an append may ask for one day, and is refused until then.
const UNKEPT: [&str; 3] = [headers::PRODUCER_ID, headers::PRODUCER_EPOCH, headers::PRODUCER_SEQ];

/// Source: Durable Streams protocol, sections 5.2 and 5.3.
pub(super) async fn append(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let log = app.log(&request)?;
    refuse_unkept(request.headers(), &UNKEPT)?;
    let close = is_set(request.headers(), headers::STREAM_CLOSED);
    let body = body::collect(&request, payload, &app.config).await?;
    let payload = if body.is_empty() && close {
        None
    } else {
        // A closed stream says so first, so that writers learn it whatever else is wrong.
        refuse_closed(&log)?;
        if body.is_empty() {
            return Err(PayloadError::Empty.into());
        }
        check_type(&log, content_type(request.headers())?)?;
        Some(Payload::parse(log.config().kind(), body)?)
    };
    let seq = seq(&request)?;
    let tail = log.append(Append { payload, close, seq }).await?;

    let mut response = HttpResponse::NoContent();
    response.insert_header((headers::STREAM_NEXT_OFFSET, tail.next.to_string()));
    if tail.closed() {
        response.insert_header((headers::STREAM_CLOSED, "true"));
    }
    Ok(response.finish())
}

fn refuse_closed(log: &Log) -> Result<(), Refusal> {
    let tail = log.tail_now();
    if tail.closed() { Err(AppendError::Closed { tail }.into()) } else { Ok(()) }
}

fn check_type(log: &Log, came: Option<&str>) -> Result<(), Refusal> {
    let has = &log.config().content_type;
    match came {
        Some(came) if log.config().same_type(came) => Ok(()),
        Some(came) => Err(Refusal::TypeDiffers { has: has.to_string(), came: came.to_owned() }),
        None => Err(Refusal::Header(format!("Content-Type is missing: an append to this stream needs `{has}`"))),
    }
}

fn seq(request: &HttpRequest) -> Result<Option<String>, Refusal> {
    let Some(value) = request.headers().get(headers::STREAM_SEQ) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Refusal::Header("Stream-Seq must be visible ASCII".into()))?;
    Ok(Some(text.to_owned()))
}
