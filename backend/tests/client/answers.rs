//! Which responses count: an append, creation, close, export or import is done only when the server
//! confirms it in the terms of the protocol, not when something else responds.

use super::command_line::{CommandOutput, first_line, run, tailwater};
use super::fake::{FakeServer, answer};

const HTML: &str = "<!doctype html><title>Sign in</title>";
const EXPORT: &str = concat!(
    r#"{"export":1,"name":"x","configuration":{"contentType":"text/plain"},"#,
    r#""earliestOffset":"0000000000000000","nextOffset":"0000000000000000"}"#,
    "\n",
    r#"{"end":{"nextOffset":"0000000000000000","pages":0,"closed":false}}"#,
    "\n"
);

/// Responses that are not of this protocol, each with the status that the error has to name.
fn foreign_responses() -> Vec<(&'static str, String)> {
    let elsewhere = |status: &str| answer(status, &["Location: /elsewhere"], "");
    vec![
        ("301", elsewhere("301 Moved Permanently")),
        ("302", elsewhere("302 Found")),
        ("303", elsewhere("303 See Other")),
        ("300", elsewhere("300 Multiple Choices")),
        ("302", answer("302 Found", &[], "")),
        ("308", answer("308 Permanent Redirect", &[], "")),
        (
            "307",
            answer(
                "307 Temporary Redirect",
                &["Location: ftp://elsewhere/"],
                "",
            ),
        ),
        ("200", answer("200 OK", &["Content-Type: text/html"], HTML)),
        ("202", answer("202 Accepted", &[], "")),
        ("204", answer("204 No Content", &[], "")),
        ("201", answer("201 Created", &[], "")),
        (
            "204",
            answer("204 No Content", &["Stream-Next-Offset: a/b c"], ""),
        ),
        (
            "204",
            answer("204 No Content", &["Stream-Next-Offset: -1"], ""),
        ),
        ("200", answer("200 OK", &["Stream-Next-Offset: now"], "")),
        (
            "204",
            answer("204 No Content", &["Stream-Next-Offset:"], ""),
        ),
        (
            "404",
            answer("404 Not Found", &["Content-Type: text/html"], HTML),
        ),
    ]
}

/// A server that knows the stream, but answers one method with `foreign`; targets of redirects
/// answer with HTML.
fn server_with(method: &'static str, foreign: String, there: bool) -> FakeServer {
    FakeServer::start(move |asked, target| match asked {
        _ if target == "/elsewhere" => answer("200 OK", &["Content-Type: text/html"], HTML),
        asked if asked == method => foreign.clone(),
        "HEAD" if !there => answer("404 Not Found", &[], ""),
        "HEAD" => answer(
            "200 OK",
            &["Stream-Next-Offset: 5", "Content-Type: text/plain"],
            "",
        ),
        "PUT" => answer(
            "201 Created",
            &["Stream-Next-Offset: 0", "Content-Type: text/plain"],
            "",
        ),
        _ => answer(
            "204 No Content",
            &["Stream-Next-Offset: 5", "Stream-Closed: true"],
            "",
        ),
    })
}

/// Checks that a command failed with the status and the URL, and sent no unnecessary requests.
fn check_failure(outcome: &CommandOutput, fake: &FakeServer, status: &str, case: &str) {
    let CommandOutput {
        code,
        stderr,
        stdout,
    } = outcome;
    assert_eq!(*code, Some(1), "{case}: {stderr}");
    assert!(
        stderr.contains(status) && stderr.contains(&fake.url()),
        "{case}: {stderr}"
    );
    assert!(
        !stderr.contains(") appended to") && !stderr.contains("imported `"),
        "{case}: {stderr}"
    );
    assert!(stdout.is_empty(), "{case}: {stdout:?}");
    assert!(
        fake.asked()
            .iter()
            .all(|it| !it.line.starts_with("GET /elsewhere")),
        "{case}: {:?}",
        fake.asked()
    );
}

