//! The command line from the outside: what it says, how it ends, and that every setting has a flag and a name in the
//! environment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by failing, in its helpers too"
)]

use clap::{CommandFactory, Parser};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tailwater::config::Config;

/// What no wait may exceed.
const DEADLINE: Duration = Duration::from_secs(20);

#[derive(Parser)]
struct Probe {
    #[command(flatten)]
    config: Config,
}

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
fn every_setting_has_a_flag_a_name_in_the_environment_and_a_help_text() {
    let command = Probe::command();
    let settings: Vec<_> = command
        .get_arguments()
        .filter(|it| it.get_id() != "help")
        .collect();
    assert!(settings.len() >= 17, "{}", settings.len());
    for setting in settings {
        let flag = setting.get_long().expect("a flag");
        let name = format!("TAILWATER_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(
            setting.get_env().and_then(|name| name.to_str()),
            Some(&*name),
            "--{flag}"
        );
        assert!(
            setting
                .get_help()
                .is_some_and(|help| help.to_string().len() > 20),
            "--{flag}"
        );
    }
}

#[test]
fn every_setting_is_read_from_the_environment() {
    for setting in Probe::command()
        .get_arguments()
        .filter(|it| it.get_id() != "help")
    {
        let (flag, name) = (setting.get_long().unwrap(), setting.get_env().unwrap());
        if flag == "cors-origin" {
            continue; // Any text is an origin; the test below reads it.
        }
        let mut command = tailwater(&["serve", "--listen", "127.0.0.1:0"]);
        if flag == "listen" {
            command = tailwater(&["serve"]);
        }
        let output = outcome({
            command.env(name, "not\na value");
            command
        });
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{name:?}: {error}");
        assert!(error.contains(&format!("--{flag}")), "{name:?}: {error}");
    }
}

#[test]
fn what_the_environment_says_is_what_the_server_does_and_a_flag_goes_before_it() {
    let mut command = tailwater(&["serve", "--body-max", "8"]);
    for (name, value) in [
        ("LISTEN", "127.0.0.1:0"),
        ("STORE", "memory"),
        ("MEMORY_MAX", "1MiB"),
        ("BODY_MAX", "3"),
        ("CORS_ORIGIN", "https://a.example,https://b.example"),
        ("LAB", "1"),
        ("WORKERS", "1"),
        ("LONG_POLL_HOLD", "10ms"),
    ] {
        command.env(format!("TAILWATER_{name}"), value);
    }
    let server = Server::start(command);
    let text = "Content-Type: text/plain\r\n";
    let put = server.ask(
        "PUT /v1/stream/it",
        &format!("{text}Content-Length: 8\r\n\r\n12345678"),
    );
    assert!(put.starts_with("HTTP/1.1 201"), "{put}");
    let post = server.ask(
        "POST /v1/stream/it",
        &format!("{text}Content-Length: 9\r\n\r\n123456789"),
    );
    assert!(post.starts_with("HTTP/1.1 413"), "{post}");
    for (origin, status) in [
        ("https://a.example", "200"),
        ("https://b.example", "200"),
        ("https://c.example", "403"),
    ] {
        let answer = server.ask("GET /v1/stream/it", &format!("Origin: {origin}\r\n\r\n"));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{origin}: {answer}"
        );
    }
    let poll = server.ask("GET /v1/stream/it?offset=now&live=long-poll", "\r\n");
    assert!(poll.starts_with("HTTP/1.1 204"), "{poll}");
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
fn a_signal_ends_live_answers_cleanly_and_then_the_process() {
    for name in ["TERM", "INT"] {
        let mut server = Server::start(tailwater(&[
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--drain",
            "1h",
        ]));
        server.ask("PUT /v1/stream/it", "Content-Length: 0\r\n\r\n");
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
        server.signal(name);
        live.read_to_string(&mut answer).unwrap();
        assert!(
            answer.ends_with("\r\n0\r\n\r\n"),
            "{name}: the last chunk is missing: {answer}"
        );
        let status = wait(&mut server.child);
        assert_eq!(status.code(), Some(0), "{name}");
        let mut log = String::new();
        server
            .child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut log)
            .unwrap();
        assert!(log.contains("stopping") && !log.contains("panic"), "{log}");
    }
}

#[test]
fn a_signal_right_after_the_url_stops_cleanly_too() {
    for round in 0..10 {
        let mut server = Server::start(tailwater(&["serve", "--listen", "127.0.0.1:0"]));
        server.signal(if round % 2 == 0 { "TERM" } else { "INT" });
        assert_eq!(wait(&mut server.child).code(), Some(0), "round {round}");
    }
}

