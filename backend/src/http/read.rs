//! GET: a page now, a page when there is one, or an answer that never ends.

use super::query::ReadQuery;
use super::{App, Refusal};
use crate::cursor::Cursors;
use crate::log::{Batch, Log, Start};
use crate::techniques::{Follow, Terms, long_poll, ndjson, poll, sse, websocket};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, web};
use bytes::{Bytes, BytesMut};
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::Technique;
use tailwater_protocol::headers::{self, ContentKind};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};

/// A page that holds data never changes; who reads it again may have it from a cache.
const CACHE_PAGE: &str = "public, max-age=60, stale-while-revalidate=300";
/// What is true only at this moment.
const CACHE_NEVER: &str = "no-store";

/// Pages on a WebSocket, in bytes. actix-ws queues 32 frames and encodes as many again ahead of the connection, so a reader
/// that does not read holds up to 64 of them in memory.
const WEBSOCKET_PAGE_MAX: usize = 64 << 10;

/// Source: Durable Streams protocol, sections 5.6 to 5.8, and our extensions.
pub(super) async fn read(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let query = ReadQuery::parse(&request)?;
    let log = app.log(&request)?;
    log.renew();
    let cursors = Cursors::after(query.cursor, rand::random());
    let page_max = usize::try_from(app.config.page_max).unwrap_or(usize::MAX);
    match query.technique {
        Technique::Poll => {
            let batch = poll::read(&log, query.from, page_max).await?;
            Ok(page(&request, &log, &batch, query.from, None))
        }
        Technique::LongPoll => {
            let _place = app.place()?;
            let hold = query.hold.unwrap_or(app.config.long_poll_hold).min(app.config.long_poll_hold_max);
            let batch = long_poll::read(&log, query.from, page_max, hold, app.stop.clone()).await?;
            Ok(page(&request, &log, &batch, query.from, Some(cursors.now())))
        }
        Technique::Ndjson => {
            let follow = app.follow(log, query.from, query.technique, cursors).await?;
            Ok(live(ndjson::CONTENT_TYPE, CACHE_NEVER).streaming(follow.into_body(ndjson::write)))
        }
        Technique::Sse => {
            let follow = app.follow(log, query.from, query.technique, cursors).await?;
            let mut response = live(sse::CONTENT_TYPE, "no-cache");
            if follow.log().config().kind() == ContentKind::Binary {
                response.insert_header((headers::STREAM_SSE_DATA_ENCODING, "base64"));
            }
            Ok(response.streaming(follow.into_body(sse::write)))
        }
        Technique::Websocket => {
            let follow = app.follow(log, query.from, query.technique, cursors).await?;
            upgrade(&request, payload, follow, app.config.body_max)
        }
    }
}

impl App {
    /// A place among the live readers.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        match Arc::clone(&self.live).try_acquire_owned() {
            Ok(place) => Ok(place),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                Err(Refusal::TooManyReaders { limit: self.config.live_readers_max })
            }
        }
    }

    /// A live reader, once it is sure that its position can be read: afterwards there is no status code to say so.
    async fn follow(
        &self,
        log: Arc<Log>,
        start: Start,
        technique: Technique,
        cursors: Cursors,
    ) -> Result<Follow, Refusal> {
        if *self.stop.borrow() {
            return Err(Refusal::Stopping);
        }
        let place = self.place()?;
        let one_message = 1;
        let from = log.read_from(start, one_message).await?.from;
        let recycles = technique != Technique::Websocket;
        let page_max = usize::try_from(self.config.page_max).unwrap_or(usize::MAX);
        let terms = Terms {
            page_max: if technique == Technique::Websocket { page_max.min(WEBSOCKET_PAGE_MAX) } else { page_max },
            heartbeat: self.config.heartbeat,
            life: recycles.then(|| with_jitter(self.config.recycle)),
            stop: self.stop.clone(),
            cursors,
            permit: place,
        };
        Ok(Follow::new(log, from, technique, terms))
    }
}

