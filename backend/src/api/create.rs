//! PUT: creates a stream or a fork, or confirms that it exists as requested.

use super::body::{self, ReceivedBody};
use super::headers::{Headers, is_set, number, text};
use super::lifetime_headers::LifetimeHeaders;
use super::{Answer, App, Call, EXTENSIONS, Refusal, RequestBody, STREAM_PREFIX, names};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use http::{StatusCode, Uri};
use tailwater_core::{Created, ForkPoint, ForkRequest, StreamConfig, StreamName, value};
use tailwater_protocol::Offset;

/// Media type of a stream that was created without one.
const DEFAULT_TYPE: &str = "application/octet-stream";

/// The beginning of a stream as other servers of this protocol write it; the conformance tests send
/// it.
const OTHER_SERVERS_BEGINNING: &str = "0000000000000000_0000000000000000";

/// A creation whose head is valid.
#[derive(Debug)]
pub(super) struct PreparedCreation {
    name: StreamName,
    content_type: Option<String>,
    lifetime: LifetimeHeaders,
    fork: Option<ForkHeaders>,
    closed: bool,
}

impl PreparedCreation {
    pub(super) fn new<H: Headers>(app: &App, call: Call<'_, H>) -> Result<Self, Refusal> {
        let map = call.headers;
        Ok(Self {
            name: App::name(call.path)?,
            content_type: content_type(map)?.map(str::to_owned),
            lifetime: LifetimeHeaders::parse(map)?,
            fork: ForkHeaders::parse(app, map)?,
            closed: is_set(map, &names::STREAM_CLOSED)?,
        })
    }
}

/// Handles a PUT.
///
/// Source: Durable Streams protocol, sections 4.2 and 5.1.
pub(super) async fn create<H: Headers>(
    app: &App,
    call: Call<'_, H>,
    body: impl RequestBody,
) -> Result<Answer, Refusal> {
    let PreparedCreation {
        name,
        content_type,
        lifetime,
        fork,
        closed,
    } = PreparedCreation::new(app, call)?;
    let ReceivedBody { bytes, .. } =
        &body::receive(app, app.config.body_max, call.headers, body).await?;
    let created = match fork {
        Some(fork) => {
            app.streams
                .fork(
                    &name,
                    fork_request(fork, content_type, lifetime, bytes.clone(), closed),
                )
                .await?
        }
        None => {
            let config = StreamConfig {
                expiry: lifetime.expiry,
                keep_bytes: lifetime.bytes,
                keep_age: lifetime.age,
                ..StreamConfig::new(content_type.as_deref().unwrap_or(DEFAULT_TYPE))
            };
            let first = app
                .streams
                .first_payload(config.kind(), bytes.clone())
                .await?;
            app.streams.create(&name, config, first, closed).await?
        }
    };
    Ok(answer(app, call, &created))
}

fn answer<H>(app: &App, call: Call<'_, H>, Created { log, is_new }: &Created) -> Answer {
    let tail = log.tail_now();
    let mut answer = Answer::new(if *is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    });
    if *is_new {
        answer.put(
            &LOCATION,
            &*app.url(call.host, &format!("{STREAM_PREFIX}{}", call.path)),
        );
    }
    answer.put(&CONTENT_TYPE, &*log.config().content_type);
    answer.put_end(tail.offset(), tail.closed());
    answer.put(&names::STREAM_EXTENSIONS, EXTENSIONS);
    answer
}

/// Which stream to fork, and where.
#[derive(Debug)]
struct ForkHeaders {
    source: StreamName,
    at: Option<ForkPoint>,
    sub: u64,
}

impl ForkHeaders {
    /// The fork headers of a creation; `None` when it creates no fork.
    fn parse(app: &App, map: &impl Headers) -> Result<Option<Self>, Refusal> {
        let path = text(map, &names::STREAM_FORKED_FROM)?;
        let at = text(map, &names::STREAM_FORK_OFFSET)?;
        let sub = number(map, &names::STREAM_FORK_SUB_OFFSET, 0)?;
        let Some(path) = path else {
            let names = [
                (&names::STREAM_FORK_OFFSET, at.is_some()),
                (&names::STREAM_FORK_SUB_OFFSET, sub.is_some()),
            ];
            return match names.iter().find(|(_, is_present)| *is_present) {
                Some((name, _)) => Err(Refusal::Header(format!(
                    "`{name}` requires Stream-Forked-From"
                ))),
                None => Ok(None),
            };
        };
        let sub = sub.unwrap_or(0);
        if at.is_none() && sub > 0 {
            let text = "Stream-Fork-Sub-Offset requires Stream-Fork-Offset, from which it counts";
            return Err(Refusal::Header(text.into()));
        }
        let point = |at: &str| match at {
            OTHER_SERVERS_BEGINNING => Ok(ForkPoint::Position(Offset::ZERO)),
            at => at.parse().map(ForkPoint::Offset),
        };
        let at = at.map(point).transpose()?;
        Ok(Some(Self {
            source: source(app, path)?,
            at,
            sub,
        }))
    }
}

/// The stream whose URL has this path, decoded like the paths of requests.
fn source(app: &App, path: &str) -> Result<StreamName, Refusal> {
    let wrong = || {
        let form = "the path of a stream on this server, such as /v1/stream/demo";
        Refusal::Header(format!("Stream-Forked-From is `{path}`, expected {form}"))
    };
    let uri: Uri = path.parse().map_err(|_| wrong())?;
    if uri.host().is_some() || uri.query().is_some() {
        return Err(wrong());
    }
    Ok(StreamName::from_path(
        app.local_path(uri.path())
            .strip_prefix(STREAM_PREFIX)
            .ok_or_else(wrong)?,
    )?)
}

fn fork_request(
    fork: ForkHeaders,
    content_type: Option<String>,
    lifetime: LifetimeHeaders,
    body: Bytes,
    closed: bool,
) -> ForkRequest {
    ForkRequest {
        source: fork.source,
        at: fork.at,
        sub: fork.sub,
        content_type,
        expiry: lifetime.expiry,
        keep_bytes: lifetime.bytes,
        keep_age: lifetime.age,
        body,
        closed,
    }
}

/// The request's content type; `None` when it has none.
///
/// # Errors
/// [`Refusal::Header`] when it is not of the form `type/subtype`.
pub(super) fn content_type(map: &impl Headers) -> Result<Option<&str>, Refusal> {
    match text(map, &CONTENT_TYPE)? {
        Some(text) => Ok(value::content_type("content-type", text)?),
        None => Ok(None),
    }
}
