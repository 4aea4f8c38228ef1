//! The counting relay in front of a real server.

use crate::raw::{connect, parts, request, start, sums};
use std::sync::Arc;
use std::time::Duration;
use tailwater::lab::relay::{ByteMeter, Delays, Relay, RelayLimits};
use tailwater_harness::RawConnection;
use tailwater_harness::wait::{eventually, within};
use tailwater_harness::websocket::{UPGRADE, client_frame};
use tailwater_protocol::Technique;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const JSON: &str = "Content-Type: application/json\r\n";

struct RelayLane {
    port: u16,
    meter: ByteMeter,
    delays: Arc<Delays>,
    running: JoinHandle<()>,
}

impl Drop for RelayLane {
    fn drop(&mut self) {
        self.running.abort();
    }
}

async fn lane(upstream: std::net::SocketAddr, limits: RelayLimits) -> RelayLane {
    let delays = Arc::new(Delays::default());
    let relay = Relay::bind(upstream, Arc::clone(&delays), limits)
        .await
        .unwrap();
    let (port, meter) = (relay.port(), relay.meter());
    RelayLane {
        port,
        meter,
        delays,
        running: tokio::spawn(relay.run()),
    }
}

async fn settled(lane: &RelayLane, client: &RawConnection) {
    let sums = || sums(&lane.meter.counts());
    let expected = (client.sent_bytes(), client.received_bytes());
    eventually(&format!("{:?} to become {expected:?}", sums()), || {
        sums() == expected
    })
    .await;
}

/// The status of the response to a request.
async fn status_of(client: &mut RawConnection, request: &str) -> u16 {
    client.ask(request).await.status
}

