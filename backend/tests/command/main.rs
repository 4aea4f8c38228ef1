//! The command line from the outside: its output, its exit status, and that every setting has a
//! flag and an environment variable.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests and their helpers fail by panicking"
)]

mod clients;
#[path = "../command_line/mod.rs"]
mod command_line;
mod settings;
mod stopping;

use command_line::{CommandServer, DEADLINE, SERVE, run, tailwater};
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn port_0_uses_a_free_port_and_prints_its_url() {
    let server = CommandServer::start();
    assert_ne!(server.address.port(), 0);
    assert_eq!(server.ask("GET /v1/stream/none", "", "").status, 404);
}

#[test]
fn a_port_in_use_is_reported_in_one_line_with_advice() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["serve", "--listen", &address], b"");
    let error = output.stderr;
    assert_eq!(
        (output.code, error.lines().count()),
        (Some(1), 1),
        "{error}"
    );
    assert!(
        error.contains(&address) && error.contains("--listen"),
        "{error}"
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn an_address_of_another_machine_is_reported_with_advice() {
    let output = run(&["serve", "--listen", "192.0.2.1:4437"], b"");
    let error = output.stderr;
    assert_eq!(
        (output.code, error.lines().count()),
        (Some(1), 1),
        "{error}"
    );
    assert!(
        error.contains("192.0.2.1:4437") && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn invalid_arguments_are_reported_with_what_was_expected() {
    for (arguments, named) in [
        (
            &["serve", "--lisen", "127.0.0.1:0"][..],
            &["--lisen", "--listen"][..],
        ),
        (&["serve", "--listen", "here"], &["here", "--listen"]),
        (
            &["serve", "--store", "papyrus"],
            &["papyrus", "--store", "memory"],
        ),
        (
            &["serve", "--heartbeat", "15 parsecs"],
            &["15 parsecs", "--heartbeat", "ms, s, m or h"],
        ),
        (&["serve", "--body-max", "0"], &["--body-max", "16MiB"]),
        (&["serve", "--workers", "many"], &["many", "--workers"]),
        (&["sevre"], &["sevre", "serve"]),
        (&["serve", "surplus"], &["surplus"]),
    ] {
        let output = run(arguments, b"");
        let error = output.stderr;
        assert_eq!(output.code, Some(2), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
        for name in named {
            assert!(error.contains(name), "{arguments:?} names {name}: {error}");
        }
        assert!(error.lines().next().unwrap().contains(named[0]), "{error}");
    }
}

#[test]
fn without_root_certificates_webhooks_report_it() {
    let mut command = tailwater(&SERVE);
    command
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent");
    let server = CommandServer::of(&mut command);
    let asked =
        r#"{"type":"webhook","streams":["it"],"webhook":{"url":"https://worker.example/"}}"#;
    let put = server.ask("PUT /v1/stream/__ds/subscriptions/s", "", asked);
    assert_eq!(put.status, 201, "{put:?}");
    let put = server.ask("PUT /v1/stream/it", "Content-Type: text/plain\r\n", "x");
    assert_eq!(put.status, 201, "{put:?}");
    let begun = Instant::now();
    loop {
        let view = server.ask("GET /v1/stream/__ds/subscriptions/s", "", "");
        if view.text().contains("ca-certificates") {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{view:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn help_and_version_exit_successfully() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["append", "--help"],
        &["tail", "--help"],
        &["export", "--help"],
        &["import", "--help"],
        &["--version"],
    ] {
        let output = run(arguments, b"");
        assert_eq!(output.code, Some(0), "{arguments:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}
