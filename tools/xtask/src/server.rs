//! A server for tests: on a free port of loopback, ready when it is handed out, always ended.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{self, Guarded};
use crate::fault::Fault;
use crate::steps::Log;

/// How long a server may take until it accepts connections.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running server; dropping it ends it.
#[derive(Debug)]
pub(crate) struct TestServer {
    address: SocketAddr,
    child: Guarded,
}

impl TestServer {
    /// Starts `binary serve` with further arguments and waits until it accepts connections. What it says goes to
    /// `log` only.
    ///
    /// - `port`: taken if it is free, else any other.
    ///
    /// # Errors
    /// [`Fault::Unfit`] when it ends or is not ready in time.
    pub(crate) fn start(
        binary: &Path,
        port: u16,
        arguments: &[&str],
        log: &Log,
    ) -> Result<Self, Fault> {
        let address = free_address(port)?;
        let mut command = child::command(binary);
        command
            .args(["serve", "--listen", &address.to_string()])
            .args(arguments);
        Self::spawn(command, address, log)
    }

    /// Starts a program that takes a port of loopback as its argument, otherwise as [`TestServer::start`].
    ///
    /// # Errors
    /// As [`TestServer::start`].
    pub(crate) fn start_example(program: &Path, log: &Log) -> Result<Self, Fault> {
        let address = free_address(0)?;
        let mut command = child::command(program);
        command.arg(address.port().to_string());
        Self::spawn(command, address, log)
    }

    fn spawn(mut command: Command, address: SocketAddr, log: &Log) -> Result<Self, Fault> {
        log.say(&format!("$ {} &", child::words(&command)));
        let output = log.file()?;
        let errors = log.file()?;
        let mut child = Guarded::spawn(
            command
                .stdout(Stdio::from(output))
                .stderr(Stdio::from(errors)),
        )?;
        let began = Instant::now();
        while began.elapsed() < READY_WITHIN {
            if let Some(status) = child.ended() {
                return Err(Fault::Unfit(format!(
                    "the server ended before it was ready ({status}); see its words above"
                )));
            }
            if TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok() {
                return Ok(Self { address, child });
            }
            thread::sleep(Duration::from_millis(50));
        }
        Err(Fault::Unfit(format!(
            "the server was not ready on {address} within {} s",
            READY_WITHIN.as_secs()
        )))
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it and tells whether it was still alive: a server that died during its tests failed them.
    ///
    /// # Errors
    /// [`Fault::Unfit`] when it had ended by itself.
    pub(crate) fn stop(mut self) -> Result<(), Fault> {
        match self.child.ended() {
            Some(status) => Err(Fault::Unfit(format!(
                "the server ended during the tests ({status})"
            ))),
            None => {
                self.child.stop();
                Ok(())
            }
        }
    }
}

/// An address nobody listens on: the wanted port, or one that the system chooses.
fn free_address(wanted: u16) -> Result<SocketAddr, Fault> {
    let bind = |port: u16| {
        TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr())
    };
    bind(wanted)
        .or_else(|_| bind(0))
        .map_err(|source| Fault::Start {
            program: "a listener on 127.0.0.1".to_owned(),
            source,
        })
}
