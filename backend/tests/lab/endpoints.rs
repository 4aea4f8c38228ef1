//! The lab's endpoints over HTTP: their responses, their refusals, and a race from start to end.

use crate::raw::{connect, parts, request, start, start_with, sums};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tailwater::config::Config;
use tailwater_harness::RawConnection;
use tailwater_harness::wait::eventually;
use tailwater_protocol::Problem;
use tailwater_protocol::lab::{ClockReading, RaceStatus, SourceAnswer};

async fn post(client: &mut RawConnection, path: &str, body: &Value) -> (u16, String) {
    let json = "Content-Type: application/json\r\n";
    let request = request("POST", path, json, &body.to_string());
    parts(&client.ask(request).await)
}

#[tokio::test]
async fn the_clock_is_monotonic_and_exposes_its_timing_to_other_ports() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let mut before = 0;
    for _ in 0..5 {
        let origin = "Origin: http://localhost:8080\r\n";
        let answer = client.ask(&request("GET", "/v1/clock", origin, "")).await;
        assert!(
            answer.header("cache-control") == Some("no-store")
                && answer.header("timing-allow-origin") == Some("*"),
            "{answer:?}"
        );
        let reading: ClockReading = serde_json::from_slice(&answer.body).unwrap();
        assert!(before <= reading.received_us && reading.received_us <= reading.sent_us);
        before = reading.sent_us;
    }
}

#[tokio::test]
async fn a_source_writes_into_a_stream_that_anyone_can_read() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let asked =
        json!({"kind": "generator", "pattern": "poisson", "rate": 200, "size": 100, "seed": 7});
    let (status, body) = post(&mut client, "/v1/lab/sources", &asked).await;
    assert_eq!(status, 200, "{body}");
    let source: SourceAnswer = serde_json::from_str(&body).unwrap();
    assert!(source.stream.starts_with("lab/generator-"), "{source:?}");
    let path = format!("/v1/stream/{}?offset=-1&live=long-poll", source.stream);
    let (status, page) = parts(&client.ask(&request("GET", &path, "", "")).await);
    assert_eq!(status, 200);
    let events: Vec<Value> = serde_json::from_str(&page).unwrap();
    assert_eq!(events[0]["seq"], 0);
    assert_eq!(
        post(&mut client, "/v1/lab/sources", &json!({"kind": "host"}))
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn a_race_counts_its_lanes_apart_and_ends_on_request() {
    let server = start();
    let mut control = connect(server.address.port()).await;
    let asked = json!({"techniques": ["poll", "sse"], "delay_up_ms": 1, "delay_down_ms": 2});
    let answer = control
        .ask(&request("POST", "/v1/lab/races", "", &asked.to_string()))
        .await
        .expect(201);
    let race: RaceStatus = serde_json::from_slice(&answer.body).unwrap();
    let location = format!("/v1/lab/races/{}", race.id);
    assert_eq!(answer.header("location"), Some(&*location));
    assert_eq!(
        (race.delay_up_ms, race.delay_down_ms, race.lease_s),
        (1.0, 2.0, 30)
    );

    let mut lane = connect(race.lanes[0].port).await;
    assert_eq!(
        lane.ask(&request("GET", "/v1/stream/nothing?offset=-1", "", ""))
            .await
            .status,
        404
    );
    let path = format!("/v1/lab/races/{}", race.id);
    let (_, body) = parts(&control.ask(&request("GET", &path, "", "")).await);
    let seen: RaceStatus = serde_json::from_str(&body).unwrap();
    assert_eq!(
        sums(&seen.lanes[0].counts),
        (lane.sent_bytes(), lane.received_bytes())
    );
    assert_eq!(sums(&seen.lanes[1].counts), (0, 0));
    assert!(seen.at_us >= race.at_us);

    let change = json!({"delay_up_ms": 0, "delay_down_ms": 40}).to_string();
    let (status, body) = parts(&control.ask(&request("PATCH", &path, "", &change)).await);
    assert_eq!(
        (
            status,
            serde_json::from_str::<RaceStatus>(&body)
                .unwrap()
                .delay_down_ms
        ),
        (200, 40.0)
    );

    assert_eq!(
        control.ask(&request("DELETE", &path, "", "")).await.status,
        204
    );
    assert!(lane.rest().await.is_empty());
    let (status, body) = parts(&control.ask(&request("GET", &path, "", "")).await);
    assert_eq!(
        (
            status,
            Problem::parse(body.as_bytes()).unwrap().kind.as_str()
        ),
        (404, "#no-race")
    );
    for port in [race.lanes[0].port, race.control_port] {
        let closed = || std::net::TcpStream::connect(("127.0.0.1", port)).is_err();
        eventually("the port to close", closed).await;
    }
}

#[tokio::test]
async fn nine_clients_that_change_their_settings_are_not_refused() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let mut streams: [Option<String>; 9] = Default::default();
    for change in 1..=10 {
        for (client_id, stream) in (0..).zip(&mut streams) {
            let mut asked = json!({"kind": "generator", "pattern": "periodic", "rate": change, "size": 100,
                                   "seed": client_id, "holder": format!("client-{client_id}")});
            if let Some(stream) = stream {
                asked["replaces"] = json!(stream);
            }
            let (status, body) = post(&mut client, "/v1/lab/sources", &asked).await;
            assert_eq!(status, 200, "client {client_id}, change {change}: {body}");
            *stream = Some(serde_json::from_str::<SourceAnswer>(&body).unwrap().stream);
        }
    }
    for _ in 0..9 {
        let asked = json!({"techniques": ["poll", "sse"]});
        let (status, body) = post(&mut client, "/v1/lab/races", &asked).await;
        assert_eq!(status, 201, "{body}");
    }
}

