//! Tailwater, in memory or on disk, from the measured binary or the second one.

use super::protocol;
use crate::BenchFault;
use crate::target::{BenchTarget, BenchTechnique, From, Launch, Role};
use std::path::{Path, PathBuf};
use tailwater_harness::http::DecodedHead;

/// A binary and its mode.
#[derive(Debug, Clone)]
pub(crate) struct Tailwater {
    /// The column's heading.
    pub(crate) name: String,
    /// [`Role::Tailwater`] or [`Role::Against`].
    pub(crate) role: Role,
    /// The binary.
    pub(crate) program: PathBuf,
    /// Value of `--sync`, or `None` for the memory store.
    pub(crate) sync: Option<String>,
    /// Further arguments of `tailwater serve`.
    pub(crate) arguments: Vec<String>,
}

impl BenchTarget for Tailwater {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn role(&self) -> Role {
        self.role
    }

    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, BenchFault> {
        let mut arguments: Vec<String> = ["serve", "--workers", "1", "--listen"]
            .into_iter()
            .map(Into::into)
            .collect();
        arguments.push(format!("127.0.0.1:{port}"));
        // A streaming response that ends would make a run void.
        arguments.extend(["--recycle", "600s"].map(Into::into));
        match &self.sync {
            None => arguments.extend(["--store", "memory", "--memory-max", "6GiB"].map(Into::into)),
            Some(sync) => {
                let data = folder.join("data").display().to_string();
                arguments.extend(
                    ["--store", "disk", "--sync", sync, "--data-dir", &data].map(Into::into),
                );
            }
        }
        arguments.extend(self.arguments.iter().cloned());
        Ok(Launch {
            program: self.program.clone(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: vec![("TAILWATER_LOG".into(), "error".into())],
        })
    }

    fn offers(&self, _technique: BenchTechnique) -> bool {
        true
    }

    fn durable(&self) -> bool {
        self.sync.is_some()
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
