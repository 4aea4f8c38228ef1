//! GET: a page now, a page when there is one, or an answer that never ends.

use super::guard::{self, MayRepeat};
use super::page::Page;
use super::query::ReadQuery;
use super::{App, Refusal};
use crate::cursor::Cursors;
use crate::handoff::{Reservation, Slot};
use crate::log::{Batch, Log, ReaderGuard, Start, State, Tail};
use crate::techniques::{Follow, Live, Place, TakeOver, Terms, long_poll, ndjson, poll, sse, websocket};
use actix_web::body::{BodyStream, MessageBody};
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, IF_NONE_MATCH};
use actix_web::http::{ConnectionType, Version};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use futures_util::StreamExt;
use std::fmt::Display;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;
use tailwater_protocol::headers::{self, ContentKind};
use tailwater_protocol::{Problem, Technique};
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::time::Instant;

/// Pages of a live answer at most, in bytes: what is written to one reader keeps all others waiting. With half of it, a reader as quick
/// as the server is woken for each write, and waking costs more than the page; from 128 KiB on, actix allocates its buffer anew for each.
const LIVE_PAGE_MAX: usize = 120 << 10;

/// Source: Durable Streams protocol, sections 5.6 to 5.8, and our extensions.
pub(super) async fn read(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
) -> Result<HttpResponse, Refusal> {
    let query = ReadQuery::parse(request.query_string())?;
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
            let place = app.place()?;
            let hold = app.hold(&query);
            let at = log.resolve(query.from);
            let must_wait =
                query.from != Start::Now && log.tail_now() == (Tail { next: at, state: State::Open, life: log.life() });
            if must_wait && !*app.stop.borrow() && guard::leave_unanswered(&request) {
                // To wait costs less outside.
                drop(place);
                return pending().await;
            }
            let batch = long_poll::read(&log, query.from, page_max, hold, app.stop.clone()).await?;
            Ok(page(&request, &log, &batch, query.from, Some(cursors.now())))
        }
        technique @ (Technique::Ndjson | Technique::Sse | Technique::Websocket) => {
            let live = app.follow(log, query.from, technique, cursors).await?;
            match technique {
                Technique::Websocket => upgrade(&request, payload, live, app.config.body_max),
                _ => Ok(stream(&request, technique, live)),
            }
        }
    }
}

impl App {
    /// A place among the live readers.
    ///
    /// # Errors
    /// [`Refusal::TooManyReaders`].
    pub fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
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
    ) -> Result<Live, Refusal> {
        if *self.stop.borrow() {
            return Err(Refusal::Stopping);
        }
        let permit = self.place()?;
        let one_message = 1;
        let from = log.read_from(start, one_message).await?.from;
        let recycle_at = (technique != Technique::Websocket).then(|| Instant::now() + with_jitter(self.config.recycle));
        let counted = ReaderGuard::new(Arc::clone(&log), technique, from);
        let place = Place { counted, cursors, recycle_at, permit };
        let follow = Follow::new(log, from, true, self.terms());
        Live::new(follow, place, technique).ok_or_else(|| Refusal::Query(format!("live={technique} does not stream")))
    }

    /// How long a long-poll is held.
    pub fn hold(&self, query: &ReadQuery) -> Duration {
        query.hold.unwrap_or(self.config.long_poll_hold).min(self.config.long_poll_hold_max)
    }

    /// What logs are followed with.
    pub fn terms(&self) -> Terms {
        let page_max = usize::try_from(self.config.page_max).unwrap_or(usize::MAX).min(LIVE_PAGE_MAX);
        Terms { page_max, heartbeat: self.config.heartbeat, stop: self.stop.clone() }
    }
}

/// The time, a tenth more or less, so that readers who came together do not come back together.
fn with_jitter(time: Duration) -> Duration {
    time.mul_f64(0.9 + 0.2 * rand::random::<f64>())
}

/// The answer of a plain read or a long-poll.
fn page(request: &HttpRequest, log: &Log, batch: &Batch, asked: Start, cursor: Option<u64>) -> HttpResponse {
    let if_none_match = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let page = Page::new(log, batch, asked, cursor, if_none_match);
    let mut response = HttpResponse::build(page.status());
    page.put_fields(&mut response);
    request.extensions_mut().insert(MayRepeat);
    match page.body() {
        Some(body) => response.body(body),
        None => response.finish(),
    }
}

/// An answer that never ends.
fn stream(request: &HttpRequest, technique: Technique, live: Live) -> HttpResponse {
    let (content_type, cache) = match technique {
        Technique::Sse => (sse::CONTENT_TYPE, "no-cache, no-transform"),
        _ => (ndjson::CONTENT_TYPE, "no-store, no-transform"),
    };
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, content_type));
    // Nothing on the path may keep it back, change it or store it.
    response.insert_header((CACHE_CONTROL, cache));
    response.insert_header(("x-accel-buffering", "no"));
    if technique == Technique::Sse && live.log().kind() == ContentKind::Binary {
        response.insert_header((headers::STREAM_SSE_DATA_ENCODING, "base64"));
    }
    response.streaming(live.into_body(reserve(request).map(|it| take_over(request, Rc::new(it)))))
}

/// A WebSocket, on which a client may send messages as large as a request body.
fn upgrade(request: &HttpRequest, payload: web::Payload, live: Live, body_max: u64) -> Result<HttpResponse, Refusal> {
    let refused = |error: &dyn Display| Refusal::Query(format!("live=websocket needs a WebSocket handshake: {error}"));
    let mut response = actix_http::ws::handshake(request.head()).map_err(|error| refused(&error))?;
    let reservation = reserve(request).map(Rc::new);
    let consuming = reservation.clone();
    let incoming = payload.inspect(move |piece| {
        if let (Some(reservation), Ok(piece)) = (&consuming, piece) {
            reservation.consumed(piece.len());
        }
    });
    let message_max = usize::try_from(body_max).unwrap_or(usize::MAX);
    let take_over = reservation.map(|reservation| take_over(request, reservation));
    let body = BodyStream::new(websocket::conversation(live, incoming, message_max, explain, take_over));
    let response = response.message_body(body.boxed()).map_err(|error| refused(&error))?;
    Ok(response.into())
}

/// The document that a POST would have answered.
pub fn explain(refusal: websocket::FrameRefusal) -> Problem {
    Refusal::from(refusal).problem()
}

/// The connection of `request`, if its reader may leave it.
fn reserve(request: &HttpRequest) -> Option<Reservation> {
    let is_plain = request.version() == Version::HTTP_11;
    request.conn_data::<Rc<Slot>>().filter(|_| is_plain).and_then(Slot::reserve)
}

fn take_over(request: &HttpRequest, reservation: Rc<Reservation>) -> TakeOver {
    let keep_alive = request.head().connection_type() == ConnectionType::KeepAlive;
    Box::new(move |live| reservation.sit(live, keep_alive))
}