#[tokio::test]
async fn counts_of_a_connection_equal_the_bytes_on_its_socket() {
    let server = start();
    let lane = lane(server.address, RelayLimits::default()).await;
    let mut client = connect(lane.port).await;
    assert_eq!(
        status_of(&mut client, &request("PUT", "/v1/stream/a/b", JSON, "")).await,
        201
    );
    assert_eq!(
        status_of(
            &mut client,
            &request("POST", "/v1/stream/a/b", JSON, r#"[{"seq":0},{"seq":1}]"#)
        )
        .await,
        204
    );
    let chunked = "POST /v1/stream/a/b HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n\
                   Transfer-Encoding: chunked\r\n\r\n9\r\n{\"seq\":2}\r\n0\r\n\r\n";
    assert_eq!(client.ask(chunked).await.status, 204);
    let (status, page) = parts(
        &client
            .ask(&request("GET", "/v1/stream/a/b?offset=-1", "", ""))
            .await,
    );
    assert_eq!(
        (status, page.as_str()),
        (200, r#"[{"seq":0},{"seq":1},{"seq":2}]"#)
    );
    let (status, page) = parts(
        &client
            .ask(&request("GET", "/v1/stream/a/b?offset=now", "", ""))
            .await,
    );
    assert_eq!((status, page.as_str()), (200, "[]"));
    assert_eq!(
        status_of(&mut client, &request("HEAD", "/v1/stream/a/b", "", "")).await,
        200
    );
    let held = request(
        "GET",
        "/v1/stream/a/b?offset=now&live=long-poll&hold=0.05",
        "",
        "",
    );
    let (status, _) = parts(&client.ask(&held).await);
    assert_eq!(status, 204);
    assert_eq!(
        status_of(&mut client, &request("GET", "/v1/stream/missing", "", "")).await,
        404
    );
    settled(&lane, &client).await;

    let counts = lane.meter.counts();
    assert_eq!(
        (counts.requests, counts.responses, counts.empty_responses),
        (8, 8, 2)
    );
    assert_eq!((counts.connections, counts.connections_open), (1, 1));
    assert_eq!(counts.request_body_bytes, 21 + 9);
    assert_eq!(counts.request_framing_bytes, 3 + 2 + 5);
    drop(client);
    eventually("the connection to be closed", || {
        lane.meter.counts().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn a_stream_is_counted_in_chunks_and_events() {
    let server = start();
    let lane = lane(server.address, RelayLimits::default()).await;
    let mut writer = connect(server.address.port()).await;
    assert_eq!(
        status_of(&mut writer, &request("PUT", "/v1/stream/s", JSON, "")).await,
        201
    );
    for technique in ["ndjson", "sse"] {
        let mut client = connect(lane.port).await;
        let before = lane.meter.counts();
        client
            .send(
                request(
                    "GET",
                    &format!("/v1/stream/s?offset=now&live={technique}"),
                    "",
                    "",
                )
                .as_bytes(),
            )
            .await;
        assert_eq!(client.head().await.status, 200);
        let head_bytes = client.head_text().len() as u64;
        let (mut body, mut framing) = (0, 0);
        let mut seen = 0;
        for event in 0..5 {
            assert_eq!(
                status_of(
                    &mut writer,
                    &request("POST", "/v1/stream/s", JSON, &format!("{{\"n\":{event}}}"))
                )
                .await,
                204
            );
            while seen <= event {
                let chunk = client.chunk().await.expect("a chunk before the last");
                body += chunk.len() as u64;
                // The size in hexadecimal and two line ends.
                framing += format!("{:x}\r\n\r\n", chunk.len()).len() as u64;
                seen += chunk.matches("\"n\":").count();
            }
        }
        let expected = (
            client.sent_bytes() + sums(&before).0,
            client.received_bytes() + sums(&before).1,
        );
        eventually("the counts to settle", || {
            sums(&lane.meter.counts()) == expected
        })
        .await;
        let counts = lane.meter.counts();
        assert_eq!(
            counts.response_body_bytes - before.response_body_bytes,
            body,
            "{technique}"
        );
        assert_eq!(
            counts.response_framing_bytes - before.response_framing_bytes,
            framing,
            "{technique}"
        );
        assert_eq!(
            counts.response_head_bytes - before.response_head_bytes,
            head_bytes,
            "{technique}"
        );
        assert_eq!(counts.empty_responses, 0);
    }
}

#[tokio::test]
async fn a_websocket_is_counted_in_frames_both_ways() {
    let server = start();
    let lane = lane(server.address, RelayLimits::default()).await;
    let mut client = connect(lane.port).await;
    assert_eq!(
        status_of(&mut client, &request("PUT", "/v1/stream/w", JSON, "")).await,
        201
    );
    client
        .send(request("GET", "/v1/stream/w?offset=-1&live=websocket", UPGRADE, "").as_bytes())
        .await;
    assert_eq!(client.head().await.status, 101);
    let mut writer = connect(server.address.port()).await;
    assert_eq!(
        status_of(
            &mut writer,
            &request("POST", "/v1/stream/w", JSON, r#"{"n":1}"#)
        )
        .await,
        204
    );
    let (mut heads, mut payloads) = (0, 0);
    loop {
        let (_, payload) = client.frame().await;
        let payload = String::from_utf8(payload).unwrap();
        // No frame here is so long that its length field has eight bytes.
        heads += if payload.len() < 126 { 2 } else { 4 };
        payloads += payload.len() as u64;
        if payload.contains("\"n\":1") {
            break;
        }
    }
    // A masked ping of two bytes: six of head, two of payload.
    client.send(client_frame(0x89, b"hi")).await;
    assert_eq!(client.frame().await, (0x8a, b"hi".to_vec()));
    settled(&lane, &client).await;
    let counts = lane.meter.counts();
    assert_eq!(
        (counts.request_framing_bytes, counts.request_body_bytes),
        (6, 2)
    );
    assert_eq!(
        (counts.response_framing_bytes, counts.response_body_bytes),
        (heads + 2, payloads + 2)
    );
}

/// Number of bytes in the heads of a request and of its response through `port`.
async fn head_bytes(port: u16, path: &str, headers: &str) -> u64 {
    let mut client = connect(port).await;
    let asked = request("GET", path, headers, "");
    client.send(asked.as_bytes()).await;
    client.head().await;
    (asked.len() + client.head_text().len()) as u64
}

#[tokio::test]
async fn cross_origin_bytes_are_the_difference_to_the_own_origin() {
    let server = start();
    let mut writer = connect(server.address.port()).await;
    for (method, body) in [("PUT", ""), ("POST", "[1]")] {
        status_of(&mut writer, &request(method, "/v1/stream/it", JSON, body)).await;
    }
    let origin = "Origin: http://127.0.0.1:4437\r\n";
    for technique in Technique::ALL {
        let live = technique.live().map(|live| format!("&live={live}"));
        let path = format!("/v1/stream/it?offset=-1{}", live.unwrap_or_default());
        let is_handshake = technique == Technique::Websocket;
        let own = if is_handshake {
            // Handshakes always have an origin.
            format!("{UPGRADE}{origin}")
        } else {
            String::new()
        };
        let other = if is_handshake { &*own } else { origin };
        let lane = lane(server.address, RelayLimits::default()).await;
        let without = head_bytes(server.address.port(), &path, &own).await;
        let with = head_bytes(lane.port, &path, other).await;
        let expected = if is_handshake { 0 } else { 31 + 52 + 34 + 24 };
        assert_eq!(with - without, expected, "{technique}");
        eventually("the count", || {
            lane.meter.counts().cross_origin_bytes == expected
        })
        .await;
    }
}

#[tokio::test]
async fn bytes_pass_unchanged_whatever_the_transit_delay() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lane = lane(
        upstream.local_addr().unwrap(),
        RelayLimits {
            in_flight_bytes: 100_000,
            ..RelayLimits::default()
        },
    )
    .await;
    lane.delays
        .set(Duration::from_millis(3), Duration::from_millis(7));
    let sent: Vec<u8> = (0..1_000_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24).to_le_bytes()[0])
        .collect();
    let echoing = tokio::spawn(async move {
        let (mut socket, _) = upstream.accept().await.unwrap();
        let mut all = Vec::new();
        socket.read_to_end(&mut all).await.unwrap();
        socket.write_all(&all).await.unwrap();
    });
    let socket = tokio::net::TcpStream::connect(("127.0.0.1", lane.port))
        .await
        .unwrap();
    let (mut from, mut to) = socket.into_split();
    to.write_all(&sent).await.unwrap();
    to.shutdown().await.unwrap();
    let mut came = Vec::new();
    within("the echo", from.read_to_end(&mut came))
        .await
        .unwrap();
    echoing.await.unwrap();
    assert!(
        came == sent,
        "{} of {} bytes, or different ones",
        came.len(),
        sent.len()
    );
    assert_eq!(
        sums(&lane.meter.counts()),
        (sent.len() as u64, sent.len() as u64)
    );
}

#[tokio::test]
async fn a_client_disconnect_is_passed_on_to_the_server() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lane = lane(upstream.local_addr().unwrap(), RelayLimits::default()).await;
    let mut client = connect(lane.port).await;
    client.send(b"GET / HTTP/1.1\r\n\r\n").await;
    let (mut socket, _) = upstream.accept().await.unwrap();
    let mut buffer = [0; 64];
    assert_eq!(
        within("the request", socket.read(&mut buffer))
            .await
            .unwrap(),
        18
    );
    drop(client);
    let end = within("the end", socket.read(&mut buffer)).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    drop(socket);
    eventually("the connection to be closed", || {
        lane.meter.counts().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn a_server_disconnect_is_passed_on_to_the_client() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lane = lane(upstream.local_addr().unwrap(), RelayLimits::default()).await;
    let mut client = connect(lane.port).await;
    let (mut socket, _) = upstream.accept().await.unwrap();
    socket
        .write_all(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n")
        .await
        .unwrap();
    drop(socket);
    assert!(client.rest().await.ends_with(b"\r\n\r\n"));
    eventually("the connection to be closed", || {
        lane.meter.counts().connections_open == 0
    })
    .await;
}

#[tokio::test]
async fn the_relay_explains_refusals_at_its_limit_or_without_a_server() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let full = lane(
        upstream.local_addr().unwrap(),
        RelayLimits {
            connections: 1,
            ..RelayLimits::default()
        },
    )
    .await;
    let _first = connect(full.port).await;
    eventually("the first to be open", || {
        full.meter.counts().connections_open == 1
    })
    .await;
    let mut second = connect(full.port).await;
    let (status, problem) = parts(&second.ask(&request("GET", "/", "", "")).await);
    assert_eq!(status, 503);
    assert!(
        problem.contains("1 connections are open on this lane"),
        "{problem}"
    );
    settled(&full, &second).await;

    let address = upstream.local_addr().unwrap();
    drop(upstream);
    let orphan = lane(address, RelayLimits::default()).await;
    let mut third = connect(orphan.port).await;
    let (status, problem) = parts(&third.ask(&request("GET", "/", "", "")).await);
    assert_eq!(status, 503);
    assert!(problem.contains("the server can't be reached"), "{problem}");
}

#[tokio::test]
async fn a_lane_that_ends_closes_its_connections_and_its_port() {
    let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lane = lane(upstream.local_addr().unwrap(), RelayLimits::default()).await;
    let mut client = connect(lane.port).await;
    let (mut socket, _) = upstream.accept().await.unwrap();
    lane.running.abort();
    assert_eq!(
        within("the server's end", socket.read(&mut [0; 8]))
            .await
            .unwrap(),
        0
    );
    assert!(client.rest().await.is_empty());
    let again = tokio::net::TcpStream::connect(("127.0.0.1", lane.port)).await;
    assert!(again.is_err());
}
