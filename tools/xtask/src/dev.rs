//! `cargo xtask dev`: the server and `trunk serve` together, both rebuilt when their sources change.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, SystemTime};

use crate::build::{self, ServerBuild};
use crate::checkout::Checkout;
use crate::child::{self, GuardedChild};
use crate::fault::TaskFault;
use crate::serve::server_arguments;
use crate::setup;
use crate::tools::Need;
use crate::watch;

/// The sources of the server, relative to the workspace. Trunk watches those of the dashboard.
const SERVER_SOURCES: [&str; 5] = [
    "backend/src",
    "backend/Cargo.toml",
    "crates",
    "Cargo.toml",
    "rust-toolchain.toml",
];
/// The interval of checking the sources; also how long they must be unchanged before a build begins.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Runs until Ctrl-C, or until Trunk ends; `arguments` are passed to the server.
///
/// # Errors
/// When tools can't be installed or the first build of the server fails.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    let checkout = Checkout::find()?;
    let tools = setup::prepare(&checkout, &Need::SERVE)?;
    println!("==> Server: dev build");
    child::run(&mut ServerBuild::Dev.command(&checkout))?;
    let mut server = Some(start(&checkout, server_arguments(arguments))?);
    println!(
        "==> Dashboard: trunk serve; the page is at http://127.0.0.1:8080 once Trunk reports success. Ctrl-C ends both"
    );
    // Not dist/, which contains the release build of `cargo xtask serve`.
    let dist = checkout.target.join("dev-dist");
    let mut trunk = GuardedChild::spawn(
        build::trunk(&checkout, &tools)
            .arg("serve")
            .arg("--dist")
            .arg(&dist),
    )?;
    let mut sources = SourceTimes::new(&checkout);
    loop {
        thread::sleep(LOOK_EVERY);
        if let Some(status) = trunk.ended() {
            return Err(TaskFault::Ended {
                command: "trunk serve".to_owned(),
                status,
            });
        }
        if let Some(status) = server.as_mut().and_then(GuardedChild::ended) {
            println!("==> The server ended ({status}); it is restarted when its sources change");
            server = None;
        }
        if !sources.settled_after_change() {
            continue;
        }
        println!("==> Sources changed: building the server");
        if let Err(fault) = child::run(&mut ServerBuild::Dev.command(&checkout)) {
            println!(
                "==> {fault}; {}",
                if server.is_some() {
                    "the previous server keeps running"
                } else {
                    "no server is running"
                }
            );
            continue;
        }
        // The previous server must end first, as both use the same port.
        drop(server.take());
        server = Some(start(&checkout, server_arguments(arguments))?);
    }
}

fn start(checkout: &Checkout, arguments: &[String]) -> Result<GuardedChild, TaskFault> {
    // Behind a proxy, as here Trunk, the server disables the lab by default.
    GuardedChild::spawn(
        child::command(ServerBuild::Dev.binary(checkout))
            .env("TAILWATER_LAB", "true")
            .arg("serve")
            .args(arguments),
    )
}

/// Detects changes of the server's sources.
struct SourceTimes {
    paths: Vec<PathBuf>,
    seen: Option<SystemTime>,
    /// Whether a change may be incomplete: editors and git write several files.
    pending: bool,
}

impl SourceTimes {
    fn new(checkout: &Checkout) -> Self {
        let paths: Vec<_> = SERVER_SOURCES
            .iter()
            .map(|name| checkout.root.join(name))
            .collect();
        let seen = watch::newest(paths.iter().map(PathBuf::as_path));
        Self {
            paths,
            seen,
            pending: false,
        }
    }

    /// Whether the sources have changed, but not since the last call.
    fn settled_after_change(&mut self) -> bool {
        let now = watch::newest(self.paths.iter().map(|path: &PathBuf| -> &Path { path }));
        if now != self.seen {
            self.seen = now;
            self.pending = true;
            return false;
        }
        std::mem::take(&mut self.pending)
    }
}
