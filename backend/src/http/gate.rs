//! The gate as an actix middleware: checks, preflights, and the header fields of every response.

use super::answer::respond;
use super::head::{ActixHeaders, gate_head};
use crate::api::gate::{self, CROSS_ORIGIN_RESOURCE_POLICY, Gate};
use crate::api::{AnnouncedBody, App, Fields, Refusal};
use crate::takeover::{Slot, TakeoverGuard};
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{ConnectionType, StatusCode, Version};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpResponse, web};
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
/// Those of the handlers; its own refusals are responses.
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
    let (common, checked, is_preflight) = {
        let map = ActixHeaders(request.headers());
        let head = gate_head(request.request(), &map);
        let admission = gate.admit(&head);
        let is_preflight = head.is_preflight();
        let common = if is_preflight {
            gate::preflight_fields(admission.allowed)
        } else {
            gate::common_fields(admission.allowed)
        };
        (common, admission.checked, is_preflight)
    };
    let body_was_read = watch_end_of_body(&mut request);
    let mut response = match checked {
        Err(refusal) => request
            .into_response(respond(refusal.answer()))
            .map_into_right_body(),
        Ok(()) if is_preflight => request
            .into_response(respond(gate::preflight()))
            .map_into_right_body(),
        Ok(()) => match next.call(request).await {
            Ok(response) => response.map_into_left_body(),
            // A handler panicked. Refusals by handlers are responses.
            Err(error) => return Err(failed(error, slot.as_deref(), &common)),
        },
    };
    // actix only does this once it drains, which is shortly after the stop signal is answered.
    let is_stopping = response
        .request()
        .app_data::<web::Data<App>>()
        .is_some_and(|app| app.is_stopping());
    // A response's head from actix's pool has an earlier response's version, from which actix
    // derives whether the connection closes. The version that is sent is the request's.
    response.response_mut().head_mut().version = Version::HTTP_11;
    let is_upgrade = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let closes = is_stopping && !is_upgrade || !body_was_read.get();
    set_connection(response.response_mut(), request_version, closes);
    if is_upgrade {
        put_common_fields(response.headers_mut(), &gate::upgrade_fields());
    } else {
        put_common_fields(response.headers_mut(), &common);
    }
    let may_reuse = response
        .request()
        .extensions_mut()
        .remove::<MayReuseConnection>()
        .is_some()
        && !is_stopping;
    let closes = response.response().head().connection_type() == ConnectionType::Close;
    let in_progress = slot.map(|slot| ResponseInProgress {
        takeover: if may_reuse && !closes {
            slot.leave_after_answer()
        } else {
            None
        },
        slot: (!is_upgrade).then_some(slot),
        closes,
    });
    Ok(response.map_body(|_, body| GatedBody { body, in_progress }))
}

/// Makes the connection close after the response if it must, or if only that ends the response.
fn set_connection<B: MessageBody>(
    response: &mut HttpResponse<B>,
    request_version: Version,
    closes: bool,
) {
    // Without chunks the response ends with the connection. Source: RFC 9112, section 6.1.
    let is_endless =
        request_version == Version::HTTP_10 && matches!(response.body().size(), BodySize::Stream);
    let head = response.head_mut();
    if is_endless {
        head.no_chunking(true);
    }
    if closes || is_endless {
        head.set_connection_type(ConnectionType::Close);
    }
}

/// The response after an internal error; it closes the connection, whose state is unknown.
fn failed(error: actix_web::Error, slot: Option<&Slot>, common: &Fields) -> actix_web::Error {
    if let Some(slot) = slot {
        slot.end_answer(true);
    }
    let mut response = respond(Refusal::Failed.answer());
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    put_common_fields(response.headers_mut(), common);
    InternalError::from_response(error, response).into()
}

/// Adds the header fields of every response.
pub(super) fn put_common_fields(map: &mut HeaderMap, common: &Fields) {
    for (name, value) in common.iter() {
        // Also without an origin: a cache must not give a page a response without CORS headers.
        if name == header::VARY {
            map.append(name, value);
        } else if name != CROSS_ORIGIN_RESOURCE_POLICY || !map.contains_key(&name) {
            map.insert(name, value);
        }
    }
}

/// Returns a flag that becomes true once the body of `request` has been read to its end; true at
/// once without a body.
///
/// A response may be complete before its request's body has arrived. The rest is not awaited: the
/// connection is closed, and the response must say so.
fn watch_end_of_body(request: &mut ServiceRequest) -> Rc<Cell<bool>> {
    let has_body = match AnnouncedBody::of(&ActixHeaders(request.headers())) {
        AnnouncedBody::Absent | AnnouncedBody::Bytes(0) => false,
        AnnouncedBody::Bytes(_) | AnnouncedBody::Unknown => true,
    };
    let has_ended = Rc::new(Cell::new(!has_body));
    if has_body {
        let ended_flag = Rc::clone(&has_ended);
        let end = stream::poll_fn(move |_| {
            ended_flag.set(true);
            Poll::Ready(None)
        });
        let payload = Box::pin(request.take_payload().chain(end));
        request.set_payload(Payload::Stream { payload });
    }
    has_ended
}

/// Marks a request that may be followed by similar ones on the same connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct MayReuseConnection;

/// A response that is being sent.
#[derive(Debug)]
struct ResponseInProgress {
    /// Dropped first: the connection is taken over when its response is complete.
    takeover: Option<TakeoverGuard>,
    slot: Option<Rc<Slot>>,
    closes: bool,
}

impl Drop for ResponseInProgress {
    fn drop(&mut self) {
        drop(self.takeover.take());
        if let Some(slot) = &self.slot {
            slot.end_answer(self.closes);
        }
    }
}

pin_project! {
    /// A response's body, after which its connection may be taken over.
    struct GatedBody<B> {
        #[pin]
        body: B,
        in_progress: Option<ResponseInProgress>,
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
    use actix_web::App as Application;
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web_lab::middleware::CatchPanic;
    use std::net::IpAddr;

    #[actix_web::test]
    async fn a_panicking_handler_yields_500_and_closes() {
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
