//! Requests to streams: converts each to a call, and sends its reply, within actix or after a
//! takeover.

use super::answer::{respond, respond_to_head};
use super::body::{IncomingBody, short_body};
use super::gate::MayReuseConnection;
use super::head::{ActixHeaders, gate_head};
use crate::api::{
    self, AnnouncedBody, App, Call, CompleteBody, LiveAnswer, LongPollWait, Refusal, Reply,
    STREAM_PREFIX, gate,
};
use crate::live::encoding::Encoding;
use crate::live::{self, AnswerReader, Groups, Inlet, LiveTerms};
use crate::takeover::{Slot, TakenConnection, WaitingLongPoll};
use actix_http::ResponseBuilder;
use actix_web::body::{BodyStream, BoxBody};
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
    let mut body = IncomingBody::new(payload, &app);
    let reply = if handshake.is_some() {
        api::reply(&app, call, CompleteBody(Bytes::new())).await
    } else if let Some(bytes) = short_body(&request, &app) {
        // Received even if it is not needed, so that the connection can serve the next request.
        match body.whole(bytes, &app.budget).await {
            Ok(bytes) => api::reply(&app, call, CompleteBody(bytes)).await,
            Err(refusal) => Reply::Answer(refusal.answer()),
        }
    } else {
        api::reply(&app, call, &mut body).await
    };
    match reply {
        Reply::Answer(answer) if *request.method() == Method::HEAD => respond_to_head(answer),
        Reply::Answer(answer) => {
            if matches!(*request.method(), Method::GET | Method::POST) && !answer.closes {
                request.extensions_mut().insert(MayReuseConnection);
            }
            respond(answer)
        }
        Reply::Wait(waiting) => wait(&request, &app, &gate, waiting).await,
        Reply::Live(head, live) => stream_response(
            &request,
            &app,
            respond(head),
            *live,
            handshake,
            body.payload,
        ),
    }
}

/// Waits without the dispatcher if the connection can be taken over, which costs less, and
/// otherwise here.
async fn wait(
    request: &HttpRequest,
    app: &App,
    gate: &gate::Gate,
    wait: Box<LongPollWait>,
) -> HttpResponse {
    if let Some(slot) = slot(request) {
        let map = ActixHeaders(request.headers());
        let common = Rc::new(gate::common_fields(
            gate.admit(&gate_head(request, &map)).allowed,
        ));
        slot.take_over(TakenConnection::Wait(WaitingLongPoll {
            wait,
            common,
            keep_alive: is_keep_alive(request),
        }));
        return pending().await;
    }
    if let Some(slot) = request.conn_data::<Rc<Slot>>() {
        slot.cancel_on_eof();
    }
    request.extensions_mut().insert(MayReuseConnection);
    respond(live::wait(&groups(request, app), wait).await)
}

/// Sends a streaming response, without the dispatcher if the connection can be taken over.
fn stream_response(
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
    let is_upgrade = handshake.is_some();
    let head = handshake.map_or(head, |mut handshake| {
        handshake.finish().map_into_boxed_body().into()
    });
    if let Some(slot) = slot(request) {
        let mut taken = Some(TakenConnection::Live {
            live: Box::new(live),
            encoding,
            keep_alive: is_keep_alive(request) && !is_upgrade,
        });
        let body = poll_fn(move |_| -> Poll<Option<Result<Bytes, Infallible>>> {
            // The first poll, at which the head has been written.
            if let Some(taken) = taken.take() {
                slot.take_over(taken);
            }
            Poll::Pending
        });
        return with_body(head, body);
    }
    if let Some(slot) = request.conn_data::<Rc<Slot>>() {
        if is_upgrade {
            slot.make_bidirectional();
        } else {
            slot.cancel_on_eof();
        }
    }
    let inlet = if is_upgrade {
        // An error ends the frames.
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

/// The response to a WebSocket handshake, if the request may be upgraded.
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
    AnnouncedBody::of(&ActixHeaders(request.headers())) != AnnouncedBody::Absent
}

fn is_keep_alive(request: &HttpRequest) -> bool {
    request.head().connection_type() == ConnectionType::KeepAlive
}

/// The slot of a connection that can be taken over with this request, which must have no body.
fn slot(request: &HttpRequest) -> Option<Rc<Slot>> {
    let slot = request.conn_data::<Rc<Slot>>()?;
    let is_plain = request.version() == Version::HTTP_11 && !has_body(request);
    (is_plain && slot.may_leave()).then(|| Rc::clone(slot))
}

/// The groups of this worker; if there are none, new ones.
fn groups(request: &HttpRequest, app: &App) -> Rc<Groups> {
    request
        .app_data::<Rc<Groups>>()
        .cloned()
        .unwrap_or_else(|| Groups::new(LiveTerms::of(app)))
}
