//! The server for the lab's tests, and requests on a connection that counts its bytes.

use crate::in_process::serve;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tailwater::config::{Config, StoreKind};
use tailwater_harness::{RawConnection, Response, ServerThread};
use tailwater_protocol::lab::LaneCounts;

/// A server on loopback, which therefore has a lab.
pub(crate) fn start() -> ServerThread {
    start_with(Config::default())
}

pub(crate) fn start_with(config: Config) -> ServerThread {
    serve(Config {
        workers: Some(1),
        drain: Duration::from_secs(1),
        store: StoreKind::Memory,
        ..config
    })
}

/// Connects to a port on loopback.
pub(crate) async fn connect(port: u16) -> RawConnection {
    RawConnection::open(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await
}

/// The status and the body.
pub(crate) fn parts(response: &Response) -> (u16, String) {
    (response.status, response.text().to_owned())
}

/// A request with `headers` (each with its line end) and `body`.
pub(crate) fn request(method: &str, path: &str, headers: &str, body: &str) -> String {
    let length = if body.is_empty() && method != "POST" {
        String::new()
    } else {
        format!("Content-Length: {}\r\n", body.len())
    };
    format!("{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}{length}\r\n{body}")
}

/// All bytes to the server, and all bytes to the client.
pub(crate) fn sums(counts: &LaneCounts) -> (u64, u64) {
    (
        counts.request_head_bytes + counts.request_body_bytes + counts.request_framing_bytes,
        counts.response_head_bytes + counts.response_body_bytes + counts.response_framing_bytes,
    )
}
