//! The gate as a middleware of actix: checks, preflights, and the fields that every answer carries.

use super::answer::respond;
use super::head::{ActixHeaders, gate_head};
use crate::api::gate::{self, CROSS_ORIGIN_RESOURCE_POLICY, Gate};
use crate::api::{App, Fields, Refusal};
use crate::takeover::{Slot, TakeoverGuard};
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, web};
use bytes::Bytes;
use futures_util::stream::{self, StreamExt};
use pin_project_lite::pin_project;
use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The middleware.
///
/// # Errors
/// Only what the handlers behind it return; its own refusals are answers.
pub async fn guard(
    gate: web::Data<Gate>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let request_version = request.version();
    let slot = request.conn_data::<Rc<Slot>>().cloned();
    if let Some(slot) = &slot {
        slot.begin_answer();
    }
    let (standing, checked, is_preflight) = {
        let map = ActixHeaders(request.headers());
        let head = gate_head(request.request(), &map);
        let seen = gate.look(&head);
        (
            gate::standing(seen.allowed),
            seen.checked,
            head.is_preflight(),
        )
    };
    let body_was_read = note_end_of_body(&mut request);
    let mut response = match checked {
        Err(refusal) => request
            .into_response(respond(refusal.answer()))
            .map_into_right_body(),
        Ok(()) if is_preflight => request
            .into_response(respond(gate::preflight()))
            .map_into_right_body(),
        Ok(()) => match next.call(request).await {
            Ok(response) => response.map_into_left_body(),
            // A handler panicked. Refusals of handlers are responses.
            Err(error) => return Err(failed(error, slot.as_deref(), &standing)),
        },
    };
    // The library says so only once it drains, which is a moment after the answers of a stop were made.
    let is_stopping = response
        .request()
        .app_data::<web::Data<App>>()
        .is_some_and(|app| app.is_stopping());
    // A response's head may come from a pool and then has an earlier one's version, by which the library tells whether the
    // connection closes. The version that is sent is the request's.
    response.response_mut().head_mut().version = Version::HTTP_11;
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    if is_stopping && !is_upgrade || !body_was_read.get() {
        response
            .response_mut()
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    if request_version == Version::HTTP_10
        && matches!(response.response().body().size(), BodySize::Stream)
    {
        // Without chunks only the connection's end says where the answer ends. Source: RFC 9112, section 6.1.
        let head = response.response_mut().head_mut();
        head.no_chunking(true);
        head.set_connection_type(ConnectionType::Close);
    }
    put_standing(response.headers_mut(), &standing);
    let may_repeat = response
        .request()
        .extensions_mut()
        .remove::<MayRepeat>()
        .is_some()
        && !is_stopping;
    let closes = response.response().head().connection_type() == ConnectionType::Close;
    let under_way = slot.map(|slot| AnswerUnderWay {
        leaving: if may_repeat && !closes {
            slot.leave_after_answer()
        } else {
            None
        },
        slot: (!is_upgrade).then_some(slot),
        closes,
    });
    Ok(response.map_body(|_, body| GatedBody { body, under_way }))
}

/// What is sent where answering failed; it ends the connection, whose state nobody knows.
fn failed(error: actix_web::Error, slot: Option<&Slot>, standing: &Fields) -> actix_web::Error {
    if let Some(slot) = slot {
        slot.end_answer(true);
    }
    let mut response = respond(Refusal::Failed.answer());
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    put_standing(response.headers_mut(), standing);
    InternalError::from_response(error, response).into()
}

/// Puts the fields that every answer carries beside the answer's own.
pub(super) fn put_standing(map: &mut HeaderMap, standing: &Fields) {
    for (name, value) in standing.iter() {
        // Also without an origin: a cache must not give a page the answer that lacks its CORS headers.
        if name == header::VARY {
            map.append(name, value);
        } else if name != CROSS_ORIGIN_RESOURCE_POLICY || !map.contains_key(&name) {
            map.insert(name, value);
        }
    }
}

/// A flag that turns true once the body of `request` was read to its end; true at once if it announces none.
///
/// An answer may be complete before its request's body has come, which nobody waits for: the connection ends, and the answer
/// must say so.
fn note_end_of_body(request: &mut ServiceRequest) -> Rc<Cell<bool>> {
    let is_long = |length: &HeaderValue| length.as_bytes().iter().any(|digit| *digit != b'0');
    let headers = request.headers();
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(is_long);
    let has_ended = Rc::new(Cell::new(!has_body));
    if has_body {
        let noted = Rc::clone(&has_ended);
        let end = stream::poll_fn(move |_| {
            noted.set(true);
            Poll::Ready(None)
        });
        let payload = Box::pin(request.take_payload().chain(end));
        request.set_payload(Payload::Stream { payload });
    }
    has_ended
}

/// Said by a handler of its request: others like it may follow on the same connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct MayRepeat;

/// An answer that is being sent.
#[derive(Debug)]
struct AnswerUnderWay {
    /// Dropped first: the connection leaves when its answer is complete.
    leaving: Option<TakeoverGuard>,
    slot: Option<Rc<Slot>>,
    closes: bool,
}

impl Drop for AnswerUnderWay {
    fn drop(&mut self) {
        drop(self.leaving.take());
        if let Some(slot) = &self.slot {
            slot.end_answer(self.closes);
        }
    }
}

pin_project! {
    /// An answer's body, after which its connection may leave.
    struct GatedBody<B> {
        #[pin]
        body: B,
        under_way: Option<AnswerUnderWay>,
    }
}

impl<B: MessageBody> MessageBody for GatedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use actix_service::Service as _;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web::{App as Application, HttpResponse};
    use actix_web_lab::middleware::CatchPanic;
    use std::net::IpAddr;

    #[actix_web::test]
    async fn a_handler_that_panics_answers_500_and_ends_its_connection() {
        let gate = web::Data::new(Gate::new(&Config::default(), IpAddr::from([127, 0, 0, 1])));
        let application = Application::new()
            .app_data(gate)
            .wrap(CatchPanic::default())
            .wrap(from_fn(guard))
            .default_service(web::to(async || -> HttpResponse { panic!("a fault") }));
        let service = init_service(application).await;
        let request = TestRequest::default()
            .insert_header(("Host", "localhost"))
            .to_request();
        let error = service
            .call(request)
            .await
            .err()
            .expect("the middleware's error");
        let response = error.error_response();
        assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "application/problem+json"
        );
        assert!(response.headers().contains_key("x-content-type-options"));
        assert_eq!(response.head().connection_type(), ConnectionType::Close);
    }
}
