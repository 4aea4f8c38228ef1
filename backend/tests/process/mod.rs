//! The real binary with one port and one data directory for all its runs; shared by the tests that
//! kill it.

#![allow(dead_code, reason = "each test binary uses a part of it")]

pub(crate) mod durable_server;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use tailwater_harness::ServerProcess;
use tailwater_harness::process::{free_address, log_file, tailwater_through};
pub(crate) use tailwater_harness::wait::DEADLINE;

/// How a server is started.
#[derive(Debug, Clone)]
pub(crate) struct ServerOptions {
    /// `disk`, or `memory` to check that a test detects lost data.
    pub(crate) store: &'static str,
    /// `--sync`.
    pub(crate) sync: &'static str,
    /// `TAILWATER_FAULT`.
    pub(crate) fault: Option<String>,
    /// Further arguments.
    pub(crate) more: Vec<String>,
    /// A program that runs the server, with its own arguments.
    pub(crate) through: Vec<String>,
}

/// The port and the files of the servers of one test.
#[derive(Debug, Clone)]
pub(crate) struct ServerFolder {
    pub(crate) port: u16,
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
}

impl ServerOptions {
    /// A disk store that syncs before it acknowledges.
    pub(crate) fn on_disk() -> Self {
        Self {
            store: "disk",
            sync: "always",
            fault: None,
            more: vec!["--workers".into(), "2".into()],
            through: Vec::new(),
        }
    }
}

impl ServerFolder {
    /// A free port and an empty folder; `name` is the name of the test.
    pub(crate) fn new(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        // Removes what an earlier run with this name left behind.
        let _absent = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            port: free_address(0).unwrap().port(),
            data: folder.join("data"),
            log: folder.join("server.log"),
        }
    }

    /// Removes all files.
    pub(crate) fn remove(&self) {
        if let Some(folder) = self.log.parent() {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The last lines of the servers' log.
    pub(crate) fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }

    /// Starts a server without waiting for it.
    pub(crate) fn spawn(&self, options: &ServerOptions) -> ServerProcess {
        let mut command = tailwater_through(&options.through, env!("CARGO_BIN_EXE_tailwater"));
        let listen = format!("127.0.0.1:{}", self.port);
        command
            .args(["serve", "--listen", &listen, "--store", options.store])
            .args(&options.more);
        if options.store == "disk" {
            command
                .args(["--sync", options.sync, "--data-dir"])
                .arg(&self.data);
        }
        if let Some(fault) = &options.fault {
            command.env("TAILWATER_FAULT", fault);
        }
        command
            .stdout(Stdio::piped())
            .stderr(log_file(&self.log).unwrap());
        ServerProcess::spawn(&mut command).unwrap()
    }

    /// Starts a server and waits until it reports its address.
    ///
    /// # Errors
    /// When it ends before.
    pub(crate) fn start(&self, options: &ServerOptions) -> Result<ServerProcess, String> {
        let mut process = self.spawn(options);
        match process.listens(DEADLINE) {
            Ok(_address) => Ok(process),
            Err(fault) => Err(fault.to_string()),
        }
    }
}

/// An HTTP client with new connections and without a proxy.
pub(crate) fn http_client() -> reqwest::Client {
    // Only the first call installs the provider. There is no TLS here, but the client requires one.
    let _installed = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}
