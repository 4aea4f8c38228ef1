//! `Expect: 100-continue`: what the head of a request decides before its body is asked for.

use super::gate::put_standing;
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

/// What the head of a request that expects `100 Continue` decides: the gate, and then what its handler would decide by it.
///
/// - `lab`: the lab, if there is one.
///
/// # Errors
/// The answer, without the body having been asked for; it ends the connection.
pub fn decide_by_head(
    app: &App,
    gate: &Gate,
    lab: Option<&Lab>,
    request: Request,
) -> Result<Request, Response<BoxBody>> {
    let map = ActixHeaders(request.headers());
    let head = gate_head_of(request.head(), request.conn_data(), &map);
    let seen = gate.look(&head);
    let refused = match seen.checked {
        Err(refusal) => Some(refusal.error_response()),
        Ok(()) if head.is_preflight() => None,
        Ok(()) => refused(app, lab, request.head(), &map, seen.host),
    };
    let Some(mut response) = refused else {
        return Ok(request);
    };
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    put_standing(response.headers_mut(), &gate::standing(seen.allowed));
    Err(response.into())
}

/// What the handler would answer without a look at the body, if that is a refusal.
fn refused(
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
            return subscriptions::refused(method, path, map);
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
        None if lab::is_at(path) => lab::LabRoute::of(app, lab, method, path, map).map(drop),
        None if assets::serve(head) => Ok(()),
        None => streams::StreamsRoute::of(app, method, path, query, map).map(drop),
    };
    decided
        .err()
        .map(|refusal: Refusal| refusal.error_response())
}
