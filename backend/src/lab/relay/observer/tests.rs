//! Connections with known counts, whole and however they are split, and arbitrary bytes.

use super::*;
use proptest::prelude::*;

/// A piece of a connection: its direction and bytes.
#[derive(Debug, Clone)]
enum TestedDirection {
    Up(Vec<u8>),
    Down(Vec<u8>),
}

fn up(text: &str) -> TestedDirection {
    TestedDirection::Up(text.as_bytes().to_vec())
}

fn down(text: &str) -> TestedDirection {
    TestedDirection::Down(text.as_bytes().to_vec())
}

/// An observer's counts when each piece is split into the sizes in `cuts`, cyclically.
fn count(turns: &[TestedDirection], cuts: &[usize]) -> LaneCounts {
    let (mut observer, mut counts) = (TrafficObserver::new(), LaneCounts::default());
    let mut cut = cuts.iter().cycle();
    for turn in turns {
        let (TestedDirection::Up(bytes) | TestedDirection::Down(bytes)) = turn;
        let mut rest = bytes.as_slice();
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.len().min(*cut.next().unwrap()).max(1));
            match turn {
                TestedDirection::Up(_) => observer.request(piece, &mut counts),
                TestedDirection::Down(_) => observer.response(piece, &mut counts),
            }
            rest = after;
        }
    }
    observer.response_closed(&mut counts);
    assert_eq!(sum(&counts), total(turns), "the counts add up to all bytes");
    counts
}

fn sum(counts: &LaneCounts) -> (u64, u64) {
    (
        counts.request_head_bytes + counts.request_body_bytes + counts.request_framing_bytes,
        counts.response_head_bytes + counts.response_body_bytes + counts.response_framing_bytes,
    )
}

fn total(turns: &[TestedDirection]) -> (u64, u64) {
    turns.iter().fold((0, 0), |(sent, got), turn| match turn {
        TestedDirection::Up(bytes) => (sent + bytes.len() as u64, got),
        TestedDirection::Down(bytes) => (sent, got + bytes.len() as u64),
    })
}

/// Request body and framing, response body and framing, requests, responses, empty responses.
fn check(turns: &[TestedDirection], bodies: [u64; 4], messages: [u64; 3]) {
    for cuts in [&[1_000_000][..], &[1], &[2, 3], &[7, 1, 64]] {
        let counts = count(turns, cuts);
        let received = [
            counts.request_body_bytes,
            counts.request_framing_bytes,
            counts.response_body_bytes,
            counts.response_framing_bytes,
        ];
        assert_eq!(received, bodies, "{turns:?} in {cuts:?}");
        let received = [counts.requests, counts.responses, counts.empty_responses];
        assert_eq!(received, messages, "{turns:?} in {cuts:?}");
    }
}

const GET: &str = "GET /v1/stream/x?offset=-1 HTTP/1.1\r\nHost: localhost\r\n\r\n";

#[test]
fn a_response_with_a_length_ends_there() {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    check(
        &[up(GET), down(answer), up(GET), down(answer)],
        [0, 0, 10, 0],
        [2, 2, 0],
    );
    check(
        &[up(GET), up(GET), down(answer), down(answer)],
        [0, 0, 10, 0],
        [2, 2, 0],
    );
}

