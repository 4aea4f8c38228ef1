//! The real binary in a process of its own, on one port and one data directory through all its deaths; shared by the tests
//! that kill it.

#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod house;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// What no wait may exceed.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How a server is started.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    /// `disk`, or `memory` to see that what forgets is found out.
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

/// Where servers of one episode live.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) port: u16,
    pub(crate) data: PathBuf,
    pub(crate) log: PathBuf,
}

impl Start {
    /// On disk, synced before anything is acknowledged.
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

impl Place {
    /// A free port and a fresh folder; `name` is the test's.
    pub(crate) fn new(name: &str) -> Self {
        let folder =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()));
        // Forget what an earlier run of this name left behind.
        let _absent = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        Self {
            port: free_port(),
            data: folder.join("data"),
            log: folder.join("server.log"),
        }
    }

    /// Removes what is no longer needed.
    pub(crate) fn remove(&self) {
        if let Some(folder) = self.log.parent() {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// The last lines that the servers said.
    pub(crate) fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

/// Below the ports that the system gives to connections: a client that knocks while the server is dead could be given this
/// very port, and would then talk to itself.
fn free_port() -> u16 {
    /// Tests of one process are not given the same one, though it is free until the first of them listens.
    static GIVEN: AtomicU16 = AtomicU16::new(0);
    let first = 18_000 + u16::try_from(std::process::id() % 12_000).unwrap();
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    let mut next = std::iter::repeat_with(|| first + GIVEN.fetch_add(1, Ordering::Relaxed) % 2_000)
        .take(2_000);
    next.find(free).expect("a free port")
}

/// A running server; killed when dropped.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
}

impl Server {
    /// Spawns it, without waiting for anything.
    pub(crate) fn spawn(place: &Place, start: &Start) -> Self {
        let binary = env!("CARGO_BIN_EXE_tailwater").to_owned();
        let words: Vec<String> = start.through.iter().cloned().chain([binary]).collect();
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]);
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("TAILWATER_")) {
            command.env_remove(name);
        }
        let listen = format!("127.0.0.1:{}", place.port);
        command
            .args(["serve", "--listen", &listen, "--store", start.store])
            .args(&start.more);
        if start.store == "disk" {
            command
                .args(["--sync", start.sync, "--data-dir"])
                .arg(&place.data);
        }
        if let Some(fault) = &start.fault {
            command.env("TAILWATER_FAULT", fault);
        }
        let log = File::options()
            .create(true)
            .append(true)
            .open(&place.log)
            .unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child }
    }

    /// Waits until it says that it listens.
    ///
    /// # Errors
    /// When it ends before.
    pub(crate) fn ready(&mut self) -> Result<(), String> {
        let (send, said) = std::sync::mpsc::channel();
        let mut stdout = BufReader::new(self.child.stdout.take().unwrap());
        // A pipe can't be read with a deadline; a channel can.
        std::thread::spawn(move || {
            let mut line = String::new();
            let _lost = stdout.read_line(&mut line);
            let _late = send.send(line);
        });
        let line = said
            .recv_timeout(DEADLINE)
            .map_err(|_| format!("the server did not listen within {DEADLINE:?}"))?;
        if line.starts_with("Tailwater listens on ") {
            return Ok(());
        }
        let status = self.ended(DEADLINE);
        Err(format!(
            "the server did not start: it said {line:?} and ended with {status:?}"
        ))
    }

    /// The process that was spawned.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it does within `wait`.
    pub(crate) fn ended(&mut self, wait: Duration) -> Option<ExitStatus> {
        let begun = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if begun.elapsed() >= wait => return None,
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// SIGKILL.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub(crate) fn stop(mut self) -> Result<(), String> {
        let told = Command::new("kill")
            .arg(self.child.id().to_string())
            .status()
            .unwrap();
        assert!(told.success());
        match self.ended(DEADLINE) {
            Some(status) if status.success() => Ok(()),
            other => Err(format!("SIGTERM ended the server with {other:?}")),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Already gone when it was killed or stopped.
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
