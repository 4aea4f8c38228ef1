//! The same requests to two servers, one of which lets its readers leave their dispatchers: the answers must be the same.

use super::harness::{Server, TEXT, until, within};
use super::wire::{Head, Wire};
use reqwest::Method;
use std::time::Duration;
use tailwater::config::Config;

/// Requests as they are sent, without what all of them have.
const FIELDS: &str = "Host: localhost\r\n";

/// Two servers with one kept connection to each.
struct Twins {
    servers: [Server; 2],
    wires: [Wire; 2],
    /// The entity tag that each told last.
    etags: [String; 2],
}

/// An answer without what may differ between two servers: the date, a cursor's jitter, a stream's number.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: String,
}

impl Twins {
    async fn with(change: impl Fn(&mut Config)) -> Self {
        let server = |hand_off| {
            Server::with(|config| {
                config.workers = Some(1);
                change(config);
                config.hand_off = hand_off;
            })
        };
        let servers = [server(true), server(false)];
        let wires = [Wire::open(&servers[0]).await, Wire::open(&servers[1]).await];
        Self { servers, wires, etags: [String::new(), String::new()] }
    }

    /// Creates a stream on both.
    async fn stream(&self, name: &str, fields: &[(&str, &str)]) {
        for server in &self.servers {
            let put = server.http.put(server.url(&format!("/v1/stream/{name}")));
            let put = fields.iter().fold(put, |put, (key, value)| put.header(*key, *value));
            assert_eq!(server.send(put).await.status, 201);
        }
    }

    /// The same on both, on other connections.
    async fn aside(&self, method: Method, name: &str, fields: &[(&str, &str)], body: &'static str) {
        for server in &self.servers {
            let request = server.http.request(method.clone(), server.url(&format!("/v1/stream/{name}"))).body(body);
            let answer = server.send(fields.iter().fold(request, |it, (key, value)| it.header(*key, *value))).await;
            assert!([200, 201, 204].contains(&answer.status), "{answer:?}");
        }
    }

    /// Waits until so many readers of a stream are counted on both.
    async fn readers(&self, name: &str, count: usize) {
        for server in &self.servers {
            until("the readers", async || {
                let answer = server.ask(Method::GET, &format!("/v1/streams/{name}")).await;
                let details: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
                (details["readers"].as_array().map(Vec::len) == Some(count)).then_some(())
            })
            .await;
        }
    }

    /// Sends to both; `{etag}` is the entity tag told last.
    async fn tell(&mut self, bytes: &str) {
        for (wire, etag) in self.wires.iter_mut().zip(&self.etags) {
            wire.send(bytes.replace("{etag}", etag)).await;
        }
    }

    /// The next answer of both, which must be the same.
    async fn hear(&mut self, what: &str) -> Answer {
        let [with, without] = self.hear_both(what).await;
        assert_eq!(with, without, "handed off (left) or not: the answer to {what}");
        with
    }

    /// The next answer of both; afterwards both go on, on new connections if these were closed.
    async fn hear_both(&mut self, what: &str) -> [Answer; 2] {
        let is_head = what.starts_with("HEAD ");
        let mut answers = Vec::new();
        for ((wire, server), etag) in self.wires.iter_mut().zip(&self.servers).zip(&mut self.etags) {
            let mut head = wire.head().await;
            if head.status == 100 {
                head = wire.head().await;
            }
            if let Some(told) = head.header("etag") {
                told.clone_into(etag);
            }
            let has_body = !is_head && ![204, 304].contains(&head.status);
            let body = if has_body { wire.body(&head).await } else { String::new() };
            let answer = Answer::of(&head, body);
            if head.header("connection") == Some("close") {
                assert_eq!(wire.rest().await, b"", "after the last answer to {what}");
                *wire = Wire::open(server).await;
            }
            answers.push(answer);
        }
        answers.try_into().unwrap()
    }

    /// One request and its answer.
    async fn ask(&mut self, request: &str) -> Answer {
        self.tell(request).await;
        self.hear(request).await
    }

