//! The edge to actix: requests become calls, replies become responses; and what is served beside the streams.

mod answer;
pub mod assets;
mod body;
mod export;
mod gate;
mod head;
mod import;
pub mod lab;
mod stream;
mod streams;
mod subscriptions;

pub use gate::guard;
pub use import::ImportError;
pub use stream::decide_by_head;

use crate::api::{App, Refusal};
use crate::log::{Log, StreamName};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use std::sync::Arc;

/// Registers the protocol's routes; the state is a `web::Data<App>` and, for each worker, an `Rc<live::Groups>`.
pub fn configure(service: &mut web::ServiceConfig) {
    // Before the streams: what lies under `__ds` is none.
    service.configure(subscriptions::configure);
    service.service(web::resource("/v1/stream/{name:.*}").to(stream::handle));
    streams::configure(service);
}

/// The answer where nothing is served.
pub async fn no_route(request: HttpRequest) -> Refusal {
    Refusal::NoRoute(request.path().to_owned())
}

/// 405, with the methods that are served; `OPTIONS` gets just these.
fn method_refused(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    if request.method() == actix_web::http::Method::OPTIONS {
        return answer::respond(crate::api::Answer::options(allowed));
    }
    Refusal::Method { came: request.method().to_string(), allowed }.error_response()
}

/// The name that a request's path spells after `prefix`.
///
/// # Errors
/// As [`App::name`], and [`Refusal::NoRoute`] for a prefix that is written in another way.
fn name(request: &HttpRequest, prefix: &str) -> Result<StreamName, Refusal> {
    App::name(raw_name(request, prefix)?)
}

/// The stream that a request's path names after `prefix`.
///
/// # Errors
/// As [`App::log`], and [`Refusal::NoRoute`] for a prefix that is written in another way.
fn log(app: &App, request: &HttpRequest, prefix: &str) -> Result<Arc<Log>, Refusal> {
    app.log(raw_name(request, prefix)?)
}

fn raw_name<'r>(request: &'r HttpRequest, prefix: &str) -> Result<&'r str, Refusal> {
    request.uri().path().strip_prefix(prefix).ok_or_else(|| Refusal::NoRoute(request.path().to_owned()))
}
