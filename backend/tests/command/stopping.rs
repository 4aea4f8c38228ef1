//! How signals stop a server: live responses end cleanly, and a second interrupt does not wait for
//! them.

use crate::command_line::{CommandServer, DEADLINE, SERVE, tailwater};
use std::io::{BufRead, BufReader, Read, Write};
use tailwater_harness::process::Signal;

#[test]
fn a_signal_ends_live_responses_cleanly_then_the_process() {
    for signal in [Signal::TERM, Signal::INT] {
        let mut server = CommandServer::of(tailwater(&SERVE).args(["--drain", "1h"]));
        server.ask("PUT /v1/stream/it", "", "");
        let mut live = server.connect();
        write!(
            live,
            "GET /v1/stream/it?offset=-1&live=ndjson HTTP/1.1\r\nHost: localhost\r\n\r\n"
        )
        .unwrap();
        let mut seen = [0; 512];
        let mut answer = String::new();
        while !answer.contains("upToDate") {
            let count = live.read(&mut seen).unwrap();
            assert!(count > 0, "{answer}");
            answer += std::str::from_utf8(&seen[..count]).unwrap();
        }
        server.process.signal(signal).unwrap();
        live.read_to_string(&mut answer).unwrap();
        assert!(
            answer.ends_with("\r\n0\r\n\r\n"),
            "{signal:?}: the last chunk is missing: {answer}"
        );
        let status = server.process.ended(DEADLINE).unwrap();
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "{signal:?}"
        );
        let mut log = String::new();
        server
            .process
            .stderr()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert!(log.contains("stopping") && !log.contains("panic"), "{log}");
    }
}

#[test]
fn a_signal_right_after_the_start_stops_cleanly() {
    for round in 0..10 {
        let mut server = CommandServer::of(&mut tailwater(&SERVE));
        let signal = if round % 2 == 0 {
            Signal::TERM
        } else {
            Signal::INT
        };
        server.process.signal(signal).unwrap();
        let status = server.process.ended(DEADLINE).unwrap();
        assert_eq!(
            status.and_then(|status| status.code()),
            Some(0),
            "round {round}"
        );
    }
}

#[test]
fn a_second_interrupt_ends_the_process_at_once() {
    let mut server = CommandServer::of(tailwater(&SERVE).args(["--drain", "1h"]));
    let mut slow = server.connect();
    let head = "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n";
    server.ask("PUT /v1/stream/it", "Content-Type: text/plain\r\n", "");
    write!(slow, "{head}Expect: 100-continue\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    slow.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");
    server.process.signal(Signal::INT).unwrap();
    let mut log = BufReader::new(server.process.stderr().unwrap());
    let mut line = String::new();
    while !line.contains("stopping") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
    }
    assert!(
        server.process.has_ended().unwrap().is_none(),
        "an append is in progress"
    );
    server.process.signal(Signal::INT).unwrap();
    let status = server.process.ended(DEADLINE).unwrap();
    assert_eq!(status.and_then(|status| status.code()), Some(130));
}
