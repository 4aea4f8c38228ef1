//! A server for tests: on a free port of loopback, ready when it is returned, ended when dropped.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tailwater_harness::process::{accepts, free_address, wait_until};

use crate::child::{self, GuardedChild};
use crate::fault::TaskFault;
use crate::steps::StepLog;

/// Timeout for the start of a server.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// A running server; ended when dropped. Unlike a process of the harness it runs below a guard, so it also ends when this
/// program is killed.
#[derive(Debug)]
pub(crate) struct SuiteServer {
    address: SocketAddr,
    child: GuardedChild,
}

impl SuiteServer {
    /// Starts `binary serve` with additional arguments and waits until it accepts connections. Its output is written to
    /// `log` only.
    ///
    /// - `port`: used if it is free, otherwise another one; 0 for any.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when it ends, or is not ready in time.
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

    /// Starts a program whose argument is a port, otherwise like [`SuiteServer::start`].
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
                "the server ended before it was ready ({status}); see its output in the log"
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

    /// Ends the server, and checks that it was still running.
    ///
    /// # Errors
    /// [`TaskFault::Unexpected`] when it had ended before.
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
