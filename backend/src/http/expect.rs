//! `Expect: 100-continue`: checks a request's head before its body is requested.

use super::gate::put_common_fields;
use super::head::{ActixHeaders, gate_head_of};
#[cfg(feature = "lab")]
use super::lab;
use super::{assets, streams, subscriptions};
use crate::api::gate::{self, Gate};
use crate::api::{self, App, Call, Refusal, STREAM_PREFIX};
use crate::lab::Lab;
use actix_http::{Request, RequestHead, Response, body::BoxBody};
use actix_web::http::ConnectionType;
use actix_web::{HttpMessage, HttpResponse, ResponseError};

/// Checks a request that expects `100 Continue`: by the gate, and then as its handler would.
///
/// - `lab`: the lab, if there is one.
///
/// # Errors
/// The final response, sent without requesting the body; it closes the connection.
pub fn check_expectation(
    app: &App,
    gate: &Gate,
    lab: Option<&Lab>,
    request: Request,
) -> Result<Request, Response<BoxBody>> {
    let map = ActixHeaders(request.headers());
    let head = gate_head_of(request.head(), request.conn_data(), &map);
    let admission = gate.admit(&head);
    let handler_refusal = match admission.checked {
        Err(refusal) => Some(refusal.error_response()),
        Ok(()) if head.is_preflight() => None,
        Ok(()) => handler_refusal(app, lab, request.head(), &map, admission.host),
    };
    let Some(mut response) = handler_refusal else {
        return Ok(request);
    };
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    put_common_fields(
        response.headers_mut(),
        &gate::common_fields(admission.allowed),
    );
    Err(response.into())
}

/// The handler's refusal, if the head suffices for one.
fn handler_refusal(
    app: &App,
    lab: Option<&Lab>,
    head: &RequestHead,
    map: &ActixHeaders<'_>,
    host: &str,
) -> Option<HttpResponse> {
    #[cfg(not(feature = "lab"))]
    let _absent = lab;
    let (method, path, query) = (
        &head.method,
        head.uri.path(),
        head.uri.query().unwrap_or_default(),
    );
    let decided = match path.strip_prefix(STREAM_PREFIX) {
        Some(rest) if subscriptions::is_reserved(rest) => {
            return subscriptions::handler_refusal(method, path, query, map);
        }
        Some(path) => api::check_head(
            app,
            Call {
                method,
                path,
                query,
                headers: map,
                host,
                is_websocket: false,
            },
        ),
        #[cfg(feature = "lab")]
        None if lab::is_lab_path(path) => lab::LabRoute::of(app, lab, method, path, map).map(drop),
        None if assets::serve(head) => Ok(()),
        None => streams::StreamsRoute::of(app, method, path, query, map).map(drop),
    };
    decided
        .err()
        .map(|refusal: Refusal| refusal.error_response())
}
