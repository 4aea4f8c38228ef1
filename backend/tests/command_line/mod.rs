//! The binary as child processes: commands that end by themselves, and a server.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::io::Read;
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use tailwater_harness::process::{self, ServerProcess};
pub(crate) use tailwater_harness::wait::DEADLINE;
use tailwater_harness::{RawConnection, Response};

/// Arguments that start a server on a free port.
pub(crate) const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];

/// A `tailwater` command without the settings of this environment.
pub(crate) fn tailwater(arguments: &[&str]) -> Command {
    let mut command = process::tailwater(env!("CARGO_BIN_EXE_tailwater"));
    command
        .env("TAILWATER_STORE", "memory")
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// The result of a command.
#[derive(Debug)]
pub(crate) struct CommandOutput {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// Runs a command that ends by itself after it has read `input`.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> CommandOutput {
    output(&mut tailwater(arguments), input)
}

/// Like [`run`], for any command.
pub(crate) fn output(command: &mut Command, input: &[u8]) -> CommandOutput {
    let output = process::output(command, input, DEADLINE).unwrap();
    CommandOutput {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The first line that a process prints.
pub(crate) fn first_line(pipe: impl Read + Send + 'static) -> String {
    process::first_line(pipe, DEADLINE).unwrap()
}

/// Waits until a process has ended by itself.
pub(crate) fn wait(child: &mut Child, what: &str) -> ExitStatus {
    let mut ended = None;
    let looked = process::wait_until(DEADLINE, || {
        ended = child.try_wait()?;
        Ok(ended.is_some())
    });
    if !looked.unwrap() {
        child.kill().unwrap();
    }
    ended.unwrap_or_else(|| panic!("the process did not end: {what}"))
}

/// A server; killed when dropped.
#[derive(Debug)]
pub(crate) struct CommandServer {
    pub(crate) process: ServerProcess,
    pub(crate) address: SocketAddr,
}

impl CommandServer {
    /// Starts a server on a free port, without a log.
    pub(crate) fn start() -> Self {
        Self::of(tailwater(&SERVE).stderr(Stdio::null()))
    }

    /// Starts a server with this command.
    pub(crate) fn of(command: &mut Command) -> Self {
        let (process, address) = ServerProcess::serve(command, DEADLINE).unwrap();
        Self { process, address }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Runs a command with this server.
    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> CommandOutput {
        run(&[arguments, &["--server", &self.url()]].concat(), input)
    }

    /// A connection whose reads have a deadline.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream
    }

    /// Sends one request on a new connection, and returns the response.
    ///
    /// - `headers`: further header fields, each with its line end.
    pub(crate) fn ask(&self, line: &str, headers: &str, body: &str) -> Response {
        let (address, length) = (self.address, body.len());
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {length}\r\n{headers}\r\n{body}"
        );
        let asking = async { RawConnection::open(address).await.ask(request).await };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        runtime.unwrap().block_on(asking)
    }

    /// The names on a page of the list.
    pub(crate) fn list(&self, query: &str) -> Vec<String> {
        let answer = self
            .ask(&format!("GET /v1/streams?{query}"), "", "")
            .expect(200);
        let list: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
        let streams = list["streams"].as_array().unwrap();
        streams
            .iter()
            .map(|stream| stream["name"].as_str().unwrap().to_owned())
            .collect()
    }
}
