//! The checks before every request (Host, Origin, limits), and the header fields of every response.

use super::headers::{Headers, single};
use super::{Answer, Fields, Refusal, names};
use crate::config::Config;
use http::header::{
    self, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HOST,
    HeaderName, ORIGIN,
};
use http::{Method, StatusCode};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use tailwater_protocol::headers;

/// Response headers that a web page may read: all of them.
///
/// For requests with credentials, `*` is only a header of that name, but pages can't read responses to
/// such requests, because no response has `Access-Control-Allow-Credentials`.
///
/// Source: Fetch standard, section "CORS protocol and credentials".
const EXPOSED: &str = "*";
const METHODS: &str = "GET, HEAD, PUT, POST, PATCH, DELETE";
/// Request headers that a web page may send.
static REQUEST_HEADERS: LazyLock<String> = LazyLock::new(|| {
    let others = [
        "content-type",
        "content-encoding",
        "if-none-match",
        "if-match",
        "last-event-id",
        "authorization",
    ];
    list(&others, &headers::IN_REQUESTS)
});
/// Seconds for which a browser may cache a preflight's response.
const PREFLIGHT_AGE: &str = "7200";

/// Connections beyond the limit that still get a response with the reason; any others are closed on
/// arrival.
const REFUSED_WITH_REASON_MAX: usize = 64;
/// Connections that are accepted and not yet counted by a worker.
const UNCOUNTED_MAX: usize = 64;

/// Allows pages of other origins, which have to use CORS, to show responses.
pub const CROSS_ORIGIN_RESOURCE_POLICY: HeaderName =
    HeaderName::from_static("cross-origin-resource-policy");
/// Allows pages of other origins to read the timing of responses.
const TIMING_ALLOW_ORIGIN: HeaderName = HeaderName::from_static("timing-allow-origin");

/// Who may use the server, derived from the configuration.
#[derive(Debug)]
pub struct Gate {
    origins: Vec<String>,
    any_origin: bool,
    /// On loopback only loopback host names are served; otherwise any web page could reach the
    /// server by DNS rebinding.
    loopback_names_only: bool,
    head_max: u64,
    connections_max: usize,
    connections: Arc<AtomicUsize>,
}

/// One open connection; counted until dropped.
#[derive(Debug)]
pub struct CountedConnection {
    count: Arc<AtomicUsize>,
    /// Whether it was within the limit on arrival; fixed then, so that later connections do not
    /// affect it.
    is_within_limit: bool,
}

/// A request's head as the gate sees it.
#[derive(Debug, Clone, Copy)]
pub struct GateHead<'a, H> {
    /// The method.
    pub method: &'a Method,
    /// Bytes of path and query.
    pub target_bytes: usize,
    /// The authority of a target in absolute form, which overrides `Host`. Source: RFC 9112,
    /// section 3.2.2.
    pub authority: Option<&'a str>,
    /// The header fields.
    pub headers: &'a H,
    /// Total bytes of names and values.
    pub header_bytes: usize,
    /// The connection of the request, if it is counted.
    pub connection: Option<&'a CountedConnection>,
}

/// The gate's verdict on a request's head.
#[derive(Debug)]
pub struct Admission<'a> {
    /// The requested host, with its port; empty when there is none.
    pub host: &'a str,
    /// The requesting origin, if it may read the response.
    pub allowed: Option<&'a str>,
    /// Whether the request is admitted; if not, [`Refusal::TooManyConnections`],
    /// [`Refusal::HeadTooLarge`], [`Refusal::Header`],
    /// [`Refusal::Host`], [`Refusal::Origin`] or [`Refusal::Embedding`].
    pub checked: Result<(), Refusal>,
}

impl<'a, H: Headers> GateHead<'a, H> {
    /// The requested host, with its port.
    ///
    /// # Errors
    /// [`Refusal::Header`] when `Host` is repeated.
    pub fn host(&self) -> Result<&'a str, Refusal> {
        let named = single(self.headers, &HOST)?.and_then(|value| std::str::from_utf8(value).ok());
        Ok(self.authority.or(named).unwrap_or_default())
    }

    fn origin(&self) -> Result<Option<&'a str>, Refusal> {
        Ok(single(self.headers, &ORIGIN)?.map(|value| std::str::from_utf8(value).unwrap_or("?")))
    }

    /// Whether this is a CORS preflight.
    pub fn is_preflight(&self) -> bool {
        let asks = || {
            self.headers
                .values(ACCESS_CONTROL_REQUEST_METHOD.as_str())
                .next()
                .is_some()
        };
        self.method == Method::OPTIONS && asks()
    }

    /// Whether another site's page embeds this as an image, script, style sheet or the like. Such
    /// requests carry no `Origin`, and their responses can leak through side channels.
    ///
    /// # Errors
    /// [`Refusal::Header`] when one of the `Sec-Fetch-*` fields is repeated.
    fn is_embedding(&self) -> Result<bool, Refusal> {
        let is_cross_site = single(self.headers, &names::SEC_FETCH_SITE)? == Some(b"cross-site");
        let is_navigation = single(self.headers, &names::SEC_FETCH_MODE)? == Some(b"navigate");
        Ok(is_cross_site && !is_navigation)
    }
}

