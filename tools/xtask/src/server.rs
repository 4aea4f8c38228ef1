//! A server for tests: on a free port of loopback, ready when it is handed out, always ended.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tailwater_harness::process::{accepts, free_address, wait_until};

use crate::child::{self, GuardedChild};
use crate::fault::TaskFault;
use crate::steps::StepLog;

/// How long a server may take until it accepts connections.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running server; dropping it ends it. It runs below a guard, so it also ends when this program is killed, which is more
/// than the harness's own process does.
#[derive(Debug)]
pub(crate) struct SuiteServer {
    address: SocketAddr,
    child: GuardedChild,
}

impl SuiteServer {
    /// Starts `binary serve` with further arguments and waits until it accepts connections. What it says goes to
    /// `log` only.
    ///
    /// - `port`: taken if it is free, else any other.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when it ends or is not ready in time.
    pub(crate) fn start(
        binary: &Path,
        port: u16,
        arguments: &[&str],
        log: &StepLog,
    ) -> Result<Self, TaskFault> {
        let address = free(port)?;
        let mut command = child::command(binary);
        command
            .args(["serve", "--listen", &address.to_string()])
            .args(arguments);
        Self::spawn(command, address, log)
    }

    /// Starts a program that takes a port of loopback as its argument, otherwise as [`SuiteServer::start`].
    ///
    /// # Errors
    /// As [`SuiteServer::start`].
    pub(crate) fn start_example(program: &Path, log: &StepLog) -> Result<Self, TaskFault> {
        let address = free(0)?;
        let mut command = child::command(program);
        command.arg(address.port().to_string());
        Self::spawn(command, address, log)
    }

    fn spawn(mut command: Command, address: SocketAddr, log: &StepLog) -> Result<Self, TaskFault> {
        log.print(&format!("$ {} &", child::command_line(&command)));
        let output = log.file()?;
        let errors = log.file()?;
        let mut child = GuardedChild::spawn(
            command
                .stdout(Stdio::from(output))
                .stderr(Stdio::from(errors)),
        )?;
        let mut status = None;
        let looked = wait_until(READY_WITHIN, || {
            status = child.ended();
            Ok(status.is_some() || accepts(address))
        });
        match (looked, status) {
            (_, Some(status)) => Err(TaskFault::Unexpected(format!(
                "the server ended before it was ready ({status}); see its words above"
            ))),
            (Ok(true), None) => Ok(Self { address, child }),
            _ => Err(TaskFault::Unexpected(format!(
                "the server was not ready on {address} within {} s",
                READY_WITHIN.as_secs()
            ))),
        }
    }

    /// `http://127.0.0.1:PORT`.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Ends it and tells whether it was still alive: a server that died during its tests failed them.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when it had ended by itself.
    pub(crate) fn stop(mut self) -> Result<(), TaskFault> {
        match self.child.ended() {
            Some(status) => Err(TaskFault::Unexpected(format!(
                "the server ended during the tests ({status})"
            ))),
            None => {
                self.child.stop();
                Ok(())
            }
        }
    }
}

fn free(port: u16) -> Result<SocketAddr, TaskFault> {
    free_address(port).map_err(|source| TaskFault::Start {
        program: "a listener on 127.0.0.1".to_owned(),
        source,
    })
}
