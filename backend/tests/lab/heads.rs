//! The theory's response heads equal the server's: the lab's predictions depend on them.

use crate::raw::{connect, request, start_with};
use tailwater::config::Config;
use tailwater_harness::ServerThread;
use tailwater_harness::websocket::UPGRADE;
use tailwater_lab::WireSizes;
use tailwater_protocol::Technique;

/// The content type of the appends.
const JSON: &str = "Content-Type: application/json\r\n";

/// Bytes of the head of the response to a reader of `path`, on a new connection.
async fn head_bytes(server: &ServerThread, path: &str, headers: &str) -> f64 {
    let mut client = connect(server.address.port()).await;
    client
        .send(request("GET", path, headers, "").as_bytes())
        .await;
    client.head().await;
    client.head_text().len() as f64
}

#[tokio::test]
async fn the_theory_knows_the_heads_that_the_server_sends() {
    let server = start_with(Config {
        long_poll_hold: std::time::Duration::from_millis(1),
        ..Config::default()
    });
    let mut writer = connect(server.address.port()).await;
    assert_eq!(
        writer
            .ask(&request("PUT", "/v1/stream/it", JSON, ""))
            .await
            .status,
        201
    );
    for _ in 0..2 {
        assert_eq!(
            writer
                .ask(&request("POST", "/v1/stream/it", JSON, "1"))
                .await
                .status,
            204
        );
    }
    let (news, tail) = ("0000000000000002", "0000000000000004");
    for technique in Technique::ALL {
        let live = technique
            .live()
            .map(|live| format!("&live={live}"))
            .unwrap_or_default();
        let headers = if technique == Technique::Websocket {
            UPGRADE
        } else {
            ""
        };
        let path = |offset: &str| format!("/v1/stream/it?offset={offset}{live}");
        let wire = WireSizes::of(technique);
        let seen = head_bytes(&server, &path(news), headers).await;
        assert_eq!(seen, wire.response_head_bytes, "{technique}: with news");
        if matches!(technique, Technique::Poll | Technique::LongPoll) {
            let seen = head_bytes(&server, &path(tail), headers).await;
            assert_eq!(seen, wire.empty_head_bytes, "{technique}: without news");
        }
    }
}
