//! The edge: the only module that knows actix, status codes and headers. One verb a file.

mod append;
pub mod assets;
mod body;
mod create;
mod delete;
mod error;
mod export;
mod fields;
mod guard;
mod head;
mod import;
mod keeping;
pub mod lab;
mod names;
mod page;
mod pieces;
mod query;
mod read;
mod streams;
mod subscriptions;

pub use append::put_fields as put_append_fields;
pub use error::Refusal;
pub use fields::Fields;
pub use guard::{Connection, Gate, guard};
pub use import::ImportError;
pub use lab::is_forwarded;
pub use page::Page;
pub use pieces::Pieces;
pub use query::ReadQuery;
pub use read::explain;

use crate::clock::Clock;
use crate::config::Config;
use crate::log::{Log, StreamName, Streams};
use crate::subscriptions::Subscriptions;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use std::sync::Arc;
use tailwater_protocol::headers;
use tokio::sync::{Semaphore, watch};

/// Our extensions of the protocol, as `Stream-Extensions` announces them.
pub const EXTENSIONS: &str = "live=ndjson, live=websocket, hold, if-match, retention, list, inspect, export";

/// What every handler needs.
#[derive(Debug)]
pub struct App {
    /// The streams.
    pub streams: Arc<Streams>,
    /// The settings.
    pub config: Config,
    /// The server's clock.
    pub clock: Clock,
    /// Turns true when the server stops.
    pub stop: watch::Receiver<bool>,
    /// Places for live readers.
    pub live: Arc<Semaphore>,
    /// Who is woken by which streams.
    pub subscriptions: Arc<Subscriptions>,
}

/// Registers the protocol's routes; the state is a `web::Data<App>`.
pub fn configure(service: &mut web::ServiceConfig) {
    // Before the streams: what lies under `__ds` is none.
    service.configure(subscriptions::configure);
    service.service(
        web::resource("/v1/stream/{name:.*}")
            .route(web::put().to(create::create))
            .route(web::post().to(append::append))
            .route(web::get().to(read::read))
            .route(web::head().to(head::head))
            .route(web::delete().to(delete::delete))
            .default_service(web::to(method)),
    );
    streams::configure(service);
}

/// The answer where nothing is served.
pub async fn no_route(request: HttpRequest) -> Refusal {
    Refusal::NoRoute(request.path().to_owned())
}

async fn method(request: HttpRequest) -> HttpResponse {
    method_refused(&request, "PUT, POST, GET, HEAD, DELETE, OPTIONS")
}

/// 405, with the methods that are served.
fn method_refused(request: &HttpRequest, allowed: &'static str) -> HttpResponse {
    use actix_web::ResponseError;
    let mut response = Refusal::Method(request.method().to_string()).error_response();
    response.headers_mut().insert(actix_web::http::header::ALLOW, HeaderValue::from_static(allowed));
    response
}

impl actix_web::Responder for Refusal {
    type Body = actix_web::body::BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        use actix_web::ResponseError;
        self.error_response()
    }
}

impl App {
    /// The name that a request's path spells.
    ///
    /// # Errors
    /// [`Refusal::Name`], or [`Refusal::NoRoute`] for the reserved paths under `__ds`.
    fn name(request: &HttpRequest) -> Result<StreamName, Refusal> {
        let name = StreamName::parse(request.match_info().query("name"))?;
        if name.is_reserved() {
            return Err(Refusal::NoRoute(request.path().to_owned()));
        }
        Ok(name)
    }

    /// The stream that a request's path names.
    ///
    /// # Errors
    /// As [`App::name`], [`Refusal::NoStream`] and [`Refusal::Hidden`].
    fn log(&self, request: &HttpRequest) -> Result<Arc<Log>, Refusal> {
        let name = Self::name(request)?;
        self.streams.lookup(&name).map_err(|absent| Refusal::absent(absent, &name))
    }
}

/// Whether a boolean protocol header is set.
fn is_set(map: &HeaderMap, name: &HeaderName) -> bool {
    map.get(name).and_then(|value| value.to_str().ok()).is_some_and(headers::is_true)
}
