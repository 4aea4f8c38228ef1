//! PUT: create a stream or a fork of one, or find that it is there as asked.

use super::keeping::{Keeping, number, text};
use super::{App, EXTENSIONS, Refusal, body, is_set, names};
use crate::log::{Created, ForkPoint, ForkRequest, StreamConfig, StreamName};
use actix_web::dev::Url;
use actix_web::http::header::{CONTENT_TYPE, HeaderMap, LOCATION};
use actix_web::http::{StatusCode, Uri};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use tailwater_protocol::{Offset, headers};

/// Media type of a stream whose creator named none.
const DEFAULT_TYPE: &str = "application/octet-stream";

/// The beginning of every stream as other servers of this protocol print it, and their clients' tests write it.
const BEGINNING_ELSEWHERE: &str = "0000000000000000_0000000000000000";

/// Source: Durable Streams protocol, sections 4.2 and 5.1.
pub(super) async fn create(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let name = App::name(&request)?;
    let map = request.headers();
    let content_type = content_type(map)?;
    let keeping = Keeping::parse(map)?;
    let leaving = Leaving::parse(map)?;
    let closed = is_set(map, &names::STREAM_CLOSED);
    let body = body::collect(&request, payload, &app.config).await?;
    let created = match leaving {
        Some(leaving) => app.streams.fork(&name, fork(leaving, content_type, keeping, body, closed)).await?,
        None => {
            let config = StreamConfig {
                expiry: keeping.expiry,
                keep_bytes: keeping.bytes,
                keep_age: keeping.age,
                ..StreamConfig::new(content_type.unwrap_or(DEFAULT_TYPE))
            };
            let first = app.streams.first_payload(config.kind(), body).await?;
            app.streams.create(&name, config, first, closed).await?
        }
    };
    Ok(answer(&request, &created))
}

fn answer(request: &HttpRequest, Created { log, is_new }: &Created) -> HttpResponse {
    let tail = log.tail_now();
    let mut response = HttpResponse::build(if *is_new { StatusCode::CREATED } else { StatusCode::OK });
    if *is_new {
        let info = request.connection_info();
        response.insert_header((LOCATION, format!("{}://{}{}", info.scheme(), info.host(), request.path())));
    }
    response.insert_header((CONTENT_TYPE, &*log.config().content_type));
    response.insert_header((headers::STREAM_NEXT_OFFSET, tail.next.to_string()));
    response.insert_header((headers::STREAM_EXTENSIONS, EXTENSIONS));
    if tail.closed() {
        response.insert_header((headers::STREAM_CLOSED, "true"));
    }
    response.finish()
}

/// Which stream a fork leaves, and where.
#[derive(Debug)]
struct Leaving {
    source: StreamName,
    at: Option<Offset>,
    sub: u64,
}

impl Leaving {
    /// What the fork headers of a creation say; `None` when it makes no fork.
    fn parse(map: &HeaderMap) -> Result<Option<Self>, Refusal> {
        let path = text(map, headers::STREAM_FORKED_FROM)?;
        let at = text(map, headers::STREAM_FORK_OFFSET)?;
        let sub = number(map, headers::STREAM_FORK_SUB_OFFSET, 0)?;
        let Some(path) = path else {
            let names = [(headers::STREAM_FORK_OFFSET, at.is_some()), (headers::STREAM_FORK_SUB_OFFSET, sub.is_some())];
            return match names.iter().find(|(_, is_there)| *is_there) {
                Some((name, _)) => Err(Refusal::Header(format!("`{name}` needs Stream-Forked-From beside it"))),
                None => Ok(None),
            };
        };
        let sub = sub.unwrap_or(0);
        if at.is_none() && sub > 0 {
            let text =
                "Stream-Fork-Sub-Offset counts from Stream-Fork-Offset, which is missing: nothing follows the tail";
            return Err(Refusal::Header(text.into()));
        }
        let at = at.map(|at| if at == BEGINNING_ELSEWHERE { Ok(Offset::ZERO) } else { at.parse() }).transpose()?;
        Ok(Some(Self { source: source(path)?, at, sub }))
    }
}

/// The stream whose URL has this path, decoded as the paths of requests are.
fn source(path: &str) -> Result<StreamName, Refusal> {
    let wrong = || {
        let form = "the path of a stream on this server, such as /v1/stream/demo";
        Refusal::Header(format!("Stream-Forked-From must be {form}, not `{path}`"))
    };
    let uri: Uri = path.parse().map_err(|_| wrong())?;
    if uri.host().is_some() || uri.query().is_some() {
        return Err(wrong());
    }
    let url = Url::new(uri);
    Ok(StreamName::parse(url.path().strip_prefix("/v1/stream/").ok_or_else(wrong)?)?)
}

fn fork(leaving: Leaving, content_type: Option<&str>, keeping: Keeping, body: Bytes, closed: bool) -> ForkRequest {
    ForkRequest {
        source: leaving.source,
        at: leaving.at.map(ForkPoint::Position),
        sub: leaving.sub,
        content_type: content_type.map(str::to_owned),
        expiry: keeping.expiry,
        keep_bytes: keeping.bytes,
        keep_age: keeping.age,
        body,
        closed,
    }
}

/// The request's content type; `None` when it names none.
///
/// # Errors
/// [`Refusal::Header`] when it is not of the form `type/subtype`.
pub(super) fn content_type(map: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let Some(value) = map.get(CONTENT_TYPE) else { return Ok(None) };
    let text = value.to_str().map_err(|_| Refusal::Header("Content-Type must be visible ASCII".into()))?;
    Ok(crate::log::value::content_type("content-type", text)?)
}
