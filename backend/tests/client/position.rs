//! `tailwater tail --state`: the position survives the process, and is never used for another
//! stream of the same name.

use super::command_line::{CommandServer, run};
use std::path::Path;

#[test]
fn a_position_in_a_deleted_stream_is_refused_with_a_reason() {
    let server = CommandServer::start();
    let place = |name: &str| {
        Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
    };
    let mut faults = Vec::new();
    for technique in ["poll", "long-poll", "ndjson", "sse", "websocket"] {
        // The second stream of the name is shorter than the position, as long, and longer.
        for (case, second) in ["", "a\n", "one\n", "two\nthree\n"].into_iter().enumerate() {
            let name = format!("{technique}/{case}");
            let state = place(&format!("position-{technique}-{case}"));
            let file = state.to_str().unwrap();
            let url = server.url();
            let tail = || {
                run(
                    &[
                        "tail", &name, "--live", technique, "--state", file, "--server", &url,
                    ],
                    b"",
                )
            };
            let append = |lines: &str| server.run(&["append", &name, "--close"], lines.as_bytes());
            assert_eq!(append("one\n").code, Some(0), "{name}");
            let first = tail();
            assert_eq!(
                (first.code, &first.stdout[..]),
                (Some(0), &b"one\n"[..]),
                "{name}: {}",
                first.stderr
            );
            let kept = std::fs::read(&state).unwrap();

            assert_eq!(
                server
                    .ask(&format!("DELETE /v1/stream/{name}"), "", "")
                    .status,
                204
            );
            let put = server.ask(
                &format!("PUT /v1/stream/{name}"),
                "Content-Type: text/plain\r\n",
                second,
            );
            assert_eq!(put.status, 201, "{put:?}");
            let second = tail();
            let is_told = second.code == Some(1)
                && second.stderr.contains("deleted")
                && second.stdout.is_empty();
            if !is_told {
                faults.push(format!(
                    "{name}: {:?} {:?} {}",
                    second.code, second.stdout, second.stderr
                ));
            }
            // The output that it printed still belongs to the stream it was read from.
            assert_eq!(std::fs::read(&state).unwrap(), kept, "{name}");
            std::fs::remove_file(&state).unwrap();
        }
    }
    assert!(
        faults.is_empty(),
        "expected an error that the stream was deleted:\n{}",
        faults.join("\n")
    );
}
