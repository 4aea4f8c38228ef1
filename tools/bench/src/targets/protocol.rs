//! Requests of the Durable Streams protocol, for all its servers; NDJSON and WebSocket are extensions of Tailwater.

use crate::target::{BenchTechnique, From, JSON, UPGRADE, body, request};
use tailwater_harness::http::DecodedHead;

/// Creates a JSON stream.
pub(crate) fn create(stream: &str) -> Vec<u8> {
    request("PUT", &path(stream), JSON, b"")
}

/// Appends one message, or several as an array.
pub(crate) fn append(stream: &str, messages: &[Vec<u8>]) -> Vec<u8> {
    request("POST", &path(stream), JSON, &body(messages))
}

/// Reads from a position.
pub(crate) fn read(stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8> {
    let offset = match from {
        From::Beginning => "-1",
        From::At(token) => token,
    };
    let path = path(stream);
    match technique {
        BenchTechnique::Poll => request("GET", &format!("{path}?offset={offset}"), "", b""),
        BenchTechnique::Websocket => request(
            "GET",
            &format!("{path}?offset={offset}&live=websocket"),
            UPGRADE,
            b"",
        ),
        live => request(
            "GET",
            &format!("{path}?offset={offset}&live={live}"),
            "",
            b"",
        ),
    }
}

/// Where the next read begins.
pub(crate) fn position(head: &DecodedHead<'_>) -> Option<String> {
    head.header("stream-next-offset").map(Into::into)
}

/// A poll with `If-None-Match`, which returns 304.
pub(crate) fn unchanged(stream: &str, head: &DecodedHead<'_>) -> Option<Vec<u8>> {
    let (offset, etag) = (head.header("stream-next-offset")?, head.header("etag")?);
    let path = format!("{}?offset={offset}", path(stream));
    Some(request(
        "GET",
        &path,
        &format!("If-None-Match: {etag}\r\n"),
        b"",
    ))
}

fn path(stream: &str) -> String {
    format!("/v1/stream/{stream}")
}
