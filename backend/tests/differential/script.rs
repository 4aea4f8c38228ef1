//! Sequences: requests as bytes, the connections they are sent on, and how they are printed.

use super::recorded::find;
use std::collections::BTreeSet;
use std::fmt::{self, Display, Formatter};

/// Placeholder in requests for the number of the run, with which names of streams begin; as long as
/// its replacement.
pub(crate) const NUMBER: &str = "f0000000";
/// Placeholder in requests for the entity tag that the server sent last.
pub(crate) const ETAG: &str = "{etag}";
/// Placeholder in requests for the `Stream-Next-Offset` that the server sent last.
pub(crate) const NEXT: &str = "{next}";

/// The class of mutations that a request or a step contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum MutationClass {
    AbsoluteForm,
    BareLineFeed,
    BodyOnRead,
    Conditional,
    Connection,
    ContentLength,
    Control,
    Cursor,
    Cut,
    CutPipelined,
    Expect,
    FieldShape,
    FieldsRepeated,
    FollowBeyond,
    FollowDeleted,
    Gate,
    HalfClose,
    Head,
    LongField,
    Method,
    ObsFold,
    Path,
    Pipelined,
    PipelinedBody,
    PipelinedHead,
    Producer,
    Query,
    QueryCharacters,
    StreamFields,
    TrailingBytes,
    TransferEncoding,
    Version,
    WebSocket,
    WebSocketFrames,
}

/// How many responses a request gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    /// One, beside interim ones; or the connection is closed.
    One,
    /// Any number, because its length is ambiguous. Another request is sent after it, whose
    /// response marks the end.
    Unknown,
}

/// A request as bytes, in the parts that shrinking may remove.
#[derive(Debug, Clone)]
pub(crate) struct ScriptRequest {
    /// The mutation, if there is one.
    pub(crate) class: Option<MutationClass>,
    /// The request line with its line end.
    pub(crate) line: Vec<u8>,
    /// The header fields, each with its line end.
    pub(crate) fields: Vec<Vec<u8>>,
    /// The blank line.
    pub(crate) end: Vec<u8>,
    /// Everything after the blank line.
    pub(crate) body: Vec<u8>,
    pub(crate) answers: Answers,
}

/// A frame that a client sends on a WebSocket.
#[derive(Debug, Clone)]
pub(crate) struct ScriptFrame {
    /// The frame, masked.
    pub(crate) bytes: Vec<u8>,
    /// A description for reports.
    pub(crate) text: String,
    /// The number of frames in the response; `None` if the server closes the connection.
    pub(crate) answers: Option<usize>,
}

/// One step of a sequence; `connection` is an index of its kept connections.
#[derive(Debug, Clone)]
pub(crate) enum ScriptStep {
    /// Sends requests in one write, or split at these positions, and reads their responses.
    Send {
        connection: usize,
        requests: Vec<ScriptRequest>,
        cuts: Vec<usize>,
        /// Whether the client closes its half of the connection right after the requests.
        finish: bool,
    },
    /// Sends reads that wait, changes their stream from another connection, and reads the
    /// responses.
    Follow {
        readers: Vec<(usize, ScriptRequest)>,
        /// What the other connection sends; the last request ends live responses.
        changes: Vec<ScriptRequest>,
        /// Sent by the first reader while it waits, and answered afterwards.
        beyond: Vec<ScriptRequest>,
    },
    /// Upgrades to a WebSocket and sends frames, each after the response to the one before.
    WebSocket {
        connection: usize,
        request: ScriptRequest,
        frames: Vec<ScriptFrame>,
    },
    /// Closes the client's half and reads to the end.
    Finish { connection: usize },
    /// Drops the connection.
    Drop { connection: usize },
}

/// A sequence, which runs on its own set of streams.
#[derive(Debug, Clone)]
pub(crate) struct RequestSequence {
    pub(crate) steps: Vec<ScriptStep>,
}

impl ScriptRequest {
    /// A plain request with `Host` and these fields.
    pub(crate) fn new(method: &str, target: &str, fields: &[String]) -> Self {
        let field = |text: &String| format!("{text}\r\n").into_bytes();
        Self {
            class: None,
            line: format!("{method} {target} HTTP/1.1\r\n").into_bytes(),
            fields: std::iter::once(&"Host: localhost".to_owned())
                .chain(fields)
                .map(field)
                .collect(),
            end: b"\r\n".to_vec(),
            body: Vec::new(),
            answers: Answers::One,
        }
    }

    /// The same request with a body and its length.
    pub(crate) fn with_body(mut self, body: &[u8]) -> Self {
        self.fields
            .push(format!("Content-Length: {}\r\n", body.len()).into_bytes());
        self.body = body.to_vec();
        self
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        [&self.line[..], &self.fields.concat(), &self.end, &self.body].concat()
    }

    pub(crate) fn is_head(&self) -> bool {
        self.line.starts_with(b"HEAD ")
    }

    /// Whether a server may take this for a HEAD.
    pub(crate) fn may_be_head(&self) -> bool {
        find(&self.line, b"HEAD ").is_some()
    }

    /// Whether it is a read that may wait for data.
    pub(crate) fn may_wait(&self) -> bool {
        find(&self.line, b"long-poll").is_some()
    }

