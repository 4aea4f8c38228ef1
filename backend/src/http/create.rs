//! PUT: create a stream, or find that it is there as asked.

use super::{App, EXTENSIONS, Refusal, body, is_set, refuse_unkept};
use crate::log::{Created, Payload, PayloadError, StreamConfig};
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use actix_web::{HttpRequest, HttpResponse, web};
use tailwater_protocol::headers;

/// Media type of a stream whose creator named none.
const DEFAULT_TYPE: &str = "application/octet-stream";

/// What a creation may ask for one day, and is refused until then.
const UNKEPT: [&str; 5] = [
    headers::STREAM_TTL,
    headers::STREAM_EXPIRES_AT,
    headers::STREAM_FORKED_FROM,
    headers::STREAM_FORK_OFFSET,
    headers::STREAM_FORK_SUB_OFFSET,
];

/// Source: Durable Streams protocol, section 5.1.
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let name = App::name(&request)?;
    refuse_unkept(request.headers(), &UNKEPT)?;
    let config = StreamConfig::new(content_type(request.headers())?.unwrap_or(DEFAULT_TYPE));
    let closed = is_set(request.headers(), headers::STREAM_CLOSED);
    let body = body::collect(&request, payload, &app.config).await?;
    let first = match Payload::parse(config.kind(), body) {
        Ok(first) => Some(first),
        Err(PayloadError::Empty | PayloadError::EmptyArray) => None,
        Err(error @ PayloadError::NotJson(_)) => return Err(error.into()),
    };
    let Created { log, is_new } = app.streams.create(&name, config, first, closed).await?;

    let tail = log.tail_now();
    let mut response = HttpResponse::build(if is_new { StatusCode::CREATED } else { StatusCode::OK });
    if is_new {
        let info = request.connection_info();
        response.insert_header((LOCATION, format!("{}://{}{}", info.scheme(), info.host(), request.path())));
    }
    response.insert_header((CONTENT_TYPE, &*log.config().content_type));
    response.insert_header((headers::STREAM_NEXT_OFFSET, tail.next.to_string()));
    response.insert_header((headers::STREAM_EXTENSIONS, EXTENSIONS));
    if tail.closed() {
        response.insert_header((headers::STREAM_CLOSED, "true"));
    }
    Ok(response.finish())
}

/// The request's content type; `None` when it names none.
///
/// # Errors
/// [`Refusal::Header`] when it is not of the form `type/subtype`.
pub(super) fn content_type(map: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = map.get(CONTENT_TYPE) else { return Ok(None) };
    checked_type(value.to_str().map_err(|_| Refusal::Header("Content-Type must be visible ASCII".into()))?)
}

/// A content type; `None` when it is empty.
///
/// # Errors
/// [`Refusal::Header`] when it is not of the form `type/subtype`.
pub(super) fn checked_type(text: &str) -> Result<Option<&str>, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let essence = text.split(';').next().unwrap_or_default().trim();
    let is_token = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    match essence.split_once('/') {
        Some((kind, subtype)) if is_token(kind) && is_token(subtype) && text.len() <= 256 => Ok(Some(text)),
        _ => Err(Refusal::Header(format!("Content-Type is `{text}`: expected type/subtype of at most 256 bytes"))),
    }
}
