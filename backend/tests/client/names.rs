//! One name means one stream: in URLs, on the command line, in lists, forks, subscriptions, exports
//! and imports.

use super::command_line::{CommandServer, run};
use super::fake::{FakeServer, answer};
use serde_json::{Value, json};

/// Names with every printable character (slashes only between segments), and with characters of
/// several bytes.
fn names() -> Vec<String> {
    let printable = (b' '..=b'~').map(char::from).filter(|it| *it != '/');
    let special = [
        "disk 90%",
        "topic+one",
        "a%2Fb",
        "a%2fb",
        "%25",
        "%2541",
        "100%/é한😀",
        "a\u{301}",
        "...",
        ".a/..b",
        "~",
    ];
    let each = printable.map(|it| format!("each/x{it}y/{it}{it}{it}"));
    each.chain(special.map(str::to_owned)).collect()
}

/// `name` with every byte except letters and digits escaped, with digits in upper and lower case.
fn escaped(name: &str) -> [String; 2] {
    let escape = |byte: u8, text: String| {
        if byte.is_ascii_alphanumeric() || byte == b'/' {
            char::from(byte).to_string()
        } else {
            text
        }
    };
    let upper = name
        .bytes()
        .map(|byte| escape(byte, format!("%{byte:02X}")))
        .collect();
    let lower = name
        .bytes()
        .map(|byte| escape(byte, format!("%{byte:02x}")))
        .collect();
    [upper, lower]
}

/// Forks the stream by the path of its name; the fork must name it.
fn fork_names_it(server: &CommandServer, name: &str, path: &str) {
    let text = "Content-Type: text/plain\r\n";
    let fork = format!("{text}Stream-Forked-From: /v1/stream/{path}\r\n");
    assert_eq!(
        server.ask("PUT /v1/stream/fork", &fork, "").status,
        201,
        "{name}"
    );
    let told: Value =
        serde_json::from_slice(&server.ask("GET /v1/streams/fork", "", "").body).unwrap();
    assert_eq!(told["forkedFrom"]["stream"], json!(name));
    assert_eq!(server.ask("DELETE /v1/stream/fork", "", "").status, 204);
}

/// Links the stream to a subscription by its name, and unlinks it by the path of its name.
fn subscription_names_it(server: &CommandServer, name: &str, path: &str) {
    let subscription = "/v1/stream/__ds/subscriptions/s";
    let asked = json!({
        "type": "pull-wake",
        "streams": [name, "other"],
        "wake_stream": format!("w/{name}"),
    })
    .to_string();
    assert_eq!(
        server
            .ask(&format!("PUT {subscription}"), "", &asked)
            .status,
        201,
        "{name}"
    );
    let view =
        |line: &str| serde_json::from_slice::<Value>(&server.ask(line, "", "").body).unwrap();
    let linked = view(&format!("GET {subscription}"));
    assert_eq!(linked["wake_stream"], json!(format!("w/{name}")));
    assert!(
        linked["streams"]
            .as_array()
            .unwrap()
            .iter()
            .any(|it| it["path"] == json!(name)),
        "{linked}"
    );
    assert_eq!(
        server
            .ask(&format!("DELETE {subscription}/streams/{path}"), "", "")
            .status,
        204,
        "{name}"
    );
    assert_eq!(
        view(&format!("GET {subscription}"))["streams"]
            .as_array()
            .unwrap()
            .len(),
        1,
        "{name}"
    );
    assert_eq!(
        server.ask(&format!("DELETE {subscription}"), "", "").status,
        204
    );
}

