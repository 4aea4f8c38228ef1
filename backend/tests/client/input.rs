//! How `tailwater append` reads its input before it is split into lines.

use super::command_line::CommandServer;

#[test]
fn a_byte_order_mark_before_json_lines_is_skipped() {
    let server = CommandServer::start();
    for (name, input, flags, stored) in [
        (
            "one",
            &b"\xef\xbb\xbf{\"a\":1}\n2\n"[..],
            &["--json"][..],
            r#"[{"a":1},2]"#,
        ),
        ("only", b"\xef\xbb\xbf\n\n3", &["--json"], "[3]"),
        (
            "strings",
            b"\xef\xbb\xbfa\n\xef\xbb\xbfb",
            &["--json", "--strings"],
            "[\"a\",\"\u{feff}b\"]",
        ),
        ("text", b"\xef\xbb\xbfa\n", &[], "\u{feff}a\n"),
    ] {
        let outcome = server.run(&[&["append", name], flags].concat(), input);
        assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.stderr);
        assert_eq!(
            server.ask(&format!("GET /v1/stream/{name}"), "", "").body,
            stored,
            "{name}"
        );
    }
    let later = server.run(&["append", "later", "--json"], b"1\n\xef\xbb\xbf2\n");
    assert!(
        later.code == Some(1) && later.stderr.contains("line 2 is not JSON"),
        "{}",
        later.stderr
    );
}

#[test]
fn only_json_white_space_is_stripped_from_a_message() {
    let server = CommandServer::start();
    let outcome = server.run(&["append", "fits", "--json"], b" \t1\r\n\t \r\n[2] \n");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(server.ask("GET /v1/stream/fits", "", "").body, "[1,[2]]");
    for (number, wrong) in ["\u{c}1", "1\u{c}", "\u{c}", "\u{b}1", "\u{a0}1", "\u{2028}"]
        .into_iter()
        .enumerate()
    {
        let outcome = server.run(
            &["append", &format!("no/{number}"), "--json"],
            format!("{wrong}\n").as_bytes(),
        );
        assert_eq!(outcome.code, Some(1), "{wrong:?}: {}", outcome.stderr);
        assert!(
            outcome.stderr.contains("line 1 is not JSON"),
            "{wrong:?}: {}",
            outcome.stderr
        );
    }
    for wrong in ["\u{c}[1]", "[1]\u{c}", "\u{c}1", "\u{b}[1]", "\u{a0}[1]"] {
        let answer = server.ask(
            "POST /v1/stream/fits",
            "Content-Type: application/json\r\n",
            wrong,
        );
        assert_eq!(answer.status, 400, "{wrong:?}: {answer:?}");
    }
}
