//! Three servers of the Durable Streams protocol: Electric's in Rust, one on axum, and the reference on node. Only their start
//! differs; requests and responses are those of the protocol.

use crate::BenchFault;
use crate::target::{BenchTarget, BenchTechnique, From, Launch};
use crate::targets::protocol;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use tailwater_harness::http::DecodedHead;

/// A program and its mode.
#[derive(Debug)]
pub(super) struct DurableStreams {
    name: &'static str,
    program: PathBuf,
    mode: Mode,
    durable: bool,
}

/// How its address and its storage are configured.
#[derive(Debug, Clone)]
enum Mode {
    /// By flags; the value of `--durability`.
    Electric(&'static str),
    /// By environment variables; the value of `DS_STORAGE__MODE`.
    Axum(&'static str),
    /// By a script in the data folder; the package's folder, and whether it stores files.
    Node { package: PathBuf, files: bool },
}

/// Modes of Electric's server.
#[derive(Debug, Clone, Copy)]
pub(super) enum Electric {
    /// Acknowledges once the data is passed to the system.
    Memory,
    /// Acknowledges once a write-ahead log is synced.
    Wal,
}

impl Electric {
    /// - `program`: `durable-streams-server` of the crate `durable-streams`.
    pub(super) fn server(self, program: &Path) -> DurableStreams {
        let (name, mode, durable) = match self {
            Self::Memory => ("Electric", "memory", false),
            Self::Wal => ("Electric wal", "wal", true),
        };
        DurableStreams {
            name,
            program: program.into(),
            mode: Mode::Electric(mode),
            durable,
        }
    }
}

/// Modes of the server on axum.
#[derive(Debug, Clone, Copy)]
pub(super) enum Axum {
    /// In memory.
    Memory,
    /// In files, synced at each append.
    FileDurable,
    /// In redb.
    Acid,
}

impl Axum {
    /// - `program`: `durable-streams-server` of the crate of that name.
    pub(super) fn server(self, program: &Path) -> DurableStreams {
        let (name, mode, durable) = match self {
            Self::Memory => ("axum", "memory", false),
            Self::FileDurable => ("axum files", "file-durable", true),
            Self::Acid => ("axum acid", "acid", true),
        };
        DurableStreams {
            name,
            program: program.into(),
            mode: Mode::Axum(mode),
            durable,
        }
    }
}

/// Modes of the reference.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    /// In memory.
    Memory,
    /// In files, synced at each append.
    File,
}

impl Node {
    /// - `node`: the program.
    /// - `package`: the folder of `@durable-streams/server`.
    pub(super) fn server(self, node: &Path, package: &Path) -> DurableStreams {
        let (name, files) = match self {
            Self::Memory => ("node", false),
            Self::File => ("node files", true),
        };
        DurableStreams {
            name,
            program: node.into(),
            mode: Mode::Node {
                package: package.into(),
                files,
            },
            durable: files,
        }
    }
}

/// More than any run appends; the defaults are 10 MiB per stream and 100 MiB in total.
const AXUM_LIMIT: &str = "6442450944";

impl BenchTarget for DurableStreams {
    fn name(&self) -> String {
        self.name.into()
    }

    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, BenchFault> {
        let data = folder.join("data");
        let mut launch = Launch {
            program: self.program.clone(),
            ..Launch::default()
        };
        match &self.mode {
            Mode::Electric(durability) => {
                let flags = [
                    "--worker-threads",
                    "1",
                    "--durability",
                    durability,
                    "--data-dir",
                ]
                .map(OsString::from);
                launch.arguments.extend(flags);
                launch
                    .arguments
                    .extend([data.into(), "--port".into(), port.to_string().into()]);
            }
            Mode::Axum(mode) => {
                let set = |name: &str, value: OsString| (OsString::from(name), value);
                launch.environment = vec![
                    set("TOKIO_WORKER_THREADS", "1".into()),
                    set("RUST_LOG", "error".into()),
                    set(
                        "DS_SERVER__BIND_ADDRESS",
                        format!("127.0.0.1:{port}").into(),
                    ),
                    set("DS_STORAGE__MODE", mode.into()),
                    set("DS_STORAGE__DATA_DIR", data.into()),
                    set("DS_LIMITS__MAX_STREAM_BYTES", AXUM_LIMIT.into()),
                    set("DS_LIMITS__MAX_MEMORY_BYTES", AXUM_LIMIT.into()),
                ];
            }
            Mode::Node { package, files } => {
                let script = folder.join("serve.mjs");
                let kept = if *files {
                    format!(", dataDir: {:?}", data.display().to_string())
                } else {
                    String::new()
                };
                let module = package.join("dist/index.js").display().to_string();
                std::fs::write(
                    &script,
                    format!(
                        "import {{ DurableStreamTestServer }} from {module:?};\n\
                         const it = new DurableStreamTestServer({{ host: '127.0.0.1', port: {port}{kept} }});\n\
                         await it.start();\n\
                         // The default of five seconds would disconnect idle writers.
                         // \
                         it.server.keepAliveTimeout = 600_000;\n"
                    ),
                )?;
                launch.arguments.push(script.into());
            }
        }
        Ok(launch)
    }

    fn offers(&self, technique: BenchTechnique) -> bool {
        matches!(
            technique,
            BenchTechnique::Poll | BenchTechnique::LongPoll | BenchTechnique::Sse
        )
    }

    fn durable(&self) -> bool {
        self.durable
    }

    fn create(&self, stream: &str, _technique: BenchTechnique) -> Option<Vec<u8>> {
        Some(protocol::create(stream))
    }

    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8> {
        protocol::append(stream, messages)
    }

    fn read(&self, stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8> {
        protocol::read(stream, technique, from)
    }

    fn position(&self, head: &DecodedHead<'_>) -> Option<String> {
        protocol::position(head)
    }

    fn unchanged(&self, stream: &str, head: &DecodedHead<'_>) -> Option<Vec<u8>> {
        protocol::unchanged(stream, head)
    }
}
