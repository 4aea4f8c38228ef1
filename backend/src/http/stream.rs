//! Requests to streams: a call is made of each, and its reply is sent, from here or from outside of actix.

use super::answer::{respond, respond_to_head};
use super::body::{Arriving, short_body};
use super::gate::MayRepeat;
use super::head::{ActixHeaders, gate_head};
use crate::api::{
    self, App, Call, LiveAnswer, LongPollWait, Refusal, Reply, STREAM_PREFIX, Whole, gate,
};
use crate::live::encoding::Encoding;
use crate::live::{self, AnswerReader, Groups, Inlet, LiveTerms};
use crate::takeover::{Slot, TakenSeat, WaitingLongPoll};
use actix_http::ResponseBuilder;
use actix_web::body::{BodyStream, BoxBody};
use actix_web::http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use actix_web::http::{ConnectionType, Method, Version};
use actix_web::{HttpMessage, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures_util::stream::{Stream, StreamExt, poll_fn};
use std::convert::Infallible;
use std::future::{pending, ready};
use std::rc::Rc;
use std::task::Poll;

/// Answers a request to a stream.
pub(super) async fn handle(
    request: HttpRequest,
    payload: web::Payload,
    app: web::Data<App>,
    gate: web::Data<gate::Gate>,
) -> HttpResponse {
    let map = ActixHeaders(request.headers());
    let head = gate_head(&request, &map);
    let Some(path) = app
        .local_path(request.uri().path())
        .strip_prefix(STREAM_PREFIX)
    else {
        return respond(Refusal::NoRoute(request.path().to_owned()).answer());
    };
    let handshake = handshake(&request);
    let call = Call {
        method: request.method(),
        path,
        query: request.query_string(),
        headers: &map,
        host: head.host().unwrap_or_default(),
        is_websocket: handshake.is_some(),
    };
    let mut body = Arriving::new(payload, &app);
    let reply = if handshake.is_some() {
        api::reply(&app, call, Whole(Bytes::new())).await
    } else if let Some(bytes) = short_body(&request, &app) {
        // Read even if it will not be looked at, so that the connection can serve the next request.
        match body.whole(bytes, &app.budget).await {
            Ok(bytes) => api::reply(&app, call, Whole(bytes)).await,
            Err(refusal) => Reply::Answer(refusal.answer()),
        }
    } else {
        api::reply(&app, call, &mut body).await
    };
    match reply {
        Reply::Answer(answer) if *request.method() == Method::HEAD => respond_to_head(answer),
        Reply::Answer(answer) => {
            if matches!(*request.method(), Method::GET | Method::POST) && !answer.closes {
                request.extensions_mut().insert(MayRepeat);
            }
            respond(answer)
        }
        Reply::Wait(waiting) => wait(&request, &app, &gate, waiting).await,
        Reply::Live(head, live) => go_on(
            &request,
            &app,
            respond(head),
            *live,
            handshake,
            body.payload,
        ),
    }
}

/// Waits outside of actix if the connection can leave, which costs less, and else here.
async fn wait(
    request: &HttpRequest,
    app: &App,
    gate: &gate::Gate,
    wait: Box<LongPollWait>,
) -> HttpResponse {
    if let Some(slot) = slot(request) {
        let map = ActixHeaders(request.headers());
        let standing = Rc::new(gate::standing(gate.look(&gate_head(request, &map)).allowed));
        slot.seat(TakenSeat::Wait(WaitingLongPoll {
            wait,
            standing,
            keep_alive: keeps_alive(request),
        }));
        return pending().await;
    }
    if let Some(slot) = request.conn_data::<Rc<Slot>>() {
        slot.cancel_on_eof();
    }
    request.extensions_mut().insert(MayRepeat);
    respond(live::wait(&groups(request, app), wait).await)
}

/// An answer that goes on, from outside of actix if the connection can leave.
fn go_on(
    request: &HttpRequest,
    app: &App,
    head: HttpResponse,
    live: LiveAnswer,
    handshake: Option<ResponseBuilder>,
    payload: web::Payload,
) -> HttpResponse {
    let Some(encoding) = Encoding::of(live.technique) else {
        return head;
    };
    let handshake = handshake.filter(|_| encoding == Encoding::Websocket);
    let upgrades = handshake.is_some();
    let head = handshake.map_or(head, |mut handshake| {
        handshake.finish().map_into_boxed_body().into()
    });
    if let Some(slot) = slot(request) {
        let mut seat = Some(TakenSeat::Live {
            live: Box::new(live),
            encoding,
            keep_alive: keeps_alive(request) && !upgrades,
        });
        let body = poll_fn(move |_| -> Poll<Option<Result<Bytes, Infallible>>> {
            // Only now, when the head is on its way.
            if let Some(seat) = seat.take() {
                slot.seat(seat);
            }
            Poll::Pending
        });
        return with_body(head, body);
    }
    if let Some(slot) = request.conn_data::<Rc<Slot>>() {
        if upgrades {
            slot.make_bidirectional();
        } else {
            slot.cancel_on_eof();
        }
    }
    let inlet = if upgrades {
        // What breaks off has ended.
        Inlet::Frames(Box::pin(
            payload
                .take_while(|piece| ready(piece.is_ok()))
                .filter_map(|piece| ready(piece.ok())),
        ))
    } else {
        Inlet::Nothing
    };
    with_body(
        head,
        AnswerReader::body(groups(request, app), live, encoding, inlet),
    )
}

fn with_body(
    head: HttpResponse,
    body: impl Stream<Item = Result<Bytes, Infallible>> + 'static,
) -> HttpResponse {
    head.map_body(|_, _| BoxBody::new(BodyStream::new(Box::pin(body))))
}

/// The answer to a WebSocket handshake, if the request is one that may be answered so.
fn handshake(request: &HttpRequest) -> Option<ResponseBuilder> {
    let may_upgrade = request.version() == Version::HTTP_11
        && *request.method() == Method::GET
        && !has_body(request);
    let is_single = |name: &str| request.headers().get_all(name).count() == 1;
    let may_upgrade =
        may_upgrade && is_single("sec-websocket-key") && is_single("sec-websocket-version");
    may_upgrade.then(|| actix_http::ws::handshake(request.head()).ok())?
}

/// Whether the request announces a body, empty or not.
fn has_body(request: &HttpRequest) -> bool {
    [CONTENT_LENGTH, TRANSFER_ENCODING]
        .iter()
        .any(|name| request.headers().contains_key(name))
}

fn keeps_alive(request: &HttpRequest) -> bool {
    request.head().connection_type() == ConnectionType::KeepAlive
}

/// The slot of a connection that may leave actix with its request under way: one without a body.
fn slot(request: &HttpRequest) -> Option<Rc<Slot>> {
    let slot = request.conn_data::<Rc<Slot>>()?;
    let is_plain = request.version() == Version::HTTP_11 && !has_body(request);
    (is_plain && slot.may_leave()).then(|| Rc::clone(slot))
}

/// The groups of this worker; for a server that has none, new ones.
fn groups(request: &HttpRequest, app: &App) -> Rc<Groups> {
    request
        .app_data::<Rc<Groups>>()
        .cloned()
        .unwrap_or_else(|| Groups::new(LiveTerms::of(app)))
}
