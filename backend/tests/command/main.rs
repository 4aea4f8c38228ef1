//! The command line from the outside: what it says, how it ends, and that every setting has a flag and a name in the
//! environment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing, in its helpers too"
)]

mod clients;
mod settings;
mod stopping;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

/// What no wait may exceed.
const DEADLINE: Duration = Duration::from_secs(20);

/// `tailwater` with nothing of this environment that could change what it does, and nothing that it leaves behind.
fn tailwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TAILWATER_")) {
        command.env_remove(name);
    }
    command.env("TAILWATER_STORE", "memory");
    command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command that ends by itself.
fn outcome(mut command: Command) -> Output {
    let mut child = command.spawn().unwrap();
    wait(&mut child);
    child.wait_with_output().unwrap()
}

fn wait(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("the process did not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A server in a process of its own; killed when dropped.
struct Server {
    child: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let told = line.trim().strip_prefix("Tailwater listens on http://");
        let address = told.and_then(|told| told.split_whitespace().next());
        let address = address
            .unwrap_or_else(|| panic!("expected a URL, came {line:?}"))
            .to_owned();
        Self {
            child,
            address,
            _stdout: stdout,
        }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends a request; the connection is closed after its answer, which is returned whole.
    fn ask(&self, line: &str, rest: &str) -> String {
        let mut stream = self.connect();
        write!(
            stream,
            "{line} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{rest}"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(sent.success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when the test was about its end.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

#[test]
fn port_0_takes_a_free_one_and_prints_its_url() {
    let server = Server::start(tailwater(&["serve", "--listen", "127.0.0.1:0"]));
    assert!(!server.address.ends_with(":0"), "{}", server.address);
    assert!(
        server
            .ask("GET /v1/stream/none", "\r\n")
            .starts_with("HTTP/1.1 404")
    );
}

#[test]
fn a_taken_port_is_one_line_that_says_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = outcome(tailwater(&["serve", "--listen", &address]));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), error.lines().count()),
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
fn an_address_of_another_machine_is_one_line_that_says_what_to_do() {
    let output = outcome(tailwater(&["serve", "--listen", "192.0.2.1:4437"]));
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        (output.status.code(), error.lines().count()),
        (Some(1), 1),
        "{error}"
    );
    assert!(
        error.contains("192.0.2.1:4437") && error.contains("--listen"),
        "{error}"
    );
}

#[test]
fn what_is_not_understood_is_said_on_the_first_line_with_what_was_expected() {
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
        let output = outcome(tailwater(arguments));
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty());
        for name in named {
            assert!(error.contains(name), "{arguments:?} names {name}: {error}");
        }
        assert!(error.lines().next().unwrap().contains(named[0]), "{error}");
    }
}

#[test]
fn a_system_that_trusts_no_certificates_serves_and_says_so_where_it_matters() {
    let mut command = tailwater(&["serve", "--listen", "127.0.0.1:0"]);
    command
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent");
    let server = Server::start(command);
    let asked =
        r#"{"type":"webhook","streams":["it"],"webhook":{"url":"https://worker.example/"}}"#;
    let put = server.ask(
        "PUT /v1/stream/__ds/subscriptions/s",
        &format!("Content-Length: {}\r\n\r\n{asked}", asked.len()),
    );
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    let put = server.ask(
        "PUT /v1/stream/it",
        "Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx",
    );
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    let begun = Instant::now();
    loop {
        let view = server.ask("GET /v1/stream/__ds/subscriptions/s", "\r\n");
        if view.contains("ca-certificates") {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{view}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn the_help_of_every_command_and_the_version_are_no_errors() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["append", "--help"],
        &["tail", "--help"],
        &["export", "--help"],
        &["import", "--help"],
        &["--version"],
    ] {
        let output = outcome(tailwater(arguments));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert!(
            !output.stdout.is_empty() && output.stderr.is_empty(),
            "{arguments:?}"
        );
    }
}