#[test]
fn a_name_means_the_same_stream_everywhere() {
    let server = CommandServer::start();
    let text = "Content-Type: text/plain\r\n";
    for name in names() {
        let [upper, lower] = escaped(&name);
        let outcome = server.run(&["append", &name], b"cli\n");
        assert_eq!(outcome.code, Some(0), "{name}: {}", outcome.stderr);
        for path in [&upper, &lower] {
            assert_eq!(
                server
                    .ask(&format!("POST /v1/stream/{path}"), text, "h")
                    .status,
                204,
                "{path}"
            );
        }
        assert_eq!(
            server.ask(&format!("GET /v1/stream/{upper}"), "", "").body,
            "cli\nhh",
            "{name}"
        );
        assert_eq!(server.list(&format!("prefix={lower}")), [&*name], "{name}");
        assert_eq!(server.list(&format!("search={upper}")), [&*name], "{name}");
        assert!(
            !server.list(&format!("after={lower}")).contains(&name),
            "{name}"
        );
        let told: Value =
            serde_json::from_slice(&server.ask(&format!("GET /v1/streams/{lower}"), "", "").body)
                .unwrap();
        assert_eq!(told["name"], json!(name));

        let exported = server.run(&["export", &name], b"");
        assert!(
            exported.code == Some(0) && exported.stdout.len() > 100,
            "{name}: {}",
            exported.stderr
        );
        fork_names_it(&server, &name, &lower);
        subscription_names_it(&server, &name, &lower);
        assert_eq!(
            server
                .ask(&format!("DELETE /v1/stream/{upper}"), "", "")
                .status,
            204,
            "{name}"
        );
        let imported = server.run(
            &["import", &format!("{}/v1/stream/{lower}", server.url())],
            &exported.stdout,
        );
        assert_eq!(imported.code, Some(0), "{name}: {}", imported.stderr);
        assert_eq!(server.list(&format!("prefix={upper}")), [&*name], "{name}");
        assert_eq!(
            server
                .ask(&format!("DELETE /v1/stream/{lower}"), "", "")
                .status,
            204,
            "{name}"
        );
    }
    assert_eq!(
        server.list(""),
        Vec::<String>::new(),
        "no stream under another name"
    );
}

#[test]
fn a_pattern_matches_names_as_they_are_listed() {
    let server = CommandServer::start();
    let subscription = "/v1/stream/__ds/subscriptions/p";
    let asked =
        json!({"type": "pull-wake", "pattern": "90%/+/**", "wake_stream": "wake"}).to_string();
    assert_eq!(
        server
            .ask(&format!("PUT {subscription}"), "", &asked)
            .status,
        201
    );
    for path in ["90%25/+/a", "90%25/%2b/b%25", "90%25/x/c", "90/+/d"] {
        assert_eq!(
            server
                .ask(
                    &format!("PUT /v1/stream/{path}"),
                    "Content-Type: text/plain\r\n",
                    "x"
                )
                .status,
            201
        );
    }
    let view: Value =
        serde_json::from_slice(&server.ask(&format!("GET {subscription}"), "", "").body).unwrap();
    let mut paths: Vec<&str> = view["streams"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["path"].as_str().unwrap())
        .collect();
    paths.sort_unstable();
    assert_eq!(paths, ["90%/+/a", "90%/+/b%"]);
}

#[test]
fn the_server_refuses_invalid_names_with_an_explanation() {
    let server = CommandServer::start();
    server.run(&["append", "a/b"], b"x\n");
    for path in [
        "a%2Fb",
        "a%2fb",
        "%2F",
        "90%",
        "%",
        "%zz",
        "a%2",
        "%%34",
        "%00",
        "a%0Ab",
        "%7F",
        "%C2%85",
        "%ff",
        "a/%2e%2e/b",
        "%2e",
        ".%2E/a",
        "..",
        "a/./b",
        "a//b",
        "a/",
        "/a",
    ] {
        for line in [
            "PUT /v1/stream",
            "POST /v1/stream",
            "GET /v1/stream",
            "DELETE /v1/stream",
            "GET /v1/streams",
            "GET /v1/export",
            "PUT /v1/import",
        ] {
            let answer = server.ask(
                &format!("{line}/{path}"),
                "Content-Type: text/plain\r\n",
                "",
            );
            assert_eq!(answer.status, 400, "{line}/{path}: {answer:?}");
            assert!(
                answer.text().contains("the stream path"),
                "{line}/{path}: {answer:?}"
            );
        }
        let fork = format!("Content-Type: text/plain\r\nStream-Forked-From: /v1/stream/{path}\r\n");
        assert_eq!(
            server.ask("PUT /v1/stream/fork", &fork, "").status,
            400,
            "{path}"
        );
    }
    for name in [
        "", "a//b", "a/", "..", "a/../b", ".", "a\u{0}b", "a\nb", "a\u{85}b", "__ds/x",
    ] {
        let asked = json!({"type": "pull-wake", "streams": [name], "wake_stream": "w"}).to_string();
        let answer = server.ask("PUT /v1/stream/__ds/subscriptions/s", "", &asked);
        assert_eq!(answer.status, 400, "{name:?}: {answer:?}");
    }
    assert_eq!(server.list(""), ["a/b"]);
}

