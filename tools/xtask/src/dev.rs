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

/// What the server is made of, relative to the workspace. Trunk watches the dashboard's sources itself.
const SERVER_SOURCES: [&str; 5] = [
    "backend/src",
    "backend/Cargo.toml",
    "crates",
    "Cargo.toml",
    "rust-toolchain.toml",
];
/// How often the sources are looked at; also how long they must have been quiet before a build begins.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Runs until Ctrl-C, or until Trunk ends; `arguments` are the server's.
///
/// # Errors
/// Whatever keeps the tools or the first build of the server from working.
pub(crate) fn run(arguments: &[String]) -> Result<(), TaskFault> {
    let checkout = Checkout::find()?;
    let tools = setup::prepare(&checkout, &Need::SERVE)?;
    println!("==> Server: dev build");
    child::run(&mut ServerBuild::Dev.command(&checkout))?;
    let mut server = Some(start(&checkout, server_arguments(arguments))?);
    println!(
        "==> Dashboard: trunk serve; the page is http://127.0.0.1:8080 once it says success. Ctrl-C ends both"
    );
    // Not dist/: there `cargo xtask serve` keeps its release build.
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
            println!(
                "==> The server ended ({status}); it is started again when its sources change"
            );
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
                    "the former server goes on"
                } else {
                    "no server runs"
                }
            );
            continue;
        }
        // The port is free only when the former one is gone.
        drop(server.take());
        server = Some(start(&checkout, server_arguments(arguments))?);
    }
}

fn start(checkout: &Checkout, arguments: &[String]) -> Result<GuardedChild, TaskFault> {
    // Trunk stands in front of it as a proxy, which would turn the lab off.
    GuardedChild::spawn(
        child::command(ServerBuild::Dev.binary(checkout))
            .env("TAILWATER_LAB", "true")
            .arg("serve")
            .args(arguments),
    )
}

/// The server's sources, and when they last changed.
struct SourceTimes {
    paths: Vec<PathBuf>,
    seen: Option<SystemTime>,
    /// A change that may still be going on: editors and git write many files.
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

    /// Whether something changed and then nothing for one look.
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