#[tokio::test]
async fn the_source_beyond_the_limit_is_refused_with_an_explanation() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let asked = |seed: u32| {
        json!({"kind": "generator", "pattern": "poisson", "rate": 0.1, "size": 100, "seed": seed})
            .to_string()
    };
    for seed in 0..32 {
        let asked = request("POST", "/v1/lab/sources", "", &asked(seed));
        assert_eq!(client.ask(asked).await.status, 200);
    }
    let answer = client
        .ask(request("POST", "/v1/lab/sources", "", &asked(32)))
        .await;
    let problem = answer.refuses(503);
    assert_eq!(problem.kind, "#too-many-sources");
    assert_eq!(
        problem.detail,
        "32 sources are running, which is the limit; an unused one stops within 30 s, or when `replaces` names its stream"
    );
    assert_eq!(answer.header("retry-after"), Some("30"));
}

/// The round-trip time of a request to the clock through `port`.
async fn probe(port: u16) -> Duration {
    let mut client = connect(port).await;
    let started = Instant::now();
    let answer = client.ask(&request("GET", "/v1/clock", "", "")).await;
    assert_eq!(answer.status, 200);
    started.elapsed()
}

#[tokio::test]
async fn the_control_port_is_neither_delayed_nor_counted() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let asked = json!({"techniques": ["poll"], "delay_up_ms": 500, "delay_down_ms": 500});
    let (status, body) = post(&mut client, "/v1/lab/races", &asked).await;
    assert_eq!(status, 201, "{body}");
    let race: RaceStatus = serde_json::from_str(&body).unwrap();
    let path = format!("/v1/lab/races/{}", race.id);
    let change = json!({"delay_up_ms": 400, "delay_down_ms": 400}).to_string();
    client.ask(&request("PATCH", &path, "", &change)).await;
    let lane = probe(race.lanes[0].port).await;
    assert!(lane >= Duration::from_millis(800), "{lane:?}");
    // The fastest of several, because a busy machine adds to the time.
    let mut fastest = Duration::MAX;
    for _ in 0..5 {
        fastest = fastest.min(probe(race.control_port).await);
    }
    assert!(fastest < Duration::from_millis(400), "{fastest:?}");
    let (_, body) = parts(&client.ask(&request("GET", &path, "", "")).await);
    let seen: RaceStatus = serde_json::from_str(&body).unwrap();
    assert_eq!(seen.control_port, race.control_port);
    assert_eq!(
        (seen.lanes.len(), seen.lanes[0].counts.requests),
        (1, 1),
        "{seen:?}"
    );
}

#[tokio::test]
async fn refusals_name_the_field_the_range_and_the_value() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let generator = |rate: f64, size: usize| json!({"kind": "generator", "pattern": "burst", "rate": rate, "size": size, "seed": 1});
    let cases = [
        (
            "sources",
            generator(5_000.0, 64),
            "`rate` is `5000`, expected 0.1 to 2000 events per second",
        ),
        (
            "sources",
            generator(1.0, 8),
            "`size` is `8`, expected 64 to 65536 bytes",
        ),
        ("sources", json!({"kind": "moon"}), "unknown variant `moon`"),
        (
            "sources",
            json!({"kind": "host", "replaces": "lab/host"}),
            "`holder` is `absent`, expected 1 to 64 visible ASCII characters beside `replaces`",
        ),
        (
            "races",
            json!({"techniques": []}),
            "`techniques` is `0 techniques`, expected 1 to 8 techniques",
        ),
        (
            "races",
            json!({"techniques": ["poll"], "delay_up_ms": 501}),
            "`delay_up_ms` is `501`, expected 0 to 500 ms",
        ),
        (
            "races",
            json!({"techniques": ["pigeon"]}),
            "unknown variant `pigeon`",
        ),
        ("races", json!(7), "expected {\"techniques\""),
    ];
    for (path, body, says) in cases {
        let (status, answer) = post(&mut client, &format!("/v1/lab/{path}"), &body).await;
        let problem = Problem::parse(answer.as_bytes()).unwrap();
        assert_eq!((status, problem.status), (400, 400), "{body}");
        assert!(problem.detail.contains(says), "{body}: {problem}");
    }
    let answer = client.ask(&request("PUT", "/v1/lab/races", "", "")).await;
    assert_eq!(answer.status, 405, "{answer:?}");
    let allowed = answer.header("allow").unwrap_or_default();
    assert!(allowed.contains("POST"), "{answer:?}");
}