#[test]
fn responses_without_data_are_counted() {
    let cases = [
        ("HTTP/1.1 204 No Content\r\n\r\n", 0),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n", 0),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0),
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", 2),
    ];
    for (answer, body) in cases {
        check(
            &[up(GET), down(answer), up(GET), down(answer)],
            [0, 0, 2 * body, 0],
            [2, 2, 2],
        );
    }
    check(
        &[
            up(GET),
            down("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n42"),
        ],
        [0, 0, 2, 0],
        [1, 1, 0],
    );
    check(
        &[
            up(GET),
            down("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        ],
        [0, 0, 0, 5],
        [1, 1, 1],
    );
    check(
        &[up(GET), down("HTTP/1.1 200 OK\r\n\r\n")],
        [0, 0, 0, 0],
        [1, 1, 1],
    );
}

#[test]
fn only_reads_count_as_empty() {
    let append = "POST /v1/stream/x HTTP/1.1\r\nContent-Length: 3\r\n\r\n[1]";
    check(
        &[up(append), down("HTTP/1.1 204 No Content\r\n\r\n")],
        [3, 0, 0, 0],
        [1, 1, 0],
    );
    check(
        &[
            up(GET),
            down("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"),
        ],
        [0, 0, 0, 0],
        [1, 1, 0],
    );
}

#[test]
fn a_response_to_head_has_no_body() {
    let head = "HEAD /v1/stream/x HTTP/1.1\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    check(
        &[up(head), down(answer), up(GET), down(answer), down("hello")],
        [0, 0, 5, 0],
        [2, 2, 0],
    );
}

#[test]
fn chunk_data_and_framing_are_counted_separately() {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n5\r\nhello\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nA: b\r\n\r\n";
    check(
        &[up(GET), down(answer), up(GET), down(answer)],
        [0, 0, 42, 2 * (3 + 2 + 8 + 2 + 3 + 6 + 2)],
        [2, 2, 0],
    );
    let append = "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let ok = "HTTP/1.1 204 No Content\r\n\r\n";
    check(
        &[up(append), down(ok), up(append), down(ok)],
        [6, 20, 0, 0],
        [2, 2, 0],
    );
}

#[test]
fn an_event_of_36_bytes_in_a_chunk_costs_6_bytes_of_framing() {
    let chunk = format!("24\r\n{}\r\n", "x".repeat(36));
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    check(
        &[up(GET), down(head), down(&chunk), down(&chunk)],
        [0, 0, 72, 12],
        [1, 1, 0],
    );
}

#[test]
fn an_interim_response_belongs_to_the_same_request() {
    let append = "POST /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n";
    let turns = [
        up(append),
        down("HTTP/1.1 100 Continue\r\n\r\n"),
        up("abc"),
        down("HTTP/1.1 204 No Content\r\n\r\n"),
    ];
    check(&turns, [3, 0, 0, 0], [1, 1, 0]);
    check(
        &[
            up(GET),
            down("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 None\r\n\r\n"),
        ],
        [0; 4],
        [1, 1, 1],
    );
}

#[test]
fn a_body_without_a_length_lasts_until_the_close() {
    check(
        &[
            up(GET),
            down("HTTP/1.1 200 OK\r\n\r\n"),
            down("HTTP/1.1 is "),
            down("body"),
        ],
        [0, 0, 16, 0],
        [1, 1, 0],
    );
}

#[test]
fn after_an_upgrade_both_directions_are_frames() {
    let ask = "GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let agree =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n";
    let event = TestedDirection::Down([&[0x81, 5][..], b"hello"].concat());
    let append = TestedDirection::Up([&[0x81, 0x85, 1, 2, 3, 4][..], b"hello"].concat());
    let pong = TestedDirection::Up(vec![0x8a, 0x80, 1, 2, 3, 4]);
    check(
        &[up(ask), down(agree), event.clone(), append, pong, event],
        [5, 12, 10, 4],
        [1, 1, 0],
    );
}

#[test]
fn an_upgrade_to_something_else_and_a_tunnel_are_body() {
    let other = [
        up("GET / HTTP/1.1\r\nUpgrade: h2c\r\n\r\n"),
        down("HTTP/1.1 101 OK\r\nUpgrade: h2c\r\n\r\n"),
        down("abc"),
        up("de"),
    ];
    check(&other, [2, 0, 3, 0], [1, 1, 0]);
    let tunnel = [
        up("CONNECT a:1 HTTP/1.1\r\n\r\n"),
        down("HTTP/1.1 200 OK\r\n\r\n"),
        down("abc"),
        up("GET / HTTP/1.1\r\n\r\n"),
    ];
    check(&tunnel, [18, 0, 3, 0], [1, 1, 0]);
}

#[test]
fn a_refused_upgrade_stays_http() {
    let ask = "GET /x HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let refuse = "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno";
    check(
        &[
            up(ask),
            down(refuse),
            up(GET),
            down("HTTP/1.1 204 None\r\n\r\n"),
        ],
        [0, 0, 2, 0],
        [2, 2, 1],
    );
}

#[test]
fn empty_lines_before_a_request_belong_to_its_head() {
    check(
        &[up("\r\n\r\n"), up(GET), down("HTTP/1.1 204 None\r\n\r\n")],
        [0; 4],
        [1, 1, 1],
    );
}

#[test]
fn bytes_that_are_not_http_count_as_body() {
    check(
        &[up("this is\r\n\r\nnot http"), down("nor\r\n\r\nthis")],
        [8, 0, 4, 0],
        [1, 0, 0],
    );
    let broken = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc";
    check(&[up(GET), down(broken)], [0, 0, 3, 4], [1, 1, 0]);
}

/// Checks the count of cross-origin bytes, whole and split.
fn check_cross_origin(turns: &[TestedDirection], bytes: usize) {
    for cuts in [&[1_000_000][..], &[1], &[7, 1, 64]] {
        let counts = count(turns, cuts);
        assert_eq!(
            counts.cross_origin_bytes, bytes as u64,
            "{turns:?} in {cuts:?}"
        );
    }
}

#[test]
fn cross_origin_lines_are_counted_in_both_heads() {
    let ask = "GET /x HTTP/1.1\r\nOrigin: http://localhost:4437\r\nReferer: http://localhost:4437/\r\nSec-Fetch-Site: same-site\r\n\r\n";
    let answer = "HTTP/1.1 200 OK\r\nvary: Origin\r\naccess-control-allow-origin: http://localhost:4437\r\naccess-control-expose-headers: *\r\ntiming-allow-origin: *\r\nContent-Length: 2\r\n\r\n[]";
    let each = 31 + 52 + 34 + 24;
    check_cross_origin(&[up(ask), down(answer)], each);
    check_cross_origin(&[up(ask), down(answer), up(ask), down(answer)], 2 * each);
    check_cross_origin(
        &[
            up(GET),
            down("HTTP/1.1 200 OK\r\nvary: Origin\r\nContent-Length: 0\r\n\r\n"),
        ],
        0,
    );
}

#[test]
fn the_origin_of_handshakes_and_appends_is_not_counted() {
    let ask = "GET /x HTTP/1.1\r\nOrigin: http://localhost:4437\r\nUpgrade: websocket\r\n\r\n";
    let agree = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let event = TestedDirection::Down([&[0x81, 8][..], b"Origin:\n"].concat());
    check_cross_origin(&[up(ask), down(agree), event], 0);
    let append =
        "POST /x HTTP/1.1\r\nOrigin: http://localhost:4437\r\nContent-Length: 8\r\n\r\nOrigin:\n";
    let done =
        "HTTP/1.1 204 No Content\r\naccess-control-allow-origin: http://localhost:4437\r\n\r\n";
    check_cross_origin(&[up(append), down(done)], 52);
}

#[test]
fn a_preflight_is_counted_completely() {
    let ask = "OPTIONS /x HTTP/1.1\r\nOrigin: http://localhost:4437\r\nAccess-Control-Request-Method: PUT\r\n\r\n";
    let answer =
        "HTTP/1.1 204 No Content\r\nvary: Origin\r\naccess-control-allow-methods: PUT\r\n\r\n";
    check_cross_origin(&[up(ask), down(answer)], ask.len() + answer.len());
    let options = "OPTIONS /x HTTP/1.1\r\n\r\n";
    check_cross_origin(&[up(options), down("HTTP/1.1 204 No Content\r\n\r\n")], 0);
}

/// A request with its response, and its counts: request body and framing, response body and
/// framing, empties.
fn exchange() -> impl Strategy<Value = (Vec<TestedDirection>, [u64; 5])> {
    let bytes = prop::collection::vec(any::<u8>(), 1..300);
    prop_oneof![
        bytes.clone().prop_map(|body| {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            let empty = u64::from(body == b"[]");
            (
                vec![
                    up(GET),
                    TestedDirection::Down([head.as_bytes(), &body].concat()),
                ],
                [0, 0, body.len() as u64, 0, empty],
            )
        }),
        prop::collection::vec(bytes.clone(), 1..5).prop_map(|chunks| {
            let mut answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
            let (mut body, mut framing) = (0, 5);
            for chunk in &chunks {
                let size = format!("{:x}\r\n", chunk.len());
                framing += size.len() as u64 + 2;
                body += chunk.len() as u64;
                answer.extend_from_slice(&[size.as_bytes(), chunk, b"\r\n"].concat());
            }
            answer.extend_from_slice(b"0\r\n\r\n");
            let empty = u64::from(chunks.concat() == b"[]");
            (
                vec![up(GET), TestedDirection::Down(answer)],
                [0, 0, body, framing, empty],
            )
        }),
        bytes.prop_map(|body| {
            let head = format!("POST /x HTTP/1.1\r\ncontent-length: {}\r\n\r\n", body.len());
            let turns = vec![
                TestedDirection::Up([head.as_bytes(), &body].concat()),
                down("HTTP/1.1 204 None\r\n\r\n"),
            ];
            (turns, [body.len() as u64, 0, 0, 0, 0])
        }),
        Just((
            vec![up(GET), down("HTTP/1.1 204 None\r\n\r\n")],
            [0, 0, 0, 0, 1]
        )),
    ]
}

proptest! {
    #[test]
    fn counts_do_not_depend_on_the_split(
        exchanges in prop::collection::vec(exchange(), 1..8),
        cuts in prop::collection::vec(1..100usize, 1..20),
    ) {
        let turns: Vec<TestedDirection> = exchanges.iter().flat_map(|(turns, _)| turns.clone()).collect();
        let mut expected = [0; 5];
        for (_, parts) in &exchanges {
            expected.iter_mut().zip(parts).for_each(|(sum, part)| *sum += part);
        }
        let counts = count(&turns, &cuts);
        let received = [
            counts.request_body_bytes,
            counts.request_framing_bytes,
            counts.response_body_bytes,
            counts.response_framing_bytes,
            counts.empty_responses,
        ];
        prop_assert_eq!(received, expected);
        prop_assert_eq!((counts.requests, counts.responses), (exchanges.len() as u64, exchanges.len() as u64));
        prop_assert_eq!(counts, count(&turns, &[usize::MAX]));
    }

    #[test]
    fn counts_of_any_bytes_do_not_depend_on_the_split(
        sent in prop::collection::vec(any::<u8>(), 0..400),
        got in prop::collection::vec(prop_oneof![any::<u8>(), Just(b'\n'), Just(b'\r'), Just(b'0')], 0..400),
        cuts in prop::collection::vec(1..50usize, 1..10),
        upgrade in any::<bool>(),
    ) {
        let mut turns = Vec::new();
        if upgrade {
            turns.push(up("GET /x HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"));
            turns.push(down("HTTP/1.1 101 OK\r\nUpgrade: websocket\r\n\r\n"));
        }
        turns.extend([TestedDirection::Up(sent), TestedDirection::Down(got)]);
        prop_assert_eq!(count(&turns, &cuts), count(&turns, &[usize::MAX]));
    }
}
