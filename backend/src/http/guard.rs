//! The gate before every handler: who may ask (Host, Origin), how much at once, and the headers every answer carries.

use super::{App, Refusal};
use crate::config::Config;
use crate::handoff::{Leaving, Slot};
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{ConnectionType, Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::{HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use bytes::Bytes;
use pin_project_lite::pin_project;
use std::net::IpAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Response headers that a page may read, beside the few that it always may.
const EXPOSED: &str = "etag, location, retry-after, stream-next-offset, stream-up-to-date, stream-closed, stream-cursor, \
                       stream-sse-data-encoding, stream-extensions, stream-earliest-offset, producer-epoch, producer-seq, \
                       producer-expected-seq, producer-received-seq, stream-ttl, stream-expires-at, stream-retention-bytes, \
                       stream-retention-age";
const METHODS: &str = "GET, HEAD, PUT, POST, PATCH, DELETE";
/// Seconds for which a browser may remember a preflight's answer.
const PREFLIGHT_AGE: &str = "7200";

/// Who may come in, decided once from the configuration.
#[derive(Debug)]
pub struct Gate {
    origins: Vec<String>,
    any_origin: bool,
    /// On loopback only loopback names are answered, or any web page could reach us through a name of its own.
    loopback_names_only: bool,
    head_max: u64,
    connections_max: usize,
    connections: Arc<AtomicUsize>,
}

/// One open connection; counted until dropped.
#[derive(Debug)]
pub struct Connection {
    count: Arc<AtomicUsize>,
    /// Whether there was room when it came; decided once, so that those who come later disturb nobody.
    has_place: bool,
}

impl Gate {
    /// The gate of a server with this configuration that listens on `address`.
    pub fn new(config: &Config, address: IpAddr) -> Self {
        Self {
            origins: config
                .cors_origins
                .iter()
                .map(|origin| origin.trim_end_matches('/').to_ascii_lowercase())
                .collect(),
            any_origin: config.cors_origins.iter().any(|origin| origin == "*"),
            loopback_names_only: address.is_loopback(),
            head_max: config.head_max,
            connections_max: config.connections_max,
            connections: Arc::default(),
        }
    }

    /// Counts a connection until what is returned is dropped.
    pub fn connect(&self) -> Connection {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        Connection { count: Arc::clone(&self.connections), has_place: before < self.connections_max }
    }

    /// Connections open now.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    fn check(&self, request: &ServiceRequest) -> Result<(), Refusal> {
        if request.conn_data::<Rc<Connection>>().is_some_and(|connection| !connection.has_place) {
            return Err(Refusal::TooManyConnections { limit: self.connections_max });
        }
        let came = head_bytes(request);
        if came as u64 > self.head_max {
            return Err(Refusal::HeadTooLarge { came, limit: self.head_max });
        }
        let host = host(request.request());
        if self.loopback_names_only && !is_loopback(&host) {
            return Err(Refusal::Host(host));
        }
        match origin(request.headers()) {
            Some(origin) if !is_preflight(request) && !self.allows(origin, &host) => {
                Err(Refusal::Origin(origin.to_owned()))
            }
            None if !self.any_origin && is_embedding(request.headers()) => Err(Refusal::Embedding),
            _ => Ok(()),
        }
    }

    /// The origin of `request`, if it asks for one that may read the answer.
    fn allowed(&self, request: &HttpRequest) -> Option<HeaderValue> {
        origin(request.headers())
            .filter(|origin| self.allows(origin, &host(request)))
            .and_then(|origin| HeaderValue::from_str(origin).ok())
    }

    /// Whether pages of `origin` may use this server: its own pages, loopback's, and those named by `--cors-origin`.
    fn allows(&self, origin: &str, host: &str) -> bool {
        if self.any_origin {
            return true;
        }
        let origin = origin.to_ascii_lowercase();
        let Some((_, authority)) = origin.split_once("://") else { return false };
        authority == host.to_ascii_lowercase() || is_loopback(authority) || self.origins.contains(&origin)
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The middleware: checks, preflights, and the headers every answer carries.
///
/// # Errors
/// Only what the handlers behind it return; its own refusals are answers.
pub async fn guard(
    gate: web::Data<Gate>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let allowed = gate.allowed(request.request());
    let mut response = match gate.check(&request) {
        Err(refusal) => request.into_response(refusal.error_response()).map_into_right_body(),
        Ok(()) if is_preflight(&request) => request.into_response(preflight()).map_into_right_body(),
        Ok(()) => next.call(request).await?.map_into_left_body(),
    };
    // The library says so only once it drains, which is a moment after the answers of a stop were made.
    let is_stopping = response.request().app_data::<web::Data<App>>().is_some_and(|app| *app.stop.borrow());
    if is_stopping && response.status() != StatusCode::SWITCHING_PROTOCOLS {
        response.response_mut().head_mut().set_connection_type(ConnectionType::Close);
    }
    let map = response.headers_mut();
    for (name, value) in standing(allowed.as_ref()) {
        // Also without an origin: a cache must not give a page the answer that lacks its CORS headers.
        if name == header::VARY {
            map.append(name, value);
        } else if name != CROSS_ORIGIN_RESOURCE_POLICY || !map.contains_key(&name) {
            map.insert(name, value);
        }
    }
    let may_repeat = response.request().extensions_mut().remove::<MayRepeat>().is_some() && !is_stopping;
    let slot = response.request().conn_data::<Rc<Slot>>().filter(|_| may_repeat).cloned();
    let leaving = slot.and_then(|slot| slot.leave_after_answer(&standing_bytes(allowed.as_ref())));
    Ok(response.map_body(|_, body| Answer { body, leaving }))
}

/// Has the connection of a request that passed the gate leave its dispatcher with the request unanswered, if it can; whether it does.
pub(super) fn leave_unanswered(request: &HttpRequest) -> bool {
    let Some(gate) = request.app_data::<web::Data<Gate>>() else { return false };
    let standing = || standing_bytes(gate.allowed(request).as_ref());
    request.conn_data::<Rc<Slot>>().is_some_and(|slot| slot.leave_unanswered(&standing()))
}

/// Said by a handler of its request: others like it may follow on the same connection, and would pass the same checks.
#[derive(Debug, Clone, Copy)]
pub(super) struct MayRepeat;

pin_project! {
    /// An answer's body, after which its connection may leave.
    struct Answer<B> {
        #[pin]
        body: B,
        leaving: Option<Leaving>,
    }
}

impl<B: MessageBody> MessageBody for Answer<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(context)
    }
}

const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The header fields that every answer carries.
///
/// - `allowed`: the origin that may read it, if one asked.
fn standing(allowed: Option<&HeaderValue>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let always = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("cross-origin")),
        (header::VARY, HeaderValue::from_static("Origin")),
    ];
    let of_origin = allowed.map(|origin| {
        [
            (header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone()),
            (header::ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED)),
        ]
    });
    always.into_iter().chain(of_origin.into_iter().flatten())
}

