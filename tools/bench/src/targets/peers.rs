//! Other servers for the same purpose, if they are installed.
//!
//! | peer | server | where it is searched |
//! | --- | --- | --- |
//! | nchan | nginx with Debian's `libnginx-mod-nchan` | `TAILWATER_BENCH_NCHAN`, or `nginx` on `PATH` or in `/usr/sbin` |
//! | Electric | the crate `durable-streams` | `electric/bin/durable-streams-server` in `TAILWATER_BENCH_PEERS` |
//! | axum | the crate `durable-streams-server` | `axum/bin/durable-streams-server` in `TAILWATER_BENCH_PEERS` |
//! | node | the npm package `@durable-streams/server` | `node/node_modules` in `TAILWATER_BENCH_PEERS`, `node` on `PATH` |
//!
//! BENCHMARKS.md says how they are installed. Each runs with one worker, on the server's core, like Tailwater.

mod durable_streams;
mod nchan;

use super::KnownTarget;
use crate::process::on_path;
use crate::target::BenchTarget;
use std::path::{Path, PathBuf};

use durable_streams::{Axum, DurableStreams, Electric, Node};
use nchan::Nchan;

/// Environment variable: the folder of installed peers.
const PEERS: &str = "TAILWATER_BENCH_PEERS";
/// Environment variable: the path of nginx.
const NCHAN: &str = "TAILWATER_BENCH_NCHAN";

/// Every peer in every mode, or why it can't be measured.
pub(super) fn known() -> Vec<KnownTarget> {
    let electric =
        |mode: Electric| Ok(mode.server(&installed("electric/bin/durable-streams-server")?));
    let axum = |mode: Axum| Ok(mode.server(&installed("axum/bin/durable-streams-server")?));
    let node = |mode: Node| {
        let program = on_path("node").ok_or("there is no `node` on PATH")?;
        Ok(mode.server(
            &program,
            &installed("node/node_modules/@durable-streams/server")?,
        ))
    };
    let nchan = nginx().map(|nchan| Box::new(nchan) as Box<dyn BenchTarget>);
    let boxed = |server: Result<DurableStreams, String>| {
        server.map(|server| Box::new(server) as Box<dyn BenchTarget>)
    };
    [
        ("nchan", nchan),
        ("electric", boxed(electric(Electric::Memory))),
        ("electric-wal", boxed(electric(Electric::Wal))),
        ("axum", boxed(axum(Axum::Memory))),
        ("axum-files", boxed(axum(Axum::FileDurable))),
        ("axum-acid", boxed(axum(Axum::Acid))),
        ("node", boxed(node(Node::Memory))),
        ("node-files", boxed(node(Node::File))),
    ]
    .map(|(word, target)| (word.to_owned(), target))
    .into()
}

/// A path in the folder of peers.
fn installed(path: &str) -> Result<PathBuf, String> {
    let folder = std::env::var_os(PEERS).ok_or(format!("{PEERS} is not set"))?;
    let path = Path::new(&folder).join(path);
    if path.exists() {
        Ok(path)
    } else {
        Err(format!("there is no {}", path.display()))
    }
}

/// Finds nginx and its nchan module.
fn nginx() -> Result<Nchan, String> {
    let named = std::env::var_os(NCHAN).map(PathBuf::from);
    let nginx = named
        .or_else(|| on_path("nginx"))
        .unwrap_or_else(|| "/usr/sbin/nginx".into());
    if !nginx.is_file() {
        return Err(format!("there is no {}", nginx.display()));
    }
    // nginx is in `sbin` of a prefix (Debian: /usr), its modules in `lib` of the same prefix.
    let prefix = nginx
        .parent()
        .and_then(Path::parent)
        .unwrap_or(Path::new("/usr"));
    let module = prefix.join("lib/nginx/modules/ngx_nchan_module.so");
    if module.is_file() {
        Ok(Nchan { nginx, module })
    } else {
        Err(format!("there is no {}", module.display()))
    }
}