/// The time, a tenth more or less, so that readers who came together do not come back together.
fn with_jitter(time: Duration) -> Duration {
    time.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

/// The answer of a plain read or a long-poll.
fn page(request: &HttpRequest, log: &Log, batch: &Batch, asked: Start, cursor: Option<u64>) -> HttpResponse {
    let is_long_poll = cursor.is_some();
    let is_empty = batch.data.is_empty();
    let cache: Cow<'_, str> = if is_empty || asked == Start::Now { CACHE_NEVER.into() } else { cacheable(log) };
    let etag = (asked != Start::Now && !(is_long_poll && is_empty)).then(|| etag(log, batch));
    if let Some(etag) = etag.as_deref().filter(|etag| matches(request.headers(), etag)) {
        let mut response = HttpResponse::NotModified();
        response.insert_header((ETAG, etag));
        response.insert_header((CACHE_CONTROL, &*cache));
        position(&mut response, batch, cursor);
        return response.finish();
    }
    let mut response = if is_long_poll && is_empty { HttpResponse::NoContent() } else { HttpResponse::Ok() };
    position(&mut response, batch, cursor);
    if let Some(etag) = etag {
        response.insert_header((ETAG, etag));
    }
    response.insert_header((CACHE_CONTROL, &*cache));
    if is_long_poll && is_empty {
        return response.finish();
    }
    response.insert_header((CONTENT_TYPE, &*log.config().content_type));
    response.body(body(log.config().kind(), &batch.data))
}

fn position(response: &mut HttpResponseBuilder, batch: &Batch, cursor: Option<u64>) {
    response.insert_header((headers::STREAM_NEXT_OFFSET, batch.next.to_string()));
    if batch.up_to_date() {
        response.insert_header((headers::STREAM_UP_TO_DATE, "true"));
    }
    if batch.closed() {
        response.insert_header((headers::STREAM_CLOSED, "true"));
    } else if let Some(cursor) = cursor {
        response.insert_header((headers::STREAM_CURSOR, cursor.to_string()));
    }
}

/// How long caches may keep a page that holds data: no longer than its stream lives.
///
/// Source: Durable Streams protocol, sections 5.6 and 10.1.
fn cacheable(log: &Log) -> Cow<'static, str> {
    match log.left() {
        None => CACHE_PAGE.into(),
        Some(left) => format!("public, max-age={}", left.as_secs().min(60)).into(),
    }
}

/// Names the bytes and the closure: the stream's number, the range, and `c` when its end is the stream's.
fn etag(log: &Log, batch: &Batch) -> String {
    let closed = if batch.closed() { ":c" } else { "" };
    format!("\"{}:{}:{}{closed}\"", log.id().0, batch.from.bytes(), batch.next.bytes())
}

fn matches(map: &HeaderMap, etag: &str) -> bool {
    map.get_all(IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok())
        .any(|list| list.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == etag || one == "*"))
}

/// The bytes as a client reads them: JSON messages as an array, everything else as it was appended.
fn body(kind: ContentKind, data: &Bytes) -> Bytes {
    if kind != ContentKind::Json {
        return data.clone();
    }
    let messages = data.strip_suffix(b",").unwrap_or(data);
    let mut array = BytesMut::with_capacity(messages.len() + 2);
    array.extend_from_slice(b"[");
    array.extend_from_slice(messages);
    array.extend_from_slice(b"]");
    array.freeze()
}

/// The head of an answer that never ends; nothing on the path may keep it back, change it or store it.
fn live(content_type: &str, cache: &str) -> HttpResponseBuilder {
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type));
    response.insert_header((CACHE_CONTROL, format!("{cache}, no-transform")));
    response.insert_header(("x-accel-buffering", "no"));
    response
}

/// A WebSocket, on which a client may send messages as large as a request body.
fn upgrade(
    request: &HttpRequest,
    payload: web::Payload,
    follow: Follow,
    body_max: u64,
) -> Result<HttpResponse, Refusal> {
    let (response, session, incoming) = actix_ws::handle(request, payload)
        .map_err(|error| Refusal::Query(format!("live=websocket needs a WebSocket handshake: {error}")))?;
    let message_max = usize::try_from(body_max).unwrap_or(usize::MAX);
    let incoming = incoming.max_frame_size(message_max).aggregate_continuations().max_continuation_size(message_max);
    actix_web::rt::spawn(websocket::serve(follow, session, incoming, |refusal| Refusal::from(refusal).problem()));
    Ok(response)
}
