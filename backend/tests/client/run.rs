//! The binary in processes of its own: commands that end by themselves, and a server to speak to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// What no wait may exceed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// `tailwater` with nothing of this environment that could change what it does, and nothing that it leaves behind.
pub(crate) fn tailwater(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tailwater"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TAILWATER_")) {
        command.env_remove(name);
    }
    command.env("TAILWATER_STORE", "memory").args(arguments);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs a command that ends by itself once it has read `input`.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Outcome {
    let mut child = tailwater(arguments).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that refuses before it reads has closed the pipe.
    let _closed = stdin.write_all(input);
    drop(stdin);
    wait(&mut child, &format!("{arguments:?}"));
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    Outcome {
        code: status.code(),
        stdout,
        stderr: String::from_utf8_lossy(&stderr).into_owned(),
    }
}

/// The first line that a process says; a pipe can't be read with a deadline, a channel can.
pub(crate) fn first_line(pipe: impl Read + Send + 'static) -> String {
    let (send, said) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        let _lost = BufReader::new(pipe).read_line(&mut line);
        let _late = send.send(line);
    });
    said.recv_timeout(DEADLINE)
        .expect("a line within the deadline")
}

/// Waits until a process has ended by itself.
pub(crate) fn wait(child: &mut Child, what: &str) {
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("the process did not end: {what}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    address: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    pub(crate) fn start() -> Self {
        let mut child = tailwater(&["serve", "--listen", "127.0.0.1:0"])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let told = line.trim().strip_prefix("Tailwater listens on http://");
        let address = told
            .and_then(|told| told.split_whitespace().next())
            .unwrap_or_else(|| panic!("{line:?}"));
        Self {
            child,
            address: address.to_owned(),
            _stdout: stdout,
        }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a command against this server.
    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Outcome {
        run(&[arguments, &["--server", &self.url()]].concat(), input)
    }

    /// Sends one request as it stands; returns its status, head and body.
    pub(crate) fn ask(&self, line: &str, headers: &str, body: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let length = body.len();
        let head = format!(
            "Host: {}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}",
            self.address
        );
        write!(stream, "{line} HTTP/1.1\r\n{head}\r\n{body}").unwrap();
        let mut whole = String::new();
        stream.read_to_string(&mut whole).unwrap();
        let (head, body) = whole
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("{line}: {whole:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer {
            status,
            body: body.to_owned(),
        }
    }

    /// The names on a page of the list.
    pub(crate) fn list(&self, query: &str) -> Vec<String> {
        let answer = self.ask(&format!("GET /v1/streams?{query}"), "", "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let list: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        let streams = list["streams"].as_array().unwrap();
        streams
            .iter()
            .map(|stream| stream["name"].as_str().unwrap().to_owned())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// What a server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}