    /// Whether the request line begins with `method`.
    pub(crate) fn has_method(&self, method: &str) -> bool {
        self.line
            .strip_prefix(method.as_bytes())
            .is_some_and(|rest| rest.starts_with(b" "))
    }
}

impl ScriptStep {
    fn requests(&self) -> Vec<&ScriptRequest> {
        match self {
            Self::Send { requests, .. } => requests.iter().collect(),
            Self::Follow {
                readers,
                changes,
                beyond,
            } => readers
                .iter()
                .map(|(_, request)| request)
                .chain(changes)
                .chain(beyond)
                .collect(),
            Self::WebSocket { request, .. } => vec![request],
            Self::Finish { .. } | Self::Drop { .. } => Vec::new(),
        }
    }

    fn own_classes(&self) -> Vec<MutationClass> {
        let mut classes = Vec::new();
        match self {
            Self::Send {
                requests,
                cuts,
                finish,
                ..
            } => {
                if requests.len() > 1 {
                    classes.push(MutationClass::Pipelined);
                    if requests.iter().any(ScriptRequest::is_head) {
                        classes.push(MutationClass::PipelinedHead);
                    }
                    if requests[1..].iter().any(|request| !request.body.is_empty()) {
                        classes.push(MutationClass::PipelinedBody);
                    }
                }
                if !cuts.is_empty() {
                    classes.push(if requests.len() > 1 {
                        MutationClass::CutPipelined
                    } else {
                        MutationClass::Cut
                    });
                }
                if *finish {
                    classes.push(MutationClass::HalfClose);
                }
            }
            Self::Follow {
                changes, beyond, ..
            } => {
                if !beyond.is_empty() {
                    classes.push(MutationClass::FollowBeyond);
                }
                if changes.iter().any(|change| change.has_method("DELETE")) {
                    classes.push(MutationClass::FollowDeleted);
                }
            }
            Self::WebSocket { frames, .. } => {
                classes.push(MutationClass::WebSocket);
                let is_usual = |frame: &ScriptFrame| [0x81, 0x88, 0x89].contains(&frame.bytes[0]);
                if !frames.iter().all(is_usual) {
                    classes.push(MutationClass::WebSocketFrames);
                }
            }
            Self::Finish { .. } | Self::Drop { .. } => {}
        }
        classes
    }
}

impl RequestSequence {
    /// All classes in it.
    pub(crate) fn classes(&self) -> BTreeSet<MutationClass> {
        let of_requests = self.steps.iter().flat_map(|step| {
            step.requests()
                .into_iter()
                .filter_map(|request| request.class)
        });
        of_requests
            .chain(self.steps.iter().flat_map(ScriptStep::own_classes))
            .collect()
    }
}

impl Display for ScriptRequest {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let class = self
            .class
            .map_or(String::new(), |class| format!("  ({class:?})"));
        writeln!(out, "    {}{class}", escaped(&self.line))?;
        for field in &self.fields {
            writeln!(out, "    {}", escaped(field))?;
        }
        writeln!(out, "    {}", escaped(&self.end))?;
        if !self.body.is_empty() {
            writeln!(out, "    {}", escaped(&self.body))?;
        }
        Ok(())
    }
}

impl Display for ScriptStep {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Send {
                connection,
                requests,
                cuts,
                finish,
            } => {
                let cuts = if cuts.is_empty() {
                    String::new()
                } else {
                    format!(", cut at {cuts:?}")
                };
                let finish = if *finish {
                    ", then the client half-closes"
                } else {
                    ""
                };
                writeln!(out, "connection {connection} sends{cuts}{finish}:")?;
                requests
                    .iter()
                    .try_for_each(|request| write!(out, "{request}"))
            }
            Self::Follow {
                readers,
                changes,
                beyond,
            } => {
                for (connection, request) in readers {
                    write!(out, "connection {connection} waits with:\n{request}")?;
                }
                for request in beyond {
                    write!(out, "the first of them sends during the wait:\n{request}")?;
                }
                changes
                    .iter()
                    .try_for_each(|change| write!(out, "another connection sends:\n{change}"))
            }
            Self::WebSocket {
                connection,
                request,
                frames,
            } => {
                write!(out, "connection {connection} upgrades:\n{request}")?;
                frames
                    .iter()
                    .try_for_each(|frame| writeln!(out, "    frame {}", frame.text))
            }
            Self::Finish { connection } => {
                writeln!(out, "connection {connection}: the client half-closes")
            }
            Self::Drop { connection } => {
                writeln!(out, "connection {connection} is dropped by the client")
            }
        }
    }
}

impl Display for RequestSequence {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.steps
            .iter()
            .enumerate()
            .try_for_each(|(at, step)| write!(out, "{}. {step}", at + 1))
    }
}

/// Bytes as one line of text; very long ones are abbreviated in the middle.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    const LONG: usize = 600;
    if bytes.len() <= LONG {
        return bytes.escape_ascii().to_string();
    }
    let (begin, end) = (&bytes[..LONG / 2], &bytes[bytes.len() - LONG / 4..]);
    format!(
        "{}[... {} bytes in all ...]{}",
        begin.escape_ascii(),
        bytes.len(),
        end.escape_ascii()
    )
}