#[test]
fn a_second_interrupt_ends_at_once() {
    let mut server = Server::start(tailwater(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--drain",
        "1h",
    ]));
    let mut slow = server.connect();
    let head = "POST /v1/stream/it HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n";
    server.ask(
        "PUT /v1/stream/it",
        "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n",
    );
    write!(slow, "{head}Expect: 100-continue\r\n\r\n").unwrap();
    let mut begun = [0; 12];
    slow.read_exact(&mut begun).unwrap();
    assert_eq!(&begun, b"HTTP/1.1 100");
    server.signal("INT");
    let mut log = BufReader::new(server.child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("stopping") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "the log ended");
    }
    assert!(
        server.child.try_wait().unwrap().is_none(),
        "an append is under way"
    );
    server.signal("INT");
    assert_eq!(wait(&mut server.child).code(), Some(130));
}

/// Passes connections on to `server`, but cuts the answer to every other POST: the server has it, the client knows nothing.
fn forgetful_path(server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let posts = Arc::new(AtomicUsize::new(0));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(&server).unwrap());
            let posts = Arc::clone(&posts);
            std::thread::spawn(move || forget(&client, &server, &posts));
        }
    });
    address
}

/// One request after the other; the client sends a body in one piece with its head, or soon after.
fn forget(mut client: &TcpStream, mut server: &TcpStream, posts: &AtomicUsize) {
    let mut buffer = [0; 65_536];
    let (cut, told) = (&AtomicBool::new(false), &AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut buffer = [0; 65_536];
            while let Ok(length @ 1..) = server.read(&mut buffer) {
                if cut.load(Ordering::SeqCst) || client.write_all(&buffer[..length]).is_err() {
                    break;
                }
            }
            told.store(true, Ordering::SeqCst);
            let _gone = client.shutdown(Shutdown::Both);
        });
        while let Ok(length @ 1..) = client.read(&mut buffer) {
            if buffer.starts_with(b"POST") && posts.fetch_add(1, Ordering::SeqCst).is_multiple_of(2)
            {
                cut.store(true, Ordering::SeqCst);
            }
            if server.write_all(&buffer[..length]).is_err() || told.load(Ordering::SeqCst) {
                break;
            }
        }
        let _gone = server.shutdown(Shutdown::Both);
    });
}

#[test]
fn append_repeats_what_got_no_answer_and_nothing_is_there_twice() {
    let server = Server::start(tailwater(&["serve", "--listen", "127.0.0.1:0"]));
    let path = forgetful_path(server.address.clone());
    let mut append = tailwater(&[
        "append",
        "it",
        "--json",
        "--server",
        &format!("http://{path}"),
    ]);
    let mut child = append.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for number in 0..5 {
        writeln!(stdin, "{number}").unwrap();
        // So that there are several appends, and not one of five lines.
        let begun = Instant::now();
        while !server
            .ask("GET /v1/stream/it", "\r\n")
            .ends_with(&format!("{number}]"))
        {
            assert!(begun.elapsed() < DEADLINE, "line {number} does not arrive");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    drop(stdin);
    wait(&mut child);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && said.contains("sending again"),
        "{said}"
    );
    assert!(
        server
            .ask("GET /v1/stream/it", "\r\n")
            .ends_with("[0,1,2,3,4]"),
        "each line once"
    );
}

#[test]
fn a_stream_goes_through_a_file_and_a_cut_file_makes_no_stream() {
    let server = Server::start(tailwater(&["serve", "--listen", "127.0.0.1:0"]));
    let text = "Content-Type: text/plain\r\n";
    server.ask(
        "PUT /v1/stream/a/b",
        &format!("{text}Content-Length: 3\r\n\r\none"),
    );
    server.ask(
        "POST /v1/stream/a/b",
        &format!("{text}Stream-Closed: true\r\nContent-Length: 3\r\n\r\ntwo"),
    );
    let url = format!("http://{}", server.address);
    let run = |arguments: &[&str], input: Option<&[u8]>| {
        let mut command = tailwater(arguments);
        let mut child = command
            .env("TAILWATER_SERVER", &url)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that refuses before it reads has closed the pipe.
        let _closed = stdin.write_all(input.unwrap_or_default());
        drop(stdin);
        wait(&mut child);
        child.wait_with_output().unwrap()
    };
    let exported = run(&["export", "a/b"], None);
    assert_eq!(exported.status.code(), Some(0), "{exported:?}");
    let cut = run(
        &["import", "copy"],
        Some(&exported.stdout[..exported.stdout.len() - 9]),
    );
    assert_eq!(cut.status.code(), Some(1));
    let error = String::from_utf8(cut.stderr).unwrap();
    assert!(
        error.contains("breaks off") && error.lines().count() == 1,
        "{error}"
    );
    let imported = run(
        &["import", &format!("{url}/v1/stream/copy")],
        Some(&exported.stdout),
    );
    assert_eq!(imported.status.code(), Some(0), "{imported:?}");
    assert!(
        server
            .ask("GET /v1/stream/copy", "\r\n")
            .ends_with("onetwo")
    );
    let again = run(&["import", "copy"], Some(&exported.stdout));
    assert!(
        again.status.code() == Some(1)
            && String::from_utf8(again.stderr).unwrap().contains("exists")
    );
    let none = run(&["export", "none"], None);
    assert!(none.status.code() == Some(1) && none.stdout.is_empty() && !none.stderr.is_empty());
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
