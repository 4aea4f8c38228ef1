//! The `tail` command when its output is closed.

use super::command_line::{CommandServer, tailwater, wait};
use std::io::{BufRead, BufReader};

#[test]
fn tail_ends_if_its_output_closes_while_nothing_arrives() {
    let server = CommandServer::start();
    assert_eq!(server.run(&["append", "x"], b"one\n").code, Some(0));
    for technique in ["poll", "long-poll", "ndjson", "sse", "websocket"] {
        let mut tail = tailwater(&[
            "tail",
            "x",
            "--live",
            technique,
            "--poll-interval",
            "1h",
            "--server",
            &server.url(),
        ])
        .spawn()
        .unwrap();
        let mut stdout = BufReader::new(tail.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert_eq!(line, "one\n", "{technique}");
        drop(stdout);
        wait(&mut tail, technique);
        let output = tail.wait_with_output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && stderr.is_empty(),
            "{technique}: {:?} {stderr}",
            output.status
        );
    }
}

#[test]
fn tail_ends_if_its_output_closes_before_any_data() {
    // Nothing listens there, so it would retry forever.
    let mut tail = tailwater(&["tail", "x", "--server", "http://127.0.0.1:1"])
        .spawn()
        .unwrap();
    let mut stderr = BufReader::new(tail.stderr.take().unwrap());
    let mut note = String::new();
    stderr.read_line(&mut note).unwrap();
    assert!(note.contains("retrying in"), "{note}");
    drop(tail.stdout.take());
    wait(&mut tail, "a tail without a server");
}

#[test]
fn tail_continues_if_its_output_cannot_close() {
    let server = CommandServer::start();
    assert_eq!(
        server.run(&["append", "x", "--close"], b"one\n").code,
        Some(0)
    );
    let path = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("tail-output-{}", std::process::id()));
    for file in [
        std::fs::File::create(&path).unwrap(),
        std::fs::File::create("/dev/null").unwrap(),
    ] {
        let mut tail = tailwater(&["tail", "x", "--server", &server.url()])
            .stdout(file)
            .spawn()
            .unwrap();
        wait(&mut tail, "the end of a closed stream");
        assert!(tail.wait().unwrap().success());
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\n");
    std::fs::remove_file(&path).unwrap();
}