#[test]
fn invalid_names_are_refused_before_any_request() {
    let fake = FakeServer::start(|_, _| answer("500 Internal Server Error", &[], ""));
    let url = fake.url();
    let deep = vec!["a"; 17].join("/");
    let names = [
        "users/../victim",
        "../streams",
        "..",
        ".",
        "a/./b",
        "a//b",
        "a\nb",
        "a\u{7f}",
        "a\u{9f}",
        "",
        "/",
        "__ds/x",
        "__ds",
        &deep,
    ];
    let long = "x".repeat(513);
    for name in names.into_iter().chain([&*long]) {
        for command in ["append", "tail", "export", "import"] {
            let outcome = run(&[command, name, "--server", &url], b"x\n");
            assert_eq!(
                outcome.code,
                Some(1),
                "{command} {name:?}: {}",
                outcome.stderr
            );
            assert!(
                outcome.stdout.is_empty() && outcome.stderr.contains("stream"),
                "{command} {name:?}: {}",
                outcome.stderr
            );
        }
    }
    assert_eq!(fake.asked(), []);
}

#[test]
fn urls_that_name_no_stream_are_refused_before_any_request() {
    let fake = FakeServer::start(|_, _| answer("500 Internal Server Error", &[], ""));
    let url = fake.url();
    for path in [
        "v1/stream/users/../victim",
        "v1/stream/users/%2e%2E/victim",
        "v1/stream/a\\..\\b/../c",
        "v1/stream/a%2Fb",
        "v1/stream/90%",
        "v1/stream/",
        "v1/stream/a//b",
        "v1/stream/%00",
        "v1/stream/__ds/x",
        "v1/../v1/stream/a",
        "v1/%2e%2e/other/a",
        "other/..\\a",
        "..",
        "v1/stream/..?x=1",
        "other/.%2e#x",
    ] {
        for command in ["append", "tail", "export", "import"] {
            let outcome = run(&[command, &format!("{url}/{path}")], b"x\n");
            assert_eq!(
                outcome.code,
                Some(1),
                "{command} {path}: {}",
                outcome.stderr
            );
            assert_eq!(
                outcome.stderr.lines().count(),
                1,
                "{command} {path}: {}",
                outcome.stderr
            );
        }
    }
    assert_eq!(fake.asked(), []);
}

#[test]
fn invalid_server_urls_are_refused() {
    for server in [
        "http://h?x=1",
        "http://h/#x",
        "http://h/../a",
        "ftp://h",
        "127.0.0.1:4437",
        "http://",
    ] {
        let outcome = run(&["append", "a", "--server", server], b"x\n");
        assert!(
            outcome.code == Some(1) && outcome.stderr.contains("--server"),
            "{server}: {}",
            outcome.stderr
        );
    }
}

#[test]
fn a_full_url_is_requested_unchanged() {
    for (path, asked) in [
        ("v1/stream/a%2bb", "/v1/stream/a%2Bb"),
        ("v1/stream/a+b", "/v1/stream/a%2Bb"),
        ("v1/stream/a b", "/v1/stream/a%20b"),
        ("v1/stream/a\\b", "/v1/stream/a%5Cb"),
        (
            "v1/stream/90%25/é?token=v1/stream/x",
            "/v1/stream/90%25/%C3%A9?token=v1/stream/x",
        ),
        ("below/v1/stream/a", "/below/v1/stream/a"),
        ("streams/of/others?x=1", "/streams/of/others?x=1"),
    ] {
        let fake = FakeServer::start(|_, _| answer("404 Not Found", &[], ""));
        let outcome = run(&["append", &format!("{}/{path}", fake.url())], b"x\n");
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        assert_eq!(fake.asked()[0].line, format!("HEAD {asked}"), "{path}");
    }
    let fake = FakeServer::start(|_, _| answer("404 Not Found", &[], ""));
    run(
        &[
            "export",
            &format!("{}/v1/stream/a%2bb?t=/v1/stream/", fake.url()),
        ],
        b"",
    );
    assert_eq!(fake.asked()[0].line, "GET /v1/export/a%2Bb?t=/v1/stream/");
    run(
        &["append", "a", "--server", &format!("{}/below/", fake.url())],
        b"",
    );
    assert_eq!(fake.asked()[1].line, "HEAD /below/v1/stream/a");
}