    /// Requests one after another; each with the status it must have.
    async fn script(&mut self, script: &[(u16, String)]) {
        for (status, request) in script {
            assert_eq!(self.ask(request).await.status, *status, "{request}");
        }
    }
}

impl Answer {
    fn of(head: &Head, body: String) -> Self {
        let mut fields: Vec<_> = head.fields().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        fields.sort();
        let normal = |(name, value): (String, &str)| {
            let value = match &*name {
                "date" => "a date",
                "stream-cursor" => "a cursor",
                "etag" => value.split_once(':').unwrap().1,
                _ => value,
            };
            (name, value.to_owned())
        };
        Self { status: head.status, fields: fields.into_iter().map(normal).collect(), body }
    }
}

fn get(target: &str) -> String {
    get_with(target, "")
}

fn get_with(target: &str, fields: &str) -> String {
    format!("GET /v1/stream/{target} HTTP/1.1\r\n{FIELDS}{fields}\r\n")
}

fn post(name: &str, fields: &str, body: &str) -> String {
    format!(
        "POST /v1/stream/{name} HTTP/1.1\r\n{FIELDS}Content-Type: text/plain\r\n{fields}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn other(method: &str, target: &str, fields: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\n{FIELDS}{fields}\r\n")
}

const IS_TEXT: [(&str, &str); 1] = [("content-type", TEXT)];