fn standing_bytes(allowed: Option<&HeaderValue>) -> Vec<u8> {
    standing(allowed)
        .flat_map(|(name, value)| [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat())
        .collect()
}

/// A preflight's answer. Whether the origin may come in is said by `Access-Control-Allow-Origin`, which the caller adds.
fn preflight() -> HttpResponse {
    HttpResponse::build(StatusCode::NO_CONTENT)
        .insert_header((header::ACCESS_CONTROL_ALLOW_METHODS, METHODS))
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_HEADERS,
            "content-type, if-none-match, if-match, authorization, stream-seq, stream-ttl, stream-expires-at, stream-closed, \
             stream-forked-from, stream-fork-offset, stream-fork-sub-offset, stream-retention-bytes, stream-retention-age, \
             producer-id, producer-epoch, producer-seq",
        ))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .finish()
}

fn is_preflight(request: &ServiceRequest) -> bool {
    request.method() == Method::OPTIONS && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// Whether a browser asks on behalf of another site's page that neither goes there nor asks by CORS: as an image, a
/// script, a style sheet. Such requests carry no `Origin`, and their answers leak in ways of their own.
fn is_embedding(map: &HeaderMap) -> bool {
    let says = |name: &str, value: &str| map.get(name).is_some_and(|it| it.as_bytes() == value.as_bytes());
    says("sec-fetch-site", "cross-site") && !says("sec-fetch-mode", "navigate")
}

fn origin(map: &HeaderMap) -> Option<&str> {
    map.get(header::ORIGIN).map(|value| value.to_str().unwrap_or("?"))
}

fn host(request: &HttpRequest) -> String {
    let named = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    named.or_else(|| request.uri().authority().map(|authority| authority.as_str())).unwrap_or_default().to_owned()
}

/// Whether `authority` (host, or host:port) is a name of the loopback interface.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_end_matches('.');
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn head_bytes(request: &ServiceRequest) -> usize {
    let line = request.uri().path().len() + request.query_string().len() + 16;
    request.headers().iter().fold(line, |sum, (name, value)| sum + name.as_str().len() + value.len() + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for yes in ["localhost", "LOCALHOST:4437", "127.0.0.1", "127.8.9.1:80", "[::1]:4437", "[::1]", "localhost.:1"] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in
            ["", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1:80", "[::2]", "null"]
        {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn origins_are_own_loopback_or_named() {
        let config = Config { cors_origins: vec!["https://app.example".into()], ..Config::default() };
        let gate = Gate::new(&config, IpAddr::from([127, 0, 0, 1]));
        for (origin, host, allowed) in [
            ("http://localhost:8080", "127.0.0.1:4437", true),
            ("http://streams.example", "streams.example", true),
            ("https://app.example", "127.0.0.1:4437", true),
            ("https://evil.example", "127.0.0.1:4437", false),
            ("https://app.example.evil.example", "127.0.0.1:4437", false),
            ("null", "127.0.0.1:4437", false),
        ] {
            assert_eq!(gate.allows(origin, host), allowed, "{origin}");
        }
    }
}
