//! Child processes end with their parent: tests of the guard process.

#![expect(
    clippy::expect_used,
    reason = "tests and their helpers fail by panicking"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A guard whose child is a shell that runs `script`, with the child's output as a pipe.
fn guarded(script: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_xtask"))
        .args(["guard-child", "sh", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the guard starts")
}

/// The next line that the child prints, or the rest of its output.
fn line(output: &mut impl BufRead) -> String {
    let mut text = String::new();
    output
        .read_line(&mut text)
        .expect("the child's output is text");
    text.trim().to_owned()
}

#[test]
fn a_child_and_its_descendants_end_when_the_pipe_is_closed() {
    // The grandchild keeps the pipe open while it runs, and would print at the end of its sleep.
    let mut guard = guarded("(echo ready; sleep 20; echo survived) & wait");
    let mut output = BufReader::new(guard.stdout.take().expect("piped"));
    assert_eq!(line(&mut output), "ready");
    drop(guard.stdin.take());
    guard.wait().expect("the guard ends");
    assert_eq!(line(&mut output), "");
}

#[test]
fn a_child_may_end_well_after_sigterm() {
    let mut guard = guarded("trap 'echo drained; exit 3' TERM; echo ready; sleep 300 & wait");
    let mut output = BufReader::new(guard.stdout.take().expect("piped"));
    assert_eq!(line(&mut output), "ready");
    drop(guard.stdin.take());
    assert_eq!(line(&mut output), "drained");
    assert_eq!(guard.wait().expect("the guard ends").code(), Some(3));
}

#[test]
fn the_exit_status_of_the_child_is_returned() {
    for (script, code) in [("exit 0", 0), ("exit 7", 7), ("kill -s KILL $$", 128 + 9)] {
        let mut guard = guarded(script);
        let parent_pipe = guard.stdin.take();
        assert_eq!(
            guard.wait().expect("the guard ends").code(),
            Some(code),
            "{script}"
        );
        drop(parent_pipe);
    }
}