#[tokio::test]
async fn polls_are_answered_the_same() {
    let mut twins = Twins::with(|_| {}).await;
    twins.stream("it", &IS_TEXT).await;
    twins.stream("it/below", &IS_TEXT).await;
    twins.stream("a%20b", &IS_TEXT).await;
    twins.stream("lasting", &[("content-type", TEXT), ("stream-ttl", "3600")]).await;
    twins.stream("json", &[("content-type", "application/json")]).await;
    for name in ["it", "it/below", "a%20b", "lasting"] {
        twins.aside(Method::POST, name, &IS_TEXT, "abc").await;
    }
    twins.aside(Method::POST, "json", &[("content-type", "application/json")], "[1,{\"a\":2}]").await;
    let (at, known) = ("0000000000000003", "If-None-Match: {etag}\r\n");
    for fields in ["", "Origin: http://localhost:1\r\n", "Accept: */*\r\nConnection: keep-alive\r\n"] {
        let script = [
            (200, get_with("it", fields)),
            (200, get_with("it?offset=-1", fields)),
            (200, get_with("it?offset=-1", fields)),
            (304, get_with("it?offset=-1", &format!("{fields}{known}"))),
            (304, get_with("it?offset=-1", &format!("{fields}{known}"))),
            (200, get_with("it?offset=now", &format!("{fields}{known}"))),
            (200, get_with(&format!("it?offset={at}"), fields)),
            (304, get_with(&format!("it?offset={at}"), &format!("{fields}{known}"))),
            (200, get_with(&format!("it?offset={at}"), &format!("{fields}If-None-Match: \"x\"\r\n"))),
            (200, get_with("it?offset=now", fields)),
            (200, get_with("it/below?offset=0000000000000000", fields)),
            (200, get_with("it?offset=0000000000000001", fields)),
            (400, get_with("it?offset=wrong", fields)),
            (400, get_with("json?offset=0000000000000002", fields)),
            (200, get_with("json?offset=-1", fields)),
            (404, get_with("none?offset=-1", fields)),
            (200, get_with("it?offset=-1", fields)),
            (200, get_with("a%20b?offset=-1", fields)),
            (200, get_with("lasting?offset=-1", fields)),
            (200, get_with("lasting?offset=-1", fields)),
            (400, get_with("it//below", fields)),
            (400, get_with("it/../it", fields)),
            (200, other("HEAD", "/v1/stream/it", fields)),
            (200, get_with("it", fields)),
            (403, get_with("it", "Origin: http://evil.example\r\n")),
            (200, get_with("it", fields)),
            (
                204,
                other(
                    "OPTIONS",
                    "/v1/stream/it",
                    "Origin: http://localhost:1\r\nAccess-Control-Request-Method: GET\r\n",
                ),
            ),
            (200, other("GET", "/v1/streams", fields)),
            (404, other("GET", "/v1/nothing", fields)),
        ];
        for (_, request) in &script {
            let answer = twins.ask(request).await;
            assert!(answer.status < 500, "{request}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn a_stream_that_changes_between_two_polls_is_answered_the_same() {
    let mut twins = Twins::with(|_| {}).await;
    twins.stream("it", &IS_TEXT).await;
    let (all, end) = (get("it?offset=-1"), get("it?offset=0000000000000003"));
    twins.script(&[(200, all.clone()), (200, all.clone())]).await;
    twins.aside(Method::POST, "it", &IS_TEXT, "abc").await;
    twins.script(&[(200, all.clone()), (200, end.clone()), (200, end.clone())]).await;
    twins.aside(Method::DELETE, "it", &[], "").await;
    twins.script(&[(404, end.clone()), (404, all.clone())]).await;
    twins.stream("it", &IS_TEXT).await;
    twins.script(&[(200, end.clone()), (200, all.clone()), (200, all.clone())]).await;
    twins.aside(Method::POST, "it", &IS_TEXT, "xyz").await;
    twins.script(&[(200, end.clone()), (200, all.clone())]).await;
    twins.aside(Method::DELETE, "it", &[], "").await;
    twins.stream("it", &IS_TEXT).await;
    assert_eq!(twins.ask(&all).await.body, "");
    twins.aside(Method::POST, "it", &IS_TEXT, "123").await;
    assert_eq!(twins.ask(&all).await.body, "123");
    twins.script(&[(200, end.clone())]).await;
    twins.aside(Method::POST, "it", &[("stream-closed", "true")], "").await;
    let known = get_with("it?offset=-1", "If-None-Match: {etag}\r\n");
    twins.script(&[(200, end.clone()), (200, end), (200, all.clone()), (304, known.clone()), (304, known)]).await;
    assert!(twins.ask(&all).await.fields.contains(&("stream-closed".to_owned(), "true".to_owned())));
}

#[tokio::test]
async fn appends_are_answered_the_same() {
    let mut twins = Twins::with(|config| config.body_max = 2_000).await;
    twins.stream("it", &IS_TEXT).await;
    twins.stream("json", &[("content-type", "application/json")]).await;
    let json = |body: &str| post("json", "", body).replace("text/plain", "application/json");
    let produce =
        |seq: u32| post("it", &format!("Producer-Id: p\r\nProducer-Epoch: 0\r\nProducer-Seq: {seq}\r\n"), "p");
    for request in [
        post("it", "", "a"),
        post("it", "", "b"),
        post("it", "", "c").replace("text/plain", "text/html"),
        post("it", "", "d"),
        post("it", "", ""),
        post("none", "", "e"),
        post("it", "", &"f".repeat(2_000)),
        post("it", "", &"g".repeat(2_001)),
        post("it", "", "h"),
        produce(0),
        produce(0),
        post("it", "", "i"),
        produce(2),
        produce(1),
        post("it", "If-Match: \"0000000000000001\"\r\n", "j"),
        post("it", "Stream-Seq: 5\r\n", "k"),
        post("it", "", "l"),
        post("it?x=1", "", "m"),
        json("[1,2]"),
        json("3"),
        json("[4"),
        json("[]"),
        json("{\"a\":1}"),
        post("it", "Expect: 100-continue\r\n", "n"),
        post("it", "Stream-Closed: true\r\n", "o"),
        post("it", "", "p"),
        post("it", "", "q"),
        get("it?offset=-1"),
        get("json?offset=-1"),
        post("it", "Connection: close\r\n", "r"),
    ] {
        let answer = twins.ask(&request).await;
        assert!(answer.status < 500, "{request}: {answer:?}");
    }
    let all = twins.ask(&get("it?offset=-1")).await.body;
    assert_eq!(all.replace(&"f".repeat(2_000), "F"), "abdFhpipklmno");
}

#[tokio::test]
async fn long_polls_are_answered_the_same() {
    let mut twins = Twins::with(|_| {}).await;
    twins.stream("it", &IS_TEXT).await;
    let at = |at: u32, hold: &str| get(&format!("it?offset={at:016}&live=long-poll&hold={hold}"));
    twins
        .script(&[
            (204, at(0, "0.05")),
            (204, at(0, "0.05")),
            (204, at(0, "0")),
            (204, get("it?offset=now&live=long-poll&hold=0")),
        ])
        .await;
    for round in 0..3 {
        twins.tell(&at(round, "60")).await;
        twins.readers("it", 1).await;
        twins.aside(Method::POST, "it", &IS_TEXT, "a").await;
        assert_eq!(twins.hear("a long-poll that waits").await.body, "a");
        twins.readers("it", 0).await;
    }
    twins.script(&[(200, at(0, "60")), (200, get("it?offset=-1")), (200, at(1, "60")), (204, at(3, "0.05"))]).await;
    twins.script(&[(204, at(9, "0.05")), (400, at(3, "wrong")), (404, get("none?offset=-1&live=long-poll"))]).await;
    twins.tell(&at(3, "60")).await;
    twins.readers("it", 1).await;
    twins.aside(Method::POST, "it", &[("stream-closed", "true")], "").await;
    assert_eq!(twins.hear("a long-poll while the stream is closed").await.status, 204);
    twins.script(&[(204, at(3, "60")), (200, at(0, "60"))]).await;
    twins.stream("other", &IS_TEXT).await;
    let waits = at(0, "60").replace("/it?", "/other?");
    twins.tell(&waits).await;
    twins.readers("other", 1).await;
    twins.aside(Method::DELETE, "other", &[], "").await;
    // One says that it was deleted just now; the other asks anew, and finds nothing.
    for answer in twins.hear_both("a long-poll while the stream is deleted").await {
        assert!(answer.status == 404 && answer.body.starts_with("{\"type\":\"#no-stream\""), "{answer:?}");
    }
    twins.script(&[(404, waits), (200, at(0, "60"))]).await;
}

#[tokio::test]
async fn requests_in_one_piece_are_answered_the_same_and_in_order() {
    let mut twins = Twins::with(|_| {}).await;
    twins.stream("it", &IS_TEXT).await;
    // No HEAD: actix-http answers what it has read before one without bodies, too, in or out of our hands.
    let requests = [
        post("it", "", "abc"),
        get("it?offset=-1"),
        post("it", "", "def"),
        get("it?offset=0000000000000003"),
        get("it?offset=0000000000000006&live=long-poll&hold=0.05"),
        get_with("it", "Origin: http://localhost:1\r\n"),
        get("none"),
        post("it", "", "ghi"),
    ];
    // What stands before decides in whose hands the connection is when the piece comes.
    for first in [None, Some(get("it?offset=now")), Some(post("it", "", "!"))] {
        if let Some(first) = first {
            twins.ask(&first).await;
        }
        for from in 0..requests.len() {
            let turned = [&requests[from..], &requests[..from]].concat();
            twins.tell(&turned.concat()).await;
            for request in &turned {
                let answer = twins.hear(request).await;
                assert!(answer.status < 500 && answer.status != 400, "{request}: {answer:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_in_two_pieces_is_answered_the_same_wherever_it_is_cut() {
    let mut twins = Twins::with(|config| config.long_poll_hold = Duration::from_millis(1)).await;
    twins.stream("it", &IS_TEXT).await;
    let long_poll = get("it?offset=now&live=long-poll");
    for request in [get("it?offset=-1"), post("it", "", "abc"), long_poll] {
        for cut in 1..request.len() {
            twins.ask(&get("it?offset=now")).await;
            if request.starts_with("POST") {
                twins.ask(&post("it", "", "x")).await;
            }
            twins.tell(&request[..cut]).await;
            // One worker: it has seen the first piece once it has answered what came after it.
            for server in &twins.servers {
                within("a look aside", server.ask(Method::HEAD, "/v1/stream/it")).await;
            }
            twins.tell(&request[cut..]).await;
            let answer = twins.hear(&format!("{request} cut at {cut}")).await;
            assert!([200, 204].contains(&answer.status), "{answer:?}");
        }
    }
}