#[tokio::test]
async fn the_race_beyond_the_limit_is_refused_until_one_ends() {
    let server = start();
    let mut client = connect(server.address.port()).await;
    let asked = json!({"techniques": ["poll"]}).to_string();
    let ask = request("POST", "/v1/lab/races", "", &asked);
    let mut last = String::new();
    for _ in 0..16 {
        let (status, body) = parts(&client.ask(&ask).await);
        assert_eq!(status, 201, "{body}");
        last = serde_json::from_str::<RaceStatus>(&body).unwrap().id;
    }
    let answer = client.ask(&ask).await;
    assert_eq!(answer.refuses(503).kind, "#too-many-races");
    assert_eq!(answer.header("retry-after"), Some("30"));
    assert_eq!(
        client
            .ask(&request("DELETE", &format!("/v1/lab/races/{last}"), "", ""))
            .await
            .status,
        204
    );
    assert_eq!(client.ask(&ask).await.status, 201);
}

#[tokio::test]
async fn without_the_lab_only_the_clock_is_served() {
    let everywhere = Config {
        listen: ([0, 0, 0, 0], 0).into(),
        ..Config::default()
    };
    let server = start_with(everywhere);
    let mut client = connect(server.address.port()).await;
    assert_eq!(
        client
            .ask(&request("GET", "/v1/clock", "", ""))
            .await
            .status,
        200
    );
    let (status, body) = post(&mut client, "/v1/lab/sources", &json!({"kind": "host"})).await;
    assert_eq!(
        (
            status,
            Problem::parse(body.as_bytes()).unwrap().kind.as_str()
        ),
        (404, "#lab-off")
    );
}

#[tokio::test]
async fn the_lab_is_not_for_clients_behind_a_proxy() {
    let public_url = Some("https://streams.example".to_owned());
    let forwarded = [
        "Forwarded: for=192.0.2.43",
        "Via: 1.1 p",
        "x-forwarded-for: 192.0.2.43",
        "X-Forwarded-Proto: https",
    ];
    for (lab, status) in [(false, 404), (true, 200)] {
        let server = start_with(Config {
            lab,
            ..Config::default()
        });
        let mut client = connect(server.address.port()).await;
        for header in forwarded {
            let asked = request(
                "POST",
                "/v1/lab/sources",
                &format!("{header}\r\n"),
                r#"{"kind":"host"}"#,
            );
            let (came, body) = parts(&client.ask(&asked).await);
            assert_eq!(came, status, "{header}: {body}");
            assert_eq!(
                client
                    .ask(&request("GET", "/v1/clock", &format!("{header}\r\n"), ""))
                    .await
                    .status,
                200
            );
        }
        let server = start_with(Config {
            lab,
            public_url: public_url.clone(),
            ..Config::default()
        });
        let mut client = connect(server.address.port()).await;
        assert_eq!(
            post(&mut client, "/v1/lab/sources", &json!({"kind": "host"}))
                .await
                .0,
            status
        );
    }
}

#[tokio::test]
async fn a_stopping_server_ends_its_races() {
    let mut server = start();
    let mut client = connect(server.address.port()).await;
    let (_, body) = post(
        &mut client,
        "/v1/lab/races",
        &json!({"techniques": ["ndjson"]}),
    )
    .await;
    let race: RaceStatus = serde_json::from_str(&body).unwrap();
    post(&mut client, "/v1/lab/sources", &json!({"kind": "host"})).await;
    let mut lane = connect(race.lanes[0].port).await;
    lane.send(request("GET", "/v1/stream/lab/host?offset=now&live=ndjson", "", "").as_bytes())
        .await;
    lane.head().await;
    server.tell_to_stop();
    server.stopped().await;
    drop(lane.rest().await);
    assert!(std::net::TcpStream::connect(("127.0.0.1", race.lanes[0].port)).is_err());
}
