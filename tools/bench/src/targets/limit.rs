//! LIMIT as a target: a hidden subcommand of this program, run as a process like any other server.

use crate::BenchFault;
use crate::target::{BenchTarget, BenchTechnique, From, Launch, Role, UPGRADE, body, request};
use std::path::Path;
use tailwater_harness::http::DecodedHead;

/// LIMIT; with `joined`, appends of one iteration of its loop are delivered together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LimitTarget {
    pub(crate) joined: bool,
}

impl BenchTarget for LimitTarget {
    fn name(&self) -> String {
        if self.joined {
            "LIMIT joined".into()
        } else {
            "LIMIT".into()
        }
    }

    fn role(&self) -> Role {
        Role::Limit
    }

    fn launch(&self, port: u16, _folder: &Path) -> Result<Launch, BenchFault> {
        let mut arguments = vec!["limit".into(), port.to_string().into()];
        if self.joined {
            arguments.push("--joined".into());
        }
        Ok(Launch {
            program: std::env::current_exe()?,
            arguments,
            environment: Vec::new(),
        })
    }

    fn offers(&self, _technique: BenchTechnique) -> bool {
        true
    }

    fn create(&self, stream: &str, technique: BenchTechnique) -> Option<Vec<u8>> {
        Some(request(
            "PUT",
            &format!("/{}/{stream}", letter(technique)),
            "",
            b"",
        ))
    }

    fn append(&self, stream: &str, messages: &[Vec<u8>]) -> Vec<u8> {
        request("POST", &format!("/a/{stream}"), "", &body(messages))
    }

    fn read(&self, stream: &str, technique: BenchTechnique, from: From<'_>) -> Vec<u8> {
        let offset = match from {
            From::Beginning => "0",
            From::At(token) => token,
        };
        let headers = if technique == BenchTechnique::Websocket {
            UPGRADE
        } else {
            ""
        };
        request(
            "GET",
            &format!("/{}/{stream}/{offset}", letter(technique)),
            headers,
            b"",
        )
    }

    fn position(&self, head: &DecodedHead<'_>) -> Option<String> {
        head.header("next").map(Into::into)
    }

    fn unchanged(&self, stream: &str, head: &DecodedHead<'_>) -> Option<Vec<u8>> {
        Some(request(
            "GET",
            &format!("/u/{stream}/{}", head.header("next")?),
            "",
            b"",
        ))
    }
}

/// The first segment of a path.
fn letter(technique: BenchTechnique) -> char {
    match technique {
        BenchTechnique::Poll => 'p',
        BenchTechnique::LongPoll => 'l',
        BenchTechnique::Ndjson => 'n',
        BenchTechnique::Sse => 's',
        BenchTechnique::Websocket => 'w',
    }
}