#[test]
fn an_append_counts_only_with_its_next_offset() {
    for (status, foreign) in foreign_responses() {
        let fake = server_with("POST", foreign.clone(), true);
        let outcome = run(&["append", "x", "--server", &fake.url()], b"a\nb\n");
        check_failure(&outcome, &fake, status, &foreign);
        assert!(
            outcome.stderr.contains("no line is appended"),
            "{foreign}: {}",
            outcome.stderr
        );
        assert_eq!(fake.bodies("POST").len(), 1, "sent once");
    }
}

#[test]
fn a_stream_exists_or_is_created_only_if_the_server_says_so() {
    for (status, foreign) in foreign_responses() {
        let fake = server_with("PUT", foreign.clone(), false);
        check_failure(
            &run(&["append", "x", "--server", &fake.url()], b"a\n"),
            &fake,
            status,
            &foreign,
        );
        assert_eq!(fake.bodies("POST"), Vec::<String>::new(), "{foreign}");
        if status != "404" {
            let fake = server_with("HEAD", foreign.clone(), true);
            check_failure(
                &run(&["append", "x", "--server", &fake.url()], b"a\n"),
                &fake,
                status,
                &foreign,
            );
            assert_eq!(fake.asked().len(), 1, "{foreign}");
        }
    }
}