fn list(others: &[&str], names: &[&str]) -> String {
    [others, names].concat().join(", ")
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

    /// Counts a connection until the result is dropped; `None` when the connection must be closed
    /// at once.
    pub fn connect(&self) -> Option<CountedConnection> {
        let before = self.connections.fetch_add(1, Ordering::Relaxed);
        let connection = CountedConnection {
            count: Arc::clone(&self.connections),
            is_within_limit: before < self.connections_max,
        };
        (before < self.connections_max.saturating_add(REFUSED_WITH_REASON_MAX))
            .then_some(connection)
    }

    /// Maximum number of connections to accept; others wait in the kernel's queue, without a file
    /// descriptor of this process.
    pub fn accepted_max(&self) -> usize {
        self.connections_max
            .saturating_add(REFUSED_WITH_REASON_MAX + UNCOUNTED_MAX)
    }

    /// Number of open connections.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// Checks a request's head.
    pub fn admit<'a, H: Headers>(&self, head: &GateHead<'a, H>) -> Admission<'a> {
        let (host, origin) = (head.host(), head.origin());
        let own = *host.as_ref().unwrap_or(&"");
        let allowed = origin
            .as_ref()
            .ok()
            .copied()
            .flatten()
            .filter(|origin| self.allows(origin, own));
        Admission {
            host: own,
            allowed,
            checked: self.check(head, host, origin, allowed.is_some()),
        }
    }

    fn check<H: Headers>(
        &self,
        head: &GateHead<'_, H>,
        host: Result<&str, Refusal>,
        origin: Result<Option<&str>, Refusal>,
        is_allowed: bool,
    ) -> Result<(), Refusal> {
        if head
            .connection
            .is_some_and(|connection| !connection.is_within_limit)
        {
            return Err(Refusal::TooManyConnections {
                limit: self.connections_max,
            });
        }
        let received = head.target_bytes + 16 + head.header_bytes;
        if received as u64 > self.head_max {
            return Err(Refusal::HeadTooLarge {
                received,
                limit: self.head_max,
            });
        }
        let host = host?;
        if self.loopback_names_only && !is_loopback(host) {
            return Err(Refusal::Host(host.to_owned()));
        }
        match origin? {
            Some(origin) if !is_allowed && !head.is_preflight() => {
                Err(Refusal::Origin(origin.to_owned()))
            }
            None if head.is_embedding()? && !self.any_origin => Err(Refusal::Embedding),
            _ => Ok(()),
        }
    }

    /// Whether pages of `origin` may use this server: its own, those on loopback, and those named
    /// by `--cors-origin`.
    fn allows(&self, origin: &str, host: &str) -> bool {
        if self.any_origin {
            return true;
        }
        let origin = origin.to_ascii_lowercase();
        let Some((_, authority)) = origin.split_once("://") else {
            return false;
        };
        authority == host.to_ascii_lowercase()
            || is_loopback(authority)
            || self.origins.contains(&origin)
    }
}

impl Drop for CountedConnection {
    fn drop(&mut self) {
        self.count.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The header fields of every response, except responses to preflights and handshakes.
///
/// - `allowed`: the origin that may read it and its timing, if any.
pub fn common_fields(allowed: Option<&str>) -> Fields {
    let mut fields = preflight_fields(allowed);
    if allowed.is_some() {
        fields.put(&ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
        fields.put(&TIMING_ALLOW_ORIGIN, "*");
    }
    fields.shrink_to_fit();
    fields
}

/// The header fields of every response to a preflight.
///
/// - `allowed`: the origin that may send the request, if any.
pub fn preflight_fields(allowed: Option<&str>) -> Fields {
    let mut fields = Fields::default();
    fields.put(&header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    fields.put(&CROSS_ORIGIN_RESOURCE_POLICY, "cross-origin");
    fields.put(&header::VARY, "Origin");
    if let Some(origin) = allowed {
        fields.put(&ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    fields
}

/// The header fields of every response that accepts a WebSocket handshake. CORS does not apply to it.
pub fn upgrade_fields() -> Fields {
    preflight_fields(None)
}

/// The response to a preflight. Whether the origin is allowed is in `Access-Control-Allow-Origin`,
/// one of the [`common_fields`].
pub fn preflight() -> Answer {
    let mut answer = Answer::new(StatusCode::NO_CONTENT);
    for (name, value) in [
        (ACCESS_CONTROL_ALLOW_METHODS, METHODS),
        (ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS.as_str()),
        (ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE),
    ] {
        answer.put(&name, value);
    }
    answer.forbid_storing();
    answer
}

/// Whether `authority` (host, or host:port) names the loopback interface.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    let host = host.trim_end_matches('.');
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_names_are_loopback() {
        for yes in [
            "localhost",
            "LOCALHOST:4437",
            "127.0.0.1",
            "127.8.9.1:80",
            "[::1]:4437",
            "[::1]",
            "localhost.:1",
        ] {
            assert!(is_loopback(yes), "{yes}");
        }
        for no in [
            "",
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1:80",
            "[::2]",
            "null",
        ] {
            assert!(!is_loopback(no), "{no}");
        }
    }

    #[test]
    fn allowed_origins_are_own_loopback_or_configured() {
        let config = Config {
            cors_origins: vec!["https://app.example".into()],
            ..Config::default()
        };
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
