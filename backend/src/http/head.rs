//! A request's head as parsed by actix, for the gate and for calls.

use crate::api::Headers;
use crate::api::gate::{CountedConnection, GateHead};
use actix_http::RequestHead;
use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;
use std::rc::Rc;

/// Header fields in actix's map.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ActixHeaders<'m>(pub(crate) &'m HeaderMap);

impl Headers for ActixHeaders<'_> {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.get_all(name).map(|value| value.as_bytes())
    }
}

impl ActixHeaders<'_> {
    /// Total bytes of names, values and separators.
    pub(crate) fn bytes(&self) -> usize {
        self.0
            .iter()
            .map(|(name, value)| name.as_str().len() + value.len() + 4)
            .sum()
    }
}

/// A request's head as the gate sees it.
pub(crate) fn gate_head<'a>(
    request: &'a HttpRequest,
    map: &'a ActixHeaders<'a>,
) -> GateHead<'a, ActixHeaders<'a>> {
    gate_head_of(request.head(), request.conn_data(), map)
}

/// The same for a request that no application has received yet.
///
/// - `connection`: its connection, if that is counted.
pub(super) fn gate_head_of<'a>(
    head: &'a RequestHead,
    connection: Option<&'a Rc<CountedConnection>>,
    map: &'a ActixHeaders<'a>,
) -> GateHead<'a, ActixHeaders<'a>> {
    GateHead {
        method: &head.method,
        target_bytes: head.uri.path().len() + head.uri.query().map_or(0, str::len),
        authority: head.uri.authority().map(|authority| authority.as_str()),
        headers: map,
        header_bytes: map.bytes(),
        connection: connection.map(|connection| &**connection),
    }
}

/// Whether a request has passed a proxy, so that a client of a server on loopback may be remote.
///
/// Source: RFC 7239 (`Forwarded`), RFC 9110, section 7.6.3 (`Via`); current proxies send the
/// others.
pub(super) fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| {
        let name = name.as_str();
        matches!(name, "forwarded" | "via" | "x-real-ip") || name.starts_with("x-forwarded-")
    })
}
