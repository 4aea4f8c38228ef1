//! Tailwater itself, in memory or on disk, and a second binary of it beside.

use crate::Fault;
use crate::decode::Head;
use crate::target::{From, JSON, Launch, Role, Target, Technique, UPGRADE, body, request};
use std::path::{Path, PathBuf};

/// One binary with one way to run it.
#[derive(Debug, Clone)]
pub(crate) struct Tailwater {
    /// The column's heading.
    pub(crate) name: String,
    /// The binary.
    pub(crate) program: PathBuf,
    /// Value of `--sync`, or `None` for the memory store.
    pub(crate) sync: Option<String>,
    /// Further arguments of `tailwater serve`.
    pub(crate) arguments: Vec<String>,
}

impl Target for Tailwater {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn role(&self) -> Role {
        Role::Ours
    }

    fn launch(&self, port: u16, folder: &Path) -> Result<Launch, Fault> {
        let mut arguments: Vec<String> = ["serve", "--workers", "1", "--listen"].into_iter().map(Into::into).collect();
        arguments.push(format!("127.0.0.1:{port}"));
        match &self.sync {
            None => arguments.extend(["--store", "memory", "--memory-max", "6GiB"].map(Into::into)),
            Some(sync) => {
                let data = folder.join("data").display().to_string();
                arguments.extend(["--store", "disk", "--sync", sync, "--data-dir", &data].map(Into::into));
            }
        }
        arguments.extend(self.arguments.iter().cloned());
        Ok(Launch {
            program: self.program.clone(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            environment: vec![("TAILWATER_LOG".into(), "error".into())],
        })
    }

    fn offers(&self, _technique: Technique) -> bool {
        true
    }

    fn durable(&self) -> bool {
        self.sync.is_some()
    }

    fn create(&self, stream: &str, _technique: Technique) -> Option<Vec<u8>> {
        Some(request("PUT", &path(stream), JSON, b""))
    }

    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8> {
        request("POST", &path(stream), JSON, &body(messages))
    }

    fn read(&self, stream: &str, technique: Technique, from: From<'_>) -> Vec<u8> {
        let offset = match from {
            From::Beginning => "-1",
            From::At(token) => token,
        };
        let path = path(stream);
        match technique {
            Technique::Poll => request("GET", &format!("{path}?offset={offset}"), "", b""),
            Technique::Websocket => request("GET", &format!("{path}?offset={offset}&live=websocket"), UPGRADE, b""),
            live => request("GET", &format!("{path}?offset={offset}&live={live}"), "", b""),
        }
    }

    fn position(&self, answer: &Head<'_>) -> Option<String> {
        answer.value("stream-next-offset").map(Into::into)
    }

    fn unchanged(&self, stream: &str, answer: &Head<'_>) -> Option<Vec<u8>> {
        let (offset, etag) = (answer.value("stream-next-offset")?, answer.value("etag")?);
        let path = format!("{}?offset={offset}", path(stream));
        Some(request("GET", &path, &format!("If-None-Match: {etag}\r\n"), b""))
    }
}

fn path(stream: &str) -> String {
    format!("/v1/stream/{stream}")
}
