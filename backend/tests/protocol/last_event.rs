//! `Last-Event-ID` of a reconnecting `EventSource` overrides the `offset` of the URL, with and
//! without takeover.

use super::local_server::{LocalServer, TEXT};
use tailwater_harness::{RawConnection, Response};

const APPENDS: [&str; 3] = ["one", "two", "three"];
/// The offsets of those appends.
const START: &str = "0000000000000000";
const SECOND: &str = "0000000000000003";
const THIRD: &str = "0000000000000006";
const END: &str = "0000000000000011";

/// A server with the takeover and one without it, each with the same text stream.
async fn servers() -> [LocalServer; 2] {
    let servers =
        [true, false].map(|takeover| LocalServer::with(|config| config.takeover = takeover));
    for server in &servers {
        let stream = server.stream("it", TEXT).await;
        for append in APPENDS {
            stream.append(append).await;
        }
        assert_eq!(stream.tail().await, END);
    }
    servers
}

/// The response to a request with the field, as the first one of its connection or after a poll.
async fn ask(
    server: &LocalServer,
    query: &str,
    last: &str,
    is_first: bool,
) -> (Response, RawConnection) {
    let mut wire = server.connect().await;
    if !is_first {
        wire.send(format!(
            "GET /v1/stream/it?offset={START} HTTP/1.1\r\nHost: {}\r\n\r\n",
            server.address
        ))
        .await;
        let head = wire.head().await;
        assert_eq!((head.status, wire.body().await), (200, APPENDS.concat()));
    }
    let line = format!(
        "GET /v1/stream/it?{query} HTTP/1.1\r\nHost: {}\r\n",
        server.address
    );
    wire.send(format!("{line}Last-Event-ID: {last}\r\n\r\n"))
        .await;
    (wire.head().await, wire)
}

#[tokio::test]
async fn last_event_id_overrides_the_offset_in_the_url() {
    for server in &servers().await {
        for is_first in [true, false] {
            for (query, last, expected) in [
                // Later offsets, earlier ones, and any beside `now`.
                ("offset=-1&live=sse", THIRD, "data:three\n"),
                ("offset=0000000000000003&live=sse", THIRD, "data:three\n"),
                (
                    "offset=0000000000000006&live=sse",
                    SECOND,
                    "data:twothree\n",
                ),
                (
                    "offset=0000000000000011&live=sse",
                    START,
                    "data:onetwothree\n",
                ),
                ("offset=now&live=sse", SECOND, "data:twothree\n"),
                ("offset=now&live=sse", START, "data:onetwothree\n"),
                // An `EventSource` that has seen no id sends no field, or an empty one.
                ("offset=0000000000000006&live=sse", "", "data:three\n"),
                // Only server-sent events use this field.
                (
                    "offset=0000000000000006&live=ndjson",
                    START,
                    "{\"data\":\"three\",",
                ),
            ] {
                let what = format!("{query}, {last}, first request: {is_first}");
                let (head, mut wire) = ask(server, query, last, is_first).await;
                assert_eq!(head.status, 200, "{what}");
                let chunk = wire.chunk().await.unwrap();
                assert!(chunk.contains(expected), "{what}: {chunk}");
                assert!(
                    chunk.contains(&format!("\"streamNextOffset\":\"{END}\"")),
                    "{what}: {chunk}"
                );
            }
            // There is no data at the tail yet.
            let (head, mut wire) = ask(server, "offset=-1&live=sse", END, is_first).await;
            assert_eq!(head.status, 200);
            let chunk = wire.chunk().await.unwrap();
            assert!(
                chunk.contains(END) && !chunk.contains("event: data"),
                "{chunk}"
            );
        }
    }
}

#[tokio::test]
async fn an_invalid_last_event_id_is_400() {
    for server in &servers().await {
        for is_first in [true, false] {
            for offset in ["-1", "now", SECOND] {
                for last in [
                    "x",
                    "3",
                    "-2",
                    "0000000000000003 ,",
                    "00000000000000030",
                    "000000000000000\u{e9}",
                ] {
                    let query = format!("offset={offset}&live=sse");
                    let (head, mut wire) = ask(server, &query, last, is_first).await;
                    assert_eq!(
                        head.status, 400,
                        "{query}, {last}, first request: {is_first}"
                    );
                    let media = head.header("content-type");
                    assert_eq!(
                        media,
                        Some("application/problem+json"),
                        "{}",
                        wire.body().await
                    );
                }
            }
        }
    }
}

#[tokio::test]
async fn last_event_id_at_the_end_of_a_closed_stream_gets_204() {
    for server in &servers().await {
        let request = server
            .http
            .post(server.url("/v1/stream/it"))
            .header("stream-closed", "true");
        assert_eq!(server.send(request).await.status, 204);
        for is_first in [true, false] {
            for offset in ["-1", "now", SECOND, END] {
                let query = format!("offset={offset}&live=sse");
                let (head, _) = ask(server, &query, END, is_first).await;
                let told = [
                    head.header("stream-closed"),
                    head.header("stream-next-offset"),
                ];
                assert_eq!(
                    (head.status, told),
                    (204, [Some("true"), Some(END)]),
                    "{query}, first request: {is_first}"
                );
                // An offset before the end still returns the rest of the data, and then the end.
                let (head, mut wire) = ask(server, &query, THIRD, is_first).await;
                assert_eq!(head.status, 200);
                let mut came = String::new();
                while let Some(chunk) = wire.chunk().await {
                    came.push_str(&chunk);
                }
                assert!(
                    came.contains("data:three\n") && came.contains("\"streamClosed\":true"),
                    "{came}"
                );
            }
        }
    }
}