#[test]
fn a_stream_counts_as_closed_only_if_the_server_says_so() {
    let open = [
        (
            "204",
            answer("204 No Content", &["Stream-Next-Offset: 5"], ""),
        ),
        (
            "204",
            answer(
                "204 No Content",
                &["Stream-Next-Offset: 5", "Stream-Closed: false"],
                "",
            ),
        ),
        (
            "204",
            answer(
                "204 No Content",
                &["Stream-Next-Offset: 5", "Stream-Closed: 1"],
                "",
            ),
        ),
        (
            "204",
            answer("204 No Content", &["Stream-Closed: true"], ""),
        ),
    ];
    for (status, foreign) in foreign_responses().into_iter().chain(open) {
        let fake = server_with("POST", foreign.clone(), true);
        let outcome = run(&["append", "x", "--close", "--server", &fake.url()], b"");
        check_failure(&outcome, &fake, status, &foreign);
        assert!(
            outcome.stderr.contains("could not be closed"),
            "{foreign}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn an_import_counts_only_if_the_server_describes_the_stream() {
    let next = "Stream-Next-Offset: 0000000000000000";
    let said = r#"{"name":"x","nextOffset":"0000000000000000","closed":false,"shiftBytes":0}"#;
    let json = "Content-Type: application/json";
    let half = [
        ("200", answer("200 OK", &[json], said)),
        ("201", answer("201 Created", &[json, next], "{}")),
        (
            "201",
            answer("201 Created", &[json, "Stream-Next-Offset: 7"], said),
        ),
    ];
    for (status, foreign) in foreign_responses().into_iter().chain(half) {
        let fake = server_with("PUT", foreign.clone(), false);
        check_failure(
            &run(&["import", "x", "--server", &fake.url()], EXPORT.as_bytes()),
            &fake,
            status,
            &foreign,
        );
    }
    let fake = server_with("PUT", answer("201 Created", &[json, next], said), false);
    let outcome = run(&["import", "x", "--server", &fake.url()], EXPORT.as_bytes());
    assert_eq!(
        (outcome.code, fake.bodies("PUT")),
        (Some(0), vec![EXPORT.to_owned()]),
        "{}",
        outcome.stderr
    );
    for (status, foreign) in foreign_responses()
        .into_iter()
        .filter(|(status, _)| *status != "404")
    {
        let fake = server_with("HEAD", foreign.clone(), true);
        check_failure(
            &run(&["import", "x", "--server", &fake.url()], EXPORT.as_bytes()),
            &fake,
            status,
            &foreign,
        );
        assert_eq!(fake.asked().len(), 1, "{foreign}");
    }
}

#[test]
fn only_a_valid_export_is_written_as_an_export() {
    let html = answer("200 OK", &["Content-Type: text/html"], HTML);
    let moved = answer("302 Found", &["Location: /signin"], "");
    for (status, first) in [
        ("200", html.clone()),
        ("200", moved),
        ("202", answer("202 Accepted", &[], "")),
    ] {
        let page = html.clone();
        let fake = FakeServer::start(move |_, target| {
            if target == "/signin" {
                page.clone()
            } else {
                first.clone()
            }
        });
        check_failure(
            &run(&["export", "x", "--server", &fake.url()], b""),
            &fake,
            status,
            "export",
        );
    }
    let whole = answer("200 OK", &["Content-Type: application/x-ndjson"], EXPORT);
    let moved = answer("301 Moved Permanently", &["Location: /moved"], "");
    let fake = FakeServer::start(move |_, target| {
        if target == "/moved" {
            whole.clone()
        } else {
            moved.clone()
        }
    });
    let outcome = run(&["export", "x", "--server", &fake.url()], b"");
    assert_eq!(
        (outcome.code, outcome.stdout),
        (Some(0), EXPORT.as_bytes().to_vec()),
        "a read may be redirected"
    );
}

#[test]
fn an_append_follows_redirects_that_keep_method_and_body() {
    for status in ["307 Temporary Redirect", "308 Permanent Redirect"] {
        let target = server_with("GET", answer("404 Not Found", &[], ""), false);
        let base = target.url();
        let front = FakeServer::start(move |_, path| {
            answer(status, &[&format!("Location: {base}{path}")], "")
        });
        let outcome = run(
            &["append", "x", "--close", "--server", &front.url()],
            b"a\n",
        );
        assert_eq!(outcome.code, Some(0), "{status}: {}", outcome.stderr);
        let lines: Vec<String> = target.asked().into_iter().map(|it| it.line).collect();
        let post = "POST /v1/stream/x";
        assert_eq!(
            lines,
            ["HEAD /v1/stream/x", "PUT /v1/stream/x", post, post],
            "{status}"
        );
        assert_eq!(target.bodies("POST"), ["a\n", ""], "{status}");
        // The input of an import cannot be sent twice.
        let outcome = run(
            &["import", "x", "--server", &front.url()],
            EXPORT.as_bytes(),
        );
        check_failure(&outcome, &front, &status[..3], status);
        assert_eq!(target.bodies("PUT"), [""], "{status}");
    }
}

#[test]
fn redirects_that_never_end_are_an_error() {
    let round = FakeServer::start(|_, path| {
        answer(
            "307 Temporary Redirect",
            &[&format!("Location: {path}")],
            "",
        )
    });
    check_failure(
        &run(&["append", "x", "--server", &round.url()], b"a\n"),
        &round,
        "307",
        "an endless redirect",
    );
    assert!(round.asked().len() < 20, "{}", round.asked().len());
}

#[test]
fn an_endless_refusal_is_not_read_to_its_end() {
    let long = answer(
        "500 Internal Server Error",
        &["Content-Type: text/html"],
        &"x".repeat(4 << 20),
    );
    let fake = server_with("PUT", long, false);
    check_failure(
        &run(&["append", "x", "--server", &fake.url()], b"a\n"),
        &fake,
        "500",
        "a long refusal",
    );
}

#[test]
fn tail_rejects_a_page_without_a_next_offset() {
    for technique in ["poll", "long-poll", "ndjson", "sse"] {
        for (_, foreign) in foreign_responses()
            .into_iter()
            .filter(|(status, _)| status.starts_with('2'))
        {
            let fake = FakeServer::start(move |_, _| foreign.clone());
            let mut tail = tailwater(&[
                "tail",
                "x",
                "--live",
                technique,
                "--strict",
                "--server",
                &fake.url(),
            ])
            .spawn()
            .unwrap();
            let note = first_line(tail.stderr.take().unwrap());
            // It may retry forever, as a server may recover.
            let _ended = tail.kill();
            let output = tail.wait_with_output().unwrap();
            assert!(
                output.stdout.is_empty() && note.contains("tailwater: "),
                "{technique}: {note}"
            );
        }
    }
}
